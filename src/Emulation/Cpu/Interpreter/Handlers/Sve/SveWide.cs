using System.Numerics;
using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>The part of an element of twice the size that an operand is, extended to 64 bits.</summary>
internal interface ISvePart
{
    static abstract ulong Of(ulong element, int bits);
}

/// <summary>The lower half of the element: "bottom" in names of instructions.</summary>
internal readonly struct SignedBottom : ISvePart
{
    public static ulong Of(ulong element, int bits) => (ulong)SveElements.SignExtend(element, bits / 2);
}

internal readonly struct UnsignedBottom : ISvePart
{
    public static ulong Of(ulong element, int bits) => element & SveElements.Mask(bits / 2);
}

/// <summary>The upper half: "top".</summary>
internal readonly struct SignedTop : ISvePart
{
    public static ulong Of(ulong element, int bits) => (ulong)(SveElements.SignExtend(element, bits) >> (bits / 2));
}

internal readonly struct UnsignedTop : ISvePart
{
    public static ulong Of(ulong element, int bits) => element >> (bits / 2);
}

/// <summary>All of it.</summary>
internal readonly struct Whole : ISvePart
{
    public static ulong Of(ulong element, int bits) => element;
}

/// <summary>An operation of parts of elements to an element.</summary>
internal unsafe interface ISveWide
{
    static abstract ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits);
}

internal readonly unsafe struct WideAdd : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => n + m;
}

internal readonly unsafe struct WideSub : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => n - m;
}

internal readonly unsafe struct WideAbd : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => (ulong)Math.Abs((long)(n - m));
}

internal readonly unsafe struct WideAba : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => d + (ulong)Math.Abs((long)(n - m));
}

/// <summary>SADALP: both halves of n are given as n and m.</summary>
internal readonly unsafe struct WideAddBoth : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => d + n + m;
}

internal readonly unsafe struct WideMul : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => n * m;
}

internal readonly unsafe struct WideMla : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => d + (n * m);
}

internal readonly unsafe struct WideMls : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => d - (n * m);
}

internal readonly unsafe struct WideShift : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => n << (int)m;
}

/// <summary>SQDMULLB: the doubled product saturates for the two most negative values.</summary>
internal readonly unsafe struct WideSqdmull : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        long product = (long)n * (long)m;
        long least = long.MinValue >> (64 - bits);
        return (ulong)(product == -(least / 2) ? ~least : 2 * product);
    }
}

internal readonly unsafe struct WideSqdmlal : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        SveLanes.Saturate(SveElements.SignExtend(d, bits), (long)WideSqdmull.Apply(s, d, n, m, bits), bits);
}

internal readonly unsafe struct WideSqdmlsl : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        SveLanes.Saturate(SveElements.SignExtend(d, bits), -(long)WideSqdmull.Apply(s, d, n, m, bits), bits);
}

internal readonly unsafe struct WidePmull : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        ulong product = 0;
        for (; m != 0; m &= m - 1)
        {
            product ^= n << BitOperations.TrailingZeroCount(m);
        }

        return product;
    }
}

/// <summary>FMLALB: of half precision to single.</summary>
internal readonly unsafe struct WideFmla : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) => SveFloatLanes.MultiplyAddHalves(s, d, n, m);
}

internal readonly unsafe struct WideFmls : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        SveFloatLanes.MultiplyAddHalves(s, d, SoftFloat.Negate<HalfFormat>(n, s->Fpcr), m);
}

/// <summary>BFMLALB: of BFloat16 to single.</summary>
internal readonly unsafe struct WideBfmla : ISveWide
{
    public static ulong Apply(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        BrainArithmetic.MultiplyAdd((uint)d, (uint)n, (uint)m, s->Fpcr, ref s->Fpsr);
}

/// <summary>An operation of elements of twice the size to one of the size, of which the shift is given.</summary>
internal interface ISveNarrow
{
    static abstract ulong Apply(ulong n, ulong m, int bits);
}

/// <summary>ADDHN: the upper half of the sum.</summary>
internal readonly struct NarrowAdd : ISveNarrow
{
    public static ulong Apply(ulong n, ulong m, int bits) => (n + m) >> (bits / 2);
}

internal readonly struct NarrowAddRounded : ISveNarrow
{
    public static ulong Apply(ulong n, ulong m, int bits) => (n + m + (1ul << ((bits / 2) - 1))) >> (bits / 2);
}

internal readonly struct NarrowSub : ISveNarrow
{
    public static ulong Apply(ulong n, ulong m, int bits) => (n - m) >> (bits / 2);
}

internal readonly struct NarrowSubRounded : ISveNarrow
{
    public static ulong Apply(ulong n, ulong m, int bits) => (n - m + (1ul << ((bits / 2) - 1))) >> (bits / 2);
}

/// <summary>SHRN, and with <typeparamref name="TRange"/> its saturating forms.</summary>
internal readonly struct NarrowShift<TRange> : ISveNarrow
    where TRange : struct, ISveRange
{
    public static ulong Apply(ulong n, ulong m, int bits) => TRange.Of(n, (int)m, rounds: false, bits);
}

internal readonly struct NarrowShiftRounded<TRange> : ISveNarrow
    where TRange : struct, ISveRange
{
    public static ulong Apply(ulong n, ulong m, int bits) => TRange.Of(n, (int)m, rounds: true, bits);
}

/// <summary>What a shifted element becomes in half its bits.</summary>
internal interface ISveRange
{
    static abstract ulong Of(ulong value, int shift, bool rounds, int bits);
}

internal readonly struct AnyRange : ISveRange
{
    public static ulong Of(ulong value, int shift, bool rounds, int bits) => UnsignedRange.Shifted(value, shift, rounds);
}

internal readonly struct UnsignedRange : ISveRange
{
    public static ulong Of(ulong value, int shift, bool rounds, int bits) =>
        Math.Min(Shifted(value, shift, rounds), SveElements.Mask(bits / 2));

    public static ulong Shifted(ulong value, int shift, bool rounds) =>
        shift == 0 ? value : (value >> shift) + (rounds ? (value >> (shift - 1)) & 1 : 0);
}

internal readonly struct SignedRange : ISveRange
{
    public static ulong Of(ulong value, int shift, bool rounds, int bits)
    {
        long most = (long)(SveElements.Mask(bits / 2) >> 1);
        return (ulong)Math.Clamp(Shifted(value, shift, rounds, bits), ~most, most);
    }

    public static long Shifted(ulong value, int shift, bool rounds, int bits)
    {
        long signed = SveElements.SignExtend(value, bits);
        return shift == 0 ? signed : (signed >> shift) + (rounds ? (signed >> (shift - 1)) & 1 : 0);
    }
}

/// <summary>Of a signed value, in an unsigned range.</summary>
internal readonly struct SignedToUnsignedRange : ISveRange
{
    public static ulong Of(ulong value, int shift, bool rounds, int bits) =>
        (ulong)Math.Clamp(SignedRange.Shifted(value, shift, rounds, bits), 0, (long)SveElements.Mask(bits / 2));
}

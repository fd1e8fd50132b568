using System.Numerics;
using Vmm.Emulation.Cpu.FloatingPoint;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>Lanes of SVE2, dot products and the like: elements made of parts of elements, and operations of several operands.</summary>
internal static unsafe class SveLongLanes
{
    /// <summary>An operation of parts of both operands.</summary>
    public static ulong Long<TOp, TN, TM>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, ISveWide
        where TN : struct, ISvePart
        where TM : struct, ISvePart => TOp.Apply(s, d, TN.Of(n, bits), TM.Of(m, bits), bits);

    /// <summary>SADALP, UADALP: both halves of n.</summary>
    public static ulong AddPairs<TBottom, TTop>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TBottom : struct, ISvePart
        where TTop : struct, ISvePart => d + TBottom.Of(n, bits) + TTop.Of(n, bits);

    /// <summary>A narrowed element at the bottom, zeros above it.</summary>
    public static ulong NarrowBottom<TOp>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, ISveNarrow => TOp.Apply(n, m, bits) & SveElements.Mask(bits / 2);

    /// <summary>A narrowed element at the top; the bottom stays as it is.</summary>
    public static ulong NarrowTop<TOp>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, ISveNarrow => (d & SveElements.Mask(bits / 2)) | (TOp.Apply(n, m, bits) << (bits / 2));

    public static ulong SignedDot(CpuState* s, ulong d, ulong n, ulong m, int bits) => Dot(d, n, m, bits, true, true);

    public static ulong UnsignedDot(CpuState* s, ulong d, ulong n, ulong m, int bits) => Dot(d, n, m, bits, false, false);

    public static ulong UnsignedSignedDot(CpuState* s, ulong d, ulong n, ulong m, int bits) => Dot(d, n, m, bits, false, true);

    public static ulong SignedUnsignedDot(CpuState* s, ulong d, ulong n, ulong m, int bits) => Dot(d, n, m, bits, true, false);

    private static ulong Dot(ulong d, ulong n, ulong m, int bits, bool signedN, bool signedM)
    {
        int part = bits / 4;
        for (int at = 0; at < bits; at += part)
        {
            ulong left = (n >> at) & SveElements.Mask(part);
            ulong right = (m >> at) & SveElements.Mask(part);
            left = signedN ? (ulong)SveElements.SignExtend(left, part) : left;
            right = signedM ? (ulong)SveElements.SignExtend(right, part) : right;
            d += left * right;
        }

        return d;
    }

    /// <summary>BFDOT.</summary>
    public static ulong BrainDot(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        BrainArithmetic.DotAdd((uint)d, (uint)n, (uint)m, s->Fpcr);

    /// <summary>SQDMULH and SQRDMULH, also of doublewords.</summary>
    public static ulong Sqdmulh(CpuState* s, ulong d, ulong n, ulong m, int bits) => HighOfDoubled(0, n, m, bits, 0, rounds: false);

    public static ulong Sqrdmulh(CpuState* s, ulong d, ulong n, ulong m, int bits) => HighOfDoubled(0, n, m, bits, 1, rounds: true);

    public static ulong Sqrdmlah(CpuState* s, ulong d, ulong n, ulong m, int bits) => HighOfDoubled(d, n, m, bits, 1, rounds: true);

    public static ulong Sqrdmlsh(CpuState* s, ulong d, ulong n, ulong m, int bits) => HighOfDoubled(d, n, m, bits, -1, rounds: true);

    // The upper half of d : 0 ± 2 × n × m.
    internal static ulong HighOfDoubled(ulong d, ulong n, ulong m, int bits, int sign, bool rounds)
    {
        Int128 product = (Int128)SveElements.SignExtend(n, bits) * SveElements.SignExtend(m, bits);
        product = sign < 0 ? -product : product;

        // Halved all through, which loses nothing but makes room for the sum.
        Int128 sum = ((Int128)SveElements.SignExtend(d, bits) << (bits - 1)) + product + (rounds ? (Int128)1 << (bits - 2) : 0);
        Int128 high = sum >> (bits - 1);
        long most = long.MaxValue >> (64 - bits);
        return (ulong)(long)(high > most ? most : high < ~most ? ~most : high);
    }

    /// <summary>Unsigned estimates of words.</summary>
    public static ulong Urecpe(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        FloatingPoint.FloatEstimates.UnsignedReciprocalEstimate((uint)n);

    public static ulong Ursqrte(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        FloatingPoint.FloatEstimates.UnsignedReciprocalRootEstimate((uint)n);

    /// <summary>XAR: the shift of the form is to the right.</summary>
    public static ulong RotatedExclusive(ulong n, ulong m, int amount, int bits)
    {
        ulong value = n ^ m;
        return amount == bits ? value : (value >> amount) | (value << (bits - amount));
    }

    public static ulong Eor3(CpuState* s, ulong d, ulong n, ulong m, int bits) => n ^ m ^ d;

    public static ulong Bcax(CpuState* s, ulong d, ulong n, ulong m, int bits) => n ^ (m & ~d);

    public static ulong Bsl(CpuState* s, ulong d, ulong n, ulong m, int bits) => (n & d) | (m & ~d);

    public static ulong Bsl1n(CpuState* s, ulong d, ulong n, ulong m, int bits) => (~n & d) | (m & ~d);

    public static ulong Bsl2n(CpuState* s, ulong d, ulong n, ulong m, int bits) => (n & d) | (~m & ~d);

    public static ulong Nbsl(CpuState* s, ulong d, ulong n, ulong m, int bits) => ~((n & d) | (m & ~d));

    /// <summary>RAX1.</summary>
    public static ulong Rax1(CpuState* s, ulong d, ulong n, ulong m, int bits) => n ^ BitOperations.RotateLeft(m, 1);

    /// <summary>BEXT: the bits that a mask chooses, together at the bottom.</summary>
    public static ulong Bext(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        ulong result = 0;
        for (int to = 0; m != 0; m &= m - 1, to++)
        {
            result |= ((n >> BitOperations.TrailingZeroCount(m)) & 1) << to;
        }

        return result;
    }

    /// <summary>BDEP: the lowest bits at the places of a mask.</summary>
    public static ulong Bdep(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        ulong result = 0;
        for (; m != 0; m &= m - 1, n >>= 1)
        {
            result |= (n & 1) << BitOperations.TrailingZeroCount(m);
        }

        return result;
    }

    /// <summary>BGRP: the bits that a mask chooses, and the others above them.</summary>
    public static ulong Bgrp(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        int chosen = BitOperations.PopCount(m);
        ulong others = Bext(s, d, n, ~m & SveElements.Mask(bits), bits);
        return Bext(s, d, n, m, bits) | (chosen == 64 ? 0 : others << chosen);
    }
}

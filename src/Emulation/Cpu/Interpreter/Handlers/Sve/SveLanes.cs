using System.Buffers.Binary;
using System.Numerics;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;

/// <summary>
/// What integer instructions do with one element: the accumulator <c>d</c> and the operands <c>n</c> and <c>m</c>, zero-extended, of
/// <c>bits</c> bits each. Bits of the result above those are ignored.
/// </summary>
internal static unsafe class SveLanes
{
    /// <summary>An operation of Advanced SIMD on signed elements. SVE has no FPSR.QC.</summary>
    public static ulong Signed<TOp>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, ILaneOperation
    {
        uint fpsr = 0;
        return bits switch
        {
            8 => (ulong)TOp.Apply((sbyte)d, (sbyte)n, (sbyte)m, ref fpsr),
            16 => (ulong)TOp.Apply((short)d, (short)n, (short)m, ref fpsr),
            32 => (ulong)TOp.Apply((int)d, (int)n, (int)m, ref fpsr),
            _ => (ulong)TOp.Apply((long)d, (long)n, (long)m, ref fpsr),
        };
    }

    /// <summary>An operation of Advanced SIMD on unsigned elements.</summary>
    public static ulong Unsigned<TOp>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, ILaneOperation
    {
        uint fpsr = 0;
        return bits switch
        {
            8 => TOp.Apply((byte)d, (byte)n, (byte)m, ref fpsr),
            16 => TOp.Apply((ushort)d, (ushort)n, (ushort)m, ref fpsr),
            32 => TOp.Apply((uint)d, (uint)n, (uint)m, ref fpsr),
            _ => TOp.Apply(d, n, m, ref fpsr),
        };
    }

    /// <summary>A shift of Advanced SIMD, which looks at a byte of the amount: here all of it counts.</summary>
    public static ulong SignedShift<TOp>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, ILaneOperation => Signed<TOp>(s, d, n, Amount(m, bits), bits);

    public static ulong UnsignedShift<TOp>(CpuState* s, ulong d, ulong n, ulong m, int bits)
        where TOp : struct, ILaneOperation => Unsigned<TOp>(s, d, n, Amount(m, bits), bits);

    private static ulong Amount(ulong m, int bits) => (ulong)Math.Clamp(Sx(m, bits), sbyte.MinValue, sbyte.MaxValue);

    private static long Sx(ulong value, int bits) => SveElements.SignExtend(value, bits);

    public static ulong Add(CpuState* s, ulong d, ulong n, ulong m, int bits) => n + m;

    public static ulong Sub(CpuState* s, ulong d, ulong n, ulong m, int bits) => n - m;

    /// <summary>SUBR with an immediate.</summary>
    public static ulong Subr(CpuState* s, ulong d, ulong n, ulong m, int bits) => m - n;

    public static ulong And(CpuState* s, ulong d, ulong n, ulong m, int bits) => n & m;

    public static ulong Orr(CpuState* s, ulong d, ulong n, ulong m, int bits) => n | m;

    public static ulong Eor(CpuState* s, ulong d, ulong n, ulong m, int bits) => n ^ m;

    public static ulong Bic(CpuState* s, ulong d, ulong n, ulong m, int bits) => n & ~m;

    public static ulong Mul(CpuState* s, ulong d, ulong n, ulong m, int bits) => n * m;

    public static ulong Smulh(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        bits == 64 ? (ulong)Math.BigMul((long)n, (long)m, out _) : (ulong)((Sx(n, bits) * Sx(m, bits)) >> bits);

    public static ulong Umulh(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        bits == 64 ? Math.BigMul(n, m, out _) : (n * m) >> bits;

    public static ulong Sdiv(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        Sx(m, bits) switch { 0 => 0, -1 => 0 - n, var divisor => (ulong)(Sx(n, bits) / divisor) };

    public static ulong Udiv(CpuState* s, ulong d, ulong n, ulong m, int bits) => m == 0 ? 0 : n / m;

    public static ulong Asr(CpuState* s, ulong d, ulong n, ulong m, int bits) => (ulong)(Sx(n, bits) >> (int)Math.Min(m, 63));

    public static ulong Lsr(CpuState* s, ulong d, ulong n, ulong m, int bits) => m >= 64 ? 0 : n >> (int)m;

    public static ulong Lsl(CpuState* s, ulong d, ulong n, ulong m, int bits) => m >= 64 ? 0 : n << (int)m;

    /// <summary>ASRD: divides by a power of two, and rounds to zero.</summary>
    public static ulong Asrd(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        long value = Sx(n, bits);
        if (m == 64)
        {
            return 0;
        }

        ulong rounding = value < 0 ? (1ul << (int)m) - 1 : 0;
        return (ulong)((value + (long)rounding) >> (int)m);
    }

    public static ulong Cnot(CpuState* s, ulong d, ulong n, ulong m, int bits) => n == 0 ? 1ul : 0;

    public static ulong Not(CpuState* s, ulong d, ulong n, ulong m, int bits) => ~n;

    public static ulong Abs(CpuState* s, ulong d, ulong n, ulong m, int bits) => Sx(n, bits) < 0 ? 0 - n : n;

    public static ulong Neg(CpuState* s, ulong d, ulong n, ulong m, int bits) => 0 - n;

    public static ulong Sxtb(CpuState* s, ulong d, ulong n, ulong m, int bits) => (ulong)(sbyte)n;

    public static ulong Uxtb(CpuState* s, ulong d, ulong n, ulong m, int bits) => (byte)n;

    public static ulong Sxth(CpuState* s, ulong d, ulong n, ulong m, int bits) => (ulong)(short)n;

    public static ulong Uxth(CpuState* s, ulong d, ulong n, ulong m, int bits) => (ushort)n;

    public static ulong Sxtw(CpuState* s, ulong d, ulong n, ulong m, int bits) => (ulong)(int)n;

    public static ulong Uxtw(CpuState* s, ulong d, ulong n, ulong m, int bits) => (uint)n;

    public static ulong Mla(CpuState* s, ulong d, ulong n, ulong m, int bits) => d + (n * m);

    public static ulong Mls(CpuState* s, ulong d, ulong n, ulong m, int bits) => d - (n * m);

    /// <summary>MOVPRFX, CPY, DUP: the second operand.</summary>
    public static ulong Second(CpuState* s, ulong d, ulong n, ulong m, int bits) => m;

    public static ulong Revb(CpuState* s, ulong d, ulong n, ulong m, int bits) => BinaryPrimitives.ReverseEndianness(n) >> (64 - bits);

    public static ulong Revh(CpuState* s, ulong d, ulong n, ulong m, int bits)
    {
        n = BitOperations.RotateLeft(n, 32);
        return (((n & 0x0000_FFFF_0000_FFFF) << 16) | ((n >> 16) & 0x0000_FFFF_0000_FFFF)) >> (64 - bits);
    }

    public static ulong Revw(CpuState* s, ulong d, ulong n, ulong m, int bits) => BitOperations.RotateLeft(n, 32);

    /// <summary>SUB and ADD of immediates with saturation: the immediate is unsigned, for signed elements, too.</summary>
    public static ulong SqaddImmediate(CpuState* s, ulong d, ulong n, ulong m, int bits) => Saturate(Sx(n, bits), (long)m, bits);

    public static ulong SqsubImmediate(CpuState* s, ulong d, ulong n, ulong m, int bits) => Saturate(Sx(n, bits), -(long)m, bits);

    public static ulong UqaddImmediate(CpuState* s, ulong d, ulong n, ulong m, int bits) =>
        n > SveElements.Mask(bits) - Math.Min(m, SveElements.Mask(bits)) ? ulong.MaxValue : n + m;

    public static ulong UqsubImmediate(CpuState* s, ulong d, ulong n, ulong m, int bits) => n < m ? 0 : n - m;

    /// <summary>The sum of two signed values, of which the second is small, within the range of some bits.</summary>
    public static ulong Saturate(long value, long change, int bits)
    {
        long most = long.MaxValue >> (64 - bits);
        return (ulong)(change > 0 && value > most - change ? most : change < 0 && value < ~most - change ? ~most : value + change);
    }

    public static ulong Eq(CpuState* s, ulong d, ulong n, ulong m, int bits) => n == m ? 1ul : 0;

    public static ulong Ne(CpuState* s, ulong d, ulong n, ulong m, int bits) => n != m ? 1ul : 0;

    public static ulong Hs(CpuState* s, ulong d, ulong n, ulong m, int bits) => n >= m ? 1ul : 0;

    public static ulong Hi(CpuState* s, ulong d, ulong n, ulong m, int bits) => n > m ? 1ul : 0;

    public static ulong Lo(CpuState* s, ulong d, ulong n, ulong m, int bits) => n < m ? 1ul : 0;

    public static ulong Ls(CpuState* s, ulong d, ulong n, ulong m, int bits) => n <= m ? 1ul : 0;

    public static ulong Ge(CpuState* s, ulong d, ulong n, ulong m, int bits) => Sx(n, bits) >= Sx(m, bits) ? 1ul : 0;

    public static ulong Gt(CpuState* s, ulong d, ulong n, ulong m, int bits) => Sx(n, bits) > Sx(m, bits) ? 1ul : 0;

    public static ulong Lt(CpuState* s, ulong d, ulong n, ulong m, int bits) => Sx(n, bits) < Sx(m, bits) ? 1ul : 0;

    public static ulong Le(CpuState* s, ulong d, ulong n, ulong m, int bits) => Sx(n, bits) <= Sx(m, bits) ? 1ul : 0;
}

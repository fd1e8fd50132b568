using System.Numerics;
using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>
/// Arm floating point, exact to the bit (Arm ARM J1.3, shared/functions/float). Values are raw bits in the low part of a
/// <see cref="ulong"/>; <c>fpcr</c> is FPCR as the guest wrote it; exceptions are OR-ed into <c>fpsr</c>.
/// </summary>
internal static partial class SoftFloat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong SignBit<F>()
        where F : struct, IFloatFormat => 1ul << (F.Width - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int Bias<F>()
        where F : struct, IFloatFormat => (1 << (F.Exponent - 1)) - 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong FractionMask<F>()
        where F : struct, IFloatFormat => (1ul << F.Fraction) - 1;

    internal static ulong InfinityBits<F>()
        where F : struct, IFloatFormat => ((1ul << F.Exponent) - 1) << F.Fraction;

    internal static ulong Signed<F>(bool sign, ulong magnitude)
        where F : struct, IFloatFormat => sign ? magnitude | SignBit<F>() : magnitude;

    private static ulong QuietNan<F>()
        where F : struct, IFloatFormat => InfinityBits<F>() | (1ul << (F.Fraction - 1));

    internal static ulong DefaultNan<F>(uint fpcr)
        where F : struct, IFloatFormat => Signed<F>((fpcr & Fpcr.Alternate) != 0, QuietNan<F>());

    /// <summary>FPNeg: with FPCR.AH a NaN keeps its sign.</summary>
    internal static ulong Negate<F>(ulong value, uint fpcr)
        where F : struct, IFloatFormat => KeepsSign<F>(value, fpcr) ? value : value ^ SignBit<F>();

    /// <summary>FPAbs: the same.</summary>
    internal static ulong Absolute<F>(ulong value, uint fpcr)
        where F : struct, IFloatFormat => KeepsSign<F>(value, fpcr) ? value : value & (SignBit<F>() - 1);

    private static bool KeepsSign<F>(ulong value, uint fpcr)
        where F : struct, IFloatFormat => (fpcr & Fpcr.Alternate) != 0 && (value & (SignBit<F>() - 1)) > InfinityBits<F>();

    /// <summary>± 1.0, scaled by a power of two and with the top fraction bits given: constants of the estimate steps.</summary>
    internal static ulong Constant<F>(bool sign, int exponent, ulong topFractionBit)
        where F : struct, IFloatFormat =>
        Signed<F>(sign, ((ulong)(exponent + Bias<F>()) << F.Fraction) | (topFractionBit << (F.Fraction - 1)));

    // Half precision is known by its exponent: BFloat16 is as wide.
    private static bool IsHalf<F>()
        where F : struct, IFloatFormat => F.Exponent == 5;

    // Results are flushed.
    internal static bool Flushes<F>(uint fpcr)
        where F : struct, IFloatFormat => (fpcr & (IsHalf<F>() ? Fpcr.FlushHalf : Fpcr.Flush)) != 0;

    // FPCR.FZ flushes operands, too, unless AH is set.
    private static bool FlushesOperands(uint fpcr) => (fpcr & (Fpcr.Flush | Fpcr.Alternate)) == Fpcr.Flush;

    private static bool IsSubnormal<F>(in Unpacked value)
        where F : struct, IFloatFormat => value.Kind == FloatKind.Number && value.Exponent < 1 - Bias<F>();

    /// <summary>FPProcessDenorm: with FPCR.AH a subnormal operand that was used raises Input Denormal.</summary>
    internal static void Use<F>(in Unpacked value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if ((fpcr & Fpcr.Alternate) != 0 && !IsHalf<F>() && IsSubnormal<F>(value))
        {
            fpsr |= Fpsr.InputDenormal;
        }
    }

    private static void Use<F>(in Unpacked a, in Unpacked b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Use<F>(a, fpcr, ref fpsr);
        Use<F>(b, fpcr, ref fpsr);
    }

    /// <summary>FPUnpack. Flushing raises no Input Denormal for half precision, nor where FPCR.FIZ alone asks for it.</summary>
    internal static Unpacked Unpack<F>(ulong bits, uint fpcr, ref uint fpsr, bool alternative = false)
        where F : struct, IFloatFormat
    {
        bool sign = (bits & SignBit<F>()) != 0;
        int exponent = (int)(bits >> F.Fraction) & ((1 << F.Exponent) - 1);
        ulong fraction = bits & FractionMask<F>();
        if (exponent == 0)
        {
            if (fraction == 0)
            {
                return new Unpacked(FloatKind.Zero, sign, 0, 0);
            }

            bool flushes = IsHalf<F>() ? Flushes<F>(fpcr) : FlushesOperands(fpcr);
            if (flushes || (!IsHalf<F>() && (fpcr & Fpcr.FlushInputs) != 0))
            {
                fpsr |= flushes && !IsHalf<F>() ? Fpsr.InputDenormal : 0;
                return new Unpacked(FloatKind.Zero, sign, 0, 0);
            }

            ulong shifted = fraction << (63 - F.Fraction);
            int zeros = BitOperations.LeadingZeroCount(shifted);
            return new Unpacked(FloatKind.Number, sign, 1 - Bias<F>() - zeros, shifted << zeros);
        }

        if (exponent == (1 << F.Exponent) - 1 && !alternative)
        {
            FloatKind kind = fraction == 0 ? FloatKind.Infinity
                : (fraction >> (F.Fraction - 1)) != 0 ? FloatKind.QuietNan : FloatKind.SignalingNan;
            return new Unpacked(kind, sign, 0, 0);
        }

        return new Unpacked(FloatKind.Number, sign, exponent - Bias<F>(), (fraction << (63 - F.Fraction)) | (1ul << 63));
    }

    /// <summary>Shifts right, keeping what falls out as a sticky bit 0.</summary>
    private static ulong ShiftRightJam(ulong value, int count)
    {
        if (count == 0)
        {
            return value;
        }

        return count < 64
            ? (value >> count) | ((value << (64 - count)) != 0 ? 1ul : 0)
            : value != 0 ? 1ul : 0;
    }

    private static UInt128 ShiftRightJam(UInt128 value, int count)
    {
        if (count == 0)
        {
            return value;
        }

        return count < 128
            ? (value >> count) | ((value << (128 - count)) != 0 ? UInt128.One : 0)
            : value != 0 ? UInt128.One : 0;
    }

    /// <summary>Whether rounding adds one to a magnitude: <paramref name="rest"/> is what was cut off, as a fraction of 2^64.</summary>
    private static bool RoundsUp(Rounding mode, bool sign, bool odd, ulong rest) => mode switch
    {
        Rounding.TieEven => rest > 1ul << 63 || (rest == 1ul << 63 && odd),
        Rounding.PlusInfinity => rest != 0 && !sign,
        Rounding.MinusInfinity => rest != 0 && sign,
        Rounding.TieAway => rest >= 1ul << 63,
        Rounding.Odd => rest != 0 && !odd,
        _ => false,
    };

    /// <summary>
    /// FPRound of <c>significand × 2^(exponent - 63)</c>, bit 63 set, bit 0 sticky. Tininess is detected before rounding, or with FPCR.AH
    /// behind it.
    /// </summary>
    internal static ulong Round<F>(
        bool sign, int exponent, ulong significand, uint fpcr, Rounding mode, ref uint fpsr, bool alternative = false)
        where F : struct, IFloatFormat
    {
        int least = 1 - Bias<F>();
        bool tiny = exponent < least;
        bool small = tiny;
        if (tiny)
        {
            bool after = (fpcr & Fpcr.Alternate) != 0;
            small = !after || !RoundsToNormal<F>(sign, exponent, significand, mode);
            if (small && Flushes<F>(fpcr))
            {
                fpsr |= after ? Fpsr.Underflow | Fpsr.Inexact : Fpsr.Underflow;
                return Signed<F>(sign, 0);
            }

            significand = ShiftRightJam(significand, least - exponent);
        }

        ulong magnitude = significand >> (63 - F.Fraction);
        ulong rest = significand << (F.Fraction + 1);
        uint flags = rest == 0 ? 0 : small ? Fpsr.Inexact | Fpsr.Underflow : Fpsr.Inexact;
        if (RoundsUp(mode, sign, (magnitude & 1) != 0, rest))
        {
            magnitude++;
        }

        // The leading bit of a normal magnitude, or a carry out of a subnormal one, adds one to the exponent field.
        long field = tiny ? 0 : exponent - least;
        long top = (1L << F.Exponent) - (alternative ? 0 : 1);
        if (field + (long)(magnitude >> F.Fraction) >= top)
        {
            if (alternative)
            {
                fpsr |= Fpsr.InvalidOperation;
                return Signed<F>(sign, SignBit<F>() - 1);
            }

            fpsr |= Fpsr.Overflow | Fpsr.Inexact;
            return Overflowed<F>(sign, mode);
        }

        fpsr |= flags;
        return Signed<F>(sign, ((ulong)field << F.Fraction) + magnitude);
    }

    // Whether a number below the least normal one becomes that when it is rounded to the bits of the format, whatever its exponent.
    private static bool RoundsToNormal<F>(bool sign, int exponent, ulong significand, Rounding mode)
        where F : struct, IFloatFormat =>
        exponent == -Bias<F>() && significand >> (63 - F.Fraction) == (2ul << F.Fraction) - 1 && mode != Rounding.Odd
        && RoundsUp(mode, sign, true, significand << (F.Fraction + 1));

    internal static ulong Overflowed<F>(bool sign, Rounding mode)
        where F : struct, IFloatFormat
    {
        bool infinite = mode switch
        {
            Rounding.PlusInfinity => !sign,
            Rounding.MinusInfinity => sign,
            Rounding.Zero or Rounding.Odd => false,
            _ => true,
        };
        return Signed<F>(sign, infinite ? InfinityBits<F>() : InfinityBits<F>() - 1);
    }

    internal static ulong Invalid<F>(uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        fpsr |= Fpsr.InvalidOperation;
        return DefaultNan<F>(fpcr);
    }

    /// <summary>FPProcessNaN.</summary>
    internal static ulong ProcessNan<F>(FloatKind kind, ulong bits, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (kind == FloatKind.SignalingNan)
        {
            fpsr |= Fpsr.InvalidOperation;
        }

        return (fpcr & Fpcr.DefaultNan) != 0 ? DefaultNan<F>(fpcr) : bits | (1ul << (F.Fraction - 1));
    }

    /// <summary>
    /// FPProcessNaNs: a signalling NaN before a quiet one, the first operand before the second. With FPCR.AH the first NaN is the result,
    /// and the other counts as signalling all the same.
    /// </summary>
    internal static ulong ProcessNans<F>(in Unpacked a, in Unpacked b, ulong bitsA, ulong bitsB, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if ((fpcr & Fpcr.Alternate) != 0 && a.IsNan && b.IsNan)
        {
            return ProcessNan<F>(a.Kind > b.Kind ? a.Kind : b.Kind, bitsA, fpcr, ref fpsr);
        }

        bool first = a.Kind == FloatKind.SignalingNan || (b.Kind != FloatKind.SignalingNan && a.IsNan);
        return first ? ProcessNan<F>(a.Kind, bitsA, fpcr, ref fpsr) : ProcessNan<F>(b.Kind, bitsB, fpcr, ref fpsr);
    }
}

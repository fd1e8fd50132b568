using System.Numerics;

namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>Conversions between formats, to and from integers and fixed point, and rounding to integral values.</summary>
internal static partial class SoftFloat
{
    /// <summary>
    /// FPConvert, in the rounding mode of FPCR or in that given (FCVTXN: <see cref="Rounding.Odd"/>), and FPConvertBF. FZ16 plays no part.
    /// </summary>
    public static ulong Convert<From, To>(ulong value, uint fpcr, ref uint fpsr, Rounding? rounding = null)
        where From : struct, IFloatFormat
        where To : struct, IFloatFormat
    {
        uint unseen = 0;
        return To.Fraction == BrainFormat.Fraction && Fpcr.IsSilent(fpcr)
            ? ConvertExact<From, To>(value, Fpcr.Silent(fpcr), ref unseen, null)
            : ConvertExact<From, To>(value, fpcr, ref fpsr, rounding);
    }

    private static ulong ConvertExact<From, To>(ulong value, uint fpcr, ref uint fpsr, Rounding? rounding)
        where From : struct, IFloatFormat
        where To : struct, IFloatFormat
    {
        fpcr &= ~Fpcr.FlushHalf;
        bool alternative = (fpcr & Fpcr.AlternativeHalf) != 0;
        bool toAlternative = IsHalf<To>() && alternative;
        Unpacked x = Unpack<From>(value, fpcr, ref fpsr, IsHalf<From>() && alternative);
        if (x.IsNan)
        {
            if (x.Kind == FloatKind.SignalingNan || toAlternative)
            {
                fpsr |= Fpsr.InvalidOperation;
            }

            if (toAlternative)
            {
                return Signed<To>(x.Sign, 0);
            }

            if ((fpcr & Fpcr.DefaultNan) != 0)
            {
                return DefaultNan<To>(fpcr);
            }

            ulong payload = value & FractionMask<From>();
            payload = To.Fraction > From.Fraction ? payload << (To.Fraction - From.Fraction) : payload >> (From.Fraction - To.Fraction);
            return Signed<To>(x.Sign, QuietNan<To>() | payload);
        }

        if (x.Kind == FloatKind.Infinity)
        {
            if (toAlternative)
            {
                fpsr |= Fpsr.InvalidOperation;
                return Signed<To>(x.Sign, SignBit<To>() - 1);
            }

            return Signed<To>(x.Sign, InfinityBits<To>());
        }

        Use<From>(x, fpcr, ref fpsr);
        return x.Kind == FloatKind.Zero
            ? Signed<To>(x.Sign, 0)
            : Round<To>(x.Sign, x.Exponent, x.Significand, fpcr, rounding ?? Fpcr.Mode(fpcr), ref fpsr, toAlternative);
    }

    /// <summary>
    /// FixedToFP: an integer of 64 bits (narrower ones extended by the caller) with <paramref name="fractionBits"/> of fraction.
    /// </summary>
    public static ulong FromFixed<F>(ulong value, int fractionBits, bool signed, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (value == 0)
        {
            return 0;
        }

        bool sign = signed && value >> 63 != 0;
        ulong magnitude = sign ? 0 - value : value;
        int zeros = BitOperations.LeadingZeroCount(magnitude);
        return Round<F>(sign, 63 - zeros - fractionBits, magnitude << zeros, fpcr, Fpcr.Mode(fpcr), ref fpsr);
    }

    /// <summary>FPToFixed: the low <paramref name="width"/> (16, 32 or 64) bits hold the result, saturated.</summary>
    public static ulong ToFixed<F>(ulong value, int fractionBits, int width, bool signed, Rounding mode, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(value, fpcr, ref fpsr);
        if (x.Kind == FloatKind.Zero)
        {
            return 0;
        }

        if (x.IsNan)
        {
            fpsr |= Fpsr.InvalidOperation;
            return 0;
        }

        ulong mask = ulong.MaxValue >> (64 - width);
        ulong limit = !signed ? (x.Sign ? 0 : mask) : x.Sign ? 1ul << (width - 1) : mask >> 1;
        int exponent = x.Exponent + fractionBits;
        bool inexact = false;
        bool tooLarge = x.Kind == FloatKind.Infinity || exponent > 63;
        ulong magnitude = tooLarge ? 0 : RoundedMagnitude(x, exponent, mode, out inexact);
        if (tooLarge || magnitude > limit)
        {
            fpsr |= Fpsr.InvalidOperation;
            return limit;
        }

        fpsr |= inexact ? Fpsr.Inexact : 0;
        return (x.Sign ? 0 - magnitude : magnitude) & mask;
    }

    // The number must be below 2^64.
    internal static ulong RoundedMagnitude(in Unpacked x, int exponent, Rounding mode, out bool inexact)
    {
        ulong whole;
        ulong rest;
        if (exponent >= 0)
        {
            whole = x.Significand >> (63 - exponent);
            rest = exponent == 63 ? 0 : x.Significand << (exponent + 1);
        }
        else
        {
            whole = 0;
            rest = ShiftRightJam(x.Significand, -1 - exponent);
        }

        inexact = rest != 0;
        return whole + (RoundsUp(mode, x.Sign, (whole & 1) != 0, rest) ? 1ul : 0);
    }

    /// <summary>FPRoundInt; <paramref name="exact"/> (FRINTX) raises Inexact when the value changes.</summary>
    public static ulong RoundToIntegral<F>(ulong value, Rounding mode, bool exact, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(value, fpcr, ref fpsr);
        if (x.IsNan)
        {
            return ProcessNan<F>(x.Kind, value, fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Zero)
        {
            return Signed<F>(x.Sign, 0);
        }

        if (x.Kind == FloatKind.Infinity || x.Exponent >= F.Fraction)
        {
            return value;
        }

        ulong magnitude = RoundedMagnitude(x, x.Exponent, mode, out bool inexact);
        fpsr |= inexact && exact ? Fpsr.Inexact : 0;
        if (magnitude == 0)
        {
            return Signed<F>(x.Sign, 0);
        }

        int zeros = BitOperations.LeadingZeroCount(magnitude);
        return Round<F>(x.Sign, 63 - zeros, magnitude << zeros, fpcr, mode, ref fpsr);
    }
}

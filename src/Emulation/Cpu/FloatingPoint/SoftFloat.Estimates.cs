namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>Reciprocal estimates: results are architected to the bit (Arm ARM, RecipEstimate and RecipSqrtEstimate).</summary>
internal static partial class SoftFloat
{
    // a is 256–511, for 0.5 to 1; so is the result, for 1 to 2.
    private static uint ReciprocalEstimate9(uint a) => (((1u << 19) / ((2 * a) + 1)) + 1) >> 1;

    // a is 128–511, for 0.25 to 1.
    private static uint ReciprocalRootEstimate9(uint a)
    {
        a = a < 256 ? (2 * a) + 1 : ((a & ~1u) + 1) * 2;
        uint b = 512;
        while (a * (b + 1) * (b + 1) < 1u << 28)
        {
            b++;
        }

        return (b + 1) >> 1;
    }

    /// <summary>UnsignedRecipEstimate: URECPE.</summary>
    public static uint UnsignedReciprocalEstimate(uint value) =>
        value >> 31 == 0 ? uint.MaxValue : ReciprocalEstimate9(value >> 23) << 23;

    /// <summary>UnsignedRSqrtEstimate: URSQRTE.</summary>
    public static uint UnsignedReciprocalRootEstimate(uint value) =>
        value >> 30 == 0 ? uint.MaxValue : ReciprocalRootEstimate9(value >> 23) << 23;

    /// <summary>FPRecipEstimate.</summary>
    public static ulong ReciprocalEstimate<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(value, fpcr, ref fpsr);
        if (x.IsNan)
        {
            return ProcessNan<F>(x.Kind, value, fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Infinity)
        {
            return Signed<F>(x.Sign, 0);
        }

        if (x.Kind == FloatKind.Zero)
        {
            fpsr |= Fpsr.DivideByZero;
            return Signed<F>(x.Sign, InfinityBits<F>());
        }

        if (x.Exponent < -(Bias<F>() + 1))
        {
            fpsr |= Fpsr.Overflow | Fpsr.Inexact;
            return Overflowed<F>(x.Sign, Fpcr.Mode(fpcr));
        }

        if (Flushes<F>(fpcr) && x.Exponent >= Bias<F>() - 1)
        {
            fpsr |= Fpsr.Underflow;
            return Signed<F>(x.Sign, 0);
        }

        ulong fraction = (ulong)(ReciprocalEstimate9((uint)(x.Significand >> 55)) & 0xFF) << (F.Fraction - 8);
        int exponent = Bias<F>() - 1 - x.Exponent;
        if (exponent <= 0)
        {
            // A subnormal result: the leading one becomes a fraction bit.
            fraction = (fraction | (1ul << F.Fraction)) >> (1 - exponent);
            exponent = 0;
        }

        return Signed<F>(x.Sign, ((ulong)exponent << F.Fraction) | fraction);
    }

    /// <summary>FPRSqrtEstimate.</summary>
    public static ulong ReciprocalRootEstimate<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(value, fpcr, ref fpsr);
        if (x.IsNan)
        {
            return ProcessNan<F>(x.Kind, value, fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Zero)
        {
            fpsr |= Fpsr.DivideByZero;
            return Signed<F>(x.Sign, InfinityBits<F>());
        }

        if (x.Sign)
        {
            return Invalid<F>(ref fpsr);
        }

        if (x.Kind == FloatKind.Infinity)
        {
            return 0;
        }

        int biased = x.Exponent + Bias<F>();
        uint estimate = ReciprocalRootEstimate9((uint)(x.Significand >> ((biased & 1) != 0 ? 56 : 55)));
        int exponent = ((3 * Bias<F>()) - 1 - biased) / 2;
        return ((ulong)exponent << F.Fraction) | ((ulong)(estimate & 0xFF) << (F.Fraction - 8));
    }

    /// <summary>FPRecpX: the exponent complemented.</summary>
    public static ulong ReciprocalExponent<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(value, fpcr, ref fpsr);
        if (x.IsNan)
        {
            return ProcessNan<F>(x.Kind, value, fpcr, ref fpsr);
        }

        ulong field = value & InfinityBits<F>();
        ulong result = field == 0 ? InfinityBits<F>() - (1ul << F.Fraction) : ~field & InfinityBits<F>();
        return Signed<F>(x.Sign, result);
    }
}

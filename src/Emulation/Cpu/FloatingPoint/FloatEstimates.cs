namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>
/// Reciprocal estimates and their steps: results are architected to the bit (Arm ARM, RecipEstimate and RecipSqrtEstimate).
/// </summary>
internal static class FloatEstimates
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

    // FEAT_RPRES: estimates of single precision have 12 bits while FPCR.AH is set, which no CPU without the feature lets anybody set.
    private static bool IsPrecise<F>(uint fpcr)
        where F : struct, IFloatFormat => F.Width == 32 && (fpcr & Fpcr.Alternate) != 0;

    // a is 2048–4095, for 0.5 to 1; the result is 4096–8191, for 1 to 2.
    private static uint ReciprocalEstimate12(uint a) => ((1u << 26) / ((2 * a) + 1) + 1) >> 1;

    // a is 1024–4095, for 0.25 to 1.
    private static uint ReciprocalRootEstimate12(uint a)
    {
        a = a < 2048 ? (2 * a) + 1 : ((a & ~1u) + 1) * 2;
        ulong b = (ulong)Math.Sqrt((1ul << 39) / (double)a);
        while (a * b * b >= 1ul << 39)
        {
            b--;
        }

        while (a * (b + 1) * (b + 1) < 1ul << 39)
        {
            b++;
        }

        return (uint)(b + 1) >> 1;
    }

    /// <summary>FPRecipEstimate.</summary>
    public static ulong ReciprocalEstimate<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        uint unseen = 0;
        return Fpcr.IsSilent(fpcr)
            ? EstimateReciprocal<F>(value, Fpcr.Silent(fpcr), ref unseen)
            : EstimateReciprocal<F>(value, fpcr, ref fpsr);
    }

    private static ulong EstimateReciprocal<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = SoftFloat.Unpack<F>(value, fpcr, ref fpsr);
        if (x.IsNan)
        {
            return SoftFloat.ProcessNan<F>(x.Kind, value, fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Infinity)
        {
            return SoftFloat.Signed<F>(x.Sign, 0);
        }

        if (x.Kind == FloatKind.Zero)
        {
            fpsr |= Fpsr.DivideByZero;
            return SoftFloat.Signed<F>(x.Sign, SoftFloat.InfinityBits<F>());
        }

        if (x.Exponent < -(SoftFloat.Bias<F>() + 1))
        {
            fpsr |= Fpsr.Overflow | Fpsr.Inexact;
            return SoftFloat.Overflowed<F>(x.Sign, Fpcr.Mode(fpcr));
        }

        if (SoftFloat.Flushes<F>(fpcr) && x.Exponent >= SoftFloat.Bias<F>() - 1)
        {
            fpsr |= Fpsr.Underflow;
            return SoftFloat.Signed<F>(x.Sign, 0);
        }

        ulong fraction = IsPrecise<F>(fpcr)
            ? (ulong)(ReciprocalEstimate12((uint)(x.Significand >> 52)) & 0xFFF) << (F.Fraction - 12)
            : (ulong)(ReciprocalEstimate9((uint)(x.Significand >> 55)) & 0xFF) << (F.Fraction - 8);
        int exponent = SoftFloat.Bias<F>() - 1 - x.Exponent;
        if (exponent <= 0)
        {
            // A subnormal result: the leading one becomes a fraction bit.
            fraction = (fraction | (1ul << F.Fraction)) >> (1 - exponent);
            exponent = 0;
        }

        return SoftFloat.Signed<F>(x.Sign, ((ulong)exponent << F.Fraction) | fraction);
    }

    /// <summary>FPRSqrtEstimate.</summary>
    public static ulong ReciprocalRootEstimate<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        uint unseen = 0;
        return Fpcr.IsSilent(fpcr)
            ? EstimateReciprocalRoot<F>(value, Fpcr.Silent(fpcr), ref unseen)
            : EstimateReciprocalRoot<F>(value, fpcr, ref fpsr);
    }

    private static ulong EstimateReciprocalRoot<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = SoftFloat.Unpack<F>(value, fpcr, ref fpsr);
        if (x.IsNan)
        {
            return SoftFloat.ProcessNan<F>(x.Kind, value, fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Zero)
        {
            fpsr |= Fpsr.DivideByZero;
            return SoftFloat.Signed<F>(x.Sign, SoftFloat.InfinityBits<F>());
        }

        if (x.Sign)
        {
            return SoftFloat.Invalid<F>(fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Infinity)
        {
            return 0;
        }

        int biased = x.Exponent + SoftFloat.Bias<F>();
        int odd = biased & 1;
        ulong fraction = IsPrecise<F>(fpcr)
            ? (ulong)(ReciprocalRootEstimate12((uint)(x.Significand >> (52 + odd))) & 0xFFF) << (F.Fraction - 12)
            : (ulong)(ReciprocalRootEstimate9((uint)(x.Significand >> (55 + odd))) & 0xFF) << (F.Fraction - 8);
        int exponent = ((3 * SoftFloat.Bias<F>()) - 1 - biased) / 2;
        return ((ulong)exponent << F.Fraction) | fraction;
    }

    /// <summary>FPRecpX: the exponent complemented.</summary>
    public static ulong ReciprocalExponent<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        uint unseen = 0;
        return Fpcr.IsSilent(fpcr)
            ? ComplementExponent<F>(value, Fpcr.Silent(fpcr), ref unseen)
            : ComplementExponent<F>(value, fpcr, ref fpsr);
    }

    private static ulong ComplementExponent<F>(ulong value, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = SoftFloat.Unpack<F>(value, fpcr, ref fpsr);
        if (x.IsNan)
        {
            return SoftFloat.ProcessNan<F>(x.Kind, value, fpcr, ref fpsr);
        }

        ulong field = value & SoftFloat.InfinityBits<F>();
        ulong result = field == 0 ? SoftFloat.InfinityBits<F>() - (1ul << F.Fraction) : ~field & SoftFloat.InfinityBits<F>();
        return SoftFloat.Signed<F>(x.Sign, result);
    }

    /// <summary>FPRecipStepFused: 2 - a × b.</summary>
    public static ulong ReciprocalStep<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => Step<F>(a, b, SoftFloat.Constant<F>(false, 1, 0), 0, fpcr, ref fpsr);

    /// <summary>FPRSqrtStepFused: (3 - a × b) / 2.</summary>
    public static ulong ReciprocalRootStep<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => Step<F>(a, b, SoftFloat.Constant<F>(false, 1, 1), -1, fpcr, ref fpsr);

    private static ulong Step<F>(ulong a, ulong b, ulong constant, int scale, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        uint unseen = 0;
        return Fpcr.IsSilent(fpcr)
            ? StepExact<F>(a, b, constant, scale, Fpcr.Silent(fpcr), ref unseen)
            : StepExact<F>(a, b, constant, scale, fpcr, ref fpsr);
    }

    private static ulong StepExact<F>(ulong a, ulong b, ulong constant, int scale, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        a = SoftFloat.Negate<F>(a, fpcr);
        Unpacked x = SoftFloat.Unpack<F>(a, fpcr, ref fpsr);
        Unpacked y = SoftFloat.Unpack<F>(b, fpcr, ref fpsr);
        if (x.IsNan || y.IsNan)
        {
            return SoftFloat.ProcessNans<F>(x, y, a, b, fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Infinity || y.Kind == FloatKind.Infinity)
        {
            return x.Kind == FloatKind.Zero || y.Kind == FloatKind.Zero
                ? constant + ((ulong)(long)scale << F.Fraction)
                : SoftFloat.Signed<F>(x.Sign ^ y.Sign, SoftFloat.InfinityBits<F>());
        }

        return SoftFloat.ProductSum<F>(x, y, SoftFloat.Unpack<F>(constant, fpcr, ref fpsr), scale, fpcr, ref fpsr);
    }
}

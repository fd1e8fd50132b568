namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>Rounding to integers of a size, beside saturation: FEAT_FRINTTS and FEAT_JSCVT.</summary>
internal static class BoundedIntegers
{
    /// <summary>
    /// FPRoundIntN: as <see cref="SoftFloat.RoundToIntegral"/>, within the range of signed integers of <paramref name="width"/> bits. What
    /// has no result there, NaNs too, gives the least integer and Invalid Operation.
    /// </summary>
    public static ulong Round<F>(ulong value, int width, Rounding mode, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        uint raised = 0;
        SoftFloat.ToFixed<F>(value, 0, width, true, mode, fpcr, ref raised);
        fpsr |= raised;
        return (raised & Fpsr.InvalidOperation) != 0
            ? SoftFloat.Signed<F>(true, (ulong)(width - 1 + SoftFloat.Bias<F>()) << F.Fraction)
            : SoftFloat.RoundToIntegral<F>(value, mode, false, fpcr, ref raised);
    }

    /// <summary>
    /// FPToFixedJS: a double to an integer modulo 2^32, towards zero. <paramref name="exact"/> is false also for minus zero.
    /// </summary>
    public static uint ToJavaScriptInteger(ulong value, uint fpcr, ref uint fpsr, out bool exact)
    {
        exact = false;
        Unpacked x = SoftFloat.Unpack<DoubleFormat>(value, fpcr, ref fpsr);
        if (x.Kind == FloatKind.Zero)
        {
            exact = value == 0;
            return 0;
        }

        if (x.Kind != FloatKind.Number)
        {
            fpsr |= Fpsr.InvalidOperation;
            return 0;
        }

        // The significand has 53 bits: from 2^84 on nothing is left of it modulo 2^32.
        bool inexact = false;
        ulong magnitude = x.Exponent > 63
            ? x.Exponent < 96 ? x.Significand << (x.Exponent - 63) : 0
            : SoftFloat.RoundedMagnitude(x, x.Exponent, Rounding.Zero, out inexact);
        if (x.Exponent > 63 || magnitude > (x.Sign ? 1ul << 31 : int.MaxValue))
        {
            fpsr |= Fpsr.InvalidOperation;
        }
        else if (inexact)
        {
            fpsr |= Fpsr.Inexact;
        }
        else
        {
            exact = true;
        }

        return (uint)(x.Sign ? 0 - magnitude : magnitude);
    }
}

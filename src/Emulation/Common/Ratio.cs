namespace Vmm.Emulation;

/// <summary>Times in other units. Numbers of 128 bits would do it as well, but what uses them is not compiled ahead.</summary>
internal static class Ratio
{
    /// <summary>
    /// <paramref name="value"/> × <paramref name="multiplier"/> / <paramref name="divisor"/>, towards zero. Multiplier times divisor, and
    /// the result, are less than 2⁶³.
    /// </summary>
    public static long Scale(long value, long multiplier, long divisor)
    {
        (long whole, long rest) = Math.DivRem(value, divisor);
        return (whole * multiplier) + (rest * multiplier / divisor);
    }
}

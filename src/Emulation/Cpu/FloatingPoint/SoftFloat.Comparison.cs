namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>Comparisons, minima and maxima.</summary>
internal static partial class SoftFloat
{
    /// <summary>FPCompare: NZCV in bits 31:28. A quiet NaN is invalid only when <paramref name="signalling"/>.</summary>
    public static uint Compare<F>(ulong a, ulong b, bool signalling, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        return Order<F>(a, b, signalling, fpcr, ref fpsr) switch
        {
            < 0 => Pstate.N,
            0 => Pstate.Z | Pstate.C,
            Unordered => Pstate.C | Pstate.V,
            _ => Pstate.C,
        };
    }

    /// <summary>FPCompareEQ.</summary>
    public static bool IsEqual<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => Order<F>(a, b, false, fpcr, ref fpsr) == 0;

    /// <summary>FPCompareGE.</summary>
    public static bool IsGreaterOrEqual<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => Order<F>(a, b, true, fpcr, ref fpsr) is 0 or 1;

    /// <summary>FPCompareGT.</summary>
    public static bool IsGreater<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => Order<F>(a, b, true, fpcr, ref fpsr) == 1;

    private const int Unordered = 2;

    private static int Order<F>(ulong a, ulong b, bool signalling, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(a, fpcr, ref fpsr);
        Unpacked y = Unpack<F>(b, fpcr, ref fpsr);
        if (x.IsNan || y.IsNan)
        {
            if (signalling || x.Kind == FloatKind.SignalingNan || y.Kind == FloatKind.SignalingNan)
            {
                fpsr |= Fpsr.InvalidOperation;
            }

            return Unordered;
        }

        Use<F>(x, y, fpcr, ref fpsr);
        return Ordinal<F>(x, a).CompareTo(Ordinal<F>(y, b));
    }

    // Magnitudes of a format order as integers do.
    private static long Ordinal<F>(in Unpacked value, ulong bits)
        where F : struct, IFloatFormat
    {
        long magnitude = value.Kind == FloatKind.Zero ? 0 : (long)(bits & (SignBit<F>() - 1));
        return value.Sign ? -magnitude : magnitude;
    }

    public static ulong Maximum<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => Extreme<F>(a, b, true, fpcr, ref fpsr);

    public static ulong Minimum<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => Extreme<F>(a, b, false, fpcr, ref fpsr);

    // FPMax, FPMin. With FPCR.AH the second operand is the result where one is a NaN, and of two zeros; a subnormal result is not flushed.
    private static ulong Extreme<F>(ulong a, ulong b, bool maximum, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(a, fpcr, ref fpsr);
        Unpacked y = Unpack<F>(b, fpcr, ref fpsr);
        if ((fpcr & Fpcr.Alternate) != 0)
        {
            bool nan = x.IsNan || y.IsNan;
            if (nan || (x.Kind == FloatKind.Zero && y.Kind == FloatKind.Zero))
            {
                fpsr |= nan ? Fpsr.InvalidOperation : 0;
                return y.Kind == FloatKind.Zero ? Signed<F>(y.Sign, 0) : b;
            }
        }

        return x.IsNan || y.IsNan
            ? ProcessNans<F>(x, y, a, b, fpcr, ref fpsr)
            : Choose<F>(x, y, a, b, maximum, fpcr, ref fpsr);
    }

    /// <summary>FPMaxNum: a number wins over a quiet NaN.</summary>
    public static ulong MaximumNumber<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => ExtremeNumber<F>(a, b, true, fpcr, ref fpsr);

    /// <summary>FPMinNum.</summary>
    public static ulong MinimumNumber<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => ExtremeNumber<F>(a, b, false, fpcr, ref fpsr);

    private static ulong ExtremeNumber<F>(ulong a, ulong b, bool maximum, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(a, fpcr, ref fpsr);
        Unpacked y = Unpack<F>(b, fpcr, ref fpsr);
        bool first = y.Kind == FloatKind.QuietNan && !x.IsNan;
        if (!first && (x.Kind != FloatKind.QuietNan || y.IsNan) && (x.IsNan || y.IsNan))
        {
            return ProcessNans<F>(x, y, a, b, fpcr, ref fpsr);
        }

        ulong result = first ? Choose<F>(x, x, a, a, maximum, fpcr, ref fpsr)
            : x.IsNan ? Choose<F>(y, y, b, b, maximum, fpcr, ref fpsr)
            : Choose<F>(x, y, a, b, maximum, fpcr, ref fpsr);
        ulong magnitude = result & (SignBit<F>() - 1);
        if ((fpcr & Fpcr.Alternate) != 0 && Flushes<F>(fpcr) && magnitude != 0 && magnitude < 1ul << F.Fraction)
        {
            fpsr |= Fpsr.Underflow | Fpsr.Inexact;
            return result & SignBit<F>();
        }

        return result;
    }

    // The greater or the smaller of two numbers.
    private static ulong Choose<F>(in Unpacked x, in Unpacked y, ulong a, ulong b, bool maximum, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Use<F>(x, y, fpcr, ref fpsr);
        if (x.Kind == FloatKind.Zero && y.Kind == FloatKind.Zero)
        {
            return Signed<F>(maximum ? x.Sign && y.Sign : x.Sign || y.Sign, 0);
        }

        long first = Ordinal<F>(x, a);
        long second = Ordinal<F>(y, b);
        bool takeFirst = maximum ? first > second : first < second;
        bool zero = (takeFirst ? x.Kind : y.Kind) == FloatKind.Zero;
        return zero ? Signed<F>(takeFirst ? x.Sign : y.Sign, 0) : takeFirst ? a : b;
    }
}

namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>
/// Arithmetic on BFloat16 and single precision. BFDOT and BFMMLA have one of their own (Arm ARM J1.3, BFDotAdd): subnormal numbers are
/// zeros, each product and each sum is rounded to odd, overflow is an infinity, every NaN is the default one, and beside the sign of that
/// FPCR plays no part. With FPCR.EBF they round as FPCR says.
/// </summary>
internal static class BrainArithmetic
{
    private const uint DefaultNan = 0x7FC0_0000;
    private const uint Sign = 1u << 31;
    private const uint Infinity = 0x7F80_0000;

    /// <summary>BFMulAddH: the product of two BFloat16 is added to a single.</summary>
    public static uint MultiplyAdd(uint addend, uint a, uint b, uint fpcr, ref uint fpsr)
    {
        uint unseen = 0;
        return (uint)(Fpcr.IsSilent(fpcr)
            ? SoftFloat.MultiplyAdd<SingleFormat>(addend, a << 16, b << 16, Fpcr.Silent(fpcr), ref unseen)
            : SoftFloat.MultiplyAdd<SingleFormat>(addend, a << 16, b << 16, fpcr, ref fpsr));
    }

    /// <summary>BFDotAdd: an addend of single precision plus the products of the pairs of BFloat16 in two words. No exceptions.</summary>
    public static uint DotAdd(uint addend, uint n, uint m, uint fpcr)
    {
        if ((fpcr & Fpcr.ExtendedBrain) != 0)
        {
            uint unseen = 0;
            fpcr |= Fpcr.DefaultNan;
            return (uint)SoftFloat.Add<SingleFormat>(addend, Dot(n, m, fpcr, ref unseen), fpcr, ref unseen);
        }

        uint sum = DotAddStandard(addend, n, m);
        return sum == DefaultNan && (fpcr & Fpcr.Alternate) != 0 ? sum | Sign : sum;
    }

    // FPDot: both products and their sum are rounded once.
    private static ulong Dot(uint n, uint m, uint fpcr, ref uint fpsr)
    {
        Unpacked a = SoftFloat.Unpack<BrainFormat>(n & 0xFFFF, fpcr, ref fpsr);
        Unpacked b = SoftFloat.Unpack<BrainFormat>(m & 0xFFFF, fpcr, ref fpsr);
        Unpacked c = SoftFloat.Unpack<BrainFormat>(n >> 16, fpcr, ref fpsr);
        Unpacked d = SoftFloat.Unpack<BrainFormat>(m >> 16, fpcr, ref fpsr);
        bool low = HasNoProduct(a, b, out bool lowInfinite);
        bool high = HasNoProduct(c, d, out bool highInfinite);
        bool lowSign = a.Sign ^ b.Sign;
        bool highSign = c.Sign ^ d.Sign;
        if (low || high || (lowInfinite && highInfinite && lowSign != highSign))
        {
            return SoftFloat.DefaultNan<SingleFormat>(fpcr);
        }

        return lowInfinite || highInfinite
            ? SoftFloat.Signed<SingleFormat>(lowInfinite ? lowSign : highSign, SoftFloat.InfinityBits<SingleFormat>())
            : SoftFloat.SumOfProducts<SingleFormat>(a, b, c, d, fpcr, ref fpsr);
    }

    // Whether a factor is a NaN, or zero times infinity.
    private static bool HasNoProduct(in Unpacked a, in Unpacked b, out bool infinite)
    {
        infinite = a.Kind == FloatKind.Infinity || b.Kind == FloatKind.Infinity;
        return a.IsNan || b.IsNan || (infinite && (a.Kind == FloatKind.Zero || b.Kind == FloatKind.Zero));
    }

    // Without FPCR.EBF.
    private static uint DotAddStandard(uint addend, uint n, uint m)
    {
        uint low = Multiply(n << 16, m << 16);
        uint high = Multiply(n & 0xFFFF_0000, m & 0xFFFF_0000);
        return Add(addend, Add(low, high));
    }

    // The product of two significands of 8 bits is exact in a double.
    private static uint Multiply(uint a, uint b) => Round(Widen(a) * Widen(b));

    // The sum in a double, rounded to odd: what the host's rounding lost says on which side of it the exact sum lies.
    private static uint Add(uint a, uint b)
    {
        double x = Widen(a);
        double y = Widen(b);
        double sum = x + y;
        double part = sum - x;
        double lost = (x - (sum - part)) + (y - part);
        ulong bits = BitConverter.DoubleToUInt64Bits(sum);
        if (lost != 0 && !double.IsNaN(lost) && (bits & 1) == 0)
        {
            bits = (lost > 0) == (sum > 0) ? bits + 1 : bits - 1;
        }

        return Round(BitConverter.UInt64BitsToDouble(bits));
    }

    private static double Widen(uint single) => BitConverter.UInt32BitsToSingle((single & Infinity) == 0 ? single & Sign : single);

    // BFRound: to odd, from the bits of a double that are beyond those of a single.
    private static uint Round(double value)
    {
        ulong bits = BitConverter.DoubleToUInt64Bits(value);
        uint sign = (uint)(bits >> 32) & Sign;
        int exponent = ((int)(bits >> 52) & 0x7FF) - 1023 + 127;
        if (double.IsNaN(value))
        {
            return DefaultNan;
        }

        if (exponent <= 0)
        {
            return sign;
        }

        ulong fraction = bits & ((1ul << 52) - 1);
        uint odd = (fraction & ((1ul << 29) - 1)) != 0 ? 1u : 0;
        return exponent >= 255 ? sign | Infinity : sign | ((uint)exponent << 23) | (uint)(fraction >> 29) | odd;
    }
}

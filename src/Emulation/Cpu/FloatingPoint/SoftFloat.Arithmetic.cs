using System.Numerics;
using System.Runtime.CompilerServices;

namespace Vmm.Emulation.Cpu.FloatingPoint;

/// <summary>
/// Sums, products, quotients and roots. Single and double precision take the host's arithmetic when it is exact beyond doubt:
/// round to nearest, Inexact already set (it is sticky, so whether this result is inexact does not show), no operand subnormal,
/// infinite or NaN, and a result of more than the least normal magnitude: then neither underflow nor flushing can be in play.
/// </summary>
internal static partial class SoftFloat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool HostRounds(uint fpcr, uint fpsr) => (fpcr & (3u << 22)) == 0 && (fpsr & Fpsr.Inexact) != 0;

    // Zero or normal.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Plain<F>(ulong bits)
        where F : struct, IFloatFormat
    {
        ulong magnitude = bits & (SignBit<F>() - 1);
        return magnitude == 0 || magnitude - (1ul << F.Fraction) < InfinityBits<F>() - (1ul << F.Fraction);
    }

    // Finite, and greater than the least normal magnitude.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Safe<F>(ulong bits)
        where F : struct, IFloatFormat
    {
        ulong magnitude = bits & (SignBit<F>() - 1);
        return magnitude > 1ul << F.Fraction && magnitude < InfinityBits<F>();
    }

    private static double ToDouble(ulong bits) => BitConverter.UInt64BitsToDouble(bits);

    private static float ToSingle(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);

    private static ulong Bits(double value) => BitConverter.DoubleToUInt64Bits(value);

    private static ulong Bits(float value) => BitConverter.SingleToUInt32Bits(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Add<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (F.Width != 16 && HostRounds(fpcr, fpsr) && Plain<F>(a) && Plain<F>(b))
        {
            ulong sum = F.Width == 64 ? Bits(ToDouble(a) + ToDouble(b)) : Bits(ToSingle(a) + ToSingle(b));
            if (Safe<F>(sum))
            {
                return sum;
            }
        }

        return AddExact<F>(a, b, false, fpcr, ref fpsr);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Subtract<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (F.Width != 16 && HostRounds(fpcr, fpsr) && Plain<F>(a) && Plain<F>(b))
        {
            ulong difference = F.Width == 64 ? Bits(ToDouble(a) - ToDouble(b)) : Bits(ToSingle(a) - ToSingle(b));
            if (Safe<F>(difference))
            {
                return difference;
            }
        }

        return AddExact<F>(a, b, true, fpcr, ref fpsr);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong AddExact<F>(ulong a, ulong b, bool subtract, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(a, fpcr, ref fpsr);
        Unpacked y = Unpack<F>(b, fpcr, ref fpsr);
        if (x.IsNan || y.IsNan)
        {
            return ProcessNans<F>(x, y, a, b, fpcr, ref fpsr);
        }

        Use<F>(x, y, fpcr, ref fpsr);
        bool signY = y.Sign ^ subtract;
        if (x.Kind == FloatKind.Infinity || y.Kind == FloatKind.Infinity)
        {
            return x.Kind == y.Kind && x.Sign != signY
                ? Invalid<F>(fpcr, ref fpsr)
                : Signed<F>(x.Kind == FloatKind.Infinity ? x.Sign : signY, InfinityBits<F>());
        }

        Rounding mode = Fpcr.Mode(fpcr);
        if (x.Kind == FloatKind.Zero && y.Kind == FloatKind.Zero)
        {
            return Signed<F>(x.Sign == signY ? x.Sign : mode == Rounding.MinusInfinity, 0);
        }

        return Sum<F>(
            x.Sign, x.Exponent, (UInt128)x.Significand << 64, signY, y.Exponent, (UInt128)y.Significand << 64, 0, fpcr, ref fpsr);
    }

    /// <summary>
    /// Rounds the sum of two numbers of the form <c>s × 2^(e - 127)</c>, bit 127 of s set or s zero, times 2^<paramref name="scale"/>.
    /// At most 106 bits of s are used, so a cut-off part of the smaller one is far below the last place of the result.
    /// </summary>
    private static ulong Sum<F>(bool signX, int expX, UInt128 x, bool signY, int expY, UInt128 y, int scale, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (x == 0 || (y != 0 && expY > expX))
        {
            (signX, expX, x, signY, expY, y) = (signY, expY, y, signX, expX, x);
        }

        Rounding mode = Fpcr.Mode(fpcr);
        x >>= 1;
        y = y == 0 ? y : ShiftRightJam(y >> 1, expX - expY);
        UInt128 sum;
        if (signX == signY)
        {
            sum = x + y;
        }
        else if (x >= y)
        {
            sum = x - y;
        }
        else
        {
            sum = y - x;
            signX = signY;
        }

        if (sum == 0)
        {
            return Signed<F>(mode == Rounding.MinusInfinity, 0);
        }

        int zeros = (int)UInt128.LeadingZeroCount(sum);
        sum <<= zeros;
        ulong significand = (ulong)(sum >> 64) | ((ulong)sum != 0 ? 1ul : 0);
        return Round<F>(signX, expX + 1 - zeros + scale, significand, fpcr, mode, ref fpsr);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Multiply<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (F.Width != 16 && HostRounds(fpcr, fpsr) && Plain<F>(a) && Plain<F>(b))
        {
            ulong product = F.Width == 64 ? Bits(ToDouble(a) * ToDouble(b)) : Bits(ToSingle(a) * ToSingle(b));
            if (Safe<F>(product))
            {
                return product;
            }
        }

        return MultiplyExact<F>(a, b, false, fpcr, ref fpsr);
    }

    /// <summary>FPMulX: zero times infinity is two.</summary>
    public static ulong MultiplyExtended<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat => MultiplyExact<F>(a, b, true, fpcr, ref fpsr);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong MultiplyExact<F>(ulong a, ulong b, bool extended, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(a, fpcr, ref fpsr);
        Unpacked y = Unpack<F>(b, fpcr, ref fpsr);
        if (x.IsNan || y.IsNan)
        {
            return ProcessNans<F>(x, y, a, b, fpcr, ref fpsr);
        }

        Use<F>(x, y, fpcr, ref fpsr);
        bool sign = x.Sign ^ y.Sign;
        bool zero = x.Kind == FloatKind.Zero || y.Kind == FloatKind.Zero;
        if (x.Kind == FloatKind.Infinity || y.Kind == FloatKind.Infinity)
        {
            return !zero ? Signed<F>(sign, InfinityBits<F>()) : extended ? Constant<F>(sign, 1, 0) : Invalid<F>(fpcr, ref fpsr);
        }

        if (zero)
        {
            return Signed<F>(sign, 0);
        }

        ulong high = Math.BigMul(x.Significand, y.Significand, out ulong low);
        int exponent = x.Exponent + y.Exponent + 1;
        if (high >> 63 == 0)
        {
            high = (high << 1) | (low >> 63);
            low <<= 1;
            exponent--;
        }

        return Round<F>(sign, exponent, high | (low != 0 ? 1ul : 0), fpcr, Fpcr.Mode(fpcr), ref fpsr);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Divide<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (F.Width != 16 && HostRounds(fpcr, fpsr) && Plain<F>(a) && Plain<F>(b) && (b & (SignBit<F>() - 1)) != 0)
        {
            ulong quotient = F.Width == 64 ? Bits(ToDouble(a) / ToDouble(b)) : Bits(ToSingle(a) / ToSingle(b));
            if (Safe<F>(quotient))
            {
                return quotient;
            }
        }

        return DivideExact<F>(a, b, fpcr, ref fpsr);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong DivideExact<F>(ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked x = Unpack<F>(a, fpcr, ref fpsr);
        Unpacked y = Unpack<F>(b, fpcr, ref fpsr);
        if (x.IsNan || y.IsNan)
        {
            return ProcessNans<F>(x, y, a, b, fpcr, ref fpsr);
        }

        if (y.Kind != FloatKind.Zero)
        {
            Use<F>(x, y, fpcr, ref fpsr);
        }

        bool sign = x.Sign ^ y.Sign;
        if (x.Kind == y.Kind && x.Kind != FloatKind.Number)
        {
            return Invalid<F>(fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Infinity || y.Kind == FloatKind.Zero)
        {
            fpsr |= x.Kind == FloatKind.Infinity ? 0 : Fpsr.DivideByZero;
            return Signed<F>(sign, InfinityBits<F>());
        }

        if (x.Kind == FloatKind.Zero || y.Kind == FloatKind.Infinity)
        {
            return Signed<F>(sign, 0);
        }

        (UInt128 quotient, UInt128 remainder) = UInt128.DivRem((UInt128)x.Significand << 63, y.Significand);
        ulong significand = (ulong)quotient;
        int zeros = BitOperations.LeadingZeroCount(significand);
        significand = (significand << zeros) | (remainder != 0 ? 1ul : 0);
        return Round<F>(sign, x.Exponent - y.Exponent - zeros, significand, fpcr, Fpcr.Mode(fpcr), ref fpsr);
    }

    public static ulong SquareRoot<F>(ulong a, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (F.Width != 16 && HostRounds(fpcr, fpsr) && a < SignBit<F>() && Plain<F>(a))
        {
            ulong host = F.Width == 64 ? Bits(Math.Sqrt(ToDouble(a))) : Bits(MathF.Sqrt(ToSingle(a)));
            if (Safe<F>(host))
            {
                return host;
            }
        }

        Unpacked x = Unpack<F>(a, fpcr, ref fpsr);
        if (x.IsNan)
        {
            return ProcessNan<F>(x.Kind, a, fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Zero)
        {
            return Signed<F>(x.Sign, 0);
        }

        if (x.Sign)
        {
            return Invalid<F>(fpcr, ref fpsr);
        }

        if (x.Kind == FloatKind.Infinity)
        {
            return a;
        }

        Use<F>(x, fpcr, ref fpsr);
        UInt128 square = (UInt128)x.Significand << (63 + (x.Exponent & 1));
        ulong root = IntegerRoot(square);
        ulong significand = root | ((UInt128)root * root != square ? 1ul : 0);
        return Round<F>(false, x.Exponent >> 1, significand, fpcr, Fpcr.Mode(fpcr), ref fpsr);
    }

    /// <summary>The floor of the root of a number of at least 2^126: the host's estimate, one step of Newton's, then corrected.</summary>
    private static ulong IntegerRoot(UInt128 square)
    {
        double estimate = Math.Sqrt((double)square);
        UInt128 root = estimate >= 18446744073709549568.0 ? ulong.MaxValue : (ulong)estimate;
        root = (root + (square / root)) >> 1;
        if (root > ulong.MaxValue)
        {
            root = ulong.MaxValue;
        }

        while (root * root > square)
        {
            root--;
        }

        while (root < ulong.MaxValue && (root + 1) * (root + 1) <= square)
        {
            root++;
        }

        return (ulong)root;
    }

    /// <summary>FPMulAdd: <paramref name="addend"/> + <paramref name="a"/> × <paramref name="b"/>, rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong MultiplyAdd<F>(ulong addend, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        if (F.Width != 16 && HostRounds(fpcr, fpsr) && Plain<F>(a) && Plain<F>(b) && Plain<F>(addend))
        {
            ulong host = F.Width == 64
                ? Bits(Math.FusedMultiplyAdd(ToDouble(a), ToDouble(b), ToDouble(addend)))
                : Bits(MathF.FusedMultiplyAdd(ToSingle(a), ToSingle(b), ToSingle(addend)));
            if (Safe<F>(host))
            {
                return host;
            }
        }

        return MultiplyAddExact<F>(addend, a, b, fpcr, ref fpsr);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong MultiplyAddExact<F>(ulong addend, ulong a, ulong b, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        Unpacked z = Unpack<F>(addend, fpcr, ref fpsr);
        Unpacked x = Unpack<F>(a, fpcr, ref fpsr);
        Unpacked y = Unpack<F>(b, fpcr, ref fpsr);
        bool noProduct = (x.Kind == FloatKind.Infinity && y.Kind == FloatKind.Zero)
            || (x.Kind == FloatKind.Zero && y.Kind == FloatKind.Infinity);
        bool alternate = (fpcr & Fpcr.Alternate) != 0;
        if (noProduct && z.Kind != FloatKind.SignalingNan && !(alternate && z.IsNan))
        {
            return Invalid<F>(fpcr, ref fpsr);
        }

        if (z.IsNan || x.IsNan || y.IsNan)
        {
            if (alternate && (x.IsNan || y.IsNan))
            {
                // The addend comes last, but counts as signalling, too.
                fpsr |= z.Kind == FloatKind.SignalingNan ? Fpsr.InvalidOperation : 0;
                return ProcessNans<F>(x, y, a, b, fpcr, ref fpsr);
            }

            bool addendFirst = z.Kind == FloatKind.SignalingNan
                || (z.IsNan && x.Kind != FloatKind.SignalingNan && y.Kind != FloatKind.SignalingNan);
            return addendFirst ? ProcessNan<F>(z.Kind, addend, fpcr, ref fpsr) : ProcessNans<F>(x, y, a, b, fpcr, ref fpsr);
        }

        bool sign = x.Sign ^ y.Sign;
        Use<F>(x, y, fpcr, ref fpsr);
        Use<F>(z, fpcr, ref fpsr);
        bool infinite = x.Kind == FloatKind.Infinity || y.Kind == FloatKind.Infinity;
        if (infinite || z.Kind == FloatKind.Infinity)
        {
            return infinite && z.Kind == FloatKind.Infinity && z.Sign != sign
                ? Invalid<F>(fpcr, ref fpsr)
                : Signed<F>(infinite ? sign : z.Sign, InfinityBits<F>());
        }

        bool zero = x.Kind == FloatKind.Zero || y.Kind == FloatKind.Zero;
        if (zero && z.Kind == FloatKind.Zero && z.Sign == sign)
        {
            return Signed<F>(sign, 0);
        }

        return ProductSum<F>(x, y, z, 0, fpcr, ref fpsr);
    }

    /// <summary>x × y + z, times 2^<paramref name="scale"/>, rounded once. The operands must be finite.</summary>
    internal static ulong ProductSum<F>(in Unpacked x, in Unpacked y, in Unpacked z, int scale, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        UInt128 product = Product(x, y, out int exponent);
        return Sum<F>(
            x.Sign ^ y.Sign, exponent, product, z.Sign, z.Exponent, (UInt128)z.Significand << 64, scale, fpcr, ref fpsr);
    }

    /// <summary>a × b + c × d, rounded once. The operands must be finite, of at most 24 bits.</summary>
    internal static ulong SumOfProducts<F>(
        in Unpacked a, in Unpacked b, in Unpacked c, in Unpacked d, uint fpcr, ref uint fpsr)
        where F : struct, IFloatFormat
    {
        UInt128 low = Product(a, b, out int lowExponent);
        UInt128 high = Product(c, d, out int highExponent);
        bool sign = a.Sign ^ b.Sign;
        return low == 0 && high == 0 && sign == (c.Sign ^ d.Sign)
            ? Signed<F>(sign, 0)
            : Sum<F>(sign, lowExponent, low, c.Sign ^ d.Sign, highExponent, high, 0, fpcr, ref fpsr);
    }

    // As a number of the form s × 2^(e - 127), bit 127 of s set or s zero.
    private static UInt128 Product(in Unpacked x, in Unpacked y, out int exponent)
    {
        UInt128 product = (UInt128)x.Significand * y.Significand;
        exponent = x.Exponent + y.Exponent + 1;
        if (product == 0 || product >> 127 != 0)
        {
            return product;
        }

        exponent--;
        return product << 1;
    }
}

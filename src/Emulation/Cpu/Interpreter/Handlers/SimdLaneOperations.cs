using System.Numerics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>
/// An operation on one lane: old destination, first and second operand to result. The lane type carries the signedness. One-operand
/// operations ignore <c>m</c>; saturation sets QC in <c>fpsr</c>.
/// </summary>
internal interface ILaneOperation
{
    static abstract T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>;
}

/// <summary>Saturating arithmetic on any lane type (Arm ARM shared pseudocode, SatQ).</summary>
internal static class Saturating
{
    public static T Add<T>(T a, T b, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        T sum = unchecked(a + b);
        if (T.IsNegative(T.MinValue))
        {
            if (!T.IsNegative((a ^ sum) & (b ^ sum)))
            {
                return sum;
            }

            fpsr |= VectorAccess.Qc;
            return T.IsNegative(a) ? T.MinValue : T.MaxValue;
        }

        if (sum >= a)
        {
            return sum;
        }

        fpsr |= VectorAccess.Qc;
        return T.MaxValue;
    }

    public static T Subtract<T>(T a, T b, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        T difference = unchecked(a - b);
        if (T.IsNegative(T.MinValue))
        {
            if (!T.IsNegative((a ^ b) & (a ^ difference)))
            {
                return difference;
            }

            fpsr |= VectorAccess.Qc;
            return T.IsNegative(a) ? T.MinValue : T.MaxValue;
        }

        if (a >= b)
        {
            return difference;
        }

        fpsr |= VectorAccess.Qc;
        return T.Zero;
    }

    /// <summary>A wide value in a narrower or differently signed type.</summary>
    public static TNarrow Narrow<TWide, TNarrow>(TWide value, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow>
    {
        var result = TNarrow.CreateSaturating(value);
        if (TWide.CreateSaturating(result) != value)
        {
            fpsr |= VectorAccess.Qc;
        }

        return result;
    }

    /// <summary>2 × a × b, which saturates only for the two most negative values; in the wide type of a lane.</summary>
    public static T DoublingProduct<T>(T a, T b, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        T product = a * b;
        return Add(product, product, ref fpsr);
    }
}

internal readonly struct Add : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(n + m);
}

internal readonly struct Max : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => n > m ? n : m;
}

internal readonly struct Min : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => n < m ? n : m;
}

/// <summary>SHADD, UHADD: half of the sum, without losing the carry.</summary>
internal readonly struct HalvingAdd : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked((n & m) + ((n ^ m) >> 1));
}

/// <summary>SRHADD, URHADD: half of the sum, rounded up.</summary>
internal readonly struct RoundingHalvingAdd : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked((n | m) - ((n ^ m) >> 1));
}

/// <summary>SHSUB, UHSUB: half of the difference, rounded down.</summary>
internal readonly struct HalvingSubtract : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked((n >> 1) - (m >> 1) - (~n & m & T.One));
}

internal readonly struct SaturatingAdd : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => Saturating.Add(n, m, ref fpsr);
}

internal readonly struct SaturatingSubtract : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => Saturating.Subtract(n, m, ref fpsr);
}

/// <summary>SABD, UABD.</summary>
internal readonly struct AbsoluteDifference : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(n > m ? n - m : m - n);
}

/// <summary>SABA, UABA.</summary>
internal readonly struct AbsoluteDifferenceAccumulate : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(d + (n > m ? n - m : m - n));
}

/// <summary>PMUL: the low half of the product of polynomials over {0,1}.</summary>
internal readonly struct PolynomialMultiply : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        T product = T.Zero;
        for (; m != T.Zero; m >>>= 1, n <<= 1)
        {
            if ((m & T.One) != T.Zero)
            {
                product ^= n;
            }
        }

        return product;
    }
}

/// <summary>SQDMULH: the high half of the doubled product.</summary>
internal readonly struct SaturatingDoublingMultiplyHigh : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int bits = LaneBits<T>.Count;
        long product = long.CreateTruncating(n) * long.CreateTruncating(m);
        return Saturating.Narrow<long, T>(product >> (bits - 1), ref fpsr);
    }
}

/// <summary>SQRDMULH: the same, rounded.</summary>
internal readonly struct SaturatingRoundingDoublingMultiplyHigh : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int bits = LaneBits<T>.Count;
        long product = (long.CreateTruncating(n) * long.CreateTruncating(m)) + (1L << (bits - 2));
        return Saturating.Narrow<long, T>(product >> (bits - 1), ref fpsr);
    }
}

/// <summary>SQRDMLAH: accumulates before it rounds and saturates, which for 32-bit lanes needs more than 64 bits.</summary>
internal readonly struct SaturatingRoundingDoublingMultiplyAddHigh : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int bits = LaneBits<T>.Count;
        Int128 product = (Int128)long.CreateTruncating(n) * long.CreateTruncating(m) * 2;
        Int128 sum = ((Int128)long.CreateTruncating(d) << bits) + product + ((Int128)1 << (bits - 1));
        return Saturating.Narrow<long, T>((long)(sum >> bits), ref fpsr);
    }
}

/// <summary>SQRDMLSH.</summary>
internal readonly struct SaturatingRoundingDoublingMultiplySubtractHigh : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int bits = LaneBits<T>.Count;
        Int128 product = (Int128)long.CreateTruncating(n) * long.CreateTruncating(m) * 2;
        Int128 sum = ((Int128)long.CreateTruncating(d) << bits) - product + ((Int128)1 << (bits - 1));
        return Saturating.Narrow<long, T>((long)(sum >> bits), ref fpsr);
    }
}

/// <summary>SQABS.</summary>
internal readonly struct SaturatingAbsolute : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> =>
        T.IsNegative(n) ? Saturating.Subtract(T.Zero, n, ref fpsr) : n;
}

/// <summary>SQNEG.</summary>
internal readonly struct SaturatingNegate : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => Saturating.Subtract(T.Zero, n, ref fpsr);
}

/// <summary>SUQADD: adds an unsigned to a signed value. For signed lanes.</summary>
internal readonly struct SignedAddUnsigned : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        if (!T.IsNegative(n))
        {
            return Saturating.Add(d, n, ref fpsr);
        }

        // The operand stands for n + 2^bits, at least 2^(bits-1): the sum is in range only if d is negative and d + n wraps.
        T sum = unchecked(d + n);
        if (T.IsNegative(d) && !T.IsNegative(sum))
        {
            return sum;
        }

        fpsr |= VectorAccess.Qc;
        return T.MaxValue;
    }
}

/// <summary>USQADD: adds a signed to an unsigned value. For unsigned lanes.</summary>
internal readonly struct UnsignedAddSigned : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> =>
        n > T.MaxValue >> 1
            ? Saturating.Subtract(d, unchecked(T.Zero - n), ref fpsr)
            : Saturating.Add(d, n, ref fpsr);
}

/// <summary>CLS: copies of the sign bit below it.</summary>
internal readonly struct CountLeadingSign : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => T.LeadingZeroCount(n ^ (n >> (LaneBits<T>.Count - 1))) - T.One;
}

internal readonly struct CountLeadingZeros : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => T.LeadingZeroCount(n);
}

/// <summary>CNT.</summary>
internal readonly struct CountOnes : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => T.PopCount(n);
}

/// <summary>RBIT.</summary>
internal readonly struct ReverseBits : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        T result = T.Zero;
        for (int i = 0; i < LaneBits<T>.Count; i++, n >>>= 1)
        {
            result = (result << 1) | (n & T.One);
        }

        return result;
    }
}

/// <summary>The width of a lane type, in bits.</summary>
internal static unsafe class LaneBits<T>
    where T : unmanaged
{
    public static int Count => sizeof(T) * 8;
}

using System.Numerics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>
/// Shifts of a lane by a signed amount: left if positive, right if negative. The immediate forms give the amount as a constant,
/// the register forms in the low byte of the second operand.
/// </summary>
internal static class LaneShift
{
    /// <summary>The amount: the low byte of a lane, signed.</summary>
    public static int Amount<T>(T m)
        where T : unmanaged, IBinaryInteger<T> => sbyte.CreateTruncating(m);

    public static T Left<T>(T n, int amount)
        where T : unmanaged, IBinaryInteger<T> => amount >= LaneBits<T>.Count ? T.Zero : n << amount;

    /// <summary>Right by 0 to any amount; sign-fills when the lane type is signed.</summary>
    public static T Right<T>(T n, int amount)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        if (amount < LaneBits<T>.Count)
        {
            return n >> amount;
        }

        return T.IsNegative(T.MinValue) ? n >> (LaneBits<T>.Count - 1) : T.Zero;
    }

    /// <summary>Right by 1 to any amount, rounding halves up.</summary>
    public static T RightRounded<T>(T n, int amount)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> =>
        amount > LaneBits<T>.Count ? T.Zero : unchecked(Right(n, amount) + ((n >> (amount - 1)) & T.One));

    /// <summary>Left, saturating to the lane type.</summary>
    public static T LeftSaturated<T>(T n, int amount, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        if (n == T.Zero)
        {
            return n;
        }

        if (amount < LaneBits<T>.Count)
        {
            T result = n << amount;
            if (result >> amount == n)
            {
                return result;
            }
        }

        fpsr |= VectorAccess.Qc;
        return T.IsNegative(n) ? T.MinValue : T.MaxValue;
    }
}

/// <summary>SSHL, USHL; SHL, SSHR and USHR as immediates.</summary>
internal readonly struct Shift : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int amount = LaneShift.Amount(m);
        return amount >= 0 ? LaneShift.Left(n, amount) : LaneShift.Right(n, -amount);
    }
}

/// <summary>SRSHL, URSHL; SRSHR and URSHR as immediates.</summary>
internal readonly struct RoundingShift : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int amount = LaneShift.Amount(m);
        return amount >= 0 ? LaneShift.Left(n, amount) : LaneShift.RightRounded(n, -amount);
    }
}

/// <summary>SQSHL, UQSHL, register and immediate.</summary>
internal readonly struct SaturatingShift : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int amount = LaneShift.Amount(m);
        return amount >= 0 ? LaneShift.LeftSaturated(n, amount, ref fpsr) : LaneShift.Right(n, -amount);
    }
}

/// <summary>SQRSHL, UQRSHL.</summary>
internal readonly struct SaturatingRoundingShift : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int amount = LaneShift.Amount(m);
        return amount >= 0 ? LaneShift.LeftSaturated(n, amount, ref fpsr) : LaneShift.RightRounded(n, -amount);
    }
}

/// <summary>SSRA, USRA.</summary>
internal readonly struct ShiftAccumulate : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(d + Shift.Apply(d, n, m, ref fpsr));
}

/// <summary>SRSRA, URSRA.</summary>
internal readonly struct RoundingShiftAccumulate : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(d + RoundingShift.Apply(d, n, m, ref fpsr));
}

/// <summary>SQSHLU: a signed value shifted left into an unsigned range. For signed lanes.</summary>
internal readonly struct SaturatingShiftUnsigned : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        if (T.IsNegative(n))
        {
            fpsr |= VectorAccess.Qc;
            return T.Zero;
        }

        int amount = LaneShift.Amount(m);
        T result = n << amount;
        if (result >>> amount == n)
        {
            return result;
        }

        fpsr |= VectorAccess.Qc;
        return T.AllBitsSet;
    }
}

/// <summary>SLI: keeps the destination below the shifted value.</summary>
internal readonly struct ShiftLeftInsert : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int amount = LaneShift.Amount(m);
        T mask = T.AllBitsSet << amount;
        return (d & ~mask) | (n << amount);
    }
}

/// <summary>SRI: keeps the destination above the shifted value. For unsigned lanes.</summary>
internal readonly struct ShiftRightInsert : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int amount = -LaneShift.Amount(m);
        T mask = LaneShift.Right(T.AllBitsSet, amount);
        return (d & ~mask) | LaneShift.Right(n, amount);
    }
}

using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>
/// The element loops of the instructions whose destination elements are twice as wide as a source's ("long", "wide") or half as wide
/// ("narrow"). Operand fields as in <see cref="SimdLanes"/>.
/// </summary>
internal static unsafe class SimdWidening
{
    /// <summary>Long: wide = op(wide d, narrow n, narrow m), signed.</summary>
    public static Op* Signed<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Long<TOp, TSource, sbyte, short>(s, op); break;
            case 1: Long<TOp, TSource, short, int>(s, op); break;
            default: Long<TOp, TSource, int, long>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Long, unsigned.</summary>
    public static Op* Unsigned<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Long<TOp, TSource, byte, ushort>(s, op); break;
            case 1: Long<TOp, TSource, ushort, uint>(s, op); break;
            default: Long<TOp, TSource, uint, ulong>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Wide: wide = op(_, wide n, narrow m), signed.</summary>
    public static Op* SignedWide<TOp>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
    {
        switch (op->Extra)
        {
            case 0: Wide<TOp, sbyte, short>(s, op); break;
            case 1: Wide<TOp, short, int>(s, op); break;
            default: Wide<TOp, int, long>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Wide, unsigned.</summary>
    public static Op* UnsignedWide<TOp>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
    {
        switch (op->Extra)
        {
            case 0: Wide<TOp, byte, ushort>(s, op); break;
            case 1: Wide<TOp, ushort, uint>(s, op); break;
            default: Wide<TOp, uint, ulong>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Pairs of signed elements of Rn: wide = op(wide d, narrow even, narrow odd).</summary>
    public static Op* SignedPairs<TOp>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
    {
        switch (op->Extra)
        {
            case 0: Pairs<TOp, sbyte, short>(s, op); break;
            case 1: Pairs<TOp, short, int>(s, op); break;
            default: Pairs<TOp, int, long>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Pairs of unsigned elements of Rn.</summary>
    public static Op* UnsignedPairs<TOp>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
    {
        switch (op->Extra)
        {
            case 0: Pairs<TOp, byte, ushort>(s, op); break;
            case 1: Pairs<TOp, ushort, uint>(s, op); break;
            default: Pairs<TOp, uint, ulong>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Narrow: narrow = op(wide n, wide m), signed to signed.</summary>
    public static Op* SignedNarrow<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, INarrowingOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Narrow<TOp, TSource, short, sbyte>(s, op); break;
            case 1: Narrow<TOp, TSource, int, short>(s, op); break;
            default: Narrow<TOp, TSource, long, int>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Narrow, unsigned to unsigned.</summary>
    public static Op* UnsignedNarrow<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, INarrowingOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Narrow<TOp, TSource, ushort, byte>(s, op); break;
            case 1: Narrow<TOp, TSource, uint, ushort>(s, op); break;
            default: Narrow<TOp, TSource, ulong, uint>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Narrow, signed to unsigned.</summary>
    public static Op* SignedToUnsignedNarrow<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, INarrowingOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Narrow<TOp, TSource, short, byte>(s, op); break;
            case 1: Narrow<TOp, TSource, int, ushort>(s, op); break;
            default: Narrow<TOp, TSource, long, uint>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>PMULL, PMULL2 of bytes: the whole product of polynomials.</summary>
    public static Op* PolynomialMultiply8(VcpuCore core, CpuState* s, Op* op)
    {
        Long<PolynomialMultiply, FromRegister, byte, ushort>(s, op);
        return op + 1;
    }

    /// <summary>PMULL, PMULL2 of 64-bit polynomials, to 128 bits.</summary>
    public static Op* PolynomialMultiply64(VcpuCore core, CpuState* s, Op* op)
    {
        int half = op->Ra >> 3;
        ulong n = s->V[(2 * op->Rn) + half];
        ulong m = s->V[(2 * op->Rm) + half];
        if (System.Runtime.Intrinsics.X86.Pclmulqdq.IsSupported)
        {
            VectorAccess.Write(
                s,
                op->Rd,
                System.Runtime.Intrinsics.X86.Pclmulqdq.CarrylessMultiply(Vector128.CreateScalar(n), Vector128.CreateScalar(m), 0));
            return op + 1;
        }

        uint noFlags = 0;
        VectorAccess.WriteScalar(s, op->Rd, PolynomialMultiply.Apply(UInt128.Zero, n, m, ref noFlags));
        return op + 1;
    }

    /// <summary>SDOT: each 32-bit lane adds the products of its four bytes.</summary>
    public static Op* SignedDot<TSource>(VcpuCore core, CpuState* s, Op* op)
        where TSource : struct, ISecondSource
    {
        Dot<TSource, sbyte, sbyte>(s, op);
        return op + 1;
    }

    /// <summary>UDOT.</summary>
    public static Op* UnsignedDot<TSource>(VcpuCore core, CpuState* s, Op* op)
        where TSource : struct, ISecondSource
    {
        Dot<TSource, byte, byte>(s, op);
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Long<TOp, TSource, TNarrow, TWide>(CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where TSource : struct, ISecondSource
        where TNarrow : unmanaged, IBinaryInteger<TNarrow>
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
    {
        Vector128<TNarrow> second = TSource.ReadHalf<TNarrow>(s, op);
        Vector128<TWide> result = default;
        TNarrow* m = (TNarrow*)&second;
        TWide* r = (TWide*)&result;
        TWide* d = VectorAccess.Lanes<TWide>(s, op->Rd);
        TNarrow* n = (TNarrow*)((byte*)VectorAccess.Lanes<byte>(s, op->Rn) + op->Ra);
        int count = op->Shift / sizeof(TNarrow);
        for (int i = 0; i < count; i++)
        {
            r[i] = TOp.Apply(d[i], TWide.CreateTruncating(n[i]), TWide.CreateTruncating(m[i]), ref s->Fpsr);
        }

        VectorAccess.Write(s, op->Rd, result);
    }

    private static void Wide<TOp, TNarrow, TWide>(CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where TNarrow : unmanaged, IBinaryInteger<TNarrow>
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
    {
        Vector128<TWide> result = default;
        TWide* r = (TWide*)&result;
        TWide* n = VectorAccess.Lanes<TWide>(s, op->Rn);
        TNarrow* m = (TNarrow*)(VectorAccess.Lanes<byte>(s, op->Rm) + op->Ra);
        for (int i = 0; i < Vector128<TWide>.Count; i++)
        {
            r[i] = TOp.Apply(TWide.Zero, n[i], TWide.CreateTruncating(m[i]), ref s->Fpsr);
        }

        VectorAccess.Write(s, op->Rd, result);
    }

    private static void Pairs<TOp, TNarrow, TWide>(CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where TNarrow : unmanaged, IBinaryInteger<TNarrow>
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
    {
        Vector128<TWide> result = default;
        TWide* r = (TWide*)&result;
        TWide* d = VectorAccess.Lanes<TWide>(s, op->Rd);
        TNarrow* n = VectorAccess.Lanes<TNarrow>(s, op->Rn);
        int count = op->Shift / sizeof(TWide);
        for (int i = 0; i < count; i++)
        {
            r[i] = TOp.Apply(d[i], TWide.CreateTruncating(n[2 * i]), TWide.CreateTruncating(n[(2 * i) + 1]), ref s->Fpsr);
        }

        VectorAccess.Write(s, op->Rd, result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Narrow<TOp, TSource, TWide, TNarrow>(CpuState* s, Op* op)
        where TOp : struct, INarrowingOperation
        where TSource : struct, ISecondSource
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow>
    {
        Vector128<TWide> second = TSource.Read<TWide>(s, op);
        ulong result = 0;
        TWide* m = (TWide*)&second;
        TNarrow* r = (TNarrow*)&result;
        TWide* n = VectorAccess.Lanes<TWide>(s, op->Rn);
        int count = op->Shift / sizeof(TNarrow);
        for (int i = 0; i < count; i++)
        {
            r[i] = TOp.Apply<TWide, TNarrow>(n[i], m[i], ref s->Fpsr);
        }

        if (op->Ra != 0)
        {
            s->V[(2 * op->Rd) + 1] = result;
        }
        else
        {
            VectorAccess.WriteScalar(s, op->Rd, result);
        }
    }

    internal static void Dot<TSource, TLeft, TRight>(CpuState* s, Op* op)
        where TSource : struct, ISecondSource
        where TLeft : unmanaged, IBinaryInteger<TLeft>
        where TRight : unmanaged, IBinaryInteger<TRight>
    {
        Vector128<int> second = TSource.Read<int>(s, op);
        Vector128<int> result = default;
        TRight* m = (TRight*)&second;
        TLeft* n = VectorAccess.Lanes<TLeft>(s, op->Rn);
        int* r = (int*)&result;
        int* d = VectorAccess.Lanes<int>(s, op->Rd);
        for (int i = 0; i < op->Shift / 4; i++)
        {
            int sum = d[i];
            for (int j = 4 * i; j < (4 * i) + 4; j++)
            {
                sum += int.CreateTruncating(n[j]) * int.CreateTruncating(m[j]);
            }

            r[i] = sum;
        }

        VectorAccess.Write(s, op->Rd, result);
    }
}

/// <summary>Two wide lanes to a narrow one.</summary>
internal interface INarrowingOperation
{
    static abstract TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow>;
}

/// <summary>ADDHN: the high half of the sum.</summary>
internal readonly struct AddHigh : INarrowingOperation
{
    public static TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow> => TNarrow.CreateTruncating(unchecked(n + m) >> LaneBits<TNarrow>.Count);
}

/// <summary>SUBHN.</summary>
internal readonly struct SubtractHigh : INarrowingOperation
{
    public static TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow> => TNarrow.CreateTruncating(unchecked(n - m) >> LaneBits<TNarrow>.Count);
}

/// <summary>RADDHN: the high half of the sum, rounded.</summary>
internal readonly struct RoundingAddHigh : INarrowingOperation
{
    public static TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow>
    {
        int bits = LaneBits<TNarrow>.Count;
        return TNarrow.CreateTruncating(unchecked(n + m + (TWide.One << (bits - 1))) >> bits);
    }
}

/// <summary>RSUBHN.</summary>
internal readonly struct RoundingSubtractHigh : INarrowingOperation
{
    public static TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow>
    {
        int bits = LaneBits<TNarrow>.Count;
        return TNarrow.CreateTruncating(unchecked(n - m + (TWide.One << (bits - 1))) >> bits);
    }
}

/// <summary>SHRN; XTN as a shift by 0.</summary>
internal readonly struct ShiftNarrow : INarrowingOperation
{
    public static TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow> => TNarrow.CreateTruncating(n >> -LaneShift.Amount(m));
}

/// <summary>RSHRN.</summary>
internal readonly struct RoundingShiftNarrow : INarrowingOperation
{
    public static TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow> =>
        TNarrow.CreateTruncating(LaneShift.RightRounded(n, -LaneShift.Amount(m)));
}

/// <summary>SQSHRN, UQSHRN, SQSHRUN; SQXTN, UQXTN, SQXTUN as shifts by 0.</summary>
internal readonly struct SaturatingShiftNarrow : INarrowingOperation
{
    public static TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow> =>
        Saturating.Narrow<TWide, TNarrow>(n >> -LaneShift.Amount(m), ref fpsr);
}

/// <summary>SQRSHRN, UQRSHRN, SQRSHRUN.</summary>
internal readonly struct SaturatingRoundingShiftNarrow : INarrowingOperation
{
    public static TNarrow Apply<TWide, TNarrow>(TWide n, TWide m, ref uint fpsr)
        where TWide : unmanaged, IBinaryInteger<TWide>, IMinMaxValue<TWide>
        where TNarrow : unmanaged, IBinaryInteger<TNarrow> =>
        Saturating.Narrow<TWide, TNarrow>(LaneShift.RightRounded(n, -LaneShift.Amount(m)), ref fpsr);
}

internal readonly struct Subtract : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(n - m);
}

/// <summary>SADALP, UADALP.</summary>
internal readonly struct AddAccumulate : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(d + n + m);
}

/// <summary>SMULL, UMULL.</summary>
internal readonly struct Multiply : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(n * m);
}

/// <summary>SMLAL, UMLAL.</summary>
internal readonly struct MultiplyAdd : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(d + (n * m));
}

/// <summary>SMLSL, UMLSL.</summary>
internal readonly struct MultiplySubtract : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => unchecked(d - (n * m));
}

/// <summary>SQDMULL.</summary>
internal readonly struct SaturatingDoublingMultiply : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => Saturating.DoublingProduct(n, m, ref fpsr);
}

/// <summary>SQDMLAL: the product saturates, then the sum.</summary>
internal readonly struct SaturatingDoublingMultiplyAdd : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> =>
        Saturating.Add(d, Saturating.DoublingProduct(n, m, ref fpsr), ref fpsr);
}

/// <summary>SQDMLSL.</summary>
internal readonly struct SaturatingDoublingMultiplySubtract : ILaneOperation
{
    public static T Apply<T>(T d, T n, T m, ref uint fpsr)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> =>
        Saturating.Subtract(d, Saturating.DoublingProduct(n, m, ref fpsr), ref fpsr);
}

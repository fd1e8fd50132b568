using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>
/// The element loops of the Advanced SIMD integer instructions, each written once and specialised by the host's compiler for an
/// operation, the origin of its second operand, and a lane type.
/// <para>
/// Operand fields: <see cref="Op.Extra"/> is log2 of the element size in bytes (of the narrow elements where there are two sizes);
/// <see cref="Op.Shift"/> is the number of result bytes (of narrow bytes in narrowing and widening forms), one element for a scalar form;
/// <see cref="Op.Ra"/> is the byte offset, 0 or 8, of the half of a register that the "2" forms select.
/// </para>
/// </summary>
internal static unsafe class SimdLanes
{
    /// <summary>Elements as signed integers.</summary>
    public static Op* Signed<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Each<TOp, TSource, sbyte>(s, op); break;
            case 1: Each<TOp, TSource, short>(s, op); break;
            case 2: Each<TOp, TSource, int>(s, op); break;
            default: Each<TOp, TSource, long>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Elements as unsigned integers.</summary>
    public static Op* Unsigned<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Each<TOp, TSource, byte>(s, op); break;
            case 1: Each<TOp, TSource, ushort>(s, op); break;
            case 2: Each<TOp, TSource, uint>(s, op); break;
            default: Each<TOp, TSource, ulong>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Whole vectors of signed integers, for what the host has an exact instruction for.</summary>
    public static Op* SignedVector<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, IVectorOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Whole<TOp, TSource, sbyte>(s, op); break;
            case 1: Whole<TOp, TSource, short>(s, op); break;
            case 2: Whole<TOp, TSource, int>(s, op); break;
            default: Whole<TOp, TSource, long>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Whole vectors of unsigned integers.</summary>
    public static Op* UnsignedVector<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, IVectorOperation
        where TSource : struct, ISecondSource
    {
        switch (op->Extra)
        {
            case 0: Whole<TOp, TSource, byte>(s, op); break;
            case 1: Whole<TOp, TSource, ushort>(s, op); break;
            case 2: Whole<TOp, TSource, uint>(s, op); break;
            default: Whole<TOp, TSource, ulong>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Bits, whatever the elements.</summary>
    public static Op* Bitwise<TOp, TSource>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, IVectorOperation
        where TSource : struct, ISecondSource
    {
        Whole<TOp, TSource, ulong>(s, op);
        return op + 1;
    }

    /// <summary>Adjacent pairs of signed elements of Rn, then of Rm.</summary>
    public static Op* SignedPairwise<TOp>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
    {
        switch (op->Extra)
        {
            case 0: Pairs<TOp, sbyte>(s, op); break;
            case 1: Pairs<TOp, short>(s, op); break;
            case 2: Pairs<TOp, int>(s, op); break;
            default: Pairs<TOp, long>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>Adjacent pairs of unsigned elements of Rn, then of Rm.</summary>
    public static Op* UnsignedPairwise<TOp>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
    {
        switch (op->Extra)
        {
            case 0: Pairs<TOp, byte>(s, op); break;
            case 1: Pairs<TOp, ushort>(s, op); break;
            case 2: Pairs<TOp, uint>(s, op); break;
            default: Pairs<TOp, ulong>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>One result from all signed elements of Rn.</summary>
    public static Op* SignedAcross<TOp>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
    {
        switch (op->Extra)
        {
            case 0: Fold<TOp, sbyte, sbyte>(s, op); break;
            case 1: Fold<TOp, short, short>(s, op); break;
            default: Fold<TOp, int, int>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>One result from all unsigned elements of Rn.</summary>
    public static Op* UnsignedAcross<TOp>(VcpuCore core, CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
    {
        switch (op->Extra)
        {
            case 0: Fold<TOp, byte, byte>(s, op); break;
            case 1: Fold<TOp, ushort, ushort>(s, op); break;
            default: Fold<TOp, uint, uint>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>SADDLV: the sum, twice as wide as the elements.</summary>
    public static Op* SignedAcrossLong(VcpuCore core, CpuState* s, Op* op)
    {
        switch (op->Extra)
        {
            case 0: Fold<Add, sbyte, short>(s, op); break;
            case 1: Fold<Add, short, int>(s, op); break;
            default: Fold<Add, int, long>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>UADDLV.</summary>
    public static Op* UnsignedAcrossLong(VcpuCore core, CpuState* s, Op* op)
    {
        switch (op->Extra)
        {
            case 0: Fold<Add, byte, ushort>(s, op); break;
            case 1: Fold<Add, ushort, uint>(s, op); break;
            default: Fold<Add, uint, ulong>(s, op); break;
        }

        return op + 1;
    }

    /// <summary>ADDP (scalar): the sum of the two halves.</summary>
    public static Op* AddPairScalar(VcpuCore core, CpuState* s, Op* op)
    {
        ulong* n = VectorAccess.Lanes<ulong>(s, op->Rn);
        VectorAccess.WriteScalar(s, op->Rd, n[0] + n[1]);
        return op + 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Each<TOp, TSource, T>(CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where TSource : struct, ISecondSource
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        Vector128<T> second = TSource.Read<T>(s, op);
        Vector128<T> result = default;
        T* m = (T*)&second;
        T* r = (T*)&result;
        T* d = VectorAccess.Lanes<T>(s, op->Rd);
        T* n = VectorAccess.Lanes<T>(s, op->Rn);
        int count = op->Shift / sizeof(T);
        for (int i = 0; i < count; i++)
        {
            r[i] = TOp.Apply(d[i], n[i], m[i], ref s->Fpsr);
        }

        VectorAccess.Write(s, op->Rd, result);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Whole<TOp, TSource, T>(CpuState* s, Op* op)
        where TOp : struct, IVectorOperation
        where TSource : struct, ISecondSource
        where T : unmanaged, IBinaryInteger<T>
    {
        Vector128<T> d = VectorAccess.Read<T>(s, op->Rd);
        Vector128<T> n = VectorAccess.Read<T>(s, op->Rn);
        VectorAccess.Write(s, op->Rd, TOp.Apply(d, n, TSource.Read<T>(s, op)), op->Shift);
    }

    private static void Pairs<TOp, T>(CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        Vector128<T> result = default;
        T* r = (T*)&result;
        T* n = VectorAccess.Lanes<T>(s, op->Rn);
        T* m = VectorAccess.Lanes<T>(s, op->Rm);
        int half = op->Shift / sizeof(T) / 2;
        for (int i = 0; i < half; i++)
        {
            r[i] = TOp.Apply(T.Zero, n[2 * i], n[(2 * i) + 1], ref s->Fpsr);
            r[half + i] = TOp.Apply(T.Zero, m[2 * i], m[(2 * i) + 1], ref s->Fpsr);
        }

        VectorAccess.Write(s, op->Rd, result);
    }

    private static void Fold<TOp, T, TResult>(CpuState* s, Op* op)
        where TOp : struct, ILaneOperation
        where T : unmanaged, IBinaryInteger<T>
        where TResult : unmanaged, IBinaryInteger<TResult>, IMinMaxValue<TResult>
    {
        T* n = VectorAccess.Lanes<T>(s, op->Rn);
        int count = op->Shift / sizeof(T);
        var result = TResult.CreateTruncating(n[0]);
        for (int i = 1; i < count; i++)
        {
            result = TOp.Apply(TResult.Zero, result, TResult.CreateTruncating(n[i]), ref s->Fpsr);
        }

        VectorAccess.WriteScalar(s, op->Rd, result);
    }
}

using System.Numerics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

/// <summary>FEAT_I8MM (Arm ARM C7.2): products of matrices of bytes, and sums of products of bytes with different signs.</summary>
internal static unsafe class SimdMatrix
{
    public static Op* SignedMultiply(VcpuCore core, CpuState* s, Op* op) => Multiply<sbyte, sbyte>(s, op);

    public static Op* UnsignedMultiply(VcpuCore core, CpuState* s, Op* op) => Multiply<byte, byte>(s, op);

    public static Op* MixedMultiply(VcpuCore core, CpuState* s, Op* op) => Multiply<byte, sbyte>(s, op);

    /// <summary>USDOT: unsigned bytes of n, signed bytes of m.</summary>
    public static Op* UnsignedSignedDot<TSource>(VcpuCore core, CpuState* s, Op* op)
        where TSource : struct, ISecondSource
    {
        SimdWidening.Dot<TSource, byte, sbyte>(s, op);
        return op + 1;
    }

    /// <summary>SUDOT (by element).</summary>
    public static Op* SignedUnsignedDot<TSource>(VcpuCore core, CpuState* s, Op* op)
        where TSource : struct, ISecondSource
    {
        SimdWidening.Dot<TSource, sbyte, byte>(s, op);
        return op + 1;
    }

    // d, a matrix of 2 × 2 words by rows, plus n, of 2 × 8 bytes, times the transpose of m.
    private static Op* Multiply<TLeft, TRight>(CpuState* s, Op* op)
        where TLeft : unmanaged, IBinaryInteger<TLeft>
        where TRight : unmanaged, IBinaryInteger<TRight>
    {
        UInt128 result = 0;
        int* d = VectorAccess.Lanes<int>(s, op->Rd);
        TLeft* n = VectorAccess.Lanes<TLeft>(s, op->Rn);
        TRight* m = VectorAccess.Lanes<TRight>(s, op->Rm);
        for (int i = 0; i < 4; i++)
        {
            TLeft* row = n + (8 * (i >> 1));
            TRight* column = m + (8 * (i & 1));
            int sum = d[i];
            for (int j = 0; j < 8; j++)
            {
                sum += int.CreateTruncating(row[j]) * int.CreateTruncating(column[j]);
            }

            ((int*)&result)[i] = sum;
        }

        return FloatingPointVector.Finish(s, op, result);
    }
}

using Vmm.Emulation.Cpu.FloatingPoint;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>FEAT_BF16 (Arm ARM C7.2), with the arithmetic of <see cref="BrainArithmetic"/>.</summary>
internal static unsafe class BrainFloat
{
    /// <summary>Multiplication of the odd (BFMLALT) or even (BFMLALB) elements: Ra = 1 or 0.</summary>
    public static void Long(Op* op)
    {
        FloatingPointScalar.Fields(op);
        op->Ra = (byte)((op->Word >> 30) & 1);
    }

    /// <summary>The same by an element of V0 to V15, whose index is in Extra.</summary>
    public static void LongElement(Op* op)
    {
        FloatingPointVector.VectorElement<HalfFormat>(op);
        op->Ra = (byte)((op->Word >> 30) & 1);
    }

    /// <summary>BFCVT: a single.</summary>
    public static Op* Convert(VcpuCore core, CpuState* s, Op* op) => FloatingPointVector.Finish<BrainFormat>(
        s, op, SoftFloat.Convert<SingleFormat, BrainFormat>((uint)s->V[2 * op->Rn], s->Fpcr, ref s->Fpsr));

    public static Op* MultiplyAddLong(VcpuCore core, CpuState* s, Op* op) => MultiplyAddLong(s, op, byElement: false);

    public static Op* MultiplyAddLongByElement(VcpuCore core, CpuState* s, Op* op) => MultiplyAddLong(s, op, byElement: true);

    // BFMLALB, BFMLALT.
    private static Op* MultiplyAddLong(CpuState* s, Op* op, bool byElement)
    {
        UInt128 result = 0;
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        ushort* n = VectorAccess.Lanes<ushort>(s, op->Rn) + op->Ra;
        ushort* m = VectorAccess.Lanes<ushort>(s, op->Rm) + (byElement ? op->Extra : op->Ra);
        for (int i = 0; i < 4; i++)
        {
            ((uint*)&result)[i] = BrainArithmetic.MultiplyAdd(d[i], n[2 * i], m[byElement ? 0 : 2 * i], s->Fpcr, ref s->Fpsr);
        }

        return FloatingPointVector.Finish(s, op, result);
    }

    /// <summary>BFDOT: each single adds the products of its two pairs.</summary>
    public static Op* Dot(VcpuCore core, CpuState* s, Op* op) => Dot(s, op, byElement: false);

    /// <summary>BFDOT (by element): the second pair is always the same.</summary>
    public static Op* DotByElement(VcpuCore core, CpuState* s, Op* op) => Dot(s, op, byElement: true);

    private static Op* Dot(CpuState* s, Op* op, bool byElement)
    {
        UInt128 result = 0;
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        uint* n = VectorAccess.Lanes<uint>(s, op->Rn);
        uint* m = VectorAccess.Lanes<uint>(s, op->Rm);
        for (int i = 0; i < op->Shift / 4; i++)
        {
            ((uint*)&result)[i] = BrainArithmetic.DotAdd(d[i], n[i], m[byElement ? op->Extra : i], s->Fpcr);
        }

        return FloatingPointVector.Finish(s, op, result);
    }

    /// <summary>BFMMLA: d, a matrix of 2 × 2 singles by rows, plus n, of 2 × 4, times the transpose of m.</summary>
    public static Op* MatrixMultiply(VcpuCore core, CpuState* s, Op* op)
    {
        UInt128 result = 0;
        uint* d = VectorAccess.Lanes<uint>(s, op->Rd);
        uint* n = VectorAccess.Lanes<uint>(s, op->Rn);
        uint* m = VectorAccess.Lanes<uint>(s, op->Rm);
        for (int i = 0; i < 4; i++)
        {
            int row = i & 2;
            int column = 2 * (i & 1);
            uint sum = BrainArithmetic.DotAdd(d[i], n[row], m[column], s->Fpcr);
            ((uint*)&result)[i] = BrainArithmetic.DotAdd(sum, n[row + 1], m[column + 1], s->Fpcr);
        }

        return FloatingPointVector.Finish(s, op, result);
    }
}

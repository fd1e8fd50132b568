using System.Numerics;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

internal readonly unsafe struct Smax : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => (ulong)Math.Max((long)a, (long)b);

    public static uint Do32(CpuState* s, uint a, uint b) => (uint)Math.Max((int)a, (int)b);
}

internal readonly unsafe struct Umax : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => Math.Max(a, b);

    public static uint Do32(CpuState* s, uint a, uint b) => Math.Max(a, b);
}

internal readonly unsafe struct Smin : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => (ulong)Math.Min((long)a, (long)b);

    public static uint Do32(CpuState* s, uint a, uint b) => (uint)Math.Min((int)a, (int)b);
}

internal readonly unsafe struct Umin : IBinaryOperation
{
    public static ulong Do64(CpuState* s, ulong a, ulong b) => Math.Min(a, b);

    public static uint Do32(CpuState* s, uint a, uint b) => Math.Min(a, b);
}

/// <summary>FEAT_CSSC: counts, absolute values, and the lesser or greater of two.</summary>
internal static unsafe class IntegerMinMax
{
    public static Op* Absolute64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (long)s->X[op->Rn] < 0 ? 0 - s->X[op->Rn] : s->X[op->Rn];
        return op + 1;
    }

    public static Op* Absolute32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (int)s->X[op->Rn] < 0 ? 0 - (uint)s->X[op->Rn] : (uint)s->X[op->Rn];
        return op + 1;
    }

    public static Op* CountOnes64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (ulong)BitOperations.PopCount(s->X[op->Rn]);
        return op + 1;
    }

    public static Op* CountOnes32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (ulong)BitOperations.PopCount((uint)s->X[op->Rn]);
        return op + 1;
    }

    public static Op* CountTrailingZeros64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (ulong)BitOperations.TrailingZeroCount(s->X[op->Rn]);
        return op + 1;
    }

    public static Op* CountTrailingZeros32(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = (ulong)BitOperations.TrailingZeroCount((uint)s->X[op->Rn]);
        return op + 1;
    }

    /// <summary>Rd = Rn op Imm.</summary>
    public static Op* Immediate64<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation
    {
        s->X[op->Rd] = T.Do64(s, s->X[op->Rn], op->Imm);
        return op + 1;
    }

    public static Op* Immediate32<T>(VcpuCore core, CpuState* s, Op* op)
        where T : struct, IBinaryOperation
    {
        s->X[op->Rd] = T.Do32(s, (uint)s->X[op->Rn], (uint)op->Imm);
        return op + 1;
    }
}

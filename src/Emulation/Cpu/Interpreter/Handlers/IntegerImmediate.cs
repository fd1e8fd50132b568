namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>Data processing with an immediate operand.</summary>
internal static unsafe class IntegerImmediate
{
    public static Op* Add64(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[op->Rd] = s->X[op->Rn] + op->Imm;
        return op + 1;
    }
}

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>Branches: direct ones by <see cref="Op.Imm"/>, indirect ones to a register.</summary>
internal static unsafe class Branch
{
    public static Op* B(VcpuCore core, CpuState* s, Op* op) => Flow.TakenBy(core, s, op, (long)op->Imm);

    public static Op* Bl(VcpuCore core, CpuState* s, Op* op)
    {
        s->X[30] = s->CodePageVa + op->Offset + 4;
        return Flow.TakenBy(core, s, op, (long)op->Imm);
    }

    public static Op* BCond(VcpuCore core, CpuState* s, Op* op) =>
        Pstate.Holds(op->Shift, s->Nzcv) ? Flow.TakenBy(core, s, op, (long)op->Imm) : op + 1;

    public static Op* Cbz32(VcpuCore core, CpuState* s, Op* op) =>
        (uint)s->X[op->Rd] == 0 ? Flow.TakenBy(core, s, op, (long)op->Imm) : op + 1;

    public static Op* Cbz64(VcpuCore core, CpuState* s, Op* op) =>
        s->X[op->Rd] == 0 ? Flow.TakenBy(core, s, op, (long)op->Imm) : op + 1;

    public static Op* Cbnz32(VcpuCore core, CpuState* s, Op* op) =>
        (uint)s->X[op->Rd] != 0 ? Flow.TakenBy(core, s, op, (long)op->Imm) : op + 1;

    public static Op* Cbnz64(VcpuCore core, CpuState* s, Op* op) =>
        s->X[op->Rd] != 0 ? Flow.TakenBy(core, s, op, (long)op->Imm) : op + 1;

    public static Op* Tbz(VcpuCore core, CpuState* s, Op* op) =>
        ((s->X[op->Rd] >> op->Shift) & 1) == 0 ? Flow.TakenBy(core, s, op, (long)op->Imm) : op + 1;

    public static Op* Tbnz(VcpuCore core, CpuState* s, Op* op) =>
        ((s->X[op->Rd] >> op->Shift) & 1) != 0 ? Flow.TakenBy(core, s, op, (long)op->Imm) : op + 1;

    public static Op* Br(VcpuCore core, CpuState* s, Op* op) => Flow.TakenTo(core, s, op, s->X[op->Rn]);

    public static Op* Blr(VcpuCore core, CpuState* s, Op* op)
    {
        ulong target = s->X[op->Rn];
        s->X[30] = s->CodePageVa + op->Offset + 4;
        return Flow.TakenTo(core, s, op, target);
    }
}

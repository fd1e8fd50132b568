namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>Debug registers (Arm ARM D24.3): their values are kept; nothing here yet stops on them.</summary>
internal static unsafe class DebugRegisters
{
    public static void Add(AddRow row)
    {
        row(2, 0, 0, 2, 0, new("MDCCINT_EL1", (_, _) => 0, (_, _, _) => { }));
        row(2, 0, 0, 2, 2, new("MDSCR_EL1", (_, s) => s->MdscrEl1, (_, s, v) => s->MdscrEl1 = v));
        row(2, 0, 1, 0, 0, new("MDRAR_EL1", (_, _) => 0));
        row(2, 0, 1, 0, 4, new("OSLAR_EL1", null, (_, s, v) => s->OsLock = (uint)v & 1));
        row(2, 0, 1, 1, 4, new("OSLSR_EL1", (_, s) => 8 | (s->OsLock << 1)));
        row(2, 0, 1, 3, 4, new("OSDLR_EL1", (_, _) => 0, (_, _, _) => { }));
        row(2, 3, 0, 1, 0, new("MDCCSR_EL0", (_, _) => 0) { El0Read = true });
        for (int i = 0; i < 6; i++)
        {
            int n = i;
            row(2, 0, 0, i, 4, new($"DBGBVR{i}_EL1", (_, s) => s->Dbgbvr[n], (_, s, v) => s->Dbgbvr[n] = v));
            row(2, 0, 0, i, 5, new($"DBGBCR{i}_EL1", (_, s) => s->Dbgbcr[n], (_, s, v) => s->Dbgbcr[n] = v));
        }

        for (int i = 0; i < 4; i++)
        {
            int n = i;
            row(2, 0, 0, i, 6, new($"DBGWVR{i}_EL1", (_, s) => s->Dbgwvr[n], (_, s, v) => s->Dbgwvr[n] = v));
            row(2, 0, 0, i, 7, new($"DBGWCR{i}_EL1", (_, s) => s->Dbgwcr[n], (_, s, v) => s->Dbgwcr[n] = v));
        }
    }
}

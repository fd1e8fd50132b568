namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>Debug registers (Arm ARM D24.3); what they do is in VcpuCore.Debug.</summary>
internal static unsafe class DebugRegisters
{
    // Eight claim tags: DBGCLAIMSET_EL1 reads as ones for those there are.
    private const ulong ClaimTags = 0xFF;

    public static void Add(AddRow row)
    {
        row(2, 0, 0, 2, 0, new("MDCCINT_EL1", (_, _) => 0, (_, _, _) => { }));
        row(2, 0, 0, 2, 2, new("MDSCR_EL1", (_, s) => s->MdscrEl1, (core, s, v) =>
        {
            s->MdscrEl1 = v;
            Changed(core);
        }));
        row(2, 0, 1, 0, 0, new("MDRAR_EL1", (_, _) => 0));
        row(2, 0, 1, 0, 4, new("OSLAR_EL1", null, (core, s, v) =>
        {
            s->OsLock = (uint)v & 1;
            Changed(core);
        }));
        row(2, 0, 1, 1, 4, new("OSLSR_EL1", (_, s) => 8 | (s->OsLock << 1)));
        row(2, 0, 1, 3, 4, new("OSDLR_EL1", (_, _) => 0, (_, _, _) => { }));
        AddUnused(row);
        row(2, 3, 0, 1, 0, new("MDCCSR_EL0", (_, _) => 0) { El0Read = true, TrapEl0 = TrapChannel });
        for (int i = 0; i < CpuState.Breakpoints; i++)
        {
            int n = i;
            row(2, 0, 0, i, 4, new($"DBGBVR{i}_EL1", (_, s) => s->Dbgbvr[n], (core, s, v) =>
            {
                s->Dbgbvr[n] = v;
                Changed(core);
            }));
            row(2, 0, 0, i, 5, new($"DBGBCR{i}_EL1", (_, s) => s->Dbgbcr[n], (core, s, v) =>
            {
                s->Dbgbcr[n] = v;
                Changed(core);
            }));
        }

        for (int i = 0; i < CpuState.Watchpoints; i++)
        {
            int n = i;
            row(2, 0, 0, i, 6, new($"DBGWVR{i}_EL1", (_, s) => s->Dbgwvr[n], (core, s, v) =>
            {
                s->Dbgwvr[n] = v;
                Changed(core);
            }));
            row(2, 0, 0, i, 7, new($"DBGWCR{i}_EL1", (_, s) => s->Dbgwcr[n], (core, s, v) =>
            {
                s->Dbgwcr[n] = v;
                Changed(core);
            }));
        }
    }

    // Registers for an external debugger, which does not exist here, and for software that saves the debug state of a CPU.
    private static void AddUnused(AddRow row)
    {
        row(2, 0, 0, 0, 2, new("OSDTRRX_EL1", (_, _) => 0, (_, _, _) => { }));
        row(2, 0, 0, 3, 2, new("OSDTRTX_EL1", (_, _) => 0, (_, _, _) => { }));
        row(2, 0, 0, 6, 2, new("OSECCR_EL1", (_, _) => 0, (_, _, _) => { }));
        row(2, 0, 1, 4, 4, new("DBGPRCR_EL1", (_, _) => 0, (_, _, _) => { }));
        row(2, 0, 7, 8, 6, new("DBGCLAIMSET_EL1", (_, _) => ClaimTags, (_, s, v) => s->DebugClaim |= (byte)v));
        row(2, 0, 7, 9, 6, new("DBGCLAIMCLR_EL1", (_, s) => s->DebugClaim, (_, s, v) => s->DebugClaim &= (byte)~v));

        // Non-secure debug is there but not enabled, secure debug is not there.
        row(2, 0, 7, 14, 6, new("DBGAUTHSTATUS_EL1", (_, _) => 0b1010));
        row(2, 3, 0, 4, 0, Channel("DBGDTR_EL0"));
        row(2, 3, 0, 5, 0, Channel("DBGDTRRX_EL0"));
    }

    private static SystemRegister Channel(string name) => new(name, (_, _) => 0, (_, _, _) => { })
    {
        El0Read = true,
        El0Write = true,
        TrapEl0 = TrapChannel,
    };

    private static bool TrapChannel(VcpuCore core, CpuState* s, bool write) => (s->MdscrEl1 & Mdscr.Tdcc) != 0;

    private static void Changed(VcpuCore core)
    {
        core.UpdateDebugRegisters();
    }
}

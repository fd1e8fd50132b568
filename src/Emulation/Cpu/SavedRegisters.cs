namespace Vmm.Emulation.Cpu;

/// <summary>The registers of <see cref="CpuState"/> that are saved by name, with the names that they have in a saved vCPU.</summary>
internal static unsafe class SavedRegisters
{
    public delegate void Field(string name, ref ulong value);

    public delegate void Field32(string name, ref uint value);

    public delegate void Array(string name, Span<ulong> values);

    /// <summary>Those of which there are several of a kind.</summary>
    public static void EachArray(CpuState* s, Array array)
    {
        array("x", new Span<ulong>(s->X, CpuState.Sink + 1));
        array("v", new Span<ulong>(s->V, 64));
        array("dbgbvr", new Span<ulong>(s->Dbgbvr, CpuState.Breakpoints));
        array("dbgbcr", new Span<ulong>(s->Dbgbcr, CpuState.Breakpoints));
        array("dbgwvr", new Span<ulong>(s->Dbgwvr, CpuState.Watchpoints));
        array("dbgwcr", new Span<ulong>(s->Dbgwcr, CpuState.Watchpoints));
    }

    /// <summary>Those of 64 bits, or that are saved so.</summary>
    public static void Each(CpuState* s, Field field)
    {
        field("pc", ref s->Pc);
        field("exclusive-address", ref s->ExclusiveAddress);
        field("exclusive-low", ref s->ExclusiveLow);
        field("exclusive-high", ref s->ExclusiveHigh);
        field("sp_el0", ref s->SpEl0);
        field("sp_el1", ref s->SpEl1);
        field("elr_el1", ref s->ElrEl1);
        field("spsr_el1", ref s->SpsrEl1);
        field("esr_el1", ref s->EsrEl1);
        field("far_el1", ref s->FarEl1);
        field("afsr0_el1", ref s->Afsr0El1);
        field("afsr1_el1", ref s->Afsr1El1);
        field("vbar_el1", ref s->VbarEl1);
        field("sctlr_el1", ref s->SctlrEl1);
        field("actlr_el1", ref s->ActlrEl1);
        field("cpacr_el1", ref s->CpacrEl1);
        field("ttbr0_el1", ref s->Ttbr0El1);
        field("ttbr1_el1", ref s->Ttbr1El1);
        field("tcr_el1", ref s->TcrEl1);
        field("mair_el1", ref s->MairEl1);
        field("amair_el1", ref s->AmairEl1);
        field("contextidr_el1", ref s->ContextidrEl1);
        field("par_el1", ref s->ParEl1);
        field("tpidr_el0", ref s->TpidrEl0);
        field("tpidrro_el0", ref s->TpidrroEl0);
        field("tpidr_el1", ref s->TpidrEl1);
        field("csselr_el1", ref s->CsselrEl1);
        field("mdscr_el1", ref s->MdscrEl1);
        field("cntkctl_el1", ref s->CntkctlEl1);
    }

    /// <summary>Those of 32 bits.</summary>
    public static void Each32(CpuState* s, Field32 field)
    {
        field("pstate", ref s->Pstate);
        field("nzcv", ref s->Nzcv);
        field("fpcr", ref s->Fpcr);
        field("fpsr", ref s->Fpsr);
        field("oslock", ref s->OsLock);
        field("dbgclaim", ref s->DebugClaim);
    }
}

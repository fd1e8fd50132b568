using Vmm.Emulation.State;

namespace Vmm.Emulation.Cpu;

/// <content>Saved state. Caches, translations and debug's single steps are made anew.</content>
public sealed unsafe partial class VcpuCore : IStateUnit
{
    private delegate void Field(string name, ref ulong value);

    private delegate void Field32(string name, ref uint value);

    // The first version of the schema with the keys of pointer authentication.
    private const int WithPointerKeys = 2;

    private const int PointerKeyWords = 10;

    public string Id => Index.ToString();

    public int SchemaVersion => WithPointerKeys;

    /// <summary>Saves the state, and whether the CPU is enabled: <see cref="Load"/> enables or disables it.</summary>
    public void Save(StateWriter writer)
    {
        CpuState* s = _state;
        writer.Write("enabled", (byte)(IsEnabled ? 1 : 0));
        writer.Write("instructions", InstructionCount);
        writer.Write("x", new ReadOnlySpan<ulong>(s->X, CpuState.Sink + 1));
        writer.Write("v", new ReadOnlySpan<ulong>(s->V, 64));
        writer.Write("dbgbvr", new ReadOnlySpan<ulong>(s->Dbgbvr, CpuState.Breakpoints));
        writer.Write("dbgbcr", new ReadOnlySpan<ulong>(s->Dbgbcr, CpuState.Breakpoints));
        writer.Write("dbgwvr", new ReadOnlySpan<ulong>(s->Dbgwvr, CpuState.Watchpoints));
        writer.Write("dbgwcr", new ReadOnlySpan<ulong>(s->Dbgwcr, CpuState.Watchpoints));
        writer.Write("pointer-keys", new ReadOnlySpan<ulong>(s->PointerKeys, PointerKeyWords));
        writer.Write("exclusive-size", s->ExclusiveSize);
        writer.Write("event-register", s->EventRegister);
        writer.Write("step-syndrome", _stepSyndrome);
        EachRegister(s, (string name, ref ulong value) => writer.Write(name, value));
        EachRegister32(s, (string name, ref uint value) => writer.Write(name, value));
    }

    public void Load(StateReader reader)
    {
        CpuState* s = _state;
        bool enabled = reader.Read<byte>("enabled") != 0;
        InstructionCount = reader.Read<long>("instructions");
        reader.Read("x", new Span<ulong>(s->X, CpuState.Sink + 1));
        reader.Require(s->X[CpuState.Zr] == 0, "x");
        reader.Read("v", new Span<ulong>(s->V, 64));
        reader.Read("dbgbvr", new Span<ulong>(s->Dbgbvr, CpuState.Breakpoints));
        reader.Read("dbgbcr", new Span<ulong>(s->Dbgbcr, CpuState.Breakpoints));
        reader.Read("dbgwvr", new Span<ulong>(s->Dbgwvr, CpuState.Watchpoints));
        reader.Read("dbgwcr", new Span<ulong>(s->Dbgwcr, CpuState.Watchpoints));
        var keys = new Span<ulong>(s->PointerKeys, PointerKeyWords);
        keys.Clear();
        if (reader.Version >= WithPointerKeys)
        {
            reader.Read("pointer-keys", keys);
        }

        s->ExclusiveSize = reader.Read<int>("exclusive-size");
        reader.Require(s->ExclusiveSize is 0 or 1 or 2 or 4 or 8 or 16, "exclusive-size");
        s->EventRegister = reader.Read<int>("event-register");
        _stepSyndrome = reader.Read<uint>("step-syndrome");
        EachRegister(s, (string name, ref ulong value) => value = reader.Read<ulong>(name));
        EachRegister32(s, (string name, ref uint value) => value = reader.Read<uint>(name));
        reader.Require((s->Nzcv & ~Cpu.Pstate.NzcvMask) == 0 && Cpu.Pstate.ExceptionLevel(s->Pstate) <= 1, "pstate");
        s->BroadcastOpen = 0;
        s->Remaining = _budget = 0;
        if (enabled)
        {
            Enable();
            StateReplaced();
        }
        else
        {
            Disable();
        }

        // An input that is asserted may be one that is to be taken.
        Interrupts.Note(AttentionBits.Interrupts);
    }

    private static void EachRegister(CpuState* s, Field field)
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

    private static void EachRegister32(CpuState* s, Field32 field)
    {
        field("pstate", ref s->Pstate);
        field("nzcv", ref s->Nzcv);
        field("fpcr", ref s->Fpcr);
        field("fpsr", ref s->Fpsr);
        field("oslock", ref s->OsLock);
        field("dbgclaim", ref s->DebugClaim);
    }
}

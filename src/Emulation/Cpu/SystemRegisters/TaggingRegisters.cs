using Vmm.Emulation.Cpu.Decoding;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>Registers of memory tagging (FEAT_MTE, FEAT_MTE2; Arm ARM D24.2).</summary>
internal static unsafe class TaggingRegisters
{
    /// <summary>GCR_EL1: Exclude and RRND.</summary>
    public const ulong GcrMask = 0x1_FFFF;

    /// <summary>RGSR_EL1: TAG and SEED.</summary>
    public const ulong RgsrMask = 0xFF_FF0F;

    /// <summary>TFSR_EL1 and TFSRE0_EL1: TF0 and TF1.</summary>
    public const ulong TfsrMask = 3;

    /// <summary>GMID_EL1.BS: LDGM, STGM and STZGM are for blocks of 4 &lt;&lt; 6 bytes.</summary>
    public const int BlockSizeField = 6;

    public static void Add(AddRow row)
    {
        row(3, 1, 0, 0, 4, new("GMID_EL1", (_, _) => BlockSizeField) { Feature = Feature.Mte3 });
        row(3, 0, 1, 0, 5, Masked("RGSR_EL1", s => s->RgsrEl1, (s, v) => s->RgsrEl1 = v & RgsrMask));
        row(3, 0, 1, 0, 6, Masked("GCR_EL1", s => s->GcrEl1, (s, v) => s->GcrEl1 = v & GcrMask));
        row(3, 0, 5, 6, 0, Masked("TFSR_EL1", s => s->TfsrEl1, (s, v) => s->TfsrEl1 = v & TfsrMask));
        row(3, 0, 5, 6, 1, Masked("TFSRE0_EL1", s => s->Tfsre0El1, (s, v) => s->Tfsre0El1 = v & TfsrMask));

        // Without tags in memory it is RES0.
        row(3, 3, 4, 2, 7, new("TCO", (_, s) => s->Pstate & Pstate.Tco, (core, s, v) => SetOverride(core, (v & Pstate.Tco) != 0))
        { El0Read = true, El0Write = true, Feature = Feature.Mte });
    }

    /// <summary>Writes PSTATE.TCO.</summary>
    public static void SetOverride(VcpuCore core, bool value)
    {
        CpuState* s = core.State;
        s->Pstate = value && core.Has(Feature.Mte3) ? s->Pstate | Pstate.Tco : s->Pstate & ~Pstate.Tco;
    }

    private delegate ulong Fetch(CpuState* s);

    private delegate void Store(CpuState* s, ulong value);

    private static SystemRegister Masked(string name, Fetch fetch, Store store) =>
        new(name, (_, s) => fetch(s), (_, s, v) => store(s, v)) { Feature = Feature.Mte3 };
}

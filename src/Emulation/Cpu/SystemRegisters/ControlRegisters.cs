using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.FloatingPoint;
using Vmm.Emulation.Cpu.PointerAuthentication;

namespace Vmm.Emulation.Cpu.SystemRegisters;

/// <summary>Control, translation, exception, thread and PSTATE registers.</summary>
internal static unsafe class ControlRegisters
{
    public static void Add(AddRow row)
    {
        row(3, 0, 1, 0, 0, new("SCTLR_EL1", (_, s) => s->SctlrEl1, (core, s, v) =>
        {
            ulong writable = Sctlr.WritableOn(core.Model);
            ulong before = s->SctlrEl1;
            s->SctlrEl1 = (v & writable) | (Sctlr.Reset & ~writable);

            // Linux writes the register at each change between threads whose keys of pointer authentication are not enabled alike.
            if (((s->SctlrEl1 ^ before) & Sctlr.OfTranslation) != 0)
            {
                core.Mmu.Flush();
            }
        }));
        row(3, 0, 1, 0, 1, new("ACTLR_EL1", (_, s) => s->ActlrEl1, (_, _, _) => { }));
        row(3, 0, 1, 0, 2, new("CPACR_EL1", (_, s) => s->CpacrEl1, (core, s, v) =>
        {
            s->CpacrEl1 = v & ((3ul << 20) | (core.Has(Feature.Sve) ? 3ul << 16 : 0));
            core.UpdateFpEnabled();
        }));
        row(3, 0, 1, 2, 0, new("ZCR_EL1", (core, _) => core.Scalable!.Zcr, (core, s, v) =>
        {
            core.Scalable!.SetZcr(v);
            core.UpdateFpEnabled();
        })
            { Feature = Feature.Sve, Scalable = true });

        row(3, 0, 2, 0, 0, new("TTBR0_EL1", (_, s) => s->Ttbr0El1, (core, s, v) =>
        {
            s->Ttbr0El1 = v;
            core.Mmu.SwitchContext();
        }));
        row(3, 0, 2, 0, 1, new("TTBR1_EL1", (_, s) => s->Ttbr1El1, (core, s, v) =>
        {
            s->Ttbr1El1 = v;
            core.Mmu.SwitchContext();
        }));
        row(3, 0, 2, 0, 2, new("TCR_EL1", (_, s) => s->TcrEl1, (core, s, v) =>
        {
            s->TcrEl1 = v;
            PointerCode.UpdateMasks(core);
            core.Mmu.Flush();
        }));
        row(3, 0, 10, 2, 0, new("MAIR_EL1", (_, s) => s->MairEl1, WriteTranslation((s, v) => s->MairEl1 = v)));
        row(3, 0, 10, 3, 0, new("AMAIR_EL1", (_, s) => s->AmairEl1, (_, s, v) => s->AmairEl1 = v));
        row(3, 0, 7, 4, 0, new("PAR_EL1", (_, s) => s->ParEl1, (_, s, v) => s->ParEl1 = v));
        row(3, 0, 13, 0, 1, new("CONTEXTIDR_EL1", (_, s) => s->ContextidrEl1, (_, s, v) => s->ContextidrEl1 = (uint)v));

        AddKey(row, "IA", PointerKey.InstructionA);
        AddKey(row, "IB", PointerKey.InstructionB);
        AddKey(row, "DA", PointerKey.DataA);
        AddKey(row, "DB", PointerKey.DataB);
        AddKey(row, "GA", PointerKey.Generic);

        row(3, 0, 4, 0, 0, new("SPSR_EL1", (_, s) => s->SpsrEl1, (_, s, v) => s->SpsrEl1 = (uint)v));
        row(3, 0, 4, 0, 1, new("ELR_EL1", (_, s) => s->ElrEl1, (_, s, v) => s->ElrEl1 = v));
        row(3, 0, 4, 1, 0, new("SP_EL0", (_, s) => *StackPointerEl0(s), (_, s, v) => *StackPointerEl0(s) = v));
        row(3, 0, 5, 1, 0, new("AFSR0_EL1", (_, s) => s->Afsr0El1, (_, s, v) => s->Afsr0El1 = v));
        row(3, 0, 5, 1, 1, new("AFSR1_EL1", (_, s) => s->Afsr1El1, (_, s, v) => s->Afsr1El1 = v));
        row(3, 0, 5, 2, 0, new("ESR_EL1", (_, s) => s->EsrEl1, (_, s, v) => s->EsrEl1 = v));
        row(3, 0, 6, 0, 0, new("FAR_EL1", (_, s) => s->FarEl1, (_, s, v) => s->FarEl1 = v));
        row(3, 0, 12, 0, 0, new("VBAR_EL1", (_, s) => s->VbarEl1, (_, s, v) => s->VbarEl1 = v & ~0x7FFul));
        row(3, 0, 12, 0, 1, new("RVBAR_EL1", (_, _) => 0));
        row(3, 0, 12, 1, 0, new("ISR_EL1", (core, _) => InterruptStatus(core)));

        // Nothing raises an SError that ESB could defer.
        row(3, 0, 12, 1, 1, new("DISR_EL1", (_, s) => s->DisrEl1, (_, s, v) => s->DisrEl1 = v) { Part = IdentificationRegisters.RasOf });

        row(3, 0, 13, 0, 4, new("TPIDR_EL1", (_, s) => s->TpidrEl1, (_, s, v) => s->TpidrEl1 = v));
        row(3, 3, 13, 0, 2, new("TPIDR_EL0", (_, s) => s->TpidrEl0, (_, s, v) => s->TpidrEl0 = v) { El0Read = true, El0Write = true });
        row(3, 3, 13, 0, 3, new("TPIDRRO_EL0", (_, s) => s->TpidrroEl0, (_, s, v) => s->TpidrroEl0 = v) { El0Read = true });

        row(3, 0, 4, 2, 0, new("SPSel", (_, s) => s->Pstate & 1, (core, s, v) => core.SetPstate((s->Pstate & ~1u) | ((uint)v & 1))));
        row(3, 0, 4, 2, 2, new("CurrentEL", (_, s) => s->Pstate & 0xC));
        row(3, 0, 4, 2, 3, Field("PAN", Pstate.Pan, Feature.Pan));
        row(3, 0, 4, 2, 4, Field("UAO", Pstate.Uao, Feature.Uao));
        row(3, 3, 4, 2, 5, Field("DIT", Pstate.Dit, Feature.Dit) with { El0Read = true, El0Write = true });
        row(3, 3, 4, 2, 6, Field("SSBS", Pstate.Ssbs, Feature.Ssbs) with { El0Read = true, El0Write = true });
        row(3, 3, 4, 2, 0,
            new("NZCV", (_, s) => s->Nzcv, (_, s, v) => s->Nzcv = (uint)v & Pstate.NzcvMask) { El0Read = true, El0Write = true });
        row(3, 3, 4, 2, 1, new("DAIF", (_, s) => s->Pstate & Pstate.DaifMask, (core, s, v) =>
        {
            s->Pstate = (s->Pstate & ~Pstate.DaifMask) | ((uint)v & Pstate.DaifMask);
            core.Debug.Update();
            core.InterruptsMayBeUnmasked();
        })
        { El0Read = true, El0Write = true, TrapEl0 = (_, s, _) => (s->SctlrEl1 & Sctlr.Uma) == 0 });

        row(3, 3, 4, 4, 0, new("FPCR", (_, s) => s->Fpcr, (core, s, v) =>
            s->Fpcr = (uint)v & Fpcr.WritableOn(core.Model))
            { El0Read = true, El0Write = true, FpSimd = true });
        row(3, 3, 4, 4, 1, new("FPSR", (_, s) => s->Fpsr, (_, s, v) =>
            s->Fpsr = (uint)v & 0x0800_009F) { El0Read = true, El0Write = true, FpSimd = true });
    }

    // APIAKeyLo_EL1, APIAKeyHi_EL1 and their kin.
    private static void AddKey(AddRow row, string letters, PointerKey key)
    {
        for (int half = 0; half < 2; half++)
        {
            int word = (2 * (int)key) + half;
            string name = $"AP{letters}Key{(half == 0 ? "Lo" : "Hi")}_EL1";
            row(3, 0, 2, 1 + (word / 4), word % 4,
                new(name, (_, s) => s->PointerKeys[word], (_, s, v) => s->PointerKeys[word] = v) { Feature = Feature.Pauth });
        }
    }

    // A write after which cached translations no longer hold.
    private static WriteRegister WriteTranslation(Store store) => (core, s, v) =>
    {
        store(s, v);
        core.Mmu.Flush();
    };

    private delegate void Store(CpuState* s, ulong value);

    private static SystemRegister Field(string name, uint bit, Feature feature) =>
        new(name, (_, s) => s->Pstate & bit, (core, s, v) => core.SetPstate((s->Pstate & ~bit) | ((uint)v & bit))) { Feature = feature };

    // SP_EL0 while SP_EL1 is selected, otherwise the current stack pointer.
    private static ulong* StackPointerEl0(CpuState* s) => (s->Pstate & 1) != 0 ? &s->SpEl0 : &s->X[CpuState.Sp];

    private static ulong InterruptStatus(VcpuCore core)
    {
        int inputs = core.Interrupts.Inputs;
        return ((inputs & CpuInterruptWord.Irq) != 0 ? Pstate.I : 0) | ((inputs & CpuInterruptWord.Fiq) != 0 ? Pstate.F : 0);
    }
}

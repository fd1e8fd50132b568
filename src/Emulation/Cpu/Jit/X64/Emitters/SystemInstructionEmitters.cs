using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.SystemRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// The system registers, PSTATE fields, system operations and barriers that kernels use often. All others are left to the interpreter.
/// </summary>
internal static unsafe class SystemInstructionEmitters
{
    private const int ExceptionLevelMask = 0xC;
    private const int StackSelect = 1;

    // CNTKCTL_EL1.EL0VCTEN.
    private const int VirtualCounterEnable = 1 << 1;

    private const int ZeroBytes = 64;

    // A system register that is a field of the state and nothing else. Required: of these bits of PSTATE one must be set to read it, and to
    // write it. Written: the bytes that a write takes, 0 where a write does more than that.
    private readonly record struct PlainRegister(
        Operand Field, int Required, int RequiredToWrite, int Written, Feature Feature = Feature.None);

    // By the word of MRS with Xt = 0.
    private static readonly Dictionary<uint, PlainRegister> s_plain = new()
    {
        [0xD53B_D040] = Plain(&HostRegisters.Origin->TpidrEl0, 0),
        [0xD53B_D060] = new(HostRegisters.Field(&HostRegisters.Origin->TpidrroEl0), 0, ExceptionLevelMask, 8),
        [0xD538_D080] = Plain(&HostRegisters.Origin->TpidrEl1, ExceptionLevelMask),

        // SP_EL0 is in this field only while SP_EL1 is selected.
        [0xD538_4100] = Plain(&HostRegisters.Origin->SpEl0, StackSelect),
        [0xD538_4000] = Plain(&HostRegisters.Origin->SpsrEl1, ExceptionLevelMask, written: 4),
        [0xD538_4020] = Plain(&HostRegisters.Origin->ElrEl1, ExceptionLevelMask),
        [0xD538_5200] = Plain(&HostRegisters.Origin->EsrEl1, ExceptionLevelMask),
        [0xD538_6000] = Plain(&HostRegisters.Origin->FarEl1, ExceptionLevelMask),
        [0xD538_7400] = Plain(&HostRegisters.Origin->ParEl1, ExceptionLevelMask),
        [0xD538_1000] = Plain(&HostRegisters.Origin->SctlrEl1, ExceptionLevelMask, written: 0),
        [0xD538_1040] = Plain(&HostRegisters.Origin->CpacrEl1, ExceptionLevelMask, written: 0),
        [0xD538_2000] = Plain(&HostRegisters.Origin->Ttbr0El1, ExceptionLevelMask, written: 0),
        [0xD538_2020] = Plain(&HostRegisters.Origin->Ttbr1El1, ExceptionLevelMask, written: 0),
        [0xD538_2040] = Plain(&HostRegisters.Origin->TcrEl1, ExceptionLevelMask, written: 0),
        [0xD538_2100] = Plain(&HostRegisters.Origin->PointerKeys[0], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2120] = Plain(&HostRegisters.Origin->PointerKeys[1], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2140] = Plain(&HostRegisters.Origin->PointerKeys[2], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2160] = Plain(&HostRegisters.Origin->PointerKeys[3], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2200] = Plain(&HostRegisters.Origin->PointerKeys[4], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2220] = Plain(&HostRegisters.Origin->PointerKeys[5], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2240] = Plain(&HostRegisters.Origin->PointerKeys[6], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2260] = Plain(&HostRegisters.Origin->PointerKeys[7], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2300] = Plain(&HostRegisters.Origin->PointerKeys[8], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_2320] = Plain(&HostRegisters.Origin->PointerKeys[9], ExceptionLevelMask, feature: Feature.Pauth),
        [0xD538_C000] = Plain(&HostRegisters.Origin->VbarEl1, ExceptionLevelMask, written: 0),
    };

    private static PlainRegister Plain(ulong* field, int required, int written = 8, Feature feature = Feature.None) =>
        new(HostRegisters.Field(field), required, required, written, feature);

    public static bool ReadSystemRegister(BlockEmitter e, Op* op)
    {
        uint word = op->Word & ~31u;
        if (s_plain.TryGetValue(word, out PlainRegister plain))
        {
            return (plain.Feature & ~e.Features) == 0 && Transfer(e, op, plain.Field, plain.Required);
        }

        switch (word)
        {
            case 0xD53B_4220:
                Transfer(e, op, HostRegisters.Pstate, ExceptionLevelMask, wide: false, mask: (int)Pstate.DaifMask);
                return true;
            case 0xD53B_4200:
                return ReadFlags(e, op);
            case 0xD53B_00E0:
                return ReadConstant(e, op, IdentificationRegisters.DczidEl0);
            case 0xD53B_E040:
                return ReadCounter(e, op);
            case 0xD53B_E0C0:
                return (e.Features & Feature.Ecv) != 0 && ReadCounter(e, op);
            default:
                return false;
        }
    }

    public static bool WriteSystemRegister(BlockEmitter e, Op* op)
    {
        // MSR differs from MRS in bit 21.
        uint word = op->Word & ~31u;
        if (s_plain.TryGetValue(word | (1 << 21), out PlainRegister plain))
        {
            if (plain.Written == 0 || (plain.Feature & ~e.Features) != 0)
            {
                return false;
            }

            Require(e, op, plain.RequiredToWrite);
            e.Registers.Copy(Rax, op->Rn, wide: plain.Written == 8);
            e.Asm.Store(true, plain.Field, Rax);
            return true;
        }

        switch (word)
        {
            case 0xD51B_4200:
                return WriteFlags(e, op);
            case 0xD51B_4220:
                return WriteInterruptMasks(e, op);
            default:
                return false;
        }
    }

    // CNTVCT_EL0, CNTVCTSS_EL0. At EL0 they need CNTKCTL_EL1.EL0VCTEN.
    private static bool ReadCounter(BlockEmitter e, Op* op)
    {
        if (e.ReadCounter == null)
        {
            return false;
        }

        e.Flags.GiveUp();
        e.Asm.Load(false, Rcx, HostRegisters.Pstate);
        e.Asm.AluImmediate(Alu.And, false, Rcx, ExceptionLevelMask);
        e.Asm.Load(false, Rdx, HostRegisters.CntkctlEl1);
        e.Asm.AluImmediate(Alu.And, false, Rdx, VirtualCounterEnable);
        e.Asm.Alu(Alu.Or, false, Rcx, Rdx);
        e.Exits.LeaveIf(Condition.Equal, op);
        e.Vectors.Store();
        e.Vectors.Forget();
        e.Asm.Call(e.ReadCounter);
        e.Exits.LeaveIf(Condition.Equal, op);
        e.Registers.Out(op->Rd, Rax);
        return true;
    }

    // A register that is constant. Leaves at EL0.
    private static bool ReadConstant(BlockEmitter e, Op* op, ulong value)
    {
        Require(e, op, ExceptionLevelMask);
        Reg target = Target(op->Rd, Rax);
        e.Asm.LoadImmediate(target, value);
        e.Registers.Out(op->Rd, target);
        return true;
    }

    // ---- SYS and barriers ----

    public static bool SystemOperation(BlockEmitter e, Op* op)
    {
        switch (op->Word & ~31u)
        {
            case 0xD50B_7420:
                return ZeroBlock(e, op);
            case 0xD50B_7A20 or 0xD50B_7B20 or 0xD50B_7E20:
                // DC CVAC, CVAU, CIVAC: there is nothing to clean, but the address must be readable.
                Require(e, op, ExceptionLevelMask);
                e.Registers.Copy(Rax, op->Rn);
                e.Tlb.Probe(op, 1, write: false);
                return true;
            default:
                return false;
        }
    }

    // DC ZVA, in 19 host instructions for 64 bytes. At EL0 it needs SCTLR_EL1.DZE.
    private static bool ZeroBlock(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        e.Asm.Load(false, Rcx, HostRegisters.Pstate);
        e.Asm.AluImmediate(Alu.And, false, Rcx, ExceptionLevelMask);
        e.Asm.Load(false, Rdx, HostRegisters.Field(&HostRegisters.Origin->SctlrEl1));
        e.Asm.AluImmediate(Alu.And, false, Rdx, (int)Sctlr.Dze);
        e.Asm.Alu(Alu.Or, false, Rcx, Rdx);
        e.Exits.LeaveIf(Condition.Equal, op);
        e.Registers.Copy(Rax, op->Rn);
        e.Asm.AluImmediate(Alu.And, true, Rax, -ZeroBytes);
        Operand place = e.Tlb.Probe(op, 1, write: true);
        e.Tlb.LogStore(ZeroBytes);

        e.Asm.Packed(Packed.Xor, 0, 0);
        for (int offset = 0; offset < ZeroBytes; offset += 16)
        {
            e.Asm.StoreXmm(place with { Displacement = offset }, 0);
        }

        return true;
    }

    public static bool Nothing(BlockEmitter e, Op* op) => true;

    // DMB. The host itself orders loads with what follows them, and stores with each other (x86-TSO). All else takes a fence.
    public static bool Barrier(BlockEmitter e, Op* op)
    {
        int type = (int)(op->Word >> 8) & 3;
        if (type is not (1 or 2))
        {
            e.Flags.GiveUp();
            e.Asm.FullBarrier();
        }

        return true;
    }

    // DSB. Leaves where broadcast TLB maintenance is to be waited for, or attention is due.
    public static bool SynchronizationBarrier(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        e.Asm.FullBarrier();
        e.Asm.Load(false, Rax, HostRegisters.BroadcastOpen);
        e.Asm.Alu(Alu.Or, false, Rax, HostRegisters.Attention);
        e.Exits.LeaveIf(Condition.NotEqual, op);
        return true;
    }

    // ISB. Leaves where attention is due: whatever an ISB makes visible has set it.
    public static bool InstructionBarrier(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        e.Asm.AluImmediate(Alu.Cmp, false, HostRegisters.Attention, 0);
        e.Exits.LeaveIf(Condition.NotEqual, op);
        return true;
    }

    public static bool SetInterruptMasks(BlockEmitter e, Op* op)
    {
        int masks = (int)(op->Word >> 8) & 15;
        Require(e, op, ExceptionLevelMask);
        if ((masks & 8) != 0)
        {
            RequireNoDebug(e, op);
        }

        e.Asm.AluImmediate(Alu.Or, false, HostRegisters.Pstate, masks << 6);
        return true;
    }

    // MSR DIT: a bit of PSTATE that nothing depends on.
    public static bool SetDataIndependentTiming(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        bool set = ((op->Word >> 8) & 1) != 0;
        e.Asm.AluImmediate(set ? Alu.Or : Alu.And, false, HostRegisters.Pstate, (int)(set ? Pstate.Dit : ~Pstate.Dit));
        return true;
    }

    public static bool ClearInterruptMasks(BlockEmitter e, Op* op)
    {
        int masks = (int)(op->Word >> 8) & 15;
        Require(e, op, ExceptionLevelMask);
        if ((masks & 8) != 0)
        {
            RequireNoDebug(e, op);
        }

        RequireQuiet(e, op);
        e.Asm.AluImmediate(Alu.And, false, HostRegisters.Pstate, ~(masks << 6));
        return true;
    }

    private static bool WriteInterruptMasks(BlockEmitter e, Op* op)
    {
        Require(e, op, ExceptionLevelMask);
        RequireNoDebug(e, op);
        RequireQuiet(e, op);
        e.Registers.Copy(Rdx, op->Rn, wide: false);
        e.Asm.AluImmediate(Alu.And, false, Rdx, (int)Pstate.DaifMask);
        e.Asm.Load(false, Rcx, HostRegisters.Pstate);
        e.Asm.AluImmediate(Alu.And, false, Rcx, ~(int)Pstate.DaifMask);
        e.Asm.Alu(Alu.Or, false, Rcx, Rdx);
        e.Asm.Store(false, HostRegisters.Pstate, Rcx);
        return true;
    }

    // Leaves where an interrupt is pending that may be about to be unmasked, or attention is due. An interrupt that comes later sets
    // attention, masked or not.
    private static void RequireQuiet(BlockEmitter e, Op* op)
    {
        e.Asm.Load(false, Rax, HostRegisters.InterruptInputs);
        e.Asm.Alu(Alu.Or, false, Rax, HostRegisters.Attention);
        e.Exits.LeaveIf(Condition.NotEqual, op);
    }

    // Leaves where PSTATE.D may matter, since MDSCR_EL1 enables software step or breakpoints.
    private static void RequireNoDebug(BlockEmitter e, Op* op)
    {
        e.Asm.TestImmediate(false, HostRegisters.Field(&HostRegisters.Origin->MdscrEl1), (int)(Mdscr.Ss | Mdscr.Mde));
        e.Exits.LeaveIf(Condition.NotEqual, op);
    }

    private static bool ReadFlags(BlockEmitter e, Op* op)
    {
        FlagManipulationEmitters.Gather(e);
        e.Asm.ShiftImmediate(Shift.Shl, false, Rcx, Thunks.NzcvShift);
        e.Registers.Out(op->Rd, Rcx);
        return true;
    }

    private static bool WriteFlags(BlockEmitter e, Op* op)
    {
        e.Flags.GiveUp();
        e.Registers.Copy(Rcx, op->Rn, wide: false);
        e.Asm.ShiftImmediate(Shift.Shr, false, Rcx, Thunks.NzcvShift);
        FlagManipulationEmitters.Scatter(e);
        return true;
    }

    private static bool Transfer(BlockEmitter e, Op* op, Operand field, int required, bool wide = true, int mask = -1)
    {
        Require(e, op, required);
        Reg target = Target(op->Rd, Rax);
        e.Asm.Load(wide, target, field);
        if (mask != -1)
        {
            e.Asm.AluImmediate(Alu.And, wide, target, mask);
        }

        e.Registers.Out(op->Rd, target);
        return true;
    }

    // Leaves unless one of the bits of PSTATE is set.
    private static void Require(BlockEmitter e, Op* op, int bits)
    {
        if (bits != 0)
        {
            e.Flags.GiveUp();
            e.Asm.TestImmediate(false, HostRegisters.Pstate, bits);
            e.Exits.LeaveIf(Condition.Equal, op);
        }
    }
}

using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;
using Vmm.Emulation.Cpu.SystemRegisters;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// The system registers, PSTATE fields, system operations and barriers that kernels use at every turn; the others are the interpreter's.
/// </content>
internal sealed unsafe partial class Translator
{
    private const int ExceptionLevelMask = 0xC;
    private const int StackSelect = 1;

    private const int ZeroBytes = 64;

    // Registers that are a field of the state and nothing else, by MRS without Xt: what PSTATE must have to read and to write it, how much
    // a write takes; 0 for read-only ones.
    private readonly record struct PlainRegister(Operand Field, int Required, int RequiredToWrite, int Written);

    private static readonly Dictionary<uint, PlainRegister> s_plain = new()
    {
        [0xD53B_D040] = Plain(&HostRegisters.Origin->TpidrEl0, 0),
        [0xD53B_D060] = new(HostRegisters.Field(&HostRegisters.Origin->TpidrroEl0), 0, ExceptionLevelMask, 8),
        [0xD538_D080] = Plain(&HostRegisters.Origin->TpidrEl1, ExceptionLevelMask),

        // With SP_EL1 selected SP_EL0 has its own place.
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
        [0xD538_C000] = Plain(&HostRegisters.Origin->VbarEl1, ExceptionLevelMask, written: 0),
    };

    private static PlainRegister Plain(ulong* field, int required, int written = 8) =>
        new(HostRegisters.Field(field), required, required, written);

    private static bool ReadSystemRegister(Translator t, Op* op)
    {
        uint word = op->Word & ~31u;
        if (s_plain.TryGetValue(word, out PlainRegister plain))
        {
            return t.Transfer(op, plain.Field, plain.Required);
        }

        switch (word)
        {
            case 0xD53B_4220:
                t.Transfer(op, HostRegisters.Pstate, ExceptionLevelMask, wide: false, mask: (int)Pstate.DaifMask);
                return true;
            case 0xD53B_4200:
                return t.ReadFlags(op);
            case 0xD53B_0020:
                return t.ReadConstant(op, IdentificationRegisters.CtrEl0);
            case 0xD53B_00E0:
                return t.ReadConstant(op, IdentificationRegisters.DczidEl0);
            default:
                return false;
        }
    }

    private static bool WriteSystemRegister(Translator t, Op* op)
    {
        // MSR lacks the bit of MRS.
        uint word = op->Word & ~31u;
        if (s_plain.TryGetValue(word | (1 << 21), out PlainRegister plain))
        {
            if (plain.Written == 0)
            {
                return false;
            }

            t.Require(op, plain.RequiredToWrite);
            t.Copy(Rax, op->Rn, wide: plain.Written == 8);
            t._a.Store(true, plain.Field, Rax);
            return true;
        }

        switch (word)
        {
            case 0xD51B_4200:
                return t.WriteFlags(op);
            case 0xD51B_4220:
                return t.WriteInterruptMasks(op);
            default:
                return false;
        }
    }

    // A register that EL1 reads as a constant.
    private bool ReadConstant(Op* op, ulong value)
    {
        Require(op, ExceptionLevelMask);
        Reg target = Target(op->Rd, Rax);
        _a.LoadImmediate(target, value);
        Out(op->Rd, target);
        return true;
    }

    // ---- SYS and barriers ----

    private static bool SystemOperation(Translator t, Op* op)
    {
        switch (op->Word & ~31u)
        {
            case 0xD50B_7420:
                return t.ZeroBlock(op);
            case 0xD50B_7A20 or 0xD50B_7B20 or 0xD50B_7E20:
                // DC CVAC, CVAU, CIVAC: nothing to clean, where the address may be read.
                t.Require(op, ExceptionLevelMask);
                t.Copy(Rax, op->Rn);
                t.Probe(op, 1, write: false);
                return true;
            default:
                return false;
        }
    }

    // DC ZVA: 19 instructions for 64 bytes.
    private bool ZeroBlock(Op* op)
    {
        LoseHostFlags();
        _a.Load(false, Rcx, HostRegisters.Pstate);
        _a.AluImmediate(Alu.And, false, Rcx, ExceptionLevelMask);
        _a.Load(false, Rdx, HostRegisters.Field(&HostRegisters.Origin->SctlrEl1));
        _a.AluImmediate(Alu.And, false, Rdx, (int)Sctlr.Dze);
        _a.Alu(Alu.Or, false, Rcx, Rdx);
        LeaveIf(Condition.Equal, op);
        Copy(Rax, op->Rn);
        _a.AluImmediate(Alu.And, true, Rax, -ZeroBytes);
        Operand place = Probe(op, 1, write: true);
        if (lockstep)
        {
            LogStore(ZeroBytes);
        }

        _a.Packed(Packed.Xor, 0, 0);
        for (int offset = 0; offset < ZeroBytes; offset += 16)
        {
            _a.StoreXmm(place with { Displacement = offset }, 0);
        }

        return true;
    }

    private static bool Nothing(Translator t, Op* op) => true;

    // DMB: loads are ordered with what follows, and stores among each other, by the host itself (x86-TSO); all else takes a fence.
    private static bool Barrier(Translator t, Op* op)
    {
        int type = (int)(op->Word >> 8) & 3;
        if (type is not (1 or 2))
        {
            t.LoseHostFlags();
            t._a.FullBarrier();
        }

        return true;
    }

    // DSB: the interpreter waits for broadcast TLB maintenance, and does what others asked for.
    private static bool SynchronizationBarrier(Translator t, Op* op)
    {
        t.LoseHostFlags();
        t._a.FullBarrier();
        t._a.Load(false, Rax, HostRegisters.BroadcastOpen);
        t._a.Alu(Alu.Or, false, Rax, HostRegisters.Attention);
        t.LeaveIf(Condition.NotEqual, op);
        return true;
    }

    // ISB: whatever it is to make visible has set attention.
    private static bool InstructionBarrier(Translator t, Op* op)
    {
        t.LoseHostFlags();
        t._a.AluImmediate(Alu.Cmp, false, HostRegisters.Attention, 0);
        t.LeaveIf(Condition.NotEqual, op);
        return true;
    }

    private static bool SetInterruptMasks(Translator t, Op* op)
    {
        int masks = (int)(op->Word >> 8) & 15;
        t.Require(op, ExceptionLevelMask);
        if ((masks & 8) != 0)
        {
            t.RequireNoDebug(op);
        }

        t._a.AluImmediate(Alu.Or, false, HostRegisters.Pstate, masks << 6);
        return true;
    }

    private static bool ClearInterruptMasks(Translator t, Op* op)
    {
        int masks = (int)(op->Word >> 8) & 15;
        t.Require(op, ExceptionLevelMask);
        if ((masks & 8) != 0)
        {
            t.RequireNoDebug(op);
        }

        t.RequireQuiet(op);
        t._a.AluImmediate(Alu.And, false, HostRegisters.Pstate, ~(masks << 6));
        return true;
    }

    private bool WriteInterruptMasks(Op* op)
    {
        Require(op, ExceptionLevelMask);
        RequireNoDebug(op);
        RequireQuiet(op);
        Copy(Rdx, op->Rn, wide: false);
        _a.AluImmediate(Alu.And, false, Rdx, (int)Pstate.DaifMask);
        _a.Load(false, Rcx, HostRegisters.Pstate);
        _a.AluImmediate(Alu.And, false, Rcx, ~(int)Pstate.DaifMask);
        _a.Alu(Alu.Or, false, Rcx, Rdx);
        _a.Store(false, HostRegisters.Pstate, Rcx);
        return true;
    }

    // Leaves where an interrupt waits for being unmasked, or attention is due; what comes later sets attention, whether it is masked or
    // not.
    private void RequireQuiet(Op* op)
    {
        _a.Load(false, Rax, HostRegisters.InterruptInputs);
        _a.Alu(Alu.Or, false, Rax, HostRegisters.Attention);
        LeaveIf(Condition.NotEqual, op);
    }

    // Leaves where PSTATE.D may matter: MDSCR_EL1 enables software step or breakpoints.
    private void RequireNoDebug(Op* op)
    {
        _a.TestImmediate(false, HostRegisters.Field(&HostRegisters.Origin->MdscrEl1), (int)(Mdscr.Ss | Mdscr.Mde));
        LeaveIf(Condition.NotEqual, op);
    }

    private bool ReadFlags(Op* op)
    {
        SettleFlags(true);
        LoseHostFlags();
        _a.Load(false, Rcx, HostRegisters.HostFlags);
        _a.LoadImmediate(Rdx, Thunks.FlagBits);
        _a.GatherBits(Rcx, Rcx, Rdx);
        _a.ShiftImmediate(Shift.Shl, false, Rcx, Thunks.NzcvShift);
        Out(op->Rd, Rcx);
        return true;
    }

    private bool WriteFlags(Op* op)
    {
        LoseHostFlags();
        Copy(Rcx, op->Rn, wide: false);
        _a.ShiftImmediate(Shift.Shr, false, Rcx, Thunks.NzcvShift);
        _a.LoadImmediate(Rdx, Thunks.FlagBits);
        _a.ScatterBits(Rcx, Rcx, Rdx);
        _a.Store(false, HostRegisters.HostFlags, Rcx);
        ForgetHostFlags();
        return true;
    }

    private bool Transfer(Op* op, Operand field, int required, bool wide = true, int mask = -1)
    {
        Require(op, required);
        Reg target = Target(op->Rd, Rax);
        _a.Load(wide, target, field);
        if (mask != -1)
        {
            _a.AluImmediate(Alu.And, wide, target, mask);
        }

        Out(op->Rd, target);
        return true;
    }

    // Leaves unless PSTATE has some of the bits.
    private void Require(Op* op, int bits)
    {
        if (bits != 0)
        {
            LoseHostFlags();
            _a.TestImmediate(false, HostRegisters.Pstate, bits);
            LeaveIf(Condition.Equal, op);
        }
    }
}

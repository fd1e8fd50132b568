using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>The system registers and PSTATE fields that kernels use at every turn; the others are the interpreter's.</content>
internal sealed unsafe partial class Translator
{
    private const int ExceptionLevelMask = 0xC;
    private const int StackSelect = 1;

    private static readonly Operand s_tpidrEl0 = HostRegisters.Field(&HostRegisters.Origin->TpidrEl0);
    private static readonly Operand s_tpidrroEl0 = HostRegisters.Field(&HostRegisters.Origin->TpidrroEl0);
    private static readonly Operand s_tpidrEl1 = HostRegisters.Field(&HostRegisters.Origin->TpidrEl1);
    private static readonly Operand s_spEl0 = HostRegisters.Field(&HostRegisters.Origin->SpEl0);

    private static bool ReadSystemRegister(Translator t, Op* op)
    {
        switch (op->Word & ~31u)
        {
            case 0xD53B_D040:
                return t.Transfer(op, s_tpidrEl0, 0);
            case 0xD53B_D060:
                return t.Transfer(op, s_tpidrroEl0, 0);
            case 0xD538_D080:
                return t.Transfer(op, s_tpidrEl1, ExceptionLevelMask);
            case 0xD538_4100:
                // With SP_EL1 selected SP_EL0 has its own place.
                return t.Transfer(op, s_spEl0, StackSelect);
            case 0xD53B_4220:
                t.Transfer(op, HostRegisters.Pstate, ExceptionLevelMask, wide: false, mask: (int)Pstate.DaifMask);
                return true;
            case 0xD53B_4200:
                return t.ReadFlags(op);
            default:
                return false;
        }
    }

    private static bool WriteSystemRegister(Translator t, Op* op)
    {
        switch (op->Word & ~31u)
        {
            case 0xD51B_D040:
                return t.Write(op, s_tpidrEl0, 0);
            case 0xD518_D080:
                return t.Write(op, s_tpidrEl1, ExceptionLevelMask);
            case 0xD518_4100:
                return t.Write(op, s_spEl0, StackSelect);
            case 0xD51B_4200:
                return t.WriteFlags(op);
            case 0xD51B_4220:
                return t.WriteInterruptMasks(op);
            default:
                return false;
        }
    }

    private static bool SetInterruptMasks(Translator t, Op* op)
    {
        int masks = (int)(op->Word >> 8) & 15;
        if ((masks & 8) != 0)
        {
            // PSTATE.D concerns debug.
            return false;
        }

        t.Require(op, ExceptionLevelMask);
        t._a.AluImmediate(Alu.Or, false, HostRegisters.Pstate, masks << 6);
        return true;
    }

    private static bool ClearInterruptMasks(Translator t, Op* op)
    {
        int masks = (int)(op->Word >> 8) & 15;
        if ((masks & 8) != 0)
        {
            return false;
        }

        t.Require(op, ExceptionLevelMask);
        t.RequireQuiet(op);
        t._a.AluImmediate(Alu.And, false, HostRegisters.Pstate, ~(masks << 6));
        return true;
    }

    // MSR DAIF; leaves where PSTATE.D changes, which concerns debug.
    private bool WriteInterruptMasks(Op* op)
    {
        Require(op, ExceptionLevelMask);
        RequireQuiet(op);
        Copy(Rdx, op->Rn, wide: false);
        _a.AluImmediate(Alu.And, false, Rdx, (int)Pstate.DaifMask);
        _a.Load(false, Rcx, HostRegisters.Pstate);
        _a.Load(false, Rax, Rcx);
        _a.Alu(Alu.Xor, false, Rax, Rdx);
        _a.TestImmediate(false, Rax, (int)Pstate.D);
        LeaveIf(Condition.NotEqual, op);
        _a.AluImmediate(Alu.And, false, Rcx, ~(int)Pstate.DaifMask);
        _a.Alu(Alu.Or, false, Rcx, Rdx);
        _a.Store(false, HostRegisters.Pstate, Rcx);
        return true;
    }

    // Leaves where an interrupt waits for being unmasked, or attention is due; what comes later sets attention, whether it is masked or not.
    private void RequireQuiet(Op* op)
    {
        _a.Load(false, Rax, HostRegisters.InterruptInputs);
        _a.Alu(Alu.Or, false, Rax, HostRegisters.Attention);
        LeaveIf(Condition.NotEqual, op);
    }

    private bool ReadFlags(Op* op)
    {
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

    private bool Write(Op* op, Operand field, int required)
    {
        Require(op, required);
        _a.Store(true, field, In(op->Rn, Rax));
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

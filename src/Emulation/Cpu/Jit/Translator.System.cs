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

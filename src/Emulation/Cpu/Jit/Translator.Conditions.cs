using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>Conditional select and compare.</content>
internal sealed unsafe partial class Translator
{
    private static bool Select(Translator t, Op* op) => t.ConditionalSelect(op, increment: false, invert: false);

    private static bool SelectIncrement(Translator t, Op* op) => t.ConditionalSelect(op, increment: true, invert: false);

    private static bool SelectInvert(Translator t, Op* op) => t.ConditionalSelect(op, increment: false, invert: true);

    private static bool SelectNegate(Translator t, Op* op) => t.ConditionalSelect(op, increment: true, invert: true);

    private bool ConditionalSelect(Op* op, bool increment, bool invert)
    {
        bool wide = Wide(op);
        int condition = op->Shift;
        if (condition >= 14)
        {
            Copy(Rax, op->Rn, wide);
            Out(op->Rd, Rax);
            return true;
        }

        Condition host = NeedCondition(condition);
        Copy(Rcx, op->Rm, wide);
        if (invert)
        {
            _a.Not(wide, Rcx);
        }

        if (increment)
        {
            _a.Lea(wide, Rcx, Operand.At(Rcx, 1));
        }

        _a.ConditionalMove(host, wide, Rcx, Place(op->Rn));
        Out(op->Rd, Rcx);
        return true;
    }

    private static bool CompareRegister(Translator t, Op* op) => t.ConditionalCompare(op, immediate: false);

    private static bool CompareImmediate(Translator t, Op* op) => t.ConditionalCompare(op, immediate: true);

    // CCMP, CCMN: either the comparison or NZCV as given; both ways leave the flags in EFLAGS in the same sense.
    private bool ConditionalCompare(Op* op, bool immediate)
    {
        bool wide = Wide(op);
        bool subtract = ((op->Word >> 30) & 1) != 0;
        byte* otherwise = null;
        if (op->Shift < 14)
        {
            otherwise = _a.JumpShort(Opposite(NeedCondition(op->Shift)));
        }

        if (subtract && immediate)
        {
            _a.AluImmediate(Alu.Cmp, wide, Place(op->Rn), (int)op->Imm);
        }
        else
        {
            Copy(Rcx, op->Rn, wide);
            if (immediate)
            {
                _a.AluImmediate(Alu.Add, wide, Rcx, (int)op->Imm);
            }
            else
            {
                _a.Alu(subtract ? Alu.Cmp : Alu.Add, wide, Rcx, Place(op->Rm));
            }
        }

        if (otherwise != null)
        {
            byte* done = _a.JumpShort();
            _a.BindShort(otherwise);
            SetFlags(op->Extra, subtract);
            _a.BindShort(done);
        }

        FlagsSet(subtract);
        return true;
    }

    // EFLAGS for NZCV as given. Uses RAX.
    private void SetFlags(int nzcv, bool subtract)
    {
        bool carry = (nzcv & 2) != 0;
        int ah = ((nzcv & 8) << 4) | ((nzcv & 4) << 4) | (carry != subtract ? 1 : 0);
        _a.LoadImmediate(Rax, (ulong)((ah << 8) | (nzcv & 1)));
        _a.AddToAl(127);
        _a.FlagsFromAh();
    }
}

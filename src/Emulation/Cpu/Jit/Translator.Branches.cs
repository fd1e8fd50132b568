using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>Branches. Inside a page they are jumps; to other pages, and indirect, they go through the jump cache.</content>
internal sealed unsafe partial class Translator
{
    private static bool Branch(Translator t, Op* op)
    {
        t.Taken(op, null);
        return true;
    }

    private static bool BranchLink(Translator t, Op* op)
    {
        t.SettleFlags(t._plan.AreFlagsWanted(t._index));
        t.Link(op);
        t.Taken(op, null);
        return true;
    }

    private static bool BranchRegister(Translator t, Op* op) => t.Indirect(op, link: false);

    private static bool BranchLinkRegister(Translator t, Op* op) => t.Indirect(op, link: true);

    private bool Indirect(Op* op, bool link)
    {
        SettleFlags(_plan.AreFlagsWanted(_index));
        _vectors.Store(ref _a);
        if (link)
        {
            // The target may be X30 itself.
            Copy(Rdx, op->Rn);
            Link(op);
            _a.Load(true, Rax, Rdx);
        }
        else
        {
            Copy(Rax, op->Rn);
        }

        Charge(_uncounted + 1);
        _a.Jump(Condition.LessOrEqual, cache.Thunks.LeaveForLookup);
        LookUp();
        return true;
    }

    // X30 = the address behind the instruction. Uses RAX.
    private void Link(Op* op)
    {
        _a.Load(true, Rax, HostRegisters.CodePageVa);
        _a.Lea(true, HostRegisters.Pin(30), Operand.At(Rax, op->Offset + 4));
        _pageInRaxAt = _a.Position;
    }

    private static bool BranchConditional(Translator t, Op* op)
    {
        int condition = op->Shift;
        if (condition >= 14)
        {
            t.Taken(op, null);
            return true;
        }

        t.Taken(op, t._a.JumpForward(Opposite(t.NeedCondition(condition))));
        return true;
    }

    private static bool CompareAndBranchZero(Translator t, Op* op) => t.CompareAndBranch(op, Condition.Equal);

    private static bool CompareAndBranchNotZero(Translator t, Op* op) => t.CompareAndBranch(op, Condition.NotEqual);

    private bool CompareAndBranch(Op* op, Condition taken)
    {
        LoseHostFlags();
        Operand place = Place(op->Rd);
        if (place.IsMemory)
        {
            _a.AluImmediate(Alu.Cmp, Wide(op), place, 0);
        }
        else
        {
            _a.Test(Wide(op), place, place.Base);
        }

        Taken(op, _a.JumpForward(Opposite(taken)));
        return true;
    }

    private static bool TestAndBranchZero(Translator t, Op* op) => t.TestAndBranch(op, Condition.Equal, Condition.AboveOrEqual);

    private static bool TestAndBranchNotZero(Translator t, Op* op) => t.TestAndBranch(op, Condition.NotEqual, Condition.Below);

    private bool TestAndBranch(Op* op, Condition taken, Condition takenByCarry)
    {
        LoseHostFlags();
        if (op->Shift < 31)
        {
            _a.TestImmediate(false, Place(op->Rd), 1 << op->Shift);
        }
        else
        {
            _a.BitTest(op->Shift >= 32, Place(op->Rd), op->Shift);
            taken = takenByCarry;
        }

        Taken(op, _a.JumpForward(Opposite(taken)));
        return true;
    }

    // The way of a taken branch; the jump whose displacement is given goes around it. Flags are settled on this way alone.
    private void Taken(Op* op, byte* around)
    {
        (bool inHost, bool inMemory, bool borrow) = (_flagsInHost, _flagsInMemory, _borrow);
        SettleFlags(WantedByTarget(op));
        _uncounted++;
        GoTo(op->Offset + (long)op->Imm);
        _uncounted--;
        if (around != null)
        {
            _a.Bind(around);
            (_flagsInHost, _flagsInMemory, _borrow) = (inHost, inMemory, borrow);
        }
    }

    private bool WantedByTarget(Op* op) => BlockPlan.TargetWord(op) is var word && (word < 0 || _plan.FlagsWantedAtWord(word));
}

using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers;
using Vmm.Emulation.Cpu.Jit.Plan;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>Branches. Inside a page they are jumps; to other pages, and to a register, they go through the jump cache.</summary>
internal static unsafe class BranchEmitters
{
    // Tells RET from BR.
    private const uint ReturnBit = 1u << 22;

    public static bool Branch(BlockEmitter e, Op* op)
    {
        Count(e);
        Taken(e, op, null);
        return true;
    }

    public static bool BranchLink(BlockEmitter e, Op* op)
    {
        Count(e);
        e.Flags.Settle();
        Link(e, op);
        Taken(e, op, null);
        return true;
    }

    public static bool BranchRegister(BlockEmitter e, Op* op) => Indirect(e, op, link: false);

    public static bool BranchLinkRegister(BlockEmitter e, Op* op) => Indirect(e, op, link: true);

    private static bool Indirect(BlockEmitter e, Op* op, bool link)
    {
        e.Flags.Settle();
        int type = 0;
        if ((e.Features & Feature.Bti) != 0)
        {
            // A misaligned target is the interpreter's: the low bits of an address tell the jump cache the type of a branch.
            e.Flags.GiveUp();
            e.Asm.TestImmediate(false, Place(op->Rn), 3);
            e.Exits.LeaveIf(Condition.NotEqual, op);
            type = link ? GuardedBranches.Call : (op->Word & ReturnBit) != 0 ? 0 : GuardedBranches.TypeOfJump(op->Rn);
        }

        Count(e);
        e.Vectors.Store();
        if (link)
        {
            // The target may be in X30, which is written next.
            e.Registers.Copy(Rdx, op->Rn);
            Link(e, op);
            e.Asm.Load(true, Rax, Rdx);
        }
        else
        {
            e.Registers.Copy(Rax, op->Rn);
        }

        if (type != 0)
        {
            e.Asm.AluImmediate(Alu.Or, true, Rax, type);
        }

        e.Exits.GoToRax(e.Exits.Uncharged + 1);
        return true;
    }

    // Adds one to the branches that were executed, where somebody asks for them. The flags of the host may be the guest's, and LEA leaves
    // them as they are. Uses RAX.
    private static void Count(BlockEmitter e)
    {
        if (e.Plan.CountsBranches)
        {
            e.Asm.Load(true, Rax, HostRegisters.Branches);
            e.Asm.Lea(true, Rax, Operand.At(Rax, 1));
            e.Asm.Store(true, HostRegisters.Branches, Rax);
        }
    }

    // X30 = the address behind the instruction. Uses RAX.
    private static void Link(BlockEmitter e, Op* op)
    {
        e.Asm.Load(true, Rax, HostRegisters.CodePageVa);
        e.Asm.Lea(true, HostRegisters.Pin(30), Operand.At(Rax, op->Offset + 4));
        e.Exits.NotePageInRax();
    }

    public static bool BranchConditional(BlockEmitter e, Op* op)
    {
        Count(e);
        int condition = op->Shift;
        if (condition >= 14)
        {
            Taken(e, op, null);
            return true;
        }

        Taken(e, op, e.Asm.JumpForward(FlagCache.Opposite(e.Flags.Need(condition))));
        return true;
    }

    public static bool CompareAndBranchZero(BlockEmitter e, Op* op) => CompareAndBranch(e, op, Condition.Equal);

    public static bool CompareAndBranchNotZero(BlockEmitter e, Op* op) => CompareAndBranch(e, op, Condition.NotEqual);

    private static bool CompareAndBranch(BlockEmitter e, Op* op, Condition taken)
    {
        Count(e);
        e.Flags.GiveUp();
        Operand place = Place(op->Rd);
        if (place.IsMemory)
        {
            e.Asm.AluImmediate(Alu.Cmp, IsWide(op), place, 0);
        }
        else
        {
            e.Asm.Test(IsWide(op), place, place.Base);
        }

        Taken(e, op, e.Asm.JumpForward(FlagCache.Opposite(taken)));
        return true;
    }

    public static bool TestAndBranchZero(BlockEmitter e, Op* op) => TestAndBranch(e, op, Condition.Equal, Condition.AboveOrEqual);

    public static bool TestAndBranchNotZero(BlockEmitter e, Op* op) => TestAndBranch(e, op, Condition.NotEqual, Condition.Below);

    private static bool TestAndBranch(BlockEmitter e, Op* op, Condition taken, Condition takenByCarry)
    {
        Count(e);
        e.Flags.GiveUp();
        if (op->Shift < 31)
        {
            e.Asm.TestImmediate(false, Place(op->Rd), 1 << op->Shift);
        }
        else
        {
            e.Asm.BitTest(op->Shift >= 32, Place(op->Rd), op->Shift);
            taken = takenByCarry;
        }

        Taken(e, op, e.Asm.JumpForward(FlagCache.Opposite(taken)));
        return true;
    }

    // The way of a taken branch. The jump whose displacement is given goes around it. Flags are settled on this way alone.
    private static void Taken(BlockEmitter e, Op* op, byte* around)
    {
        FlagPlace place = e.Flags.Save();
        e.Flags.Settle(WantedByTarget(e, op));
        e.Exits.GoTo(op->Offset + (long)op->Imm, e.Exits.Uncharged + 1);
        if (around != null)
        {
            e.Asm.Bind(around);
            e.Flags.Restore(place);
        }
    }

    private static bool WantedByTarget(BlockEmitter e, Op* op) =>
        BlockPlan.TargetWord(op) is var word && (word < 0 || e.Plan.FlagsWantedAtWord(word));
}

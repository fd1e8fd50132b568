using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>
/// BR and BLR on CPUs with FEAT_BTI (Arm ARM D8.4.4.4, C6.2). They leave their type in PSTATE.BTYPE, which is looked at before the
/// instruction that they go to: in a guarded page that must be one that accepts the type.
/// </summary>
internal static unsafe class GuardedBranches
{
    /// <summary>PSTATE.BTYPE of BR by X16 or X17, or from a page that is not guarded.</summary>
    public const int Jump = 1;

    /// <summary>PSTATE.BTYPE of BLR.</summary>
    public const int Call = 2;

    /// <summary>PSTATE.BTYPE of all other BR.</summary>
    public const int GuardedJump = 3;

    private const uint BtiMask = 0xFFFF_FF3F;
    private const uint Bti = 0xD503_241F;
    private const uint SignMask = 0xFFFF_FFBF;
    private const uint SignWithStack = 0xD503_233F;
    private const uint BreakMask = 0xFFE0_001F;
    private const uint Brk = 0xD420_0000;
    private const uint Hlt = 0xD440_0000;

    public static Op* Br(VcpuCore core, CpuState* s, Op* op)
    {
        SetType(core, s, TypeOfJump(op->Rn));
        return Flow.TakenTo(core, s, op, s->X[op->Rn]);
    }

    public static Op* Blr(VcpuCore core, CpuState* s, Op* op)
    {
        ulong target = s->X[op->Rn];
        s->X[30] = s->CodePageVa + op->Offset + 4;
        SetType(core, s, Call);
        return Flow.TakenTo(core, s, op, target);
    }

    /// <summary>The type of BR by a register, if it stands in a guarded page.</summary>
    public static int TypeOfJump(int register) => register is 16 or 17 ? Jump : GuardedJump;

    /// <summary>Sets PSTATE.BTYPE; of a branch from a page that is not guarded, <see cref="GuardedJump"/> is <see cref="Jump"/>.</summary>
    public static void SetType(VcpuCore core, CpuState* s, int type)
    {
        if (type == GuardedJump && !core.Mmu.IsGuarded(s->CodePageVa))
        {
            type = Jump;
        }

        s->Pstate |= (uint)type << Pstate.BtypeShift;
    }

    /// <summary>
    /// Checks the target of a branch that has left its type: takes the exception of one that does not accept it, or that is BRK, and clears
    /// the type otherwise. False when the page is not known yet.
    /// </summary>
    public static bool TryFinish(VcpuCore core, CodeCache code, ulong pc)
    {
        CpuState* s = core.State;
        ref TlbContext.InstructionEntry entry = ref core.Mmu.Context.Instruction(Pstate.ExceptionLevel(s->Pstate), pc);
        if (entry.Tag != (pc & ~(ulong)(GuestMemory.PageSize - 1)) || entry.Page is not { Stale: false } page)
        {
            return false;
        }

        uint type = (s->Pstate & Pstate.Btype) >> Pstate.BtypeShift;
        uint word = code.WordAt(page, pc);
        if (entry.Guarded && !Accepts(s, word, (int)type))
        {
            core.SpendWithout();
            core.EnterException(VcpuCore.SynchronousVector, pc, ExceptionClass.BranchTarget, type);
        }
        else if ((word & BreakMask) == Brk)
        {
            // Its exception saves the type, as those of no other instruction need to (Arm ARM J1.3, AArch64.TakeException).
            core.SpendWithout();
            core.EnterException(VcpuCore.SynchronousVector, pc, ExceptionClass.Brk64, Operands.Bits(word, 5, 16));
        }
        else
        {
            s->Pstate &= ~Pstate.Btype;
        }

        return true;
    }

    /// <summary>
    /// Whether an instruction of a guarded page accepts branches of a type. SCTLR_EL1.BT0 and BT1 say whether PACIASP and PACIBSP accept
    /// <see cref="GuardedJump"/>, for EL0 and EL1.
    /// </summary>
    public static bool Accepts(CpuState* s, uint word, int type)
    {
        if ((word & BtiMask) == Bti)
        {
            // BTI, BTI c, BTI j, BTI jc.
            return ((word >> 6) & 3) switch { 0 => false, 1 => type != GuardedJump, 2 => type != Call, _ => true };
        }

        if ((word & SignMask) == SignWithStack)
        {
            ulong strict = Pstate.ExceptionLevel(s->Pstate) == 0 ? Sctlr.Bt0 : Sctlr.Bt1;
            return type != GuardedJump || (s->SctlrEl1 & strict) == 0;
        }

        return (word & BreakMask) is Brk or Hlt;
    }
}

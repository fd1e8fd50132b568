using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu;

/// <content>Moving between pages of code, and the work that waits there.</content>
public sealed unsafe partial class VcpuCore
{
    private const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);

    /// <summary>False when the run loop was left only to go on one instruction at a time.</summary>
    internal bool Leaving { get; set; }

    /// <summary>The page that executes; holds it alive while its ops are.</summary>
    internal CodePage? Page { get; set; }

    // With a translator pages have no ops, so the vCPU has two of its own. One is the place where execution goes on, and is decoded only if
    // it is executed from here. The other is the instruction for which translated code left. Behind each is room for a next op, whose
    // address is compared and which is never read.
    private const int OwnOps = 4;
    private Op* _ownOps = (Op*)NativeMemory.AllocZeroed(OwnOps, (nuint)sizeof(Op));

    /// <summary>The place where execution goes on.</summary>
    internal Op* EntryOp => _ownOps;

    /// <summary>The op for which translated code left: a handler executes it.</summary>
    internal Op* LeftOp => _ownOps + 2;

    /// <summary>With a translator: what is executed before it is translated.</summary>
    internal ColdOps ColdOps { get; } = new();

    /// <summary>
    /// The op at a virtual address, after pending work; null to leave the run loop. Takes the exception if the fetch faults.
    /// </summary>
    internal Op* EnterAt(ulong pc)
    {
        CpuState* s = _state;
        while (true)
        {
            if (s->Attention != 0)
            {
                s->Pc = WithoutTag(pc);
                if (!ServiceAttention())
                {
                    return null;
                }

                pc = s->Pc;
            }

            if (s->Remaining <= 0)
            {
                return Leave(WithoutTag(pc), VcpuExit.BudgetSpent);
            }

            ref TlbContext.InstructionEntry entry = ref Mmu.Context.Instruction(Pstate.ExceptionLevel(s->Pstate), pc);
            if (entry.Tag == (pc & PageMask) && entry.Page is { Stale: false } page && (pc & 3) == 0
                && (s->Pstate & (Pstate.Il | Pstate.Btype)) == 0)
            {
                Page = page;
                s->CodePageVa = pc & PageMask;
                s->RunStart = page.First != null ? page.First + ((pc & ~PageMask) >> 2) : OwnOp((int)(pc & ~PageMask));
                return s->RunStart;
            }

            s->Pc = pc;
            PrepareEntry(pc);
            pc = s->Pc;
        }
    }

    /// <summary>An op of the vCPU's own at an offset of the page, undecoded: mostly only a place, of which code is looked up.</summary>
    internal Op* OwnOp(int offset)
    {
        Op* op = EntryOp;
        *op = new Op { Handler = &Flow.Undecoded, Offset = (ushort)offset };
        return op;
    }

    // Does the work between a PC and its page: a tag in the top byte, a pending exception, a page that is not translated yet.
    private void PrepareEntry(ulong pc)
    {
        CpuState* s = _state;
        ulong canonical = WithoutTag(pc);
        if (canonical != pc)
        {
            s->Pc = canonical;
        }
        else if ((pc & 3) != 0)
        {
            SpendWithout();
            s->FarEl1 = pc;
            EnterException(SynchronousVector, pc, ExceptionClass.PcAlignment, 0);
        }
        else if ((s->Pstate & Pstate.Btype) == 0 || (s->Pstate & Pstate.Il) != 0 || !GuardedBranches.TryFinish(this, _code, pc))
        {
            if (!Mmu.FillInstruction(pc, out int status))
            {
                TakeInstructionAbort(pc, status);

                SpendWithout();
            }
            else if ((s->Pstate & Pstate.Il) != 0 && !Interrupts.AwaitsPage)
            {
                SpendWithout();
                EnterException(SynchronousVector, pc, ExceptionClass.IllegalState, 0);
            }
        }
    }

    // Takes an instruction that cannot be executed off the budget: a vector that faults in turn spends it.
    internal void SpendWithout()
    {
        _state->Remaining--;
        _notExecuted++;
    }

    /// <summary>AArch64.BranchAddr: with TCR_EL1.TBIx, the top byte of a branch target is replaced by copies of bit 55.</summary>
    internal ulong WithoutTag(ulong pc)
    {
        bool upper = ((pc >> 55) & 1) != 0;
        return ((_state->TcrEl1 >> (upper ? 38 : 37)) & 1) == 0 ? pc : (ulong)((long)(pc << 8) >> 8);
    }

    /// <summary>Leaves the run loop; execution goes on at <paramref name="pc"/>.</summary>
    internal Op* Leave(ulong pc, VcpuExit reason)
    {
        _state->Pc = pc;
        ExitReason = reason;
        return null;
    }

    /// <summary>Leaves the run loop after an instruction has been executed.</summary>
    internal Op* LeaveAfter(Op* op, VcpuExit reason)
    {
        _state->Remaining -= op - _state->RunStart + 1;
        return Leave(PcOf(op) + 4, reason);
    }

    internal void DecodeCurrent(Op* op) => _code.Decode(Page!, op);

    // Does what the attention bits ask; Pc is where execution goes on. False to leave the run loop.
    private bool ServiceAttention()
    {
        if (ExecutingOne)
        {
            Leaving = false;
            return false;
        }

        AttentionBits bits = Interrupts.Take(
            AttentionBits.Exit | AttentionBits.PageMissing | AttentionBits.TlbMaintenance | AttentionBits.CodeChange
                | AttentionBits.Interrupts);
        if ((bits & AttentionBits.TlbMaintenance) != 0)
        {
            Mmu.ServiceRequests();
        }

        if ((bits & (AttentionBits.Exit | AttentionBits.PageMissing)) != 0)
        {
            // The interrupt is looked at again when the loop is next entered.
            Interrupts.Note(bits & AttentionBits.Interrupts);
            ExitReason = (bits & AttentionBits.Exit) != 0 ? VcpuExit.Requested : VcpuExit.PageMissing;
            return false;
        }

        if ((bits & AttentionBits.Interrupts) != 0)
        {
            TakeInterrupt();
        }

        if (!_fetchingOne && (_state->Attention & (int)AttentionBits.Debug) != 0)
        {
            Leaving = false;
            return false;
        }

        return true;
    }
}

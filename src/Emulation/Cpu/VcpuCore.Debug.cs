using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Cpu.SystemRegisters;

namespace Vmm.Emulation.Cpu;

/// <content>
/// Self-hosted debug (Arm ARM D2): software step, breakpoints and watchpoints. While step or a breakpoint can fire,
/// <see cref="AttentionBits.Debug"/> stays set and <see cref="Run"/> executes one instruction at a time; pages with watchpoints
/// are kept out of the TLB. Otherwise none of it costs anything.
/// </content>
public sealed unsafe partial class VcpuCore
{
    private const uint DebugEventIsv = 1u << 24;
    private const uint DebugEventExclusive = 1u << 6;

    // True while one instruction executes under debug: what comes after it is not looked at yet.
    private bool _executingOne;

    // True while that instruction is fetched: interrupts are taken, debug does not turn the fetch away.
    private bool _fetchingOne;

    // Counts exception entries and returns: each replaces PSTATE, with a PSTATE.SS of its own.
    private long _pstateReplacements;

    // Of the instruction stepped last, for ESR: that there was one, and that it was a load-exclusive.
    private uint _stepSyndrome;

    // Whether any watchpoint is enabled.
    private bool _watching;

    /// <summary>Whether debug exceptions are enabled at an exception level with PSTATE.D as in <paramref name="pstate"/> (Arm ARM D2.4).</summary>
    private bool DebugEnabled(uint pstate)
    {
        CpuState* s = _state;
        return s->OsLock == 0
            && (Pstate.ExceptionLevel(pstate) == 0 || ((s->MdscrEl1 & Mdscr.Kde) != 0 && (pstate & Pstate.D) == 0));
    }

    /// <summary>PSTATE.SS after an exception return: set only by a return from where stepping is disabled to where it is enabled.</summary>
    private uint StepAfterReturn(uint spsr) =>
        (_state->MdscrEl1 & Mdscr.Ss) != 0 && !DebugEnabled(_state->Pstate) && DebugEnabled(spsr) ? spsr & Pstate.Ss : 0;

    /// <summary>Chooses between full speed and one instruction at a time. After every change of PSTATE.D, the EL, or a debug register.</summary>
    internal void UpdateDebug()
    {
        CpuState* s = _state;
        bool active = _tracingInstructions || ((s->MdscrEl1 & (Mdscr.Ss | Mdscr.Mde)) != 0 && DebugEnabled(s->Pstate)
            && ((s->MdscrEl1 & Mdscr.Ss) != 0 || AnyEnabled(s->Dbgbcr, CpuState.Breakpoints)));
        if (active)
        {
            Interrupts.Note(AttentionBits.Debug);
        }
        else if ((s->Attention & (int)AttentionBits.Debug) != 0)
        {
            Interrupts.Take(AttentionBits.Debug);
        }
    }

    /// <summary>After a write of a watchpoint register or of what enables watchpoints.</summary>
    internal void UpdateWatchpoints()
    {
        CpuState* s = _state;
        bool watching = (s->MdscrEl1 & Mdscr.Mde) != 0 && s->OsLock == 0 && AnyEnabled(s->Dbgwcr, CpuState.Watchpoints);
        if (watching || _watching)
        {
            _watching = watching;
            FlushTlb();
        }
    }

    private static bool AnyEnabled(ulong* controls, int count)
    {
        ulong any = 0;
        for (int i = 0; i < count; i++)
        {
            any |= controls[i];
        }

        return (any & 1) != 0;
    }

    // Executes the instruction at Pc, unless a debug exception comes first. _leaving tells whether to leave the run loop.
    private void ExecuteOne()
    {
        CpuState* s = _state;
        bool stepping = (s->MdscrEl1 & Mdscr.Ss) != 0 && DebugEnabled(s->Pstate);
        if (stepping && (s->Pstate & Pstate.Ss) == 0 && s->Remaining > 0)
        {
            TakeDebugException(s->Pc, SameLevel() ? ExceptionClass.SoftwareStep : ExceptionClass.SoftwareStepLower, _stepSyndrome);
            _leaving = false;
            return;
        }

        long replacements = _pstateReplacements;
        _leaving = true;
        _fetchingOne = true;
        Op* op = EnterAt(s->Pc);
        _fetchingOne = false;
        if (op == null)
        {
            return;
        }

        ulong pc = PcOf(op);
        s->Pc = pc;
        if (replacements != _pstateReplacements)
        {
            // An interrupt, or a fetch that faulted.
            _leaving = false;
            return;
        }

        if (BreakpointMatches(pc))
        {
            TakeDebugException(pc, SameLevel() ? ExceptionClass.Breakpoint : ExceptionClass.BreakpointLower, 0);
            _leaving = false;
            return;
        }

        if (_tracingInstructions)
        {
            TraceInstruction(op);
        }

        _executingOne = true;
        Op* next = op->Handler(this, s, op);
        _executingOne = false;
        if (next == op + 1 && s->RunStart == op)
        {
            s->Remaining--;
            s->Pc = pc + 4;
        }
        else if (next != null)
        {
            s->Pc = PcOf(next);
        }

        if (next != null)
        {
            _leaving = false;
        }

        if (replacements == _pstateReplacements)
        {
            s->Pstate &= ~Pstate.Ss;
            _stepSyndrome = DebugEventIsv | ((op->Word & 0x3FC0_0000) is 0x0840_0000 ? DebugEventExclusive : 0);
        }
    }

    private void TakeDebugException(ulong pc, uint exceptionClass, uint syndrome)
    {
        _state->Remaining--;
        EnterException(SynchronousVector, pc, exceptionClass, syndrome | FaultStatus.Debug);
    }

    private bool BreakpointMatches(ulong pc)
    {
        CpuState* s = _state;
        if ((s->MdscrEl1 & Mdscr.Mde) == 0 || !DebugEnabled(s->Pstate))
        {
            return false;
        }

        int level = Pstate.ExceptionLevel(s->Pstate);
        for (int i = 0; i < CpuState.Breakpoints; i++)
        {
            ulong control = s->Dbgbcr[i];
            if ((control & 1) == 0 || !StateMatches(control, level))
            {
                continue;
            }

            int type = (int)(control >> 20) & 0xF;
            bool matches = type switch
            {
                0 => AddressMatches(s->Dbgbvr[i], pc),
                1 => AddressMatches(s->Dbgbvr[i], pc) && LinkedContextMatches(control),
                2 => ContextMatches(i),
                _ => false,
            };
            if (matches)
            {
                return true;
            }
        }

        return false;
    }

    private static bool AddressMatches(ulong value, ulong pc) => ((value ^ pc) & 0x00FF_FFFF_FFFF_FFFC) == 0;

    // Only the last breakpoints compare contexts.
    private bool ContextMatches(int breakpoint) =>
        breakpoint >= CpuState.Breakpoints - CpuState.ContextBreakpoints && (uint)_state->Dbgbvr[breakpoint] == (uint)_state->ContextidrEl1;

    // LBN names a breakpoint that must be enabled and of type "linked context ID match".
    private bool LinkedContextMatches(ulong control)
    {
        int linked = (int)(control >> 16) & 0xF;
        return linked < CpuState.Breakpoints && (_state->Dbgbcr[linked] & 1) != 0
            && ((_state->Dbgbcr[linked] >> 20) & 0xF) == 3 && ContextMatches(linked);
    }

    // PMC or PAC bit 0 is EL1, bit 1 EL0; HMC and the secure values of SSC are reserved without EL2 and EL3.
    private static bool StateMatches(ulong control, int level) =>
        (control & (1 << 13)) == 0 && ((control >> 14) & 3) < 2 && ((control >> (level == 0 ? 2 : 1)) & 1) != 0;

    // Whether part of the page is watched, whoever accesses it: such a page never enters the TLB.
    private bool IsPageWatched(ulong va)
    {
        for (int i = 0; i < CpuState.Watchpoints; i++)
        {
            ulong pages = (ulong.MaxValue << Math.Max(12, (int)(_state->Dbgwcr[i] >> 24) & 0x1F)) & 0x00FF_FFFF_FFFF_FFFF;
            if ((_state->Dbgwcr[i] & 1) != 0 && ((_state->Dbgwvr[i] ^ va) & pages) == 0)
            {
                return true;
            }
        }

        return false;
    }

    // Takes the watchpoint exception of an access that translated without a fault. False when there is none.
    private bool TakeWatchpoint(Op* op, ulong va, int size, AccessKind kind, AccessType type)
    {
        CpuState* s = _state;
        if (!DebugEnabled(s->Pstate))
        {
            return false;
        }

        int level = View(kind) == TlbContext.ViewEl0 ? 0 : 1;
        for (int i = 0; i < CpuState.Watchpoints; i++)
        {
            ulong control = s->Dbgwcr[i];
            bool direction = ((control >> (type == AccessType.Write ? 4 : 3)) & 1) != 0;
            int first;
            if ((control & 1) == 0 || !direction || !StateMatches(control, level) || (first = FirstWatchedByte(i, va, size)) < 0
                || ((control & (1 << 20)) != 0 && !LinkedContextMatches(control)))
            {
                continue;
            }

            s->FarEl1 = va + (ulong)first;
            EnterException(
                SynchronousVector,
                PcOf(op),
                SameLevel() ? ExceptionClass.Watchpoint : ExceptionClass.WatchpointLower,
                FaultStatus.Debug | (type == AccessType.Write ? 1u << 6 : 0));
            return true;
        }

        return false;
    }

    // AArch64.WatchpointByteMatch, for each byte of the access: the offset of the first that matches, or -1.
    private int FirstWatchedByte(int watchpoint, ulong va, int size)
    {
        ulong control = _state->Dbgwcr[watchpoint];
        ulong value = _state->Dbgwvr[watchpoint];
        int selectBits = (value & 4) != 0 ? 2 : 3;
        int mask = Math.Max(selectBits, (int)(control >> 24) & 0x1F);
        for (int i = 0; i < size; i++)
        {
            ulong address = va + (ulong)i;
            bool selected = ((control >> (5 + (int)(address & ((1ul << selectBits) - 1)))) & 1) != 0;
            if (selected && ((address ^ value) & (ulong.MaxValue << mask) & 0x00FF_FFFF_FFFF_FFFF) == 0)
            {
                return i;
            }
        }

        return -1;
    }
}

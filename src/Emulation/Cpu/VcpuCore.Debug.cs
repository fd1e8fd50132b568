using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu;

/// <content>One instruction at a time, and the debug exceptions that <see cref="Debugging.DebugUnit"/> finds.</content>
public sealed unsafe partial class VcpuCore
{
    private const uint DebugEventIsv = 1u << 24;
    private const uint DebugEventExclusive = 1u << 6;

    // True while that instruction is fetched: interrupts are taken, debug does not turn the fetch away.
    private bool _fetchingOne;

    // Counts exception entries and returns: each replaces PSTATE, with a PSTATE.SS of its own.
    private long _pstateReplacements;

    // For ESR: whether an instruction was stepped, and whether it was a load-exclusive.
    private uint _stepSyndrome;

    /// <summary>Step, breakpoints and watchpoints.</summary>
    internal Debugging.DebugUnit Debug { get; }

    /// <summary>True while one instruction executes under debug, or is repeated: what comes after it is not looked at yet.</summary>
    internal bool ExecutingOne { get; set; }

    /// <summary>
    /// After a write of a debug register: chooses between full speed and one instruction at a time, and what the TLB may have.
    /// </summary>
    internal void UpdateDebugRegisters()
    {
        Debug.Update();
        if (Debug.UpdateWatchpoints())
        {
            Mmu.Flush();
        }
    }

    // Executes the instruction at Pc, unless a debug exception comes first. Leaving tells whether to leave the run loop.
    private void ExecuteOne()
    {
        CpuState* s = _state;
        if (Debug.IsStepping && (s->Pstate & Pstate.Ss) == 0 && s->Remaining > 0)
        {
            TakeDebugException(s->Pc, SameLevel() ? ExceptionClass.SoftwareStep : ExceptionClass.SoftwareStepLower, _stepSyndrome);
            Leaving = false;
            return;
        }

        long replacements = _pstateReplacements;
        Leaving = true;
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
            Leaving = false;
            return;
        }

        if (Debug.BreakpointMatches(pc))
        {
            TakeDebugException(pc, SameLevel() ? ExceptionClass.Breakpoint : ExceptionClass.BreakpointLower, 0);
            Leaving = false;
            return;
        }

        if (Debug.Tracing)
        {
            TraceInstruction(op);
        }

        ExecutingOne = true;
        Op* next = op->Handler(this, s, op);
        ExecutingOne = false;
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
            Leaving = false;
        }

        if (replacements == _pstateReplacements && !Interrupts.AwaitsPage)
        {
            s->Pstate &= ~Pstate.Ss;
            _stepSyndrome = DebugEventIsv | ((op->Word & 0x3FC0_0000) is 0x0840_0000 ? DebugEventExclusive : 0);
        }
    }

    private void TakeDebugException(ulong pc, uint exceptionClass, uint syndrome)
    {
        SpendWithout();
        EnterException(SynchronousVector, pc, exceptionClass, syndrome | FaultStatus.Debug);
    }

    /// <summary>Takes the watchpoint exception of an access that translated without a fault. False when there is none.</summary>
    internal bool TakeWatchpoint(Op* op, ulong va, int size, AccessKind kind, AccessType type)
    {
        int level = Mmu.View(kind) == TlbContext.ViewEl0 ? 0 : 1;
        if (!Debug.FindWatchpoint(va, size, level, type, out ulong address))
        {
            return false;
        }

        _state->FarEl1 = address;
        PrepareException(op, executed: false);
        EnterException(
            SynchronousVector,
            PcOf(op),
            SameLevel() ? ExceptionClass.Watchpoint : ExceptionClass.WatchpointLower,
            FaultStatus.Debug | (type == AccessType.Write ? 1u << 6 : 0));
        return true;
    }
}

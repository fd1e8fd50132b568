using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu;

/// <content>Exception entry and return (Arm ARM D1.3).</content>
public sealed unsafe partial class VcpuCore
{
    internal const ulong SynchronousVector = 0x000;
    private const ulong IrqVector = 0x080;
    private const ulong FiqVector = 0x100;

    /// <summary>Whether the model has all of the features.</summary>
    internal bool Has(Feature features) => Model.Has(features);

    /// <summary>PSTATE as SPSR_EL1 holds it.</summary>
    public uint SavedPstate => _state->Pstate | _state->Nzcv;

    /// <summary>The address of an instruction that is executing.</summary>
    internal ulong PcOf(Op* op) => _state->CodePageVa + op->Offset;

    /// <summary>After an exception was taken in the middle of an instruction: goes on at the vector.</summary>
    internal Op* Resume(Op* op)
    {
        _state->Remaining -= op - _state->RunStart + 1;
        return EnterAt(_state->Pc);
    }

    internal Op* TakeUndefined(Op* op) => Take(op, ExceptionClass.Unknown, 0);

    internal Op* TakeFpAccessTrap(Op* op) => Take(op, ExceptionClass.FpAccess, (1u << 24) | (0xEu << 20));

    internal Op* TakeStackAlignment(Op* op) => Take(op, ExceptionClass.SpAlignment, 0);

    /// <summary>A synchronous exception whose preferred return address is the instruction itself.</summary>
    internal Op* Take(Op* op, uint exceptionClass, uint syndrome)
    {
        PrepareException(op, executed: false);
        EnterException(SynchronousVector, PcOf(op), exceptionClass, syndrome);
        return Resume(op);
    }

    // The performance monitors count what is before an instruction, and it if it was executed, at the exception level that it has left.
    private void PrepareException(Op* op, bool executed)
    {
        if (!executed)
        {
            _notExecuted++;
        }

        if (Pmu is { IsCounting: true })
        {
            // Resume takes the instruction off the budget, executed or not.
            Pmu.PrepareException(op - _state->RunStart + 1);
        }
    }

    /// <summary>A synchronous exception that returns to the next instruction: SVC.</summary>
    internal Op* TakeAfter(Op* op, uint exceptionClass, uint syndrome)
    {
        // The instruction has been executed: a software step is over.
        _state->Pstate &= ~Pstate.Ss;
        PrepareException(op, executed: true);
        EnterException(SynchronousVector, PcOf(op) + 4, exceptionClass, syndrome);
        return Resume(op);
    }

    internal void TakeDataAbort(Op* op, ulong va, int status, AccessType type, AccessKind kind)
    {
        uint syndrome = (uint)status;
        if (type == AccessType.Write || (kind & AccessKind.CacheMaintenance) != 0)
        {
            syndrome |= 1u << 6;
        }

        if ((kind & AccessKind.CacheMaintenance) != 0)
        {
            syndrome |= 1u << 8;
        }

        _state->FarEl1 = va;
        PrepareException(op, executed: false);
        EnterException(SynchronousVector, PcOf(op), SameLevel() ? ExceptionClass.DataAbort : ExceptionClass.DataAbortLower, syndrome);
    }

    private void TakeInstructionAbort(ulong pc, int status)
    {
        _state->FarEl1 = pc;
        EnterException(
            SynchronousVector, pc, SameLevel() ? ExceptionClass.InstructionAbort : ExceptionClass.InstructionAbortLower, (uint)status);
    }

    private bool SameLevel() => Pstate.ExceptionLevel(_state->Pstate) != 0;

    // AArch64.TakeException to EL1. Leaves Pc at the vector.
    internal void EnterException(ulong vector, ulong returnAddress, uint exceptionClass, uint syndrome)
    {
        CpuState* s = _state;
        s->EsrEl1 = (exceptionClass << 26) | ExceptionClass.InstructionLength | syndrome;
        EnterVector(vector, returnAddress);
    }

    private void EnterVector(ulong vector, ulong returnAddress)
    {
        CpuState* s = _state;
        if (Pmu is { IsCounting: true })
        {
            Pmu.NoteException();
        }

        _pstateReplacements++;
        _stepSyndrome = 0;
        uint old = s->Pstate;
        ulong offset = Pstate.ExceptionLevel(old) == 0 ? 0x400ul : (old & 1) != 0 ? 0x200ul : 0ul;
        s->SpsrEl1 = SavedPstate;
        s->ElrEl1 = returnAddress;

        uint pstate = (old & (Pstate.Pan | Pstate.Dit)) | Pstate.DaifMask | Pstate.ModeEl1h | (Has(Feature.Mte3) ? Pstate.Tco : 0);
        if (Has(Feature.Pan) && (s->SctlrEl1 & Sctlr.Span) == 0)
        {
            pstate |= Pstate.Pan;
        }

        if (Model.HasSsbs && (s->SctlrEl1 & Sctlr.Dssbs) != 0)
        {
            pstate |= Pstate.Ssbs;
        }

        SetPstate(pstate);
        s->Pc = s->VbarEl1 + offset + vector;
    }

    /// <summary>
    /// Writes PSTATE other than NZCV: banks the stack pointer and chooses the translations and FP access that go with it.
    /// </summary>
    internal void SetPstate(uint value)
    {
        CpuState* s = _state;
        if (((s->Pstate ^ value) & Pstate.ModeMask) != 0)
        {
            BankStackPointer(s) = s->X[CpuState.Sp];
            s->Pstate = value;
            s->X[CpuState.Sp] = BankStackPointer(s);
        }
        else
        {
            s->Pstate = value;
        }

        UpdateFpEnabled();
        Mmu.UpdateView();
        Debug.Update();
    }

    // SP_EL0 or SP_EL1, whichever the mode selects.
    private static ref ulong BankStackPointer(CpuState* s)
    {
        if ((s->Pstate & 1) != 0)
        {
            return ref s->SpEl1;
        }

        return ref s->SpEl0;
    }

    internal void UpdateFpEnabled()
    {
        int fpen = (int)(_state->CpacrEl1 >> 20) & 3;
        _state->FpEnabled = fpen == 3 || (fpen == 1 && Pstate.ExceptionLevel(_state->Pstate) != 0) ? 1 : 0;
        _state->ScalableLength = Scalable != null && _state->FpEnabled != 0 && ScalableGates.IsEnabled(_state) ? Scalable.Length : 0;
    }

    /// <summary>ERET at EL1: SPSR_EL1 to PSTATE, with the rules for an illegal return (Arm ARM D1.3.4).</summary>
    internal Op* ReturnFromException(Op* op) => ReturnFromException(op, _state->ElrEl1);

    /// <summary>The same to an address that was made of ELR_EL1: ERETAA.</summary>
    internal Op* ReturnFromException(Op* op, ulong target)
    {
        CpuState* s = _state;
        uint spsr = (uint)s->SpsrEl1;
        s->Nzcv = spsr & Pstate.NzcvMask;
        s->ExclusiveSize = 0;
        s->EventRegister = 1;
        uint kept = Pstate.DaifMask | Pstate.Il
            | (Has(Feature.Pan) ? Pstate.Pan : 0) | (Has(Feature.Uao) ? Pstate.Uao : 0) | (Model.HasSsbs ? Pstate.Ssbs : 0)
            | (Has(Feature.Dit) ? Pstate.Dit : 0) | (Has(Feature.Bti) ? Pstate.Btype : 0)
            | (Has(Feature.Mte3) ? Pstate.Tco : 0);
        uint mode = spsr & Pstate.ModeMask;
        uint step = Debug.StepAfterReturn(spsr);
        _pstateReplacements++;
        _stepSyndrome = 0;
        s->Remaining -= op - s->RunStart + 1;
        if (Pmu is { IsCounting: true })
        {
            Pmu.NoteReturn();
        }

        if (mode is Pstate.ModeEl0t or Pstate.ModeEl1t or Pstate.ModeEl1h)
        {
            SetPstate((spsr & kept) | step | mode);
        }
        else
        {
            SetPstate((spsr & kept) | Pstate.Il | (s->Pstate & Pstate.ModeMask));
        }

        InterruptsMayBeUnmasked();
        return EnterAt(target);
    }

    /// <summary>After PSTATE.DAIF may have been cleared: an input that was masked is looked at again.</summary>
    internal void InterruptsMayBeUnmasked()
    {
        if (Interrupts.Inputs != 0 && (_state->Pstate & (Pstate.I | Pstate.F)) != (Pstate.I | Pstate.F))
        {
            Interrupts.Note(AttentionBits.Interrupts);
        }
    }

    // Takes a pending interrupt that PSTATE does not mask; Pc is the preferred return address.
    private void TakeInterrupt()
    {
        int inputs = Interrupts.Inputs;
        uint pstate = _state->Pstate;
        if ((inputs & CpuInterruptWord.Fiq) != 0 && (pstate & Pstate.F) == 0)
        {
            EnterVector(FiqVector, _state->Pc);
        }
        else if ((inputs & CpuInterruptWord.Irq) != 0 && (pstate & Pstate.I) == 0)
        {
            EnterVector(IrqVector, _state->Pc);
        }
    }
}

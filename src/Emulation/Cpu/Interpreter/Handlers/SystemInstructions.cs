using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Exceptions;
using Vmm.Emulation.Cpu.Psci;
using Vmm.Emulation.Cpu.SystemRegisters;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu.Interpreter.Handlers;

/// <summary>Exception generation, PSTATE, hints, barriers, and the way to system registers and operations.</summary>
internal static unsafe class SystemInstructions
{
    private static uint Immediate16(Op* op) => Operands.Bits(op->Word, 5, 16);

    private static uint Crm(Op* op) => Operands.Bits(op->Word, 8, 4);

    private static bool AtEl0(CpuState* s) => Pstate.ExceptionLevel(s->Pstate) == 0;

    public static Op* Svc(VcpuCore core, CpuState* s, Op* op) => core.TakeAfter(op, ExceptionClass.Svc64, Immediate16(op));

    public static Op* Brk(VcpuCore core, CpuState* s, Op* op) => core.Take(op, ExceptionClass.Brk64, Immediate16(op));

    /// <summary>The PSCI conduit: there is no EL2, the machine answers in its place.</summary>
    public static Op* Hvc(VcpuCore core, CpuState* s, Op* op)
    {
        if (AtEl0(s) || core.Psci == null)
        {
            return core.TakeUndefined(op);
        }

        return core.TraceOf(TraceCategories.Psci) is { } trace ? PsciTrace.Call(trace, core.Psci, core, op) : core.Psci.Call(core, op);
    }

    /// <summary>There is no EL3.</summary>
    public static Op* Smc(VcpuCore core, CpuState* s, Op* op) => core.TakeUndefined(op);

    public static Op* Eret(VcpuCore core, CpuState* s, Op* op) => AtEl0(s) ? core.TakeUndefined(op) : core.ReturnFromException(op);

    public static Op* Yield(VcpuCore core, CpuState* s, Op* op) => op + 1;

    public static Op* Wfe(VcpuCore core, CpuState* s, Op* op) => WaitForEvent(core, s, op, 1);

    public static Op* Wfi(VcpuCore core, CpuState* s, Op* op)
    {
        if (core.Interrupts.HasWakeup)
        {
            return op + 1;
        }

        return AtEl0(s) && (s->SctlrEl1 & Sctlr.NTwi) == 0
            ? TakeWaitTrap(core, op, 0)
            : core.LeaveAfter(op, VcpuExit.WaitForInterrupt);
    }

    /// <summary>WFE with an end, a value of CNTVCT_EL0 in Rn.</summary>
    public static Op* Wfet(VcpuCore core, CpuState* s, Op* op) =>
        s->EventRegister == 0 && HasPassed(core, s, op) ? op + 1 : WaitForEvent(core, s, op, TimedWait(op) | 3);

    /// <summary>WFI with an end. It may end at any time before (Arm ARM D1.7.3), and ends as soon as a WFE does.</summary>
    public static Op* Wfit(VcpuCore core, CpuState* s, Op* op)
    {
        if (core.Interrupts.HasWakeup || HasPassed(core, s, op))
        {
            return op + 1;
        }

        return AtEl0(s) && (s->SctlrEl1 & Sctlr.NTwi) == 0
            ? TakeWaitTrap(core, op, TimedWait(op) | 2)
            : core.LeaveAfter(op, VcpuExit.WaitForEvent);
    }

    private static Op* WaitForEvent(VcpuCore core, CpuState* s, Op* op, uint instruction)
    {
        if (s->EventRegister != 0)
        {
            s->EventRegister = 0;
            return op + 1;
        }

        return AtEl0(s) && (s->SctlrEl1 & Sctlr.NTwe) == 0
            ? TakeWaitTrap(core, op, instruction)
            : core.LeaveAfter(op, VcpuExit.WaitForEvent);
    }

    // Without a timer no time is to come.
    private static bool HasPassed(VcpuCore core, CpuState* s, Op* op) => core.Timer is not { } timer || timer.Clock.Count >= s->X[op->Rn];

    // ISS of EC 0x01: the register, RN, with RV in bit 2 that says so.
    private static uint TimedWait(Op* op) => (Operands.Bits(op->Word, 0, 5) << 5) | 4;

    private static Op* TakeWaitTrap(VcpuCore core, Op* op, uint instruction) =>
        core.Take(op, ExceptionClass.WfxTrap, (1u << 24) | (0xEu << 20) | instruction);

    /// <summary>WFE never waits long, so an event need not be sent to other CPUs.</summary>
    public static Op* Sev(VcpuCore core, CpuState* s, Op* op)
    {
        s->EventRegister = 1;
        return op + 1;
    }

    public static Op* Clrex(VcpuCore core, CpuState* s, Op* op)
    {
        s->ExclusiveSize = 0;
        return op + 1;
    }

    public static Op* Dsb(VcpuCore core, CpuState* s, Op* op)
    {
        core.CompleteBroadcast();

        // Maintenance that others requested while this vCPU waited may concern the page that is executing.
        return s->Attention == 0 ? op + 1 : Flow.TakenTo(core, s, op, core.PcOf(op) + 4);
    }

    public static Op* Dmb(VcpuCore core, CpuState* s, Op* op)
    {
        Interlocked.MemoryBarrier();
        return op + 1;
    }

    /// <summary>A context synchronisation event: the page of code is looked up anew.</summary>
    public static Op* Isb(VcpuCore core, CpuState* s, Op* op) => Flow.TakenTo(core, s, op, core.PcOf(op) + 4);

    public static Op* MsrSpSel(VcpuCore core, CpuState* s, Op* op)
    {
        if (AtEl0(s))
        {
            return core.TakeUndefined(op);
        }

        core.SetPstate((s->Pstate & ~1u) | (Crm(op) & 1));
        return op + 1;
    }

    public static Op* MsrUao(VcpuCore core, CpuState* s, Op* op) => SetField(core, s, op, Pstate.Uao, false);

    public static Op* MsrPan(VcpuCore core, CpuState* s, Op* op) => SetField(core, s, op, Pstate.Pan, false);

    public static Op* MsrSsbs(VcpuCore core, CpuState* s, Op* op) => SetField(core, s, op, Pstate.Ssbs, true);

    /// <summary>Nothing depends on PSTATE.DIT: no instruction takes longer for its data.</summary>
    public static Op* MsrDit(VcpuCore core, CpuState* s, Op* op)
    {
        s->Pstate = (Crm(op) & 1) != 0 ? s->Pstate | Pstate.Dit : s->Pstate & ~Pstate.Dit;
        return op + 1;
    }

    private static Op* SetField(VcpuCore core, CpuState* s, Op* op, uint field, bool el0Allowed)
    {
        if (AtEl0(s) && !el0Allowed)
        {
            return core.TakeUndefined(op);
        }

        core.SetPstate((Crm(op) & 1) != 0 ? s->Pstate | field : s->Pstate & ~field);
        return op + 1;
    }

    public static Op* MsrDaifSet(VcpuCore core, CpuState* s, Op* op)
    {
        if (AtEl0(s) && (s->SctlrEl1 & Sctlr.Uma) == 0)
        {
            return core.Take(op, ExceptionClass.SystemRegister, Syndrome(op, false));
        }

        s->Pstate |= Crm(op) << 6;
        if ((Crm(op) & 8) != 0)
        {
            core.Debug.Update();
        }

        return op + 1;
    }

    public static Op* MsrDaifClear(VcpuCore core, CpuState* s, Op* op)
    {
        if (AtEl0(s) && (s->SctlrEl1 & Sctlr.Uma) == 0)
        {
            return core.Take(op, ExceptionClass.SystemRegister, Syndrome(op, false));
        }

        s->Pstate &= ~(Crm(op) << 6);
        core.Debug.Update();
        core.InterruptsMayBeUnmasked();
        return s->Attention == 0 ? op + 1 : Flow.TakenTo(core, s, op, core.PcOf(op) + 4);
    }

    public static Op* Mrs(VcpuCore core, CpuState* s, Op* op)
    {
        SystemRegister? register = SystemRegisterTable.At((int)op->Imm);
        if (register?.Read == null || !register.IsIn(core) || (AtEl0(s) && !register.El0Read))
        {
            return core.Model.TrapsIdRegisters && IsIdentification(op->Word)
                ? core.Take(op, ExceptionClass.SystemRegister, Syndrome(op, true))
                : core.TakeUndefined(op);
        }

        if (AtEl0(s))
        {

            if (register.TrapEl0 != null && register.TrapEl0(core, s, false))
            {
                return core.Take(op, ExceptionClass.SystemRegister, Syndrome(op, true));
            }
        }

        if (register.Scalable && !ScalableGates.IsEnabled(s))
        {
            return ScalableGates.TakeAccessTrap(core, op);
        }

        if (register.FpSimd && s->FpEnabled == 0)
        {
            return core.TakeFpAccessTrap(op);
        }

        CountTo(s, op, register);

        // A read that tells of a timer's time has asserted its interrupt.
        s->X[op->Rd] = register.Read(core, s);
        return s->Attention == 0 ? op + 1 : Flow.TakenTo(core, s, op, core.PcOf(op) + 4);
    }

    public static Op* Msr(VcpuCore core, CpuState* s, Op* op)
    {
        SystemRegister? register = SystemRegisterTable.At((int)op->Imm);
        if (register?.Write == null || !register.IsIn(core))
        {
            return core.TakeUndefined(op);
        }

        if (AtEl0(s))
        {
            if (!register.El0Write)
            {
                return core.TakeUndefined(op);
            }

            if (register.TrapEl0 != null && register.TrapEl0(core, s, true))
            {
                return core.Take(op, ExceptionClass.SystemRegister, Syndrome(op, false));
            }
        }

        if (register.Scalable && !ScalableGates.IsEnabled(s))
        {
            return ScalableGates.TakeAccessTrap(core, op);
        }

        if (register.FpSimd && s->FpEnabled == 0)
        {
            return core.TakeFpAccessTrap(op);
        }

        CountTo(s, op, register);
        register.Write(core, s, s->X[op->Rn]);
        return s->Attention == 0 ? op + 1 : Flow.TakenTo(core, s, op, core.PcOf(op) + 4);
    }

    // Takes what was executed before an access off the budget, where the register depends on it.
    private static void CountTo(CpuState* s, Op* op, SystemRegister register)
    {
        if (register.CountsInstructions)
        {
            s->Remaining -= op - s->RunStart;
            s->RunStart = op;
        }
    }

    public static Op* Sys(VcpuCore core, CpuState* s, Op* op)
    {
        SystemOperation? operation = SystemOperations.At((int)op->Imm);
        if (operation == null || !core.Has(operation.Feature))
        {
            return core.TakeUndefined(op);
        }

        if (AtEl0(s))
        {
            if (operation.El0Enable == 0)
            {
                return core.TakeUndefined(op);
            }

            if ((s->SctlrEl1 & operation.El0Enable) == 0)
            {
                return core.Take(op, ExceptionClass.SystemRegister, Syndrome(op, false));
            }
        }

        return operation.Execute(core, s, op, s->X[op->Rn]);
    }

    // op0 3, op1 0, 1 or 3, CRn 0, CRm 0 to 7.
    private static bool IsIdentification(uint word) =>
        Operands.Bits(word, 19, 2) == 3 && Operands.Bits(word, 16, 3) is 0 or 1 or 3 && Operands.Bits(word, 11, 5) == 0;

    /// <summary>ISS of EC 0x18: the encoding, Rt, and the direction (1 = read).</summary>
    private static uint Syndrome(Op* op, bool read)
    {
        uint word = op->Word;
        return (Operands.Bits(word, 19, 2) << 20) | (Operands.Bits(word, 5, 3) << 17) | (Operands.Bits(word, 16, 3) << 14)
            | (Operands.Bits(word, 12, 4) << 10) | (Operands.Bits(word, 0, 5) << 5) | (Operands.Bits(word, 8, 4) << 1) | (read ? 1u : 0);
    }
}

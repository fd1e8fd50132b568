using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>What translated floating-point arithmetic takes as met: then the host's result is the guest's.</summary>
[Flags]
internal enum FloatConditions
{
    None = 0,

    /// <summary>FPCR is 0.</summary>
    Control = 1,

    /// <summary>FPSR.IXC is set. It is sticky, so whether a result is inexact does not show.</summary>
    Inexact = 2,

    /// <summary>SVE is enabled, and its vectors have the length that the code is for.</summary>
    Scalable = 4,
}

/// <summary>
/// Which conditions of FP and SIMD instructions have been tested at the place in the code that is being written. Each is tested once in a
/// stretch of code. Nothing in the stretch undoes it: an instruction that the interpreter executes in a rare case only sets flags of FPSR,
/// and an instruction that writes FPCR or FPSR ends the stretch.
/// </summary>
internal sealed unsafe class FloatChecks(Assembler asm, FlagCache flags, Exits exits)
{
    // FPSR.IXC.
    private const int InexactFlag = 0x10;

    private bool _enabled;
    private FloatConditions _met;
    private int _length;

    /// <summary>Begins a block.</summary>
    /// <param name="scalableLength">The bytes of SVE's vectors that its code is for.</param>
    public void Begin(int scalableLength) => _length = scalableLength;

    /// <summary>From here on nothing has been tested.</summary>
    public void Forget()
    {
        _enabled = false;
        _met = FloatConditions.None;
    }

    /// <summary>Leaves where CPACR_EL1.FPEN disables FP and SIMD: the interpreter takes the trap.</summary>
    public void CheckEnabled(Op* op)
    {
        if (!_enabled)
        {
            flags.GiveUp();
            asm.AluImmediate(Alu.Cmp, false, HostRegisters.FpEnabled, 0);
            exits.LeaveIf(Condition.Equal, op);
            _enabled = true;
        }
    }

    /// <summary>
    /// Leaves where the host's arithmetic would differ. The interpreter then executes the instruction, and its way back tests again. Gives
    /// EFLAGS up.
    /// </summary>
    /// <param name="rounds">The result may be inexact.</param>
    public void CheckArithmetic(Op* op, bool rounds)
    {
        CheckEnabled(op);
        CheckArithmetic(op, Wanted(rounds) & ~_met);
    }

    /// <summary>The same for FABS and FNEG: with FPCR.AH a NaN keeps its sign, and with FPCR.NEP other elements are kept.</summary>
    public void CheckSign(Op* op, CpuModel model)
    {
        if (model.HasAlternateFloat)
        {
            CheckArithmetic(op, rounds: false);
        }
        else
        {
            CheckEnabled(op);
        }
    }

    private static FloatConditions Wanted(bool rounds) =>
        rounds ? FloatConditions.Control | FloatConditions.Inexact : FloatConditions.Control;

    /// <summary>
    /// Leaves where SVE is disabled, or its vectors have another length. The interpreter then takes the trap or executes the instruction,
    /// and its way back tests again, in vain. An instruction makes its sources real behind this, and before anything else that may leave:
    /// the way back of that goes on in code which takes them as real.
    /// </summary>
    public void CheckScalable(Op* op)
    {
        if ((_met & FloatConditions.Scalable) == 0)
        {
            flags.GiveUp();
            asm.AluImmediate(Alu.Cmp, false, HostRegisters.ScalableLength, _length);
            exits.LeaveIf(Condition.NotEqual, op, retest: FloatConditions.Scalable);
            _met |= FloatConditions.Scalable;
            _enabled = true;
        }
    }

    private void CheckArithmetic(Op* op, FloatConditions missing)
    {
        flags.GiveUp();
        if ((missing & FloatConditions.Control) != 0)
        {
            asm.AluImmediate(Alu.Cmp, false, HostRegisters.Fpcr, 0);
            exits.LeaveIf(Condition.NotEqual, op, retest: missing);
        }

        if ((missing & FloatConditions.Inexact) != 0)
        {
            asm.TestImmediate(false, HostRegisters.Fpsr, InexactFlag);
            exits.LeaveIf(Condition.Equal, op, retest: missing);
        }

        _met |= missing;
    }

    /// <summary>In a stub: tests conditions once more.</summary>
    /// <param name="unmet">Receives the displacements of the jumps that are taken where one is not met.</param>
    public void Retest(FloatConditions conditions, Sequence<nint> unmet)
    {
        if ((conditions & FloatConditions.Scalable) != 0)
        {
            asm.AluImmediate(Alu.Cmp, false, HostRegisters.ScalableLength, _length);
            unmet.Add((nint)asm.JumpForward(Condition.NotEqual));
        }

        if ((conditions & FloatConditions.Control) != 0)
        {
            asm.AluImmediate(Alu.Cmp, false, HostRegisters.Fpcr, 0);
            unmet.Add((nint)asm.JumpForward(Condition.NotEqual));
        }

        if ((conditions & FloatConditions.Inexact) != 0)
        {
            asm.TestImmediate(false, HostRegisters.Fpsr, InexactFlag);
            unmet.Add((nint)asm.JumpForward(Condition.Equal));
        }
    }
}

using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Scalar floating point of single and double precision. The host computes what cannot differ: FPCR is 0; FPSR.IXC is set already, and it
/// is sticky, so whether a result is inexact does not show; and the result tells that nothing else was raised. NaNs, infinities, what may
/// underflow, and the first inexact results of a program are the interpreter's. The conditions are looked at once in a stretch of code; an
/// addition is 7 instructions, of which 5 look at the result.
/// </content>
internal sealed unsafe partial class Translator
{
    private const int Inexact = 0x10;

    private static delegate*<Translator, Op*, bool> OfFloat(Operation operation) => operation switch
    {
        Operation.Fadd => &FloatAdd,
        Operation.Fsub => &FloatSubtract,
        Operation.Fmul => &FloatMultiply,
        Operation.Fdiv => &FloatDivide,
        Operation.Fsqrt => &FloatSquareRoot,
        Operation.Fmadd => &FloatMultiplyAdd,
        Operation.Fmsub => &FloatMultiplySubtract,
        Operation.Fnmadd => &FloatNegatedMultiplyAdd,
        Operation.Fnmsub => &FloatNegatedMultiplySubtract,
        Operation.FcvtSToD or Operation.FcvtDToS => &FloatPrecision,
        Operation.FcmpFcmpe => &FloatCompare,
        Operation.FccmpFccmpe => &FloatConditionalCompare,
        Operation.Fcsel => &FloatSelect,
        Operation.Fabs => &FloatAbsolute,
        Operation.Fneg => &FloatNegate,
        Operation.FmovRegister => &FloatMove,
        Operation.FmovImmediate => &FloatMoveImmediate,
        Operation.FmovGeneralSToGeneral or Operation.FmovGeneralDToGeneral => &FloatToGeneral,
        Operation.FmovGeneralTopHalfToGeneral => &FloatTopToGeneral,
        Operation.FmovGeneralSFromGeneral or Operation.FmovGeneralDFromGeneral => &FloatFromGeneral,
        Operation.FmovGeneralTopHalfFromGeneral => &FloatTopFromGeneral,
        Operation.FcvtzsFcvtzuScalarInteger => &FloatToInteger,
        Operation.ScvtfUcvtfScalarInteger => &FloatFromInteger,
        _ => OfFloatOperation(operation).Shape == FloatShape.None ? null : &FloatVector,
    };

    private static bool IsDouble(Op* op) => (op->Word & (1u << 22)) != 0;

    // A sum that is finite is exact or inexact, nothing else: it does not underflow, for a subnormal one is exact.
    private static bool FloatAdd(Translator t, Op* op) => t.Calculate(op, Scalar.Add, mayUnderflow: false);

    private static bool FloatSubtract(Translator t, Op* op) => t.Calculate(op, Scalar.Subtract, mayUnderflow: false);

    private static bool FloatMultiply(Translator t, Op* op) => t.Calculate(op, Scalar.Multiply, mayUnderflow: true);

    private static bool FloatDivide(Translator t, Op* op) => t.Calculate(op, Scalar.Divide, mayUnderflow: true);

    private static bool FloatSquareRoot(Translator t, Op* op)
    {
        bool isDouble = IsDouble(op);
        t.CheckArithmetic(op, rounds: true);
        int n = t.Vec(op->Rn);
        t._a.Scalar(Scalar.SquareRoot, isDouble, 0, n, n);
        t.CheckResult(op, isDouble, mayUnderflow: false);
        t.StoreScalar(op->Rd, isDouble);
        return true;
    }

    private bool Calculate(Op* op, Scalar operation, bool mayUnderflow)
    {
        bool isDouble = IsDouble(op);
        CheckArithmetic(op, rounds: true);
        _a.Scalar(operation, isDouble, 0, Vec(op->Rn), Vec(op->Rm));
        CheckResult(op, isDouble, mayUnderflow);
        StoreScalar(op->Rd, isDouble);
        return true;
    }

    private static bool FloatMultiplyAdd(Translator t, Op* op) => t.Fuse(op, Fused.MultiplyAdd);

    private static bool FloatMultiplySubtract(Translator t, Op* op) => t.Fuse(op, Fused.NegatedMultiplyAdd);

    private static bool FloatNegatedMultiplyAdd(Translator t, Op* op) => t.Fuse(op, Fused.NegatedMultiplySubtract);

    private static bool FloatNegatedMultiplySubtract(Translator t, Op* op) => t.Fuse(op, Fused.MultiplySubtract);

    private bool Fuse(Op* op, Fused operation)
    {
        bool isDouble = IsDouble(op);
        CheckArithmetic(op, rounds: true);
        _a.CopyXmm(0, Vec(op->Ra));
        _a.Fused(operation, isDouble, 0, Vec(op->Rn), Vec(op->Rm));
        CheckResult(op, isDouble, mayUnderflow: true);
        StoreScalar(op->Rd, isDouble);
        return true;
    }

    // From single precision nothing is rounded, and a NaN remains one.
    private static bool FloatPrecision(Translator t, Op* op)
    {
        bool fromDouble = IsDouble(op);
        t.CheckArithmetic(op, rounds: fromDouble);
        int n = t.Vec(op->Rn);
        t._a.Scalar(Scalar.Convert, fromDouble, 0, n, n);
        t.CheckResult(op, !fromDouble, mayUnderflow: fromDouble);
        t.StoreScalar(op->Rd, !fromDouble);
        return true;
    }

    // NZCV goes to memory, where the interpreter puts it for NaNs.
    private static bool FloatCompare(Translator t, Op* op)
    {
        t.CheckArithmetic(op, rounds: false);
        t.CompareScalars(op, withZero: (op->Word & 8) != 0);
        t.FlagsSet(borrow: true);
        t.SettleFlags(t._plan.AreFlagsWanted(t._index + 1));
        t.ForgetHostFlags();
        return true;
    }

    // EFLAGS as of a comparison of 1, 0 or -1 with 0: N, Z and the opposite of C are SF, ZF and CF. Leaves for NaNs.
    private void CompareScalars(Op* op, bool withZero)
    {
        int m = 1;
        if (withZero)
        {
            _a.Packed(Packed.Xor, 1, 1);
        }
        else
        {
            m = Vec(op->Rm);
        }

        _a.CompareScalar(IsDouble(op), Vec(op->Rn), m);
        LeaveIf(Condition.Parity, op);
        _a.SetByte(Condition.Above, Rax);
        _a.SetByte(Condition.Below, Rcx);
        _a.AluTo(Alu.Cmp, 1, Rax, Rcx);
    }

    // FCCMP, FCCMPE: either the comparison or NZCV as given.
    private static bool FloatConditionalCompare(Translator t, Op* op)
    {
        int condition = op->Shift;
        t.CheckArithmetic(op, rounds: false);
        t.Vec(op->Rn);
        t.Vec(op->Rm);
        byte* otherwise = null;
        if (condition < 14)
        {
            // In memory for the comparison, which may leave.
            t.SettleFlags(true);
            otherwise = t._a.JumpForward(Opposite(t.NeedCondition(condition)));
            t.ForgetHostFlags();
        }

        t.CompareScalars(op, withZero: false);
        if (otherwise != null)
        {
            byte* done = t._a.JumpShort();
            t._a.Bind(otherwise);
            t.SetFlags((int)op->Word & 15, subtract: true);
            t._a.BindShort(done);
        }

        t.FlagsSet(borrow: true);
        t.SettleFlags(t._plan.AreFlagsWanted(t._index + 1));
        t.ForgetHostFlags();
        return true;
    }

    private static bool FloatSelect(Translator t, Op* op)
    {
        bool isDouble = IsDouble(op);
        int condition = op->Shift;
        t.CheckFp(op);
        int n = t.Vec(op->Rn);
        if (condition >= 14)
        {
            t._a.CopyLow(isDouble, t.Result(op->Rd), n);
            return true;
        }

        int m = t.Vec(op->Rm);
        Condition host = t.NeedCondition(condition);
        t._a.StoreXmmGeneral(isDouble, Rcx, m);
        t._a.StoreXmmGeneral(isDouble, Rdx, n);
        t._a.ConditionalMove(host, isDouble, Rcx, Rdx);
        t._a.LoadXmmGeneral(isDouble, t.Result(op->Rd), Rcx);
        return true;
    }

    private static bool FloatAbsolute(Translator t, Op* op) => t.ChangeSign(op, negate: false);

    private static bool FloatNegate(Translator t, Op* op) => t.ChangeSign(op, negate: true);

    private bool ChangeSign(Op* op, bool negate)
    {
        bool isDouble = IsDouble(op);
        ulong sign = SignBits(isDouble ? 3 : 2);
        CheckFp(op);
        Constant(0, negate ? sign : ~sign);
        _a.Packed(negate ? Packed.Xor : Packed.And, 0, Vec(op->Rn));
        StoreScalar(op->Rd, isDouble);
        return true;
    }

    private static bool FloatMove(Translator t, Op* op)
    {
        t.CheckFp(op);
        int n = t.Vec(op->Rn);
        t._a.CopyLow(IsDouble(op), t.Result(op->Rd), n);
        return true;
    }

    private static bool FloatMoveImmediate(Translator t, Op* op)
    {
        t.CheckFp(op);
        t._a.LoadImmediate(Rdx, op->Imm);
        t._a.LoadXmmGeneral(true, t.Result(op->Rd), Rdx);
        return true;
    }

    private static bool FloatToGeneral(Translator t, Op* op)
    {
        t.CheckFp(op);
        Reg target = Target(op->Rd, Rdx);
        t._a.StoreXmmGeneral(IsDouble(op), target, t.Vec(op->Rn));
        t.Out(op->Rd, target);
        return true;
    }

    private static bool FloatTopToGeneral(Translator t, Op* op)
    {
        t.CheckFp(op);
        Reg target = Target(op->Rd, Rdx);
        t._a.ExtractElement(3, target, t.Vec(op->Rn), 1);
        t.Out(op->Rd, target);
        return true;
    }

    private static bool FloatFromGeneral(Translator t, Op* op)
    {
        t.CheckFp(op);
        t._a.LoadXmmGeneral(IsDouble(op), t.Result(op->Rd), Place(op->Rn));
        return true;
    }

    private static bool FloatTopFromGeneral(Translator t, Op* op)
    {
        t.CheckFp(op);
        int d = t.Update(op->Rd);
        t._a.InsertElement(3, d, d, Place(op->Rn), 1);
        return true;
    }

    // FCVTZS, FCVTZU; leaves where the result would be another than the host's.
    private static bool FloatToInteger(Translator t, Op* op)
    {
        bool isDouble = IsDouble(op);
        bool wide = op->Word >> 31 != 0;
        bool signed = (op->Word & (1u << 16)) == 0;
        t.CheckArithmetic(op, rounds: true);
        t._a.ScalarToInteger(isDouble, wide || !signed, Rdx, t.Vec(op->Rn));
        if (signed)
        {
            // Overflows for the least integer alone.
            t._a.AluImmediate(Alu.Cmp, wide, Rdx, 1);
            t.LeaveIf(Condition.Overflow, op);
        }
        else if (wide)
        {
            t._a.Test(true, Rdx, Rdx);
            t.LeaveIf(Condition.Sign, op);
        }
        else
        {
            t._a.Load(false, Rcx, Rdx);
            t._a.Alu(Alu.Cmp, true, Rcx, Rdx);
            t.LeaveIf(Condition.NotEqual, op);
        }

        t.Out(op->Rd, Rdx);
        return true;
    }

    private static bool FloatFromInteger(Translator t, Op* op)
    {
        bool isDouble = IsDouble(op);
        bool wide = op->Word >> 31 != 0;
        bool signed = (op->Word & (1u << 16)) == 0;
        t.CheckArithmetic(op, rounds: true);
        t.Copy(Rdx, op->Rn, wide);
        if (wide && !signed)
        {
            t._a.Test(true, Rdx, Rdx);
            t.LeaveIf(Condition.Sign, op);
        }

        // Without what the register held before.
        t._a.Packed(Packed.Xor, 0, 0);
        t._a.IntegerToScalar(isDouble, wide || !signed, 0, Rdx);
        t._a.CopyXmm(t.Result(op->Rd), 0);
        return true;
    }

    // What translated arithmetic takes as met.
    [Flags]
    private enum FloatConditions
    {
        None = 0,

        /// <summary>FPCR is 0.</summary>
        Control = 1,

        /// <summary>FPSR.IXC is set.</summary>
        Inexact = 2,
    }

    // What has been looked at in this stretch of code. Nothing undoes it: the interpreter of an instruction in between, arithmetic or
    // memory, only sets flags, and who writes FPCR or FPSR ends the stretch.
    private FloatConditions _met;

    // Once in a stretch of code. The interpreter, which executes the instruction otherwise, comes back to another look.
    private void CheckArithmetic(Op* op, bool rounds)
    {
        CheckFp(op);
        LoseHostFlags();
        FloatConditions wanted = rounds ? FloatConditions.Control | FloatConditions.Inexact : FloatConditions.Control;
        FloatConditions missing = wanted & ~_met;
        if ((missing & FloatConditions.Control) != 0)
        {
            _a.AluImmediate(Alu.Cmp, false, HostRegisters.Fpcr, 0);
            LeaveIf(Condition.NotEqual, op, retest: missing);
        }

        if ((missing & FloatConditions.Inexact) != 0)
        {
            _a.TestImmediate(false, HostRegisters.Fpsr, Inexact);
            LeaveIf(Condition.Equal, op, retest: missing);
        }

        _met |= missing;
    }

    // The jumps where a condition is not met; null where it is not among those.
    private byte* Retest(FloatConditions conditions, out byte* notInexact)
    {
        byte* notZero = null;
        notInexact = null;
        if ((conditions & FloatConditions.Control) != 0)
        {
            _a.AluImmediate(Alu.Cmp, false, HostRegisters.Fpcr, 0);
            notZero = _a.JumpForward(Condition.NotEqual);
        }

        if ((conditions & FloatConditions.Inexact) != 0)
        {
            _a.TestImmediate(false, HostRegisters.Fpsr, Inexact);
            notInexact = _a.JumpForward(Condition.Equal);
        }

        return notZero;
    }

    // Leaves unless XMM0 is finite, and where it may underflow unless it is well above the least normal magnitude.
    private void CheckResult(Op* op, bool isDouble, bool mayUnderflow)
    {
        int exponentMask = isDouble ? 0x7FF : 0xFF;
        _a.StoreXmmGeneral(isDouble, Rdx, 0);
        _a.Alu(Alu.Add, isDouble, Rdx, Rdx);
        _a.ShiftImmediate(Shift.Shr, isDouble, Rdx, isDouble ? 53 : 24);
        if (mayUnderflow)
        {
            // Exponents 2 to the last but two.
            _a.AluImmediate(Alu.Add, false, Rdx, 2);
            _a.TestImmediate(false, Rdx, exponentMask & ~3);
        }
        else
        {
            _a.AluImmediate(Alu.Cmp, false, Rdx, exponentMask);
        }

        LeaveIf(Condition.Equal, op);
    }

    // The low element of XMM0; the rest becomes zero.
    private void StoreScalar(int vector, bool isDouble) => _a.CopyLow(isDouble, Result(vector), 0);
}

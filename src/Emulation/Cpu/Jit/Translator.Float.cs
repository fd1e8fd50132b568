using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Scalar floating point of single and double precision. The host computes what cannot differ: FPCR is 0; FPSR.IXC is set already, and it is sticky, so whether a
/// result is inexact does not show; and the result tells that nothing else was raised. NaNs, infinities, what may underflow, and the first inexact results of a
/// program are the interpreter's. An addition is 13 instructions, of which 4 are the conditions and 4 look at the result.
/// </content>
internal sealed unsafe partial class Translator
{
    private const int Inexact = 0x10;

    private static delegate*<Translator, Op*, bool> OfFloat(string mnemonic) => mnemonic switch
    {
        "FADD S" or "FADD D" => &FloatAdd,
        "FSUB S" or "FSUB D" => &FloatSubtract,
        "FMUL S" or "FMUL D" => &FloatMultiply,
        "FDIV S" or "FDIV D" => &FloatDivide,
        "FSQRT S" or "FSQRT D" => &FloatSquareRoot,
        "FMADD S" or "FMADD D" => &FloatMultiplyAdd,
        "FMSUB S" or "FMSUB D" => &FloatMultiplySubtract,
        "FNMADD S" or "FNMADD D" => &FloatNegatedMultiplyAdd,
        "FNMSUB S" or "FNMSUB D" => &FloatNegatedMultiplySubtract,
        "FCVT S to D" or "FCVT D to S" => &FloatPrecision,
        "FCMP, FCMPE S" or "FCMP, FCMPE D" => &FloatCompare,
        "FCSEL S" or "FCSEL D" => &FloatSelect,
        "FABS S" or "FABS D" => &FloatAbsolute,
        "FNEG S" or "FNEG D" => &FloatNegate,
        "FMOV (register) S" or "FMOV (register) D" => &FloatMove,
        "FMOV (immediate) S" or "FMOV (immediate) D" => &FloatMoveImmediate,
        "FMOV (general) S to general" or "FMOV (general) D to general" => &FloatToGeneral,
        "FMOV (general) top half to general" => &FloatTopToGeneral,
        "FMOV (general) S from general" or "FMOV (general) D from general" => &FloatFromGeneral,
        "FMOV (general) top half from general" => &FloatTopFromGeneral,
        "FCVTZS, FCVTZU (scalar, integer) S" or "FCVTZS, FCVTZU (scalar, integer) D" => &FloatToInteger,
        "SCVTF, UCVTF (scalar, integer) S" or "SCVTF, UCVTF (scalar, integer) D" => &FloatFromInteger,
        _ => OfFloatVector(mnemonic),
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
        t.LoadScalar(0, op->Rn, isDouble);
        t._a.Scalar(Scalar.SquareRoot, isDouble, 0, 0);
        t.CheckResult(op, isDouble, mayUnderflow: false);
        t.StoreScalar(op->Rd);
        return true;
    }

    private bool Calculate(Op* op, Scalar operation, bool mayUnderflow)
    {
        bool isDouble = IsDouble(op);
        CheckArithmetic(op, rounds: true);
        LoadScalar(0, op->Rn, isDouble);
        LoadScalar(1, op->Rm, isDouble);
        _a.Scalar(operation, isDouble, 0, 1);
        CheckResult(op, isDouble, mayUnderflow);
        StoreScalar(op->Rd);
        return true;
    }

    private static bool FloatMultiplyAdd(Translator t, Op* op) => t.Fuse(op, Fused.MultiplyAdd);

    private static bool FloatMultiplySubtract(Translator t, Op* op) => t.Fuse(op, Fused.NegatedMultiplyAdd);

    private static bool FloatNegatedMultiplyAdd(Translator t, Op* op) => t.Fuse(op, Fused.NegatedMultiplySubtract);

    private static bool FloatNegatedMultiplySubtract(Translator t, Op* op) => t.Fuse(op, Fused.MultiplySubtract);

    private bool Fuse(Op* op, Fused operation)
    {
        if (!Fma.IsSupported)
        {
            return false;
        }

        bool isDouble = IsDouble(op);
        CheckArithmetic(op, rounds: true);
        LoadScalar(0, op->Ra, isDouble);
        LoadScalar(1, op->Rn, isDouble);
        LoadScalar(2, op->Rm, isDouble);
        _a.Fused(operation, isDouble, 0, 1, 2);
        CheckResult(op, isDouble, mayUnderflow: true);
        StoreScalar(op->Rd);
        return true;
    }

    private static bool FloatPrecision(Translator t, Op* op)
    {
        bool fromDouble = IsDouble(op);
        t.CheckArithmetic(op, rounds: fromDouble);
        t.LoadScalar(0, op->Rn, fromDouble);
        t._a.Scalar(Scalar.Convert, fromDouble, 0, 0);
        if (!fromDouble)
        {
            // Only the low half was written, and a NaN remains one.
            t.CheckResult(op, isDouble: true, mayUnderflow: false);
            t.StoreScalar(op->Rd);
            return true;
        }

        t._a.StoreXmmGeneral(false, Rdx, 0);
        t._a.LoadXmmGeneral(false, 0, Rdx);
        t.CheckResult(op, isDouble: false, mayUnderflow: true);
        t.StoreScalar(op->Rd);
        return true;
    }

    // NZCV goes to memory, where the interpreter puts it for NaNs.
    private static bool FloatCompare(Translator t, Op* op)
    {
        bool isDouble = IsDouble(op);
        t.CheckArithmetic(op, rounds: false);
        t.LoadScalar(0, op->Rn, isDouble);
        if ((op->Word & 8) != 0)
        {
            t._a.Packed(Packed.Xor, 1, 1);
        }
        else
        {
            t.LoadScalar(1, op->Rm, isDouble);
        }

        t._a.CompareScalar(isDouble, 0, 1);
        t.LeaveIf(Condition.Parity, op);

        // 1, 0 and -1 compared with 0: N, Z and the opposite of C are SF, ZF and CF.
        t._a.SetByte(Condition.Above, Rax);
        t._a.SetByte(Condition.Below, Rcx);
        t._a.AluTo(Alu.Cmp, 1, Rax, Rcx);
        t.FlagsSet(borrow: true);
        t.SettleFlags(t._wanted[t._index + 1]);
        t.ForgetHostFlags();
        return true;
    }

    private static bool FloatSelect(Translator t, Op* op)
    {
        bool isDouble = IsDouble(op);
        int condition = op->Shift;
        t.CheckFp(op);
        if (condition >= 14)
        {
            t.LoadScalar(0, op->Rn, isDouble);
            t.StoreScalar(op->Rd);
            return true;
        }

        Condition host = t.NeedCondition(condition);
        t._a.Load(isDouble, Rcx, HostRegisters.Vector(op->Rm));
        t._a.Load(isDouble, Rdx, HostRegisters.Vector(op->Rn));
        t._a.ConditionalMove(host, isDouble, Rcx, Rdx);
        t._a.LoadXmmGeneral(isDouble, 0, Rcx);
        t.StoreScalar(op->Rd);
        return true;
    }

    private static bool FloatAbsolute(Translator t, Op* op) => t.ChangeSign(op, negate: false);

    private static bool FloatNegate(Translator t, Op* op) => t.ChangeSign(op, negate: true);

    private bool ChangeSign(Op* op, bool negate)
    {
        bool isDouble = IsDouble(op);
        CheckFp(op);
        LoseHostFlags();
        _a.Load(isDouble, Rdx, HostRegisters.Vector(op->Rn));
        if (negate)
        {
            _a.BitComplement(isDouble, Rdx, isDouble ? 63 : 31);
        }
        else
        {
            _a.BitReset(isDouble, Rdx, isDouble ? 63 : 31);
        }

        _a.LoadXmmGeneral(isDouble, 0, Rdx);
        StoreScalar(op->Rd);
        return true;
    }

    private static bool FloatMove(Translator t, Op* op)
    {
        t.CheckFp(op);
        t.LoadScalar(0, op->Rn, IsDouble(op));
        t.StoreScalar(op->Rd);
        return true;
    }

    private static bool FloatMoveImmediate(Translator t, Op* op)
    {
        t.CheckFp(op);
        t._a.LoadImmediate(Rdx, op->Imm);
        t._a.LoadXmmGeneral(true, 0, Rdx);
        t.StoreScalar(op->Rd);
        return true;
    }

    private static bool FloatToGeneral(Translator t, Op* op)
    {
        t.CheckFp(op);
        Reg target = Target(op->Rd, Rdx);
        t._a.Load(IsDouble(op), target, HostRegisters.Vector(op->Rn));
        t.Out(op->Rd, target);
        return true;
    }

    private static bool FloatTopToGeneral(Translator t, Op* op)
    {
        t.CheckFp(op);
        Reg target = Target(op->Rd, Rdx);
        t._a.Load(true, target, HostRegisters.Vector(op->Rn, 1));
        t.Out(op->Rd, target);
        return true;
    }

    private static bool FloatFromGeneral(Translator t, Op* op)
    {
        t.CheckFp(op);
        t._a.LoadXmmGeneral(IsDouble(op), 0, Place(op->Rn));
        t.StoreScalar(op->Rd);
        return true;
    }

    private static bool FloatTopFromGeneral(Translator t, Op* op)
    {
        t.CheckFp(op);
        t._a.Store(true, HostRegisters.Vector(op->Rd, 1), t.In(op->Rn, Rdx));
        return true;
    }

    // FCVTZS, FCVTZU; leaves where the result would be another than the host's.
    private static bool FloatToInteger(Translator t, Op* op)
    {
        bool isDouble = IsDouble(op);
        bool wide = op->Word >> 31 != 0;
        bool signed = (op->Word & (1u << 16)) == 0;
        t.CheckArithmetic(op, rounds: true);
        t.LoadScalar(0, op->Rn, isDouble);
        t._a.ScalarToInteger(isDouble, wide || !signed, Rdx, 0);
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
        t.StoreScalar(op->Rd);
        return true;
    }

    // FPCR is 0, and where something is rounded FPSR.IXC is set. At each instruction, for the interpreter may just have executed the one before.
    private void CheckArithmetic(Op* op, bool rounds)
    {
        CheckFp(op);
        LoseHostFlags();
        _a.AluImmediate(Alu.Cmp, false, HostRegisters.Fpcr, 0);
        LeaveIf(Condition.NotEqual, op);
        if (rounds)
        {
            _a.TestImmediate(false, HostRegisters.Fpsr, Inexact);
            LeaveIf(Condition.Equal, op);
        }
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

    // The rest of the register becomes zero.
    private void LoadScalar(int register, int vector, bool isDouble)
    {
        if (isDouble)
        {
            _a.LoadXmm64(register, HostRegisters.Vector(vector));
        }
        else
        {
            _a.LoadXmmGeneral(false, register, HostRegisters.Vector(vector));
        }
    }

    // All of XMM0, whose upper part is zero: scalar operations leave it alone.
    private void StoreScalar(int vector) => _a.StoreXmm(HostRegisters.Vector(vector), 0);
}

using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.GuestRegisters;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Scalar floating point of single and double precision. The host computes where its result cannot differ from the guest's: FPCR is 0,
/// FPSR.IXC is set already, and the result shows that no other exception was raised (<see cref="FloatChecks"/>). NaNs, infinities, what may
/// underflow, and the first inexact results of a program are left to the interpreter. An addition is 7 host instructions, of which 5 look
/// at the result.
/// </summary>
internal static unsafe class FloatingPointScalarEmitters
{
    public static bool IsDouble(Op* op) => (op->Word & (1u << 22)) != 0;

    // A finite sum can only be inexact. It raises no underflow, since a subnormal sum is exact.
    public static bool FloatAdd(BlockEmitter e, Op* op) => Calculate(e, op, Scalar.Add, mayUnderflow: false);

    public static bool FloatSubtract(BlockEmitter e, Op* op) => Calculate(e, op, Scalar.Subtract, mayUnderflow: false);

    public static bool FloatMultiply(BlockEmitter e, Op* op) => Calculate(e, op, Scalar.Multiply, mayUnderflow: true);

    public static bool FloatDivide(BlockEmitter e, Op* op) => Calculate(e, op, Scalar.Divide, mayUnderflow: true);

    public static bool FloatSquareRoot(BlockEmitter e, Op* op)
    {
        bool isDouble = IsDouble(op);
        e.Floats.CheckArithmetic(op, rounds: true);
        int n = e.Vectors.Read(op->Rn);
        e.Asm.Scalar(Scalar.SquareRoot, isDouble, 0, n, n);
        CheckResult(e, op, isDouble, mayUnderflow: false);
        StoreScalar(e, op->Rd, isDouble);
        return true;
    }

    private static bool Calculate(BlockEmitter e, Op* op, Scalar operation, bool mayUnderflow)
    {
        bool isDouble = IsDouble(op);
        e.Floats.CheckArithmetic(op, rounds: true);
        e.Asm.Scalar(operation, isDouble, 0, e.Vectors.Read(op->Rn), e.Vectors.Read(op->Rm));
        CheckResult(e, op, isDouble, mayUnderflow);
        StoreScalar(e, op->Rd, isDouble);
        return true;
    }

    public static bool FloatMultiplyAdd(BlockEmitter e, Op* op) => Fuse(e, op, Fused.MultiplyAdd);

    public static bool FloatMultiplySubtract(BlockEmitter e, Op* op) => Fuse(e, op, Fused.NegatedMultiplyAdd);

    public static bool FloatNegatedMultiplyAdd(BlockEmitter e, Op* op) => Fuse(e, op, Fused.NegatedMultiplySubtract);

    public static bool FloatNegatedMultiplySubtract(BlockEmitter e, Op* op) => Fuse(e, op, Fused.MultiplySubtract);

    private static bool Fuse(BlockEmitter e, Op* op, Fused operation)
    {
        bool isDouble = IsDouble(op);
        e.Floats.CheckArithmetic(op, rounds: true);
        e.Asm.CopyXmm(0, e.Vectors.Read(op->Ra));
        e.Asm.Fused(operation, isDouble, 0, e.Vectors.Read(op->Rn), e.Vectors.Read(op->Rm));
        CheckResult(e, op, isDouble, mayUnderflow: true);
        StoreScalar(e, op->Rd, isDouble);
        return true;
    }

    // From single to double precision nothing is rounded.
    public static bool FloatPrecision(BlockEmitter e, Op* op)
    {
        bool fromDouble = IsDouble(op);
        e.Floats.CheckArithmetic(op, rounds: fromDouble);
        int n = e.Vectors.Read(op->Rn);
        e.Asm.Scalar(Scalar.Convert, fromDouble, 0, n, n);
        CheckResult(e, op, !fromDouble, mayUnderflow: fromDouble);
        StoreScalar(e, op->Rd, !fromDouble);
        return true;
    }

    // NZCV is stored: where the interpreter executes the instruction, for a NaN, it comes back with NZCV in memory.
    public static bool FloatCompare(BlockEmitter e, Op* op)
    {
        e.Floats.CheckArithmetic(op, rounds: false);
        CompareScalars(e, op, withZero: (op->Word & 8) != 0);
        e.Flags.Set(borrow: true);
        e.Flags.SettleBehind();
        e.Flags.Forget();
        return true;
    }

    // Compares (n > m) with (n < m), which gives N, Z and a borrow as the comparison of n and m has them. Leaves for NaNs.
    private static void CompareScalars(BlockEmitter e, Op* op, bool withZero)
    {
        int m = 1;
        if (withZero)
        {
            e.Asm.Packed(Packed.Xor, 1, 1);
        }
        else
        {
            m = e.Vectors.Read(op->Rm);
        }

        e.Asm.CompareScalar(IsDouble(op), e.Vectors.Read(op->Rn), m);
        e.Exits.LeaveIf(Condition.Parity, op);
        e.Asm.SetByte(Condition.Above, Rax);
        e.Asm.SetByte(Condition.Below, Rcx);
        e.Asm.AluTo(Alu.Cmp, 1, Rax, Rcx);
    }

    // FCCMP, FCCMPE: where the condition holds NZCV is that of the comparison, else that of the instruction.
    public static bool FloatConditionalCompare(BlockEmitter e, Op* op)
    {
        int condition = op->Shift;
        e.Floats.CheckArithmetic(op, rounds: false);
        e.Vectors.Read(op->Rn);
        e.Vectors.Read(op->Rm);
        byte* otherwise = null;
        if (condition < 14)
        {
            // The comparison may leave, so the flags must be in memory.
            e.Flags.Settle(true);
            otherwise = e.Asm.JumpForward(FlagCache.Opposite(e.Flags.Need(condition)));
            e.Flags.Forget();
        }

        CompareScalars(e, op, withZero: false);
        if (otherwise != null)
        {
            byte* done = e.Asm.JumpShort();
            e.Asm.Bind(otherwise);
            e.Flags.SetConstant((int)op->Word & 15, borrow: true);
            e.Asm.BindShort(done);
        }

        e.Flags.Set(borrow: true);
        e.Flags.SettleBehind();
        e.Flags.Forget();
        return true;
    }

    public static bool FloatSelect(BlockEmitter e, Op* op)
    {
        bool isDouble = IsDouble(op);
        int condition = op->Shift;
        e.Floats.CheckEnabled(op);
        int n = e.Vectors.Read(op->Rn);
        if (condition >= 14)
        {
            e.Asm.CopyLow(isDouble, e.Vectors.Overwrite(op->Rd), n);
            return true;
        }

        int m = e.Vectors.Read(op->Rm);
        Condition host = e.Flags.Need(condition);
        e.Asm.StoreXmmGeneral(isDouble, Rcx, m);
        e.Asm.StoreXmmGeneral(isDouble, Rdx, n);
        e.Asm.ConditionalMove(host, isDouble, Rcx, Rdx);
        e.Asm.LoadXmmGeneral(isDouble, e.Vectors.Overwrite(op->Rd), Rcx);
        return true;
    }

    public static bool FloatAbsolute(BlockEmitter e, Op* op) => ChangeSign(e, op, negate: false);

    public static bool FloatNegate(BlockEmitter e, Op* op) => ChangeSign(e, op, negate: true);

    private static bool ChangeSign(BlockEmitter e, Op* op, bool negate)
    {
        bool isDouble = IsDouble(op);
        ulong sign = SimdSequences.SignBits(isDouble ? 3 : 2);
        e.Floats.CheckSign(op, e.Model);
        SimdSequences.Constant(e, 0, negate ? sign : ~sign);
        e.Asm.Packed(negate ? Packed.Xor : Packed.And, 0, e.Vectors.Read(op->Rn));
        StoreScalar(e, op->Rd, isDouble);
        return true;
    }

    public static bool FloatMove(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        int n = e.Vectors.Read(op->Rn);
        e.Asm.CopyLow(IsDouble(op), e.Vectors.Overwrite(op->Rd), n);
        return true;
    }

    public static bool FloatMoveImmediate(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.LoadImmediate(Rdx, op->Imm);
        e.Asm.LoadXmmGeneral(true, e.Vectors.Overwrite(op->Rd), Rdx);
        return true;
    }

    public static bool FloatToGeneral(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        Reg target = Target(op->Rd, Rdx);
        e.Asm.StoreXmmGeneral(IsDouble(op), target, e.Vectors.Read(op->Rn));
        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool FloatTopToGeneral(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        Reg target = Target(op->Rd, Rdx);
        e.Asm.ExtractElement(3, target, e.Vectors.Read(op->Rn), 1);
        e.Registers.Out(op->Rd, target);
        return true;
    }

    public static bool FloatFromGeneral(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        e.Asm.LoadXmmGeneral(IsDouble(op), e.Vectors.Overwrite(op->Rd), Place(op->Rn));
        return true;
    }

    public static bool FloatTopFromGeneral(BlockEmitter e, Op* op)
    {
        e.Floats.CheckEnabled(op);
        int d = e.Vectors.Update(op->Rd);
        e.Asm.InsertElement(3, d, d, Place(op->Rn), 1);
        return true;
    }

    // FCVTZS, FCVTZU. Leaves where the host's result differs from the guest's.
    public static bool FloatToInteger(BlockEmitter e, Op* op)
    {
        bool isDouble = IsDouble(op);
        bool wide = op->Word >> 31 != 0;
        bool signed = (op->Word & (1u << 16)) == 0;
        e.Floats.CheckArithmetic(op, rounds: true);
        e.Asm.ScalarToInteger(isDouble, wide || !signed, Rdx, e.Vectors.Read(op->Rn));
        if (signed)
        {
            // The host gives the least integer where there is no result. Only that minus 1 overflows.
            e.Asm.AluImmediate(Alu.Cmp, wide, Rdx, 1);
            e.Exits.LeaveIf(Condition.Overflow, op);
        }
        else if (wide)
        {
            e.Asm.Test(true, Rdx, Rdx);
            e.Exits.LeaveIf(Condition.Sign, op);
        }
        else
        {
            e.Asm.Load(false, Rcx, Rdx);
            e.Asm.Alu(Alu.Cmp, true, Rcx, Rdx);
            e.Exits.LeaveIf(Condition.NotEqual, op);
        }

        e.Registers.Out(op->Rd, Rdx);
        return true;
    }

    public static bool FloatFromInteger(BlockEmitter e, Op* op)
    {
        bool isDouble = IsDouble(op);
        bool wide = op->Word >> 31 != 0;
        bool signed = (op->Word & (1u << 16)) == 0;
        e.Floats.CheckArithmetic(op, rounds: true);
        e.Registers.Copy(Rdx, op->Rn, wide);
        if (wide && !signed)
        {
            e.Asm.Test(true, Rdx, Rdx);
            e.Exits.LeaveIf(Condition.Sign, op);
        }

        // The host instruction keeps the rest of its destination, and waits for it.
        e.Asm.Packed(Packed.Xor, 0, 0);
        e.Asm.IntegerToScalar(isDouble, wide || !signed, 0, Rdx);
        e.Asm.CopyXmm(e.Vectors.Overwrite(op->Rd), 0);
        return true;
    }

    // Leaves unless the result in XMM0 is finite. Where it may underflow, leaves also unless it is well above the least normal magnitude.
    private static void CheckResult(BlockEmitter e, Op* op, bool isDouble, bool mayUnderflow)
    {
        int exponentMask = isDouble ? 0x7FF : 0xFF;
        e.Asm.StoreXmmGeneral(isDouble, Rdx, 0);
        e.Asm.Alu(Alu.Add, isDouble, Rdx, Rdx);
        e.Asm.ShiftImmediate(Shift.Shr, isDouble, Rdx, isDouble ? 53 : 24);
        if (mayUnderflow)
        {
            // Passes exponents from 2 to the last but two.
            e.Asm.AluImmediate(Alu.Add, false, Rdx, 2);
            e.Asm.TestImmediate(false, Rdx, exponentMask & ~3);
        }
        else
        {
            e.Asm.AluImmediate(Alu.Cmp, false, Rdx, exponentMask);
        }

        e.Exits.LeaveIf(Condition.Equal, op);
    }

    // V register = the low element of XMM0. The rest becomes zero.
    private static void StoreScalar(BlockEmitter e, int vector, bool isDouble) => e.Asm.CopyLow(isDouble, e.Vectors.Overwrite(vector), 0);
}

using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Floating point on vectors of 16 bytes, under the conditions of scalar floating point; where one element does not meet them, the interpreter does the whole
/// instruction. Looking at the result takes 12 instructions for all elements.
/// </content>
internal sealed unsafe partial class Translator
{
    private static delegate*<Translator, Op*, bool> OfFloatVector(string mnemonic) => mnemonic switch
    {
        "FADD (vector) S" or "FADD (vector) D" => &FloatAddVector,
        "FSUB (vector) S" or "FSUB (vector) D" => &FloatSubtractVector,
        "FMUL (vector) S" or "FMUL (vector) D" => &FloatMultiplyVector,
        "FDIV (vector) S" or "FDIV (vector) D" => &FloatDivideVector,
        "FMLA (vector) S" or "FMLA (vector) D" => &FloatMultiplyAddVector,
        "FMLS (vector) S" or "FMLS (vector) D" => &FloatMultiplySubtractVector,
        "FMUL (by element, vector) S" or "FMUL (by element, vector) D" => &FloatMultiplyElement,
        "FMLA (by element, vector) S" or "FMLA (by element, vector) D" => &FloatMultiplyAddElement,
        "FMLS (by element, vector) S" or "FMLS (by element, vector) D" => &FloatMultiplySubtractElement,
        _ => null,
    };

    private static bool FloatAddVector(Translator t, Op* op) => t.CalculateVector(op, Scalar.Add, mayUnderflow: false, byElement: false);

    private static bool FloatSubtractVector(Translator t, Op* op) => t.CalculateVector(op, Scalar.Subtract, mayUnderflow: false, byElement: false);

    private static bool FloatMultiplyVector(Translator t, Op* op) => t.CalculateVector(op, Scalar.Multiply, mayUnderflow: true, byElement: false);

    private static bool FloatDivideVector(Translator t, Op* op) => t.CalculateVector(op, Scalar.Divide, mayUnderflow: true, byElement: false);

    private static bool FloatMultiplyElement(Translator t, Op* op) => t.CalculateVector(op, Scalar.Multiply, mayUnderflow: true, byElement: true);

    private static bool FloatMultiplyAddVector(Translator t, Op* op) => t.FuseVector(op, Fused.MultiplyAdd, byElement: false);

    private static bool FloatMultiplySubtractVector(Translator t, Op* op) => t.FuseVector(op, Fused.NegatedMultiplyAdd, byElement: false);

    private static bool FloatMultiplyAddElement(Translator t, Op* op) => t.FuseVector(op, Fused.MultiplyAdd, byElement: true);

    private static bool FloatMultiplySubtractElement(Translator t, Op* op) => t.FuseVector(op, Fused.NegatedMultiplyAdd, byElement: true);

    private bool CalculateVector(Op* op, Scalar operation, bool mayUnderflow, bool byElement)
    {
        if (op->Shift != 16)
        {
            return false;
        }

        bool isDouble = IsDouble(op);
        CheckArithmetic(op, rounds: true);
        LoadVector(0, op->Rn);
        LoadMultiplier(op, isDouble, byElement);
        _a.PackedScalar(operation, isDouble, 0, 1);
        CheckResults(op, isDouble, mayUnderflow);
        StoreVector(op->Rd, 16);
        return true;
    }

    private bool FuseVector(Op* op, Fused operation, bool byElement)
    {
        if (op->Shift != 16 || !Fma.IsSupported)
        {
            return false;
        }

        bool isDouble = IsDouble(op);
        CheckArithmetic(op, rounds: true);
        LoadVector(0, op->Rd);
        LoadVector(2, op->Rn);
        LoadMultiplier(op, isDouble, byElement);
        _a.PackedFused(operation, isDouble, 0, 2, 1);
        CheckResults(op, isDouble, mayUnderflow: true);
        StoreVector(op->Rd, 16);
        return true;
    }

    // XMM1 = m, or its element in every place.
    private void LoadMultiplier(Op* op, bool isDouble, bool byElement)
    {
        LoadVector(1, op->Rm);
        if (byElement)
        {
            // An element of 8 bytes is two words.
            _a.ShuffleWords(1, 1, isDouble ? (op->Extra == 0 ? 0x44 : 0xEE) : op->Extra * 0x55);
        }
    }

    // As CheckResult, for each element of XMM0: its exponent plus 1 or 2 wraps to zero, or to less than 4.
    private void CheckResults(Op* op, bool isDouble, bool mayUnderflow)
    {
        int size = isDouble ? 8 : 4;
        int exponent = isDouble ? 53 : 24;
        ulong step = (mayUnderflow ? 2ul : 1ul) << exponent;
        Constant(2, isDouble ? step : step | (step << 32));
        _a.CopyXmm(1, 0);
        _a.PackedShift(PackedShift.Left, size, 1, 1);
        _a.Packed(isDouble ? Packed.AddD : Packed.AddS, 1, 2);
        _a.PackedShift(PackedShift.Right, size, 1, exponent + (mayUnderflow ? 2 : 0));
        _a.Packed(Packed.Xor, 2, 2);
        _a.Packed(isDouble ? Packed.EqualD : Packed.EqualS, 1, 2);
        _a.TopBits(Rdx, 1);
        _a.Test(false, Rdx, Rdx);
        LeaveIf(Condition.NotEqual, op);
    }
}

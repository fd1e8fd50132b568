using Vmm.Emulation.Cpu.Interpreter;
using static Vmm.Emulation.Cpu.Jit.X64.Reg;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>
/// Floating point on vectors of 16 and 8 bytes, and scalar floating point for which the host has vector instructions only. The conditions
/// are those of scalar floating point. Where one element does not meet them, the whole instruction is left to the interpreter. Looking at
/// the results takes 12 host instructions for all elements, looking for NaNs among the sources four.
/// </summary>
internal static unsafe class FloatingPointVectorEmitters
{
    public static bool FloatVector(BlockEmitter e, Op* op) => FloatVector(e, op, FloatOperations.Of(op));

    private static bool FloatVector(BlockEmitter e, Op* op, FloatOp what)
    {
        bool isDouble = FloatingPointScalarEmitters.IsDouble(op);
        int bytes = what.Shape is FloatShape.Lengthen or FloatShape.Narrow ? 16 : !what.Plain ? op->Shift : isDouble ? 8 : 4;
        var operation = (Scalar)what.Argument;
        if (what.Shape == FloatShape.ToSigned && isDouble && bytes == 16)
        {
            return false;
        }

        switch (what.Shape)
        {
            case FloatShape.Absolute or FloatShape.Negate:
                e.Floats.CheckSign(op, e.Model);
                ulong sign = SimdSequences.SignBits(isDouble ? 3 : 2);
                SimdSequences.Constant(e, 0, what.Shape == FloatShape.Negate ? sign : ~sign);
                e.Asm.Packed(what.Shape == FloatShape.Negate ? Packed.Xor : Packed.And, 0, e.Vectors.Read(op->Rn));
                SimdSequences.StoreVector(e, op->Rd, bytes);
                return true;
            case FloatShape.Extreme or (>= FloatShape.Compare and <= FloatShape.CompareAbsolute):
                e.Floats.CheckArithmetic(op, rounds: false);
                Compare(e, op, what, isDouble, bytes);
                SimdSequences.StoreVector(e, op->Rd, bytes);
                return true;
        }

        e.Floats.CheckArithmetic(op, rounds: what.Shape != FloatShape.Lengthen);
        int n = e.Vectors.Read(op->Rn);
        switch (what.Shape)
        {
            case FloatShape.Arithmetic:
                e.Asm.PackedScalar(operation, isDouble, 0, n, FloatMultiplier(e, op, what, isDouble));
                CheckResults(e, op, isDouble, mayUnderflow: operation is Scalar.Multiply or Scalar.Divide, bytes);
                break;
            case FloatShape.Pairwise:
                SimdPermuteEmitters.LoadPair(e, op, n);
                e.Asm.CopyXmm(2, 0);
                SimdSequences.Deinterleave(e, 0, 1, isDouble ? 3 : 2, odd: false);
                SimdSequences.Deinterleave(e, 2, 1, isDouble ? 3 : 2, odd: true);
                e.Asm.PackedScalar(operation, isDouble, 0, 0, 2);
                CheckResults(e, op, isDouble, mayUnderflow: false, bytes);
                break;
            case FloatShape.Pair:
                e.Asm.ShuffleWords(1, n, isDouble ? 0xEE : 0x55);
                e.Asm.PackedScalar(operation, isDouble, 0, n, 1);
                CheckResults(e, op, isDouble, mayUnderflow: false, bytes);
                break;
            case FloatShape.Difference:
                e.Asm.PackedScalar(operation, isDouble, 0, n, e.Vectors.Read(op->Rm));
                CheckResults(e, op, isDouble, mayUnderflow: false, bytes);
                SimdSequences.Constant(e, 1, ~SimdSequences.SignBits(isDouble ? 3 : 2));
                e.Asm.Packed(Packed.And, 0, 1);
                break;
            case FloatShape.NegatedMultiply:
                e.Asm.PackedScalar(operation, isDouble, 0, n, e.Vectors.Read(op->Rm));
                CheckResults(e, op, isDouble, mayUnderflow: true, bytes);
                SimdSequences.Constant(e, 1, SimdSequences.SignBits(isDouble ? 3 : 2));
                e.Asm.Packed(Packed.Xor, 0, 1);
                break;
            case FloatShape.Fused:
                int m = FloatMultiplier(e, op, what, isDouble);
                e.Asm.CopyXmm(0, e.Vectors.Read(op->Rd));
                e.Asm.PackedFused((Fused)what.Argument, isDouble, 0, n, m);
                CheckResults(e, op, isDouble, mayUnderflow: true, bytes);
                break;
            case FloatShape.SquareRoot:
                e.Asm.PackedScalar(operation, isDouble, 0, n, n);
                CheckResults(e, op, isDouble, mayUnderflow: false, bytes);
                break;
            case FloatShape.Round:
                e.Asm.PackedRound(isDouble, 0, n, what.Argument | 8);
                CheckResults(e, op, isDouble, mayUnderflow: false, bytes);
                break;
            case FloatShape.FromSigned or FloatShape.FromUnsigned:
                FromIntegers(e, op, n, isDouble, bytes, what.Shape == FloatShape.FromUnsigned);
                break;
            case FloatShape.ToSigned:
                ToIntegers(e, op, n, isDouble, bytes);
                break;
            case FloatShape.Lengthen:
                if (op->Shift == 16)
                {
                    e.Asm.ShuffleWords(0, n, 0xEE);
                    n = 0;
                }

                e.Asm.ConvertPair(fromDouble: false, 0, n);
                CheckResults(e, op, isDouble: true, mayUnderflow: false, 16);
                break;
            default:
                e.Asm.ConvertPair(fromDouble: true, 0, n);
                CheckResults(e, op, isDouble: false, mayUnderflow: true, 8);
                if (op->Shift == 16)
                {
                    int d = e.Vectors.Update(op->Rd);
                    e.Asm.Packed(Packed.UnpackLowD, d, d, 0);
                    return true;
                }

                bytes = 8;
                break;
        }

        SimdSequences.StoreVector(e, op->Rd, bytes);
        return true;
    }

    // The register that holds the second source: m, or XMM1 with the element of m in every place.
    private static int FloatMultiplier(BlockEmitter e, Op* op, FloatOp what, bool isDouble)
    {
        int m = e.Vectors.Read(op->Rm);
        if (!what.Element)
        {
            return m;
        }

        SimdSequences.Broadcast(e, 1, m, isDouble ? 3 : 2, op->Extra);
        return 1;
    }

    // XMM0 = a comparison, a maximum or a minimum. Leaves for NaNs.
    private static void Compare(BlockEmitter e, Op* op, FloatOp what, bool isDouble, int bytes)
    {
        var condition = (FloatCondition)what.Argument;
        int n = e.Vectors.Read(op->Rn);
        int m = 1;
        if (what.Shape is FloatShape.CompareZero or FloatShape.CompareZeroSwapped)
        {
            e.Asm.Packed(Packed.Xor, 1, 1);
        }
        else
        {
            m = e.Vectors.Read(op->Rm);
        }

        e.Asm.PackedCompare(FloatCondition.Unordered, isDouble, 0, n, m);
        LeaveWhereSet(e, op, 0, bytes);
        switch (what.Shape)
        {
            case FloatShape.Extreme:
                // Where two elements are equal they differ at most in the sign of zero: AND makes a maximum of them, OR a minimum.
                bool max = what.Argument == (int)Scalar.Maximum;
                e.Asm.PackedScalar((Scalar)what.Argument, isDouble, 0, n, m);
                e.Asm.PackedCompare(FloatCondition.Equal, isDouble, 1, n, m);
                e.Asm.Packed(max ? Packed.And : Packed.Or, 2, n, m);
                e.Asm.Blend(0, 0, 2, 1);
                break;
            case FloatShape.CompareAbsolute:
                SimdSequences.Constant(e, 2, ~SimdSequences.SignBits(isDouble ? 3 : 2));
                e.Asm.Packed(Packed.And, 0, n, 2);
                e.Asm.Packed(Packed.And, 1, m, 2);
                e.Asm.PackedCompare(condition, isDouble, 0, 1, 0);
                break;
            case FloatShape.CompareSwapped or FloatShape.CompareZeroSwapped:
                e.Asm.PackedCompare(condition, isDouble, 0, m, n);
                break;
            default:
                e.Asm.PackedCompare(condition, isDouble, 0, n, m);
                break;
        }
    }

    // XMM0 = n from integers. The host converts signed integers only, so unsigned ones with the top bit set leave.
    private static void FromIntegers(BlockEmitter e, Op* op, int n, bool isDouble, int bytes, bool unsigned)
    {
        if (unsigned)
        {
            e.Asm.TopBits(Rdx, n);
            e.Asm.TestImmediate(false, Rdx, (isDouble ? 0x8080 : 0x8888) & ((1 << bytes) - 1));
            e.Exits.LeaveIf(Condition.NotEqual, op);
        }

        if (!isDouble)
        {
            e.Asm.WordsToSingles(0, n);
            return;
        }

        e.Asm.StoreXmmGeneral(true, Rdx, n);
        e.Asm.Packed(Packed.Xor, 0, 0);
        e.Asm.IntegerToScalar(true, true, 0, Rdx);
        if (bytes == 16)
        {
            e.Asm.ExtractElement(3, Rdx, n, 1);
            e.Asm.Packed(Packed.Xor, 1, 1);
            e.Asm.IntegerToScalar(true, true, 1, Rdx);
            e.Asm.Packed(Packed.UnpackLowD, 0, 1);
        }
    }

    // XMM0 = n as integers, towards zero. Leaves where the host gives the least integer, which also stands for no result.
    private static void ToIntegers(BlockEmitter e, Op* op, int n, bool isDouble, int bytes)
    {
        if (isDouble)
        {
            e.Asm.ScalarToInteger(true, true, Rdx, n);
            e.Asm.AluImmediate(Alu.Cmp, true, Rdx, 1);
            e.Exits.LeaveIf(Condition.Overflow, op);
            e.Asm.LoadXmmGeneral(true, 0, Rdx);
            return;
        }

        e.Asm.SinglesToWords(0, n);
        SimdSequences.Constant(e, 1, SimdSequences.SignBits(2));
        e.Asm.Packed(Packed.EqualS, 1, 0);
        LeaveWhereSet(e, op, 1, bytes);
    }

    /// <summary>Leaves where the top bit of one of the first bytes is set. Uses RDX.</summary>
    public static void LeaveWhereSet(BlockEmitter e, Op* op, int register, int bytes)
    {
        e.Asm.TopBits(Rdx, register);
        if (bytes == 16)
        {
            e.Asm.Test(false, Rdx, Rdx);
        }
        else
        {
            e.Asm.TestImmediate(false, Rdx, (1 << bytes) - 1);
        }

        e.Exits.LeaveIf(Condition.NotEqual, op);
    }

    // Leaves as CheckResult of scalars does, for any element of XMM0.
    private static void CheckResults(BlockEmitter e, Op* op, bool isDouble, bool mayUnderflow, int bytes)
    {
        FindRare(e, isDouble, mayUnderflow);
        LeaveWhereSet(e, op, 1, bytes);
    }

    /// <summary>
    /// XMM1 = ones where an element of XMM0 is a result that is left to the interpreter. The exponent plus 1 wraps to 0 where the element
    /// is not finite; plus 2, it is less than 4 where the element may have underflowed too. Uses XMM2 and RDX.
    /// </summary>
    public static void FindRare(BlockEmitter e, bool isDouble, bool mayUnderflow)
    {
        int size = isDouble ? 8 : 4;
        int exponent = isDouble ? 53 : 24;
        ulong step = (mayUnderflow ? 2ul : 1ul) << exponent;
        SimdSequences.Constant(e, 2, SimdSequences.Replicate(step, isDouble ? 3 : 2));
        e.Asm.PackedShift(PackedShift.Left, size, 1, 0, 1);
        e.Asm.Packed(isDouble ? Packed.AddD : Packed.AddS, 1, 2);
        e.Asm.PackedShift(PackedShift.Right, size, 1, exponent + (mayUnderflow ? 2 : 0));
        e.Asm.Packed(Packed.Xor, 2, 2);
        e.Asm.Packed(isDouble ? Packed.EqualD : Packed.EqualS, 1, 2);
    }
}

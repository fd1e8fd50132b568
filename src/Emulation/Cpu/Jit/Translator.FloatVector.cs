using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Floating point on vectors of 16 and 8 bytes, and scalar floating point that the host has for vectors only, under the conditions of
/// scalar floating point; where one element does not meet them, the interpreter does the whole instruction. Looking at the result takes 12
/// instructions for all elements, looking for NaNs among the sources four.
/// </content>
internal sealed unsafe partial class Translator
{
    private enum FloatShape
    {
        None,

        /// <summary>n op m; of adjacent elements of m:n, of the two elements of n.</summary>
        Arithmetic,
        Pairwise,
        Pair,

        /// <summary>|n - m|; -(n × m); d ± n × m.</summary>
        Difference,
        NegatedMultiply,
        Fused,
        SquareRoot,
        Absolute,
        Negate,

        /// <summary>The larger or the smaller, of zeros the positive or the negative one.</summary>
        Extreme,

        /// <summary>n condition m, m condition n; the same with zero.</summary>
        Compare,
        CompareSwapped,
        CompareZero,
        CompareZeroSwapped,
        CompareAbsolute,
        Round,
        FromSigned,
        FromUnsigned,
        ToSigned,
        Lengthen,
        Narrow,
    }

    // What an encoding does. Argument: the operation, the condition, or the host's rounding mode. Plain: of scalar floating point proper,
    // where Op.Shift is something else.
    private readonly record struct FloatOp(FloatShape Shape, int Argument = 0, bool Element = false, bool Plain = false);

    private static readonly FloatOp[] s_floatOps = [.. EncodingTable.Rows.Select(row => OfFloatOperation(row.Operation))];

    private static FloatOp OfFloatOperation(Operation operation)
    {
        FloatOp what = operation switch
        {
            Operation.Fadd or Operation.FaddVector => new(FloatShape.Arithmetic, (int)Scalar.Add),
            Operation.Fsub or Operation.FsubVector => new(FloatShape.Arithmetic, (int)Scalar.Subtract),
            Operation.Fmul or Operation.FmulVector or Operation.FmulByElementVector or Operation.FmulByElementScalar
                or Operation.FmulxVector or Operation.FmulxByElementVector or Operation.FmulxByElementScalar or Operation.FmulxScalar
                => new(FloatShape.Arithmetic, (int)Scalar.Multiply),
            Operation.Fdiv or Operation.FdivVector => new(FloatShape.Arithmetic, (int)Scalar.Divide),
            Operation.Fnmul => new(FloatShape.NegatedMultiply, (int)Scalar.Multiply),
            Operation.FaddpVector => new(FloatShape.Pairwise, (int)Scalar.Add),
            Operation.FaddpScalar => new(FloatShape.Pair, (int)Scalar.Add),
            Operation.FabdVector or Operation.FabdScalar => new(FloatShape.Difference, (int)Scalar.Subtract),
            Operation.FmlaVector or Operation.FmlaByElementVector or Operation.FmlaByElementScalar
                => new(FloatShape.Fused, (int)Fused.MultiplyAdd),
            Operation.FmlsVector or Operation.FmlsByElementVector or Operation.FmlsByElementScalar
                => new(FloatShape.Fused, (int)Fused.NegatedMultiplyAdd),
            Operation.Fsqrt or Operation.FsqrtVector => new(FloatShape.SquareRoot, (int)Scalar.SquareRoot),
            Operation.Fabs or Operation.FabsVector => new(FloatShape.Absolute),
            Operation.Fneg or Operation.FnegVector => new(FloatShape.Negate),
            Operation.Fmax or Operation.FmaxVector or Operation.Fmaxnm or Operation.FmaxnmVector
                => new(FloatShape.Extreme, (int)Scalar.Maximum),
            Operation.Fmin or Operation.FminVector or Operation.Fminnm or Operation.FminnmVector
                => new(FloatShape.Extreme, (int)Scalar.Minimum),
            Operation.FcmeqRegisterVector or Operation.FcmeqRegisterScalar => new(FloatShape.Compare, (int)FloatCondition.Equal),
            Operation.FcmgeRegisterVector or Operation.FcmgeRegisterScalar
                => new(FloatShape.CompareSwapped, (int)FloatCondition.LessOrEqual),
            Operation.FcmgtRegisterVector or Operation.FcmgtRegisterScalar => new(FloatShape.CompareSwapped, (int)FloatCondition.Less),
            Operation.FacgeVector or Operation.FacgeScalar => new(FloatShape.CompareAbsolute, (int)FloatCondition.LessOrEqual),
            Operation.FacgtVector or Operation.FacgtScalar => new(FloatShape.CompareAbsolute, (int)FloatCondition.Less),
            Operation.FcmeqZeroVector or Operation.FcmeqZeroScalar => new(FloatShape.CompareZero, (int)FloatCondition.Equal),
            Operation.FcmleZeroVector or Operation.FcmleZeroScalar => new(FloatShape.CompareZero, (int)FloatCondition.LessOrEqual),
            Operation.FcmltZeroVector or Operation.FcmltZeroScalar => new(FloatShape.CompareZero, (int)FloatCondition.Less),
            Operation.FcmgeZeroVector or Operation.FcmgeZeroScalar => new(FloatShape.CompareZeroSwapped, (int)FloatCondition.LessOrEqual),
            Operation.FcmgtZeroVector or Operation.FcmgtZeroScalar => new(FloatShape.CompareZeroSwapped, (int)FloatCondition.Less),

            // FRINTI rounds as FPCR says, which is 0.
            Operation.Frintn or Operation.FrintnVector or Operation.Frintx or Operation.FrintxVector or Operation.Frinti
                or Operation.FrintiVector => new(FloatShape.Round, 0),
            Operation.Frintm or Operation.FrintmVector => new(FloatShape.Round, 1),
            Operation.Frintp or Operation.FrintpVector => new(FloatShape.Round, 2),
            Operation.Frintz or Operation.FrintzVector => new(FloatShape.Round, 3),
            Operation.ScvtfIntegerVector or Operation.ScvtfIntegerScalar => new(FloatShape.FromSigned),
            Operation.UcvtfIntegerVector or Operation.UcvtfIntegerScalar => new(FloatShape.FromUnsigned),
            Operation.FcvtzsIntegerVector or Operation.FcvtzsIntegerScalar => new(FloatShape.ToSigned),
            Operation.FcvtlSToD => new(FloatShape.Lengthen),
            Operation.FcvtnDToS => new(FloatShape.Narrow),
            _ => default,
        };
        return what.Shape == FloatShape.None ? default : what with { Plain = IsPlain(operation), Element = IsByElement(operation) };
    }

    private static bool IsPlain(Operation operation) => operation is
        Operation.Fadd or Operation.Fsub or Operation.Fmul or Operation.Fdiv or Operation.Fnmul or Operation.Fsqrt or Operation.Fabs
            or Operation.Fneg or Operation.Fmax or Operation.Fmaxnm or Operation.Fmin or Operation.Fminnm or Operation.Frintn
            or Operation.Frintx or Operation.Frinti or Operation.Frintm or Operation.Frintp or Operation.Frintz or Operation.FcvtlSToD
            or Operation.FcvtnDToS;

    private static bool IsByElement(Operation operation) => operation is
        Operation.FmulByElementVector or Operation.FmulByElementScalar or Operation.FmulxByElementVector
            or Operation.FmulxByElementScalar or Operation.FmlaByElementVector or Operation.FmlaByElementScalar
            or Operation.FmlsByElementVector or Operation.FmlsByElementScalar;

    private static bool FloatVector(Translator t, Op* op) => t.FloatVector(op, s_floatOps[op->Row]);

    private bool FloatVector(Op* op, FloatOp what)
    {
        bool isDouble = IsDouble(op);
        int bytes = what.Shape is FloatShape.Lengthen or FloatShape.Narrow ? 16 : !what.Plain ? op->Shift : isDouble ? 8 : 4;
        var operation = (Scalar)what.Argument;
        if (what.Shape == FloatShape.ToSigned && isDouble && bytes == 16)
        {
            return false;
        }

        switch (what.Shape)
        {
            case FloatShape.Absolute or FloatShape.Negate:
                CheckFp(op);
                ulong sign = SignBits(isDouble ? 3 : 2);
                Constant(0, what.Shape == FloatShape.Negate ? sign : ~sign);
                _a.Packed(what.Shape == FloatShape.Negate ? Packed.Xor : Packed.And, 0, Vec(op->Rn));
                StoreVector(op->Rd, bytes);
                return true;
            case FloatShape.Extreme or (>= FloatShape.Compare and <= FloatShape.CompareAbsolute):
                CheckArithmetic(op, rounds: false);
                Compare(op, what, isDouble, bytes);
                StoreVector(op->Rd, bytes);
                return true;
        }

        CheckArithmetic(op, rounds: what.Shape != FloatShape.Lengthen);
        int n = Vec(op->Rn);
        switch (what.Shape)
        {
            case FloatShape.Arithmetic:
                _a.PackedScalar(operation, isDouble, 0, n, FloatMultiplier(op, what, isDouble));
                CheckResults(op, isDouble, mayUnderflow: operation is Scalar.Multiply or Scalar.Divide, bytes);
                break;
            case FloatShape.Pairwise:
                LoadPair(op, n);
                _a.CopyXmm(2, 0);
                Deinterleave(0, 1, isDouble ? 3 : 2, odd: false);
                Deinterleave(2, 1, isDouble ? 3 : 2, odd: true);
                _a.PackedScalar(operation, isDouble, 0, 0, 2);
                CheckResults(op, isDouble, mayUnderflow: false, bytes);
                break;
            case FloatShape.Pair:
                _a.ShuffleWords(1, n, isDouble ? 0xEE : 0x55);
                _a.PackedScalar(operation, isDouble, 0, n, 1);
                CheckResults(op, isDouble, mayUnderflow: false, bytes);
                break;
            case FloatShape.Difference:
                _a.PackedScalar(operation, isDouble, 0, n, Vec(op->Rm));
                CheckResults(op, isDouble, mayUnderflow: false, bytes);
                Constant(1, ~SignBits(isDouble ? 3 : 2));
                _a.Packed(Packed.And, 0, 1);
                break;
            case FloatShape.NegatedMultiply:
                _a.PackedScalar(operation, isDouble, 0, n, Vec(op->Rm));
                CheckResults(op, isDouble, mayUnderflow: true, bytes);
                Constant(1, SignBits(isDouble ? 3 : 2));
                _a.Packed(Packed.Xor, 0, 1);
                break;
            case FloatShape.Fused:
                int m = FloatMultiplier(op, what, isDouble);
                _a.CopyXmm(0, Vec(op->Rd));
                _a.PackedFused((Fused)what.Argument, isDouble, 0, n, m);
                CheckResults(op, isDouble, mayUnderflow: true, bytes);
                break;
            case FloatShape.SquareRoot:
                _a.PackedScalar(operation, isDouble, 0, n, n);
                CheckResults(op, isDouble, mayUnderflow: false, bytes);
                break;
            case FloatShape.Round:
                _a.PackedRound(isDouble, 0, n, what.Argument | 8);
                CheckResults(op, isDouble, mayUnderflow: false, bytes);
                break;
            case FloatShape.FromSigned or FloatShape.FromUnsigned:
                FromIntegers(op, n, isDouble, bytes, what.Shape == FloatShape.FromUnsigned);
                break;
            case FloatShape.ToSigned:
                ToIntegers(op, n, isDouble, bytes);
                break;
            case FloatShape.Lengthen:
                if (op->Shift == 16)
                {
                    _a.ShuffleWords(0, n, 0xEE);
                    n = 0;
                }

                _a.ConvertPair(fromDouble: false, 0, n);
                CheckResults(op, isDouble: true, mayUnderflow: false, 16);
                break;
            default:
                _a.ConvertPair(fromDouble: true, 0, n);
                CheckResults(op, isDouble: false, mayUnderflow: true, 8);
                if (op->Shift == 16)
                {
                    int d = Update(op->Rd);
                    _a.Packed(Packed.UnpackLowD, d, d, 0);
                    return true;
                }

                bytes = 8;
                break;
        }

        StoreVector(op->Rd, bytes);
        return true;
    }

    // m, or its element in every place of XMM1. An element of 8 bytes is two words.
    private int FloatMultiplier(Op* op, FloatOp what, bool isDouble)
    {
        int m = Vec(op->Rm);
        if (!what.Element)
        {
            return m;
        }

        Broadcast(1, m, isDouble ? 3 : 2, op->Extra);
        return 1;
    }

    // XMM0 = the result of a comparison, or a maximum or minimum. Leaves for NaNs.
    private void Compare(Op* op, FloatOp what, bool isDouble, int bytes)
    {
        var condition = (FloatCondition)what.Argument;
        int n = Vec(op->Rn);
        int m = 1;
        if (what.Shape is FloatShape.CompareZero or FloatShape.CompareZeroSwapped)
        {
            _a.Packed(Packed.Xor, 1, 1);
        }
        else
        {
            m = Vec(op->Rm);
        }

        _a.PackedCompare(FloatCondition.Unordered, isDouble, 0, n, m);
        LeaveWhereSet(op, 0, bytes);
        switch (what.Shape)
        {
            case FloatShape.Extreme:
                // Where they are equal they differ by the sign of zero at most.
                bool max = what.Argument == (int)Scalar.Maximum;
                _a.PackedScalar((Scalar)what.Argument, isDouble, 0, n, m);
                _a.PackedCompare(FloatCondition.Equal, isDouble, 1, n, m);
                _a.Packed(max ? Packed.And : Packed.Or, 2, n, m);
                _a.Blend(0, 0, 2, 1);
                break;
            case FloatShape.CompareAbsolute:
                Constant(2, ~SignBits(isDouble ? 3 : 2));
                _a.Packed(Packed.And, 0, n, 2);
                _a.Packed(Packed.And, 1, m, 2);
                _a.PackedCompare(condition, isDouble, 0, 1, 0);
                break;
            case FloatShape.CompareSwapped or FloatShape.CompareZeroSwapped:
                _a.PackedCompare(condition, isDouble, 0, m, n);
                break;
            default:
                _a.PackedCompare(condition, isDouble, 0, n, m);
                break;
        }
    }

    // The host converts unsigned integers as signed ones: those with the top bit leave.
    private void FromIntegers(Op* op, int n, bool isDouble, int bytes, bool unsigned)
    {
        if (unsigned)
        {
            _a.TopBits(Rdx, n);
            _a.TestImmediate(false, Rdx, (isDouble ? 0x8080 : 0x8888) & ((1 << bytes) - 1));
            LeaveIf(Condition.NotEqual, op);
        }

        if (!isDouble)
        {
            _a.WordsToSingles(0, n);
            return;
        }

        _a.StoreXmmGeneral(true, Rdx, n);
        _a.Packed(Packed.Xor, 0, 0);
        _a.IntegerToScalar(true, true, 0, Rdx);
        if (bytes == 16)
        {
            _a.ExtractElement(3, Rdx, n, 1);
            _a.Packed(Packed.Xor, 1, 1);
            _a.IntegerToScalar(true, true, 1, Rdx);
            _a.Packed(Packed.UnpackLowD, 0, 1);
        }
    }

    // Towards zero. The least integer is what the host gives where there is no result.
    private void ToIntegers(Op* op, int n, bool isDouble, int bytes)
    {
        if (isDouble)
        {
            _a.ScalarToInteger(true, true, Rdx, n);
            _a.AluImmediate(Alu.Cmp, true, Rdx, 1);
            LeaveIf(Condition.Overflow, op);
            _a.LoadXmmGeneral(true, 0, Rdx);
            return;
        }

        _a.SinglesToWords(0, n);
        Constant(1, SignBits(2));
        _a.Packed(Packed.EqualS, 1, 0);
        LeaveWhereSet(op, 1, bytes);
    }

    // Leaves where a byte of so many has its top bit set. Uses RDX.
    private void LeaveWhereSet(Op* op, int register, int bytes)
    {
        _a.TopBits(Rdx, register);
        if (bytes == 16)
        {
            _a.Test(false, Rdx, Rdx);
        }
        else
        {
            _a.TestImmediate(false, Rdx, (1 << bytes) - 1);
        }

        LeaveIf(Condition.NotEqual, op);
    }

    // As CheckResult, for each element of XMM0: its exponent plus 1 or 2 wraps to zero, or to less than 4.
    private void CheckResults(Op* op, bool isDouble, bool mayUnderflow, int bytes)
    {
        int size = isDouble ? 8 : 4;
        int exponent = isDouble ? 53 : 24;
        ulong step = (mayUnderflow ? 2ul : 1ul) << exponent;
        Constant(2, Replicate(step, isDouble ? 3 : 2));
        _a.PackedShift(PackedShift.Left, size, 1, 0, 1);
        _a.Packed(isDouble ? Packed.AddD : Packed.AddS, 1, 2);
        _a.PackedShift(PackedShift.Right, size, 1, exponent + (mayUnderflow ? 2 : 0));
        _a.Packed(Packed.Xor, 2, 2);
        _a.Packed(isDouble ? Packed.EqualD : Packed.EqualS, 1, 2);
        LeaveWhereSet(op, 1, bytes);
    }
}

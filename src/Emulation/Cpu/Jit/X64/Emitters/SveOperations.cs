using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>What an instruction of SVE does with each element. The sources are n, m and a; an immediate stands for m.</summary>
internal enum SveShape
{
    None,

    /// <summary>n op m; n and not m; n × m; a ± n × m; m.</summary>
    Same,
    BitClear,
    Multiply,
    MultiplyAdd,
    MultiplySub,
    Second,

    /// <summary>The greater of n and m less the other; n ^ m ^ a; n ^ (m &amp; ~a); n ^ m, rotated right; a choice.</summary>
    Difference,
    ExclusiveOrThree,
    ClearAndExclusiveOr,
    ExclusiveOrAndRotate,
    Select,

    /// <summary>n shifted by the immediate; a plus that; n shifted by m.</summary>
    ShiftLeft,
    ShiftRight,
    ShiftRightAccumulate,
    ShiftLeftEach,
    ShiftRightEach,

    /// <summary>Of n alone: |n|, -n, ~n, whether it is zero; its lowest bytes extended; its parts in the other order.</summary>
    Absolute,
    Negate,
    Not,
    IsZero,
    Extend,
    ReverseParts,

    /// <summary>The same of floating point, where only the sign changes.</summary>
    FloatAbsolute,
    FloatNegate,

    /// <summary>
    /// Floating point: n op m, a ± n × m; |n - m|, the greater or lesser; of n alone its square root, an integer near it.
    /// </summary>
    Arithmetic,
    Fused,
    FloatDifference,
    Extreme,
    SquareRoot,
    Round,

    /// <summary>
    /// Conversions: from and to integers of the same size; words to doubles and back; single to double precision and back.
    /// </summary>
    FromSigned,
    FromUnsigned,
    ToSigned,
    ToUnsigned,
    FromWords,
    ToWords,
    Lengthen,
    Shorten,

    /// <summary>n = m, n > m, n > m without sign: a predicate.</summary>
    Equal,
    Greater,
    Higher,

    /// <summary>The same of floating point, and of absolute values.</summary>
    FloatCompare,
    FloatCompareAbsolute,
}

/// <summary>What becomes of elements that are not active.</summary>
internal enum SvePredication
{
    /// <summary>There is no predicate.</summary>
    None,
    Merging,
    Zeroing,
}

/// <summary>Where the second source is.</summary>
internal enum SveSecond
{
    Register,
    Immediate,

    /// <summary>One element of each 16 bytes of the register.</summary>
    Indexed,

    /// <summary>There is none.</summary>
    None,
}

/// <summary>What an encoding of SVE does with vectors.</summary>
/// <param name="Operation">With which packed operation of the host for each size of elements.</param>
/// <param name="Argument">
/// Of floating point the operation, <see cref="Scalar"/> or <see cref="Fused"/>, the condition, or how it rounds; of an extension or an
/// order log2 of the bytes of a part.
/// </param>
/// <param name="Signed">Of a shift to the right and an extension: with the sign.</param>
/// <param name="Swap">m with n.</param>
/// <param name="Not">Of a comparison: where it does not hold.</param>
internal readonly record struct SveOp(
    SveShape Shape,
    VectorOp Operation = default,
    int Argument = 0,
    SvePredication Predication = SvePredication.None,
    SveSecond Second = SveSecond.Register,
    bool Signed = false,
    bool Swap = false,
    bool Not = false)
{
    /// <summary>Whether the host's floating point does it, and its result, which may have to be left to the interpreter.</summary>
    public bool IsFloat => Shape is >= SveShape.Arithmetic and < SveShape.Equal;

    /// <summary>Whether it makes a predicate.</summary>
    public bool IsComparison => Shape >= SveShape.Equal;
}

/// <summary>The table of what the encodings of SVE do that <see cref="SveShapeEmitters"/> makes code of.</summary>
internal static unsafe class SveOperations
{
    private static readonly SveOp[] s_rows = [.. EncodingTable.Rows.Select(row => Of(row.Operation))];

    /// <summary>What an instruction does; of no shape where it has no emitter.</summary>
    public static SveOp Of(Op* op) => s_rows[op->Row];

    private static SveOp Same(Operation simd) => new(SveShape.Same, SimdOperations.Of(simd));

    private static SveOp Merging(SveOp what) => what with { Predication = SvePredication.Merging };

    private static SveOp Immediate(SveOp what) => what with { Second = SveSecond.Immediate };

    private static SveOp Product(SveShape shape) => new(shape, SimdOperations.Of(Operation.MulVector));

    private static SveOp Arithmetic(Scalar scalar, SveShape shape = SveShape.Arithmetic) => new(shape, Argument: (int)scalar);

    private static SveOp Multiplied(Fused fused) => new(SveShape.Fused, Argument: (int)fused);

    private static SveOp Compare(SveShape shape, bool swap = false, bool not = false) => new(shape, Swap: swap, Not: not);

    private static SveOp CompareFloat(FloatCondition condition, bool swap = false, bool not = false) =>
        new(SveShape.FloatCompare, Argument: (int)condition, Swap: swap, Not: not);

    // Of n alone, under a predicate.
    private static SveOp One(SveShape shape, int argument = 0, bool signed = false) =>
        Merging(new(shape, Argument: argument, Second: SveSecond.None, Signed: signed));

    private static SveOp Shifted(SveShape shape, bool signed = false) => new(shape, Second: SveSecond.None, Signed: signed);

    /// <summary>What an operation does; of no shape where it has no emitter.</summary>
    public static SveOp Of(Operation operation) => operation switch
    {
        Operation.SveAdd => Same(Operation.AddVector),
        Operation.SveSub => Same(Operation.SubVector),
        Operation.SveAnd => Same(Operation.AndVector),
        Operation.SveOrr => Same(Operation.OrrVectorRegister),
        Operation.SveEor => Same(Operation.EorVector),
        Operation.SveBic => new(SveShape.BitClear),
        Operation.SveAddMerging => Merging(Same(Operation.AddVector)),
        Operation.SveSubMerging => Merging(Same(Operation.SubVector)),
        Operation.SveAndMerging => Merging(Same(Operation.AndVector)),
        Operation.SveOrrMerging => Merging(Same(Operation.OrrVectorRegister)),
        Operation.SveEorMerging => Merging(Same(Operation.EorVector)),
        Operation.SveBicMerging => Merging(new(SveShape.BitClear)),
        Operation.SveSmaxMerging => Merging(Same(Operation.Smax)),
        Operation.SveUmaxMerging => Merging(Same(Operation.Umax)),
        Operation.SveSminMerging => Merging(Same(Operation.Smin)),
        Operation.SveUminMerging => Merging(Same(Operation.Umin)),
        Operation.SveMulMerging => Merging(Product(SveShape.Multiply)),
        Operation.SveMla => Merging(Product(SveShape.MultiplyAdd)),
        Operation.SveMls => Merging(Product(SveShape.MultiplySub)),
        Operation.SveAddImmediate => Immediate(Same(Operation.AddVector)),
        Operation.SveSubImmediate => Immediate(Same(Operation.SubVector)),
        Operation.SveAndImmediate => Immediate(Same(Operation.AndVector)),
        Operation.SveOrrImmediate => Immediate(Same(Operation.OrrVectorRegister)),
        Operation.SveEorImmediate => Immediate(Same(Operation.EorVector)),
        Operation.SveMulImmediate => Immediate(Product(SveShape.Multiply)),
        Operation.SveDupImmediate => Immediate(new(SveShape.Second)),
        Operation.SveCpyImmediateMerging => Immediate(Merging(new(SveShape.Second))),
        Operation.SveCpyImmediateZeroing => Immediate(new(SveShape.Second, Predication: SvePredication.Zeroing)),
        Operation.SveMovprfx => new(SveShape.Second),
        Operation.SveMovprfxMerging => Merging(new(SveShape.Second)),
        Operation.SveMovprfxZeroing => new(SveShape.Second, Predication: SvePredication.Zeroing),
        Operation.SveMul => Product(SveShape.Multiply),
        Operation.SveSqadd => Same(Operation.Sqadd),
        Operation.SveUqadd => Same(Operation.Uqadd),
        Operation.SveSqsub => Same(Operation.Sqsub),
        Operation.SveUqsub => Same(Operation.Uqsub),
        Operation.SveSubrImmediate => Immediate(Same(Operation.SubVector)) with { Swap = true },
        Operation.SveUqaddImmediate => Immediate(Same(Operation.Uqadd)),
        Operation.SveUqsubImmediate => Immediate(Same(Operation.Uqsub)),
        Operation.SveSmaxImmediate => Immediate(Same(Operation.Smax)),
        Operation.SveUmaxImmediate => Immediate(Same(Operation.Umax)),
        Operation.SveSminImmediate => Immediate(Same(Operation.Smin)),
        Operation.SveUminImmediate => Immediate(Same(Operation.Umin)),
        Operation.SveSabd => Merging(new(SveShape.Difference, SimdOperations.Of(Operation.Sabd))),
        Operation.SveUabd => Merging(new(SveShape.Difference, SimdOperations.Of(Operation.Uabd))),
        Operation.SveEor3 => new(SveShape.ExclusiveOrThree),
        Operation.SveBcax => new(SveShape.ClearAndExclusiveOr),
        Operation.SveXar => new(SveShape.ExclusiveOrAndRotate),
        Operation.SveBsl => new(SveShape.Select),
        Operation.SveAsrImmediate => Shifted(SveShape.ShiftRight, signed: true),
        Operation.SveLsrImmediate => Shifted(SveShape.ShiftRight),
        Operation.SveLslImmediate => Shifted(SveShape.ShiftLeft),
        Operation.SveAsrImmediateMerging => Merging(Shifted(SveShape.ShiftRight, signed: true)),
        Operation.SveLsrImmediateMerging => Merging(Shifted(SveShape.ShiftRight)),
        Operation.SveLslImmediateMerging => Merging(Shifted(SveShape.ShiftLeft)),
        Operation.SveSsra => Shifted(SveShape.ShiftRightAccumulate, signed: true),
        Operation.SveUsra => Shifted(SveShape.ShiftRightAccumulate),
        Operation.SveAsrMerging => Merging(new(SveShape.ShiftRightEach, Signed: true)),
        Operation.SveLsrMerging => Merging(new(SveShape.ShiftRightEach)),
        Operation.SveLslMerging => Merging(new(SveShape.ShiftLeftEach)),
        Operation.SveAbs => One(SveShape.Absolute),
        Operation.SveNeg => One(SveShape.Negate),
        Operation.SveNot => One(SveShape.Not),
        Operation.SveCnot => One(SveShape.IsZero),
        Operation.SveSxtb => One(SveShape.Extend, 0, signed: true),
        Operation.SveSxth => One(SveShape.Extend, 1, signed: true),
        Operation.SveSxtw => One(SveShape.Extend, 2, signed: true),
        Operation.SveUxtb => One(SveShape.Extend, 0),
        Operation.SveUxth => One(SveShape.Extend, 1),
        Operation.SveUxtw => One(SveShape.Extend, 2),
        Operation.SveRevb => One(SveShape.ReverseParts, 0),
        Operation.SveRevh => One(SveShape.ReverseParts, 1),
        Operation.SveRevw => One(SveShape.ReverseParts, 2),
        Operation.SveFabs => One(SveShape.FloatAbsolute),
        Operation.SveFneg => One(SveShape.FloatNegate),
        Operation.SveFaddImmediate => Immediate(Merging(Arithmetic(Scalar.Add))),
        Operation.SveFsubImmediate => Immediate(Merging(Arithmetic(Scalar.Subtract))),
        Operation.SveFsubrImmediate => Immediate(Merging(Arithmetic(Scalar.Subtract))) with { Swap = true },
        Operation.SveFmulImmediate => Immediate(Merging(Arithmetic(Scalar.Multiply))),
        Operation.SveFabd => Merging(Arithmetic(Scalar.Subtract, SveShape.FloatDifference)),
        Operation.SveFmaxMerging => Merging(Arithmetic(Scalar.Maximum, SveShape.Extreme)),
        Operation.SveFminMerging => Merging(Arithmetic(Scalar.Minimum, SveShape.Extreme)),
        Operation.SveFmaxImmediate => Immediate(Merging(Arithmetic(Scalar.Maximum, SveShape.Extreme))),
        Operation.SveFminImmediate => Immediate(Merging(Arithmetic(Scalar.Minimum, SveShape.Extreme))),
        Operation.SveFsqrt => One(SveShape.SquareRoot, (int)Scalar.SquareRoot),
        Operation.SveFrintn => One(SveShape.Round, 0),
        Operation.SveFrintm => One(SveShape.Round, 1),
        Operation.SveFrintp => One(SveShape.Round, 2),
        Operation.SveFrintz => One(SveShape.Round, 3),
        Operation.SveScvtf => One(SveShape.FromSigned),
        Operation.SveUcvtf => One(SveShape.FromUnsigned),
        Operation.SveScvtfWords => One(SveShape.FromWords),
        Operation.SveFcvtzs => One(SveShape.ToSigned),
        Operation.SveFcvtzu => One(SveShape.ToUnsigned),
        Operation.SveFcvtzsWords => One(SveShape.ToWords),
        Operation.SveFcvtLengthen => One(SveShape.Lengthen),
        Operation.SveFcvtShorten => One(SveShape.Shorten),
        Operation.SveFnmla => Merging(Multiplied(Fused.NegatedMultiplySubtract)),
        Operation.SveFnmls => Merging(Multiplied(Fused.MultiplySubtract)),
        Operation.SveFcmeq => CompareFloat(FloatCondition.Equal),
        Operation.SveFcmne => CompareFloat(FloatCondition.Equal, not: true),
        Operation.SveFcmgt => CompareFloat(FloatCondition.Less, swap: true),
        Operation.SveFcmge => CompareFloat(FloatCondition.LessOrEqual, swap: true),
        Operation.SveFacgt => CompareFloat(FloatCondition.Less, swap: true) with { Shape = SveShape.FloatCompareAbsolute },
        Operation.SveFacge => CompareFloat(FloatCondition.LessOrEqual, swap: true) with { Shape = SveShape.FloatCompareAbsolute },
        Operation.SveFcmeqZero => Immediate(CompareFloat(FloatCondition.Equal)),
        Operation.SveFcmneZero => Immediate(CompareFloat(FloatCondition.Equal, not: true)),
        Operation.SveFcmgtZero => Immediate(CompareFloat(FloatCondition.Less, swap: true)),
        Operation.SveFcmgeZero => Immediate(CompareFloat(FloatCondition.LessOrEqual, swap: true)),
        Operation.SveFcmltZero => Immediate(CompareFloat(FloatCondition.Less)),
        Operation.SveFcmleZero => Immediate(CompareFloat(FloatCondition.LessOrEqual)),
        Operation.SveFadd => Arithmetic(Scalar.Add),
        Operation.SveFsub => Arithmetic(Scalar.Subtract),
        Operation.SveFmul => Arithmetic(Scalar.Multiply),
        Operation.SveFmulIndexed => Arithmetic(Scalar.Multiply) with { Second = SveSecond.Indexed },
        Operation.SveFaddMerging => Merging(Arithmetic(Scalar.Add)),
        Operation.SveFsubMerging => Merging(Arithmetic(Scalar.Subtract)),
        Operation.SveFmulMerging => Merging(Arithmetic(Scalar.Multiply)),
        Operation.SveFdivMerging => Merging(Arithmetic(Scalar.Divide)),
        Operation.SveFmla => Merging(Multiplied(Fused.MultiplyAdd)),
        Operation.SveFmls => Merging(Multiplied(Fused.NegatedMultiplyAdd)),
        Operation.SveFmlaIndexed => Multiplied(Fused.MultiplyAdd) with { Second = SveSecond.Indexed },
        Operation.SveFmlsIndexed => Multiplied(Fused.NegatedMultiplyAdd) with { Second = SveSecond.Indexed },
        Operation.SveCmpeq => Compare(SveShape.Equal),
        Operation.SveCmpne => Compare(SveShape.Equal, not: true),
        Operation.SveCmpgt => Compare(SveShape.Greater),
        Operation.SveCmpge => Compare(SveShape.Greater, swap: true, not: true),
        Operation.SveCmphi => Compare(SveShape.Higher),
        Operation.SveCmphs => Compare(SveShape.Higher, swap: true, not: true),
        Operation.SveCmpeqImmediate => Immediate(Compare(SveShape.Equal)),
        Operation.SveCmpneImmediate => Immediate(Compare(SveShape.Equal, not: true)),
        Operation.SveCmpgtImmediate => Immediate(Compare(SveShape.Greater)),
        Operation.SveCmpgeImmediate => Immediate(Compare(SveShape.Greater, swap: true, not: true)),
        Operation.SveCmpltImmediate => Immediate(Compare(SveShape.Greater, swap: true)),
        Operation.SveCmpleImmediate => Immediate(Compare(SveShape.Greater, not: true)),
        Operation.SveCmphiImmediate => Immediate(Compare(SveShape.Higher)),
        Operation.SveCmphsImmediate => Immediate(Compare(SveShape.Higher, swap: true, not: true)),
        Operation.SveCmploImmediate => Immediate(Compare(SveShape.Higher, swap: true)),
        Operation.SveCmplsImmediate => Immediate(Compare(SveShape.Higher, not: true)),
        _ => default,
    };
}

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

    /// <summary>Floating point: n op m, a ± n × m.</summary>
    Arithmetic,
    Fused,

    /// <summary>n = m, n > m, n > m without sign: a predicate.</summary>
    Equal,
    Greater,
    Higher,
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
}

/// <summary>What an encoding of SVE does with vectors.</summary>
/// <param name="Operation">With which packed operation of the host for each size of elements.</param>
/// <param name="Float">With which operation on floating point: <see cref="Scalar"/> or <see cref="Fused"/>.</param>
/// <param name="Swap">Of a comparison: m with n.</param>
/// <param name="Not">Of a comparison: where it does not hold.</param>
internal readonly record struct SveOp(
    SveShape Shape,
    VectorOp Operation = default,
    int Float = 0,
    SvePredication Predication = SvePredication.None,
    SveSecond Second = SveSecond.Register,
    bool Swap = false,
    bool Not = false);

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

    private static SveOp Arithmetic(Scalar scalar) => new(SveShape.Arithmetic, Float: (int)scalar);

    private static SveOp Multiplied(Fused fused) => new(SveShape.Fused, Float: (int)fused);

    private static SveOp Compare(SveShape shape, bool swap = false, bool not = false) => new(shape, Swap: swap, Not: not);

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

using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>What an instruction of floating point does. The sources are n, m and the destination d.</summary>
internal enum FloatShape
{
    None,

    /// <summary>n op m; op of adjacent elements of m:n; op of the two elements of n.</summary>
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

    /// <summary>The larger or the smaller. Of two zeros the positive one is the larger.</summary>
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

/// <summary>What an encoding of floating point does with vectors, or with scalars by a vector operation of the host.</summary>
/// <param name="Argument">The operation, the condition, or the host's rounding mode.</param>
/// <param name="Element">The second source is one element of m.</param>
/// <param name="Plain">It is scalar floating point proper, where <see cref="Op.Shift"/> is not the size of the vector.</param>
internal readonly record struct FloatOp(FloatShape Shape, int Argument = 0, bool Element = false, bool Plain = false);

/// <summary>The table of what the encodings of floating point do that <see cref="FloatingPointVectorEmitters"/> makes code of.</summary>
internal static unsafe class FloatOperations
{
    private static readonly FloatOp[] s_rows = [.. EncodingTable.Rows.Select(row => Of(row.Operation))];

    /// <summary>What an instruction does; of no shape where it has no emitter.</summary>
    public static FloatOp Of(Op* op) => s_rows[op->Row];

    /// <summary>What an operation does; of no shape for what is not floating point with such an emitter.</summary>
    public static FloatOp Of(Operation operation)
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
}

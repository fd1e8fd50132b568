using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit.X64.Emitters;

/// <summary>What an instruction of integer SIMD does. The sources are n, m and the destination d.</summary>
internal enum Shape
{
    None,

    /// <summary>n op m.</summary>
    Same,

    /// <summary>n × m, also of bytes; d + n × m, d - n × m.</summary>
    Multiply,
    MultiplyAdd,
    MultiplySub,

    /// <summary>Not (m &gt; n).</summary>
    GreaterOrEqual,

    /// <summary>Unsigned comparisons, by a maximum: max(n, m) = n; not max(n, m) = m.</summary>
    HigherOrSame,
    Higher,
    Test,

    /// <summary>Comparisons with zero.</summary>
    EqualZero,
    GreaterZero,
    GreaterOrEqualZero,
    LessOrEqualZero,
    LessZero,
    Absolute,
    Not,
    Negate,
    BitClear,
    OrNot,
    SelectByDestination,
    InsertIfTrue,
    InsertIfFalse,

    /// <summary>max(n, m) - min(n, m); the operation is the maximum.</summary>
    Difference,
    DifferenceAccumulate,

    /// <summary>The average without its lowest bit.</summary>
    HalvingAdd,

    /// <summary>Saturating. FPSR.QC is set where the result differs from the wrapping one.</summary>
    SaturatingAdd,
    SaturatingSub,
    MultiplyHighDoubling,
    MultiplyHighRounding,

    /// <summary>Adjacent elements of m:n.</summary>
    Pairwise,
    Even,
    Odd,
    TransposeEven,
    TransposeOdd,
    ZipLow,
    ZipHigh,
    Extract,
    TableLookup,
    TableExtension,
    Reverse,
    CountBits,
    ReverseBits,
    DuplicateElement,
    DuplicateGeneral,
    MoveUnsigned,
    MoveSigned32,
    MoveSigned64,
    InsertGeneral,
    InsertElement,
    Immediate,
    OrImmediate,
    ClearImmediate,
    ShiftLeft,
    ShiftRight,
    ShiftRightAccumulate,
    ShiftLeftInsert,
    ShiftRightInsert,
    ShiftByRegister,

    /// <summary>Results of twice the element size: a half of n, shifted left; n op m of halves; n op a half of m.</summary>
    Lengthen,
    Long,
    LongAdd,
    LongSub,
    LongDifference,
    LongDifferenceAccumulate,
    Wide,
    PolynomialLong,
    PairsLong,
    PairsLongAccumulate,
    Dot,

    /// <summary>Results of half the element size: the lower half; the upper half of n op m; saturated.</summary>
    Narrow,
    NarrowHigh,
    NarrowSigned,
    NarrowUnsigned,
    NarrowSignedToUnsigned,
    AddPair,
    Across,
    AcrossLong,
    AesEncrypt,
    AesDecrypt,
    AesMixColumns,
    AesInverseMixColumns,
}

/// <summary>
/// What an encoding of integer SIMD does, and with which packed operation of the host for each size of elements: None where it has none.
/// </summary>
/// <param name="Element">The second source is one element of m.</param>
internal readonly record struct VectorOp(
    Shape Shape,
    Packed B = Packed.None,
    Packed H = Packed.None,
    Packed S = Packed.None,
    Packed D = Packed.None,
    bool Signed = false,
    bool Round = false,
    bool Element = false)
{
    public Packed At(int size) => size switch { 0 => B, 1 => H, 2 => S, _ => D };
}

/// <summary>The table of what the encodings of integer SIMD do.</summary>
internal static unsafe class SimdOperations
{
    public static readonly VectorOp Equal = new(Shape.Same, Packed.EqualB, Packed.EqualH, Packed.EqualS, Packed.EqualD);
    public static readonly VectorOp Greater = new(Shape.Same, Packed.GreaterB, Packed.GreaterH, Packed.GreaterS, Packed.GreaterD);
    public static readonly VectorOp Add = new(Shape.Same, Packed.AddB, Packed.AddH, Packed.AddS, Packed.AddD);
    public static readonly VectorOp Sub = new(Shape.Same, Packed.SubB, Packed.SubH, Packed.SubS, Packed.SubD);
    public static readonly VectorOp MaxUnsigned = new(Shape.Same, Packed.MaxUnsignedB, Packed.MaxUnsignedH, Packed.MaxUnsignedS);
    public static readonly VectorOp MinUnsigned = new(Shape.Same, Packed.MinUnsignedB, Packed.MinUnsignedH, Packed.MinUnsignedS);
    public static readonly VectorOp MaxSigned = new(Shape.Same, Packed.MaxSignedB, Packed.MaxSignedH, Packed.MaxSignedS, Signed: true);
    public static readonly VectorOp MinSigned = new(Shape.Same, Packed.MinSignedB, Packed.MinSignedH, Packed.MinSignedS, Signed: true);
    private static readonly VectorOp s_multiply = new(Shape.Multiply, Packed.MultiplyH, Packed.MultiplyH, Packed.MultiplyS);
    private static readonly VectorOp s_multiplyLong = new(Shape.Long, Packed.MultiplyH, Packed.MultiplyS, Packed.MultiplyLongUnsigned);
    private static readonly VectorOp s_multiplyLongSigned =
        new(Shape.Long, Packed.MultiplyH, Packed.MultiplyS, Packed.MultiplyLongSigned, Signed: true);
    public static readonly VectorOp ZeroExtend = new(Shape.Lengthen, Packed.ZeroExtendB, Packed.ZeroExtendH, Packed.ZeroExtendS);
    public static readonly VectorOp SignExtend =
        new(Shape.Lengthen, Packed.SignExtendB, Packed.SignExtendH, Packed.SignExtendS, Signed: true);

    // Here the element size is that of the narrow elements.
    private static readonly VectorOp s_addLong = new(Shape.Long, Packed.AddH, Packed.AddS, Packed.AddD);
    private static readonly VectorOp s_subLong = new(Shape.Long, Packed.SubH, Packed.SubS, Packed.SubD);

    private static readonly VectorOp[] s_rows = [.. EncodingTable.Rows.Select(row => Of(row.Operation))];

    /// <summary>What an instruction does; of no shape where it has no emitter.</summary>
    public static VectorOp Of(Op* op) => s_rows[op->Row];

    private static VectorOp Bitwise(Packed operation) => new(Shape.Same, operation, operation, operation, operation);

    /// <summary>What an operation does; of no shape for what is not integer SIMD with an emitter.</summary>
    public static VectorOp Of(Operation operation)
    {
        Operation whole = WithoutElement(operation);
        if (whole != Operation.None)
        {
            return Of(whole) with { Element = true };
        }

        return operation switch
        {
            Operation.AddVector or Operation.AddScalar => Add,
            Operation.SubVector or Operation.SubScalar => Sub,
            Operation.MulVector => s_multiply,
            Operation.MlaVector => s_multiply with { Shape = Shape.MultiplyAdd },
            Operation.MlsVector => s_multiply with { Shape = Shape.MultiplySub },
            Operation.CmeqRegister or Operation.CmeqRegisterScalar => Equal,
            Operation.CmgtRegister or Operation.CmgtRegisterScalar => Greater,
            Operation.CmgeRegister or Operation.CmgeRegisterScalar => Greater with { Shape = Shape.GreaterOrEqual },
            Operation.CmhsRegister or Operation.CmhsRegisterScalar => MaxUnsigned with { Shape = Shape.HigherOrSame },
            Operation.CmhiRegister or Operation.CmhiRegisterScalar => MaxUnsigned with { Shape = Shape.Higher },
            Operation.Cmtst or Operation.CmtstScalar => Equal with { Shape = Shape.Test },
            Operation.CmeqZero or Operation.CmeqZeroScalar => Equal with { Shape = Shape.EqualZero },
            Operation.CmgtZero or Operation.CmgtZeroScalar => Greater with { Shape = Shape.GreaterZero },
            Operation.CmgeZero or Operation.CmgeZeroScalar => Greater with { Shape = Shape.GreaterOrEqualZero },
            Operation.CmleZero or Operation.CmleZeroScalar => Greater with { Shape = Shape.LessOrEqualZero },
            Operation.CmltZero or Operation.CmltZeroScalar => Greater with { Shape = Shape.LessZero },
            Operation.Smax => MaxSigned,
            Operation.Smin => MinSigned,
            Operation.Umax => MaxUnsigned,
            Operation.Umin => MinUnsigned,
            Operation.Sabd => MaxSigned with { Shape = Shape.Difference },
            Operation.Uabd => MaxUnsigned with { Shape = Shape.Difference },
            Operation.Saba => MaxSigned with { Shape = Shape.DifferenceAccumulate },
            Operation.Uaba => MaxUnsigned with { Shape = Shape.DifferenceAccumulate },
            Operation.Urhadd => new(Shape.Same, Packed.AverageB, Packed.AverageH),
            Operation.Srhadd => new(Shape.HalvingAdd, Packed.AverageB, Packed.AverageH, Signed: true, Round: true),
            Operation.Uhadd => new(Shape.HalvingAdd, Packed.AverageB, Packed.AverageH),
            Operation.Shadd => new(Shape.HalvingAdd, Packed.AverageB, Packed.AverageH, Signed: true),
            Operation.Sqadd or Operation.SqaddScalar => new(Shape.SaturatingAdd, Packed.AddSaturatingSignedB, Packed.AddSaturatingSignedH),
            Operation.Uqadd or Operation.UqaddScalar
                => new(Shape.SaturatingAdd, Packed.AddSaturatingUnsignedB, Packed.AddSaturatingUnsignedH),
            Operation.Sqsub or Operation.SqsubScalar => new(Shape.SaturatingSub, Packed.SubSaturatingSignedB, Packed.SubSaturatingSignedH),
            Operation.Uqsub or Operation.UqsubScalar
                => new(Shape.SaturatingSub, Packed.SubSaturatingUnsignedB, Packed.SubSaturatingUnsignedH),
            Operation.SqdmulhVector => new(Shape.MultiplyHighDoubling, H: Packed.MultiplyHighSignedH),
            Operation.SqrdmulhVector => new(Shape.MultiplyHighRounding, H: Packed.MultiplyHighRoundingH),
            Operation.AndVector => Bitwise(Packed.And),
            Operation.OrrVectorRegister => Bitwise(Packed.Or),
            Operation.EorVector => Bitwise(Packed.Xor),
            Operation.BicVectorRegister => new(Shape.BitClear),
            Operation.OrnVector => new(Shape.OrNot),
            Operation.Bsl => new(Shape.SelectByDestination),
            Operation.Bit => new(Shape.InsertIfTrue),
            Operation.Bif => new(Shape.InsertIfFalse),
            Operation.Not => new(Shape.Not),
            Operation.NegVector or Operation.NegScalar => Sub with { Shape = Shape.Negate },
            Operation.Abs or Operation.AbsScalar => new(Shape.Absolute, Packed.AbsoluteB, Packed.AbsoluteH, Packed.AbsoluteS),
            Operation.AddpVector => Add with { Shape = Shape.Pairwise },
            Operation.Smaxp => MaxSigned with { Shape = Shape.Pairwise },
            Operation.Sminp => MinSigned with { Shape = Shape.Pairwise },
            Operation.Umaxp => MaxUnsigned with { Shape = Shape.Pairwise },
            Operation.Uminp => MinUnsigned with { Shape = Shape.Pairwise },
            Operation.AddpScalar => new(Shape.AddPair),
            Operation.Addv => Add with { Shape = Shape.Across },
            Operation.Smaxv => MaxSigned with { Shape = Shape.Across },
            Operation.Sminv => MinSigned with { Shape = Shape.Across },
            Operation.Umaxv => MaxUnsigned with { Shape = Shape.Across },
            Operation.Uminv => MinUnsigned with { Shape = Shape.Across },
            Operation.Saddlv => new(Shape.AcrossLong, Signed: true),
            Operation.Uaddlv => new(Shape.AcrossLong),
            Operation.Uzp1 => new(Shape.Even),
            Operation.Uzp2 => new(Shape.Odd),
            Operation.Trn1 => new(Shape.TransposeEven),
            Operation.Trn2 => new(Shape.TransposeOdd),
            Operation.Zip1 => new(Shape.ZipLow, Packed.UnpackLowB, Packed.UnpackLowH, Packed.UnpackLowS, Packed.UnpackLowD),
            Operation.Zip2 => new(Shape.ZipHigh, Packed.UnpackHighB, Packed.UnpackHighH, Packed.UnpackHighS, Packed.UnpackHighD),
            Operation.Ext => new(Shape.Extract),
            Operation.Tbl => new(Shape.TableLookup),
            Operation.Tbx => new(Shape.TableExtension),
            Operation.Rev16Vector or Operation.Rev32Vector or Operation.Rev64 => new(Shape.Reverse),
            Operation.Cnt => new(Shape.CountBits),
            Operation.RbitVector => new(Shape.ReverseBits),
            Operation.DupElement or Operation.DupElementScalar => new(Shape.DuplicateElement),
            Operation.DupGeneral => new(Shape.DuplicateGeneral),
            Operation.Umov32 or Operation.Umov64 => new(Shape.MoveUnsigned),
            Operation.Smov32 => new(Shape.MoveSigned32),
            Operation.Smov64 => new(Shape.MoveSigned64),
            Operation.InsGeneral => new(Shape.InsertGeneral),
            Operation.InsElement => new(Shape.InsertElement),
            Operation.MoviMvni32 or Operation.MoviMvni16 or Operation.MoviMvniShiftingOnes or Operation.Movi8And64 => new(Shape.Immediate),
            Operation.FmovVectorImmediate => new(Shape.Immediate),
            Operation.OrrVectorImmediate32 or Operation.OrrVectorImmediate16 => new(Shape.OrImmediate),
            Operation.BicVectorImmediate32 or Operation.BicVectorImmediate16 => new(Shape.ClearImmediate),
            Operation.Shl or Operation.ShlScalar => new(Shape.ShiftLeft),
            Operation.Sli or Operation.SliScalar => new(Shape.ShiftLeftInsert),
            Operation.Sri or Operation.SriScalar => new(Shape.ShiftRightInsert),
            Operation.Ushr or Operation.UshrScalar => new(Shape.ShiftRight),
            Operation.Sshr or Operation.SshrScalar => new(Shape.ShiftRight, Signed: true),
            Operation.Urshr or Operation.UrshrScalar => new(Shape.ShiftRight, Round: true),
            Operation.Srshr or Operation.SrshrScalar => new(Shape.ShiftRight, Signed: true, Round: true),
            Operation.Usra or Operation.UsraScalar => new(Shape.ShiftRightAccumulate),
            Operation.Ssra or Operation.SsraScalar => new(Shape.ShiftRightAccumulate, Signed: true),
            Operation.Ursra or Operation.UrsraScalar => new(Shape.ShiftRightAccumulate, Round: true),
            Operation.Srsra or Operation.SrsraScalar => new(Shape.ShiftRightAccumulate, Signed: true, Round: true),
            Operation.Ushl or Operation.UshlScalar => new(Shape.ShiftByRegister),
            Operation.Sshl or Operation.SshlScalar => new(Shape.ShiftByRegister, Signed: true),
            Operation.Ushll or Operation.Shll => ZeroExtend,
            Operation.Sshll => SignExtend,
            Operation.Saddl => s_addLong with { Signed = true },
            Operation.Uaddl => s_addLong,
            Operation.Ssubl => s_subLong with { Signed = true },
            Operation.Usubl => s_subLong,
            Operation.Saddw => s_addLong with { Shape = Shape.Wide, Signed = true },
            Operation.Uaddw => s_addLong with { Shape = Shape.Wide },
            Operation.Ssubw => s_subLong with { Shape = Shape.Wide, Signed = true },
            Operation.Usubw => s_subLong with { Shape = Shape.Wide },
            Operation.Sabdl => MaxSigned with { Shape = Shape.LongDifference },
            Operation.Uabdl => MaxUnsigned with { Shape = Shape.LongDifference },
            Operation.Sabal => MaxSigned with { Shape = Shape.LongDifferenceAccumulate },
            Operation.Uabal => MaxUnsigned with { Shape = Shape.LongDifferenceAccumulate },
            Operation.Smull => s_multiplyLongSigned,
            Operation.Umull => s_multiplyLong,
            Operation.Smlal => s_multiplyLongSigned with { Shape = Shape.LongAdd },
            Operation.Umlal => s_multiplyLong with { Shape = Shape.LongAdd },
            Operation.Smlsl => s_multiplyLongSigned with { Shape = Shape.LongSub },
            Operation.Umlsl => s_multiplyLong with { Shape = Shape.LongSub },
            Operation.Pmull64 => new(Shape.PolynomialLong),
            Operation.Saddlp => new(Shape.PairsLong, Signed: true),
            Operation.Uaddlp => new(Shape.PairsLong),
            Operation.Sadalp => new(Shape.PairsLongAccumulate, Signed: true),
            Operation.Uadalp => new(Shape.PairsLongAccumulate),
            Operation.SdotVector => new(Shape.Dot, Signed: true),
            Operation.UdotVector => new(Shape.Dot),
            Operation.Xtn or Operation.Shrn => new(Shape.Narrow),
            Operation.Rshrn => new(Shape.Narrow, Round: true),
            Operation.Addhn => s_addLong with { Shape = Shape.NarrowHigh },
            Operation.Raddhn => s_addLong with { Shape = Shape.NarrowHigh, Round = true },
            Operation.Subhn => s_subLong with { Shape = Shape.NarrowHigh },
            Operation.Rsubhn => s_subLong with { Shape = Shape.NarrowHigh, Round = true },
            Operation.Sqxtn or Operation.Sqshrn => new(Shape.NarrowSigned, Signed: true),
            Operation.Sqrshrn => new(Shape.NarrowSigned, Signed: true, Round: true),
            Operation.Sqxtun or Operation.Sqshrun => new(Shape.NarrowSignedToUnsigned, Signed: true),
            Operation.Sqrshrun => new(Shape.NarrowSignedToUnsigned, Signed: true, Round: true),
            Operation.Uqxtn or Operation.Uqshrn => new(Shape.NarrowUnsigned),
            Operation.Uqrshrn => new(Shape.NarrowUnsigned, Round: true),
            Operation.Aese => new(Shape.AesEncrypt),
            Operation.Aesd => new(Shape.AesDecrypt),
            Operation.Aesmc => new(Shape.AesMixColumns),
            Operation.Aesimc => new(Shape.AesInverseMixColumns),
            _ => default,
        };
    }

    // For an operation by element, the operation that takes the elements of the second source in turn. None for all others.
    private static Operation WithoutElement(Operation operation) => operation switch
    {
        Operation.MlaByElement => Operation.MlaVector,
        Operation.MlsByElement => Operation.MlsVector,
        Operation.MulByElement => Operation.MulVector,
        Operation.SqdmulhByElement => Operation.SqdmulhVector,
        Operation.SqrdmulhByElement => Operation.SqrdmulhVector,
        Operation.SmlalByElement => Operation.Smlal,
        Operation.UmlalByElement => Operation.Umlal,
        Operation.SmlslByElement => Operation.Smlsl,
        Operation.UmlslByElement => Operation.Umlsl,
        Operation.SmullByElement => Operation.Smull,
        Operation.UmullByElement => Operation.Umull,
        Operation.SdotByElement => Operation.SdotVector,
        Operation.UdotByElement => Operation.UdotVector,
        _ => Operation.None,
    };
}

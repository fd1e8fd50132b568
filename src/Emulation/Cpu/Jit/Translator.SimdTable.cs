using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Jit.X64;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>Integer SIMD as a table: what each encoding does, and with which instruction of the host for each size of elements.</content>
internal sealed unsafe partial class Translator
{
    private enum Shape
    {
        None,

        /// <summary>n op m.</summary>
        Same,

        /// <summary>op n.</summary>
        One,

        /// <summary>n × m, also of bytes; d + n × m, d - n × m.</summary>
        Multiply,
        MultiplyAdd,
        MultiplySub,

        /// <summary>Not (m &gt; n).</summary>
        GreaterOrEqual,

        /// <summary>Unsigned, by maximum and equality: max(n, m) = n; not max(n, m) = m.</summary>
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

        /// <summary>Saturating, with FPSR.QC where the operation differs from the wrapping one.</summary>
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

        /// <summary>Elements of twice the size: of one half, shifted left; n op m of halves; n whole, op m of a half.</summary>
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

        /// <summary>Elements of half the size: cut; the upper half of n op m; saturated.</summary>
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

    // What an encoding does, with the host's operation by log2 of the element size; None where the host has no such operation.
    private readonly record struct VectorOp(
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

    private static readonly VectorOp s_equal = new(Shape.Same, Packed.EqualB, Packed.EqualH, Packed.EqualS, Packed.EqualD);
    private static readonly VectorOp s_greater = new(Shape.Same, Packed.GreaterB, Packed.GreaterH, Packed.GreaterS, Packed.GreaterD);
    private static readonly VectorOp s_add = new(Shape.Same, Packed.AddB, Packed.AddH, Packed.AddS, Packed.AddD);
    private static readonly VectorOp s_sub = new(Shape.Same, Packed.SubB, Packed.SubH, Packed.SubS, Packed.SubD);
    private static readonly VectorOp s_maxUnsigned = new(Shape.Same, Packed.MaxUnsignedB, Packed.MaxUnsignedH, Packed.MaxUnsignedS);
    private static readonly VectorOp s_minUnsigned = new(Shape.Same, Packed.MinUnsignedB, Packed.MinUnsignedH, Packed.MinUnsignedS);
    private static readonly VectorOp s_maxSigned = new(Shape.Same, Packed.MaxSignedB, Packed.MaxSignedH, Packed.MaxSignedS, Signed: true);
    private static readonly VectorOp s_minSigned = new(Shape.Same, Packed.MinSignedB, Packed.MinSignedH, Packed.MinSignedS, Signed: true);
    private static readonly VectorOp s_multiply = new(Shape.Multiply, Packed.MultiplyH, Packed.MultiplyH, Packed.MultiplyS);
    private static readonly VectorOp s_multiplyLong = new(Shape.Long, Packed.MultiplyH, Packed.MultiplyS, Packed.MultiplyLongUnsigned);
    private static readonly VectorOp s_multiplyLongSigned = new(Shape.Long, Packed.MultiplyH, Packed.MultiplyS, Packed.MultiplyLongSigned, Signed: true);
    private static readonly VectorOp s_zeroExtend = new(Shape.Lengthen, Packed.ZeroExtendB, Packed.ZeroExtendH, Packed.ZeroExtendS);
    private static readonly VectorOp s_signExtend = new(Shape.Lengthen, Packed.SignExtendB, Packed.SignExtendH, Packed.SignExtendS, Signed: true);

    // By the size of the narrow elements.
    private static readonly VectorOp s_addLong = new(Shape.Long, Packed.AddH, Packed.AddS, Packed.AddD);
    private static readonly VectorOp s_subLong = new(Shape.Long, Packed.SubH, Packed.SubS, Packed.SubD);

    private static readonly VectorOp[] s_vectorOps = [.. EncodingTable.Rows.Select(row => OfMnemonic(row.Mnemonic))];

    private static bool HasVectorOperation(string mnemonic) => OfMnemonic(mnemonic).Shape != Shape.None;

    private static VectorOp Bitwise(Packed operation) => new(Shape.Same, operation, operation, operation, operation);

    private static VectorOp OfMnemonic(string mnemonic)
    {
        const string ByElement = " (by element)";
        if (mnemonic.EndsWith(ByElement, StringComparison.Ordinal))
        {
            string verb = mnemonic[..^ByElement.Length];
            VectorOp whole = OfMnemonic(verb);
            return (whole.Shape == Shape.None ? OfMnemonic(verb + " (vector)") : whole) with { Element = true };
        }

        return mnemonic switch
        {
            "ADD (vector)" or "ADD (scalar)" => s_add,
            "SUB (vector)" or "SUB (scalar)" => s_sub,
            "MUL (vector)" => s_multiply,
            "MLA (vector)" => s_multiply with { Shape = Shape.MultiplyAdd },
            "MLS (vector)" => s_multiply with { Shape = Shape.MultiplySub },
            "CMEQ (register)" or "CMEQ (register, scalar)" => s_equal,
            "CMGT (register)" or "CMGT (register, scalar)" => s_greater,
            "CMGE (register)" or "CMGE (register, scalar)" => s_greater with { Shape = Shape.GreaterOrEqual },
            "CMHS (register)" or "CMHS (register, scalar)" => s_maxUnsigned with { Shape = Shape.HigherOrSame },
            "CMHI (register)" or "CMHI (register, scalar)" => s_maxUnsigned with { Shape = Shape.Higher },
            "CMTST" or "CMTST (scalar)" => s_equal with { Shape = Shape.Test },
            "CMEQ (zero)" or "CMEQ (zero, scalar)" => s_equal with { Shape = Shape.EqualZero },
            "CMGT (zero)" or "CMGT (zero, scalar)" => s_greater with { Shape = Shape.GreaterZero },
            "CMGE (zero)" or "CMGE (zero, scalar)" => s_greater with { Shape = Shape.GreaterOrEqualZero },
            "CMLE (zero)" or "CMLE (zero, scalar)" => s_greater with { Shape = Shape.LessOrEqualZero },
            "CMLT (zero)" or "CMLT (zero, scalar)" => s_greater with { Shape = Shape.LessZero },
            "SMAX" => s_maxSigned,
            "SMIN" => s_minSigned,
            "UMAX" => s_maxUnsigned,
            "UMIN" => s_minUnsigned,
            "SABD" => s_maxSigned with { Shape = Shape.Difference },
            "UABD" => s_maxUnsigned with { Shape = Shape.Difference },
            "SABA" => s_maxSigned with { Shape = Shape.DifferenceAccumulate },
            "UABA" => s_maxUnsigned with { Shape = Shape.DifferenceAccumulate },
            "URHADD" => new(Shape.Same, Packed.AverageB, Packed.AverageH),
            "SRHADD" => new(Shape.HalvingAdd, Packed.AverageB, Packed.AverageH, Signed: true, Round: true),
            "UHADD" => new(Shape.HalvingAdd, Packed.AverageB, Packed.AverageH),
            "SHADD" => new(Shape.HalvingAdd, Packed.AverageB, Packed.AverageH, Signed: true),
            "SQADD" or "SQADD (scalar)" => new(Shape.SaturatingAdd, Packed.AddSaturatingSignedB, Packed.AddSaturatingSignedH),
            "UQADD" or "UQADD (scalar)" => new(Shape.SaturatingAdd, Packed.AddSaturatingUnsignedB, Packed.AddSaturatingUnsignedH),
            "SQSUB" or "SQSUB (scalar)" => new(Shape.SaturatingSub, Packed.SubSaturatingSignedB, Packed.SubSaturatingSignedH),
            "UQSUB" or "UQSUB (scalar)" => new(Shape.SaturatingSub, Packed.SubSaturatingUnsignedB, Packed.SubSaturatingUnsignedH),
            "SQDMULH (vector)" => new(Shape.MultiplyHighDoubling, H: Packed.MultiplyHighSignedH),
            "SQRDMULH (vector)" => new(Shape.MultiplyHighRounding, H: Packed.MultiplyHighRoundingH),
            "AND (vector)" => Bitwise(Packed.And),
            "ORR (vector, register)" => Bitwise(Packed.Or),
            "EOR (vector)" => Bitwise(Packed.Xor),
            "BIC (vector, register)" => new(Shape.BitClear),
            "ORN (vector)" => new(Shape.OrNot),
            "BSL" => new(Shape.SelectByDestination),
            "BIT" => new(Shape.InsertIfTrue),
            "BIF" => new(Shape.InsertIfFalse),
            "NOT" => new(Shape.Not),
            "NEG (vector)" or "NEG (scalar)" => s_sub with { Shape = Shape.Negate },
            "ABS" or "ABS (scalar)" => new(Shape.Absolute, Packed.AbsoluteB, Packed.AbsoluteH, Packed.AbsoluteS),
            "ADDP (vector)" => s_add with { Shape = Shape.Pairwise },
            "SMAXP" => s_maxSigned with { Shape = Shape.Pairwise },
            "SMINP" => s_minSigned with { Shape = Shape.Pairwise },
            "UMAXP" => s_maxUnsigned with { Shape = Shape.Pairwise },
            "UMINP" => s_minUnsigned with { Shape = Shape.Pairwise },
            "ADDP (scalar)" => new(Shape.AddPair),
            "ADDV" => s_add with { Shape = Shape.Across },
            "SMAXV" => s_maxSigned with { Shape = Shape.Across },
            "SMINV" => s_minSigned with { Shape = Shape.Across },
            "UMAXV" => s_maxUnsigned with { Shape = Shape.Across },
            "UMINV" => s_minUnsigned with { Shape = Shape.Across },
            "SADDLV" => new(Shape.AcrossLong, Signed: true),
            "UADDLV" => new(Shape.AcrossLong),
            "UZP1" => new(Shape.Even),
            "UZP2" => new(Shape.Odd),
            "TRN1" => new(Shape.TransposeEven),
            "TRN2" => new(Shape.TransposeOdd),
            "ZIP1" => new(Shape.ZipLow, Packed.UnpackLowB, Packed.UnpackLowH, Packed.UnpackLowS, Packed.UnpackLowD),
            "ZIP2" => new(Shape.ZipHigh, Packed.UnpackHighB, Packed.UnpackHighH, Packed.UnpackHighS, Packed.UnpackHighD),
            "EXT" => new(Shape.Extract),
            "TBL" => new(Shape.TableLookup),
            "TBX" => new(Shape.TableExtension),
            "REV16" or "REV32" or "REV64" => new(Shape.Reverse),
            "CNT" => new(Shape.CountBits),
            "RBIT (vector)" => new(Shape.ReverseBits),
            "DUP (element)" or "DUP (element, scalar)" => new(Shape.DuplicateElement),
            "DUP (general)" => new(Shape.DuplicateGeneral),
            "UMOV 32" or "UMOV 64" => new(Shape.MoveUnsigned),
            "SMOV 32" => new(Shape.MoveSigned32),
            "SMOV 64" => new(Shape.MoveSigned64),
            "INS (general)" => new(Shape.InsertGeneral),
            "INS (element)" => new(Shape.InsertElement),
            "MOVI, MVNI 32" or "MOVI, MVNI 16" or "MOVI, MVNI shifting ones" or "MOVI 8 and 64" => new(Shape.Immediate),
            "FMOV (vector, immediate) S" or "FMOV (vector, immediate) D" => new(Shape.Immediate),
            "ORR (vector, immediate) 32" or "ORR (vector, immediate) 16" => new(Shape.OrImmediate),
            "BIC (vector, immediate) 32" or "BIC (vector, immediate) 16" => new(Shape.ClearImmediate),
            "SHL" or "SHL (scalar)" => new(Shape.ShiftLeft),
            "SLI" or "SLI (scalar)" => new(Shape.ShiftLeftInsert),
            "SRI" or "SRI (scalar)" => new(Shape.ShiftRightInsert),
            "USHR" or "USHR (scalar)" => new(Shape.ShiftRight),
            "SSHR" or "SSHR (scalar)" => new(Shape.ShiftRight, Signed: true),
            "URSHR" or "URSHR (scalar)" => new(Shape.ShiftRight, Round: true),
            "SRSHR" or "SRSHR (scalar)" => new(Shape.ShiftRight, Signed: true, Round: true),
            "USRA" or "USRA (scalar)" => new(Shape.ShiftRightAccumulate),
            "SSRA" or "SSRA (scalar)" => new(Shape.ShiftRightAccumulate, Signed: true),
            "URSRA" or "URSRA (scalar)" => new(Shape.ShiftRightAccumulate, Round: true),
            "SRSRA" or "SRSRA (scalar)" => new(Shape.ShiftRightAccumulate, Signed: true, Round: true),
            "USHL" or "USHL (scalar)" => new(Shape.ShiftByRegister),
            "SSHL" or "SSHL (scalar)" => new(Shape.ShiftByRegister, Signed: true),
            "USHLL" or "SHLL" => s_zeroExtend,
            "SSHLL" => s_signExtend,
            "SADDL" => s_addLong with { Signed = true },
            "UADDL" => s_addLong,
            "SSUBL" => s_subLong with { Signed = true },
            "USUBL" => s_subLong,
            "SADDW" => s_addLong with { Shape = Shape.Wide, Signed = true },
            "UADDW" => s_addLong with { Shape = Shape.Wide },
            "SSUBW" => s_subLong with { Shape = Shape.Wide, Signed = true },
            "USUBW" => s_subLong with { Shape = Shape.Wide },
            "SABDL" => s_maxSigned with { Shape = Shape.LongDifference },
            "UABDL" => s_maxUnsigned with { Shape = Shape.LongDifference },
            "SABAL" => s_maxSigned with { Shape = Shape.LongDifferenceAccumulate },
            "UABAL" => s_maxUnsigned with { Shape = Shape.LongDifferenceAccumulate },
            "SMULL" => s_multiplyLongSigned,
            "UMULL" => s_multiplyLong,
            "SMLAL" => s_multiplyLongSigned with { Shape = Shape.LongAdd },
            "UMLAL" => s_multiplyLong with { Shape = Shape.LongAdd },
            "SMLSL" => s_multiplyLongSigned with { Shape = Shape.LongSub },
            "UMLSL" => s_multiplyLong with { Shape = Shape.LongSub },
            "PMULL (64)" => new(Shape.PolynomialLong),
            "SADDLP" => new(Shape.PairsLong, Signed: true),
            "UADDLP" => new(Shape.PairsLong),
            "SADALP" => new(Shape.PairsLongAccumulate, Signed: true),
            "UADALP" => new(Shape.PairsLongAccumulate),
            "SDOT (vector)" => new(Shape.Dot, Signed: true),
            "UDOT (vector)" => new(Shape.Dot),
            "XTN" or "SHRN" => new(Shape.Narrow),
            "RSHRN" => new(Shape.Narrow, Round: true),
            "ADDHN" => s_addLong with { Shape = Shape.NarrowHigh },
            "RADDHN" => s_addLong with { Shape = Shape.NarrowHigh, Round = true },
            "SUBHN" => s_subLong with { Shape = Shape.NarrowHigh },
            "RSUBHN" => s_subLong with { Shape = Shape.NarrowHigh, Round = true },
            "SQXTN" or "SQSHRN" => new(Shape.NarrowSigned, Signed: true),
            "SQRSHRN" => new(Shape.NarrowSigned, Signed: true, Round: true),
            "SQXTUN" or "SQSHRUN" => new(Shape.NarrowSignedToUnsigned, Signed: true),
            "SQRSHRUN" => new(Shape.NarrowSignedToUnsigned, Signed: true, Round: true),
            "UQXTN" or "UQSHRN" => new(Shape.NarrowUnsigned),
            "UQRSHRN" => new(Shape.NarrowUnsigned, Round: true),
            "AESE" => new(Shape.AesEncrypt),
            "AESD" => new(Shape.AesDecrypt),
            "AESMC" => new(Shape.AesMixColumns),
            "AESIMC" => new(Shape.AesInverseMixColumns),
            _ => default,
        };
    }
}

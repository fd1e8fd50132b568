using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>
/// Advanced SIMD integer arithmetic on registers: three same, three same extra, three different, two-register miscellaneous, across
/// lanes, pairwise, by element (Arm ARM C4.1.96). A row is an instruction; the handler chooses by element size.
/// </summary>
internal static unsafe class SimdInteger
{
    /// <summary>Element sizes an instruction has, as bits by the size field.</summary>
    [Flags]
    internal enum Sizes
    {
        B = 1,
        H = 2,
        S = 4,
        D = 8,
        BHS = B | H | S,
        BHSD = BHS | D,
        HS = H | S,
    }

    public static readonly EncodingRow[] Rows =
    [
        Same("SHADD", 0, 0b00000, Sizes.BHS, &SimdLanes.Signed<HalvingAdd, FromRegister>),
        Same("UHADD", 1, 0b00000, Sizes.BHS, &SimdLanes.Unsigned<HalvingAdd, FromRegister>),
        Same("SQADD", 0, 0b00001, Sizes.BHSD, &SimdLanes.Signed<SaturatingAdd, FromRegister>),
        Same("UQADD", 1, 0b00001, Sizes.BHSD, &SimdLanes.Unsigned<SaturatingAdd, FromRegister>),
        Same("SRHADD", 0, 0b00010, Sizes.BHS, &SimdLanes.Signed<RoundingHalvingAdd, FromRegister>),
        Same("URHADD", 1, 0b00010, Sizes.BHS, &SimdLanes.Unsigned<RoundingHalvingAdd, FromRegister>),
        Same("SHSUB", 0, 0b00100, Sizes.BHS, &SimdLanes.Signed<HalvingSubtract, FromRegister>),
        Same("UHSUB", 1, 0b00100, Sizes.BHS, &SimdLanes.Unsigned<HalvingSubtract, FromRegister>),
        Same("SQSUB", 0, 0b00101, Sizes.BHSD, &SimdLanes.Signed<SaturatingSubtract, FromRegister>),
        Same("UQSUB", 1, 0b00101, Sizes.BHSD, &SimdLanes.Unsigned<SaturatingSubtract, FromRegister>),
        Same("CMGT (register)", 0, 0b00110, Sizes.BHSD, &SimdLanes.SignedVector<CompareGreater, FromRegister>),
        Same("CMHI (register)", 1, 0b00110, Sizes.BHSD, &SimdLanes.UnsignedVector<CompareGreater, FromRegister>),
        Same("CMGE (register)", 0, 0b00111, Sizes.BHSD, &SimdLanes.SignedVector<CompareGreaterOrEqual, FromRegister>),
        Same("CMHS (register)", 1, 0b00111, Sizes.BHSD, &SimdLanes.UnsignedVector<CompareGreaterOrEqual, FromRegister>),
        Same("SSHL", 0, 0b01000, Sizes.BHSD, &SimdLanes.Signed<Shift, FromRegister>),
        Same("USHL", 1, 0b01000, Sizes.BHSD, &SimdLanes.Unsigned<Shift, FromRegister>),
        Same("SQSHL (register)", 0, 0b01001, Sizes.BHSD, &SimdLanes.Signed<SaturatingShift, FromRegister>),
        Same("UQSHL (register)", 1, 0b01001, Sizes.BHSD, &SimdLanes.Unsigned<SaturatingShift, FromRegister>),
        Same("SRSHL", 0, 0b01010, Sizes.BHSD, &SimdLanes.Signed<RoundingShift, FromRegister>),
        Same("URSHL", 1, 0b01010, Sizes.BHSD, &SimdLanes.Unsigned<RoundingShift, FromRegister>),
        Same("SQRSHL", 0, 0b01011, Sizes.BHSD, &SimdLanes.Signed<SaturatingRoundingShift, FromRegister>),
        Same("UQRSHL", 1, 0b01011, Sizes.BHSD, &SimdLanes.Unsigned<SaturatingRoundingShift, FromRegister>),
        Same("SMAX", 0, 0b01100, Sizes.BHS, &SimdLanes.SignedVector<MaxVector, FromRegister>),
        Same("UMAX", 1, 0b01100, Sizes.BHS, &SimdLanes.UnsignedVector<MaxVector, FromRegister>),
        Same("SMIN", 0, 0b01101, Sizes.BHS, &SimdLanes.SignedVector<MinVector, FromRegister>),
        Same("UMIN", 1, 0b01101, Sizes.BHS, &SimdLanes.UnsignedVector<MinVector, FromRegister>),
        Same("SABD", 0, 0b01110, Sizes.BHS, &SimdLanes.Signed<AbsoluteDifference, FromRegister>),
        Same("UABD", 1, 0b01110, Sizes.BHS, &SimdLanes.Unsigned<AbsoluteDifference, FromRegister>),
        Same("SABA", 0, 0b01111, Sizes.BHS, &SimdLanes.Signed<AbsoluteDifferenceAccumulate, FromRegister>),
        Same("UABA", 1, 0b01111, Sizes.BHS, &SimdLanes.Unsigned<AbsoluteDifferenceAccumulate, FromRegister>),
        Same("ADD (vector)", 0, 0b10000, Sizes.BHSD, &SimdLanes.UnsignedVector<AddVector, FromRegister>),
        Same("SUB (vector)", 1, 0b10000, Sizes.BHSD, &SimdLanes.UnsignedVector<SubVector, FromRegister>),
        Same("CMTST", 0, 0b10001, Sizes.BHSD, &SimdLanes.UnsignedVector<CompareTest, FromRegister>),
        Same("CMEQ (register)", 1, 0b10001, Sizes.BHSD, &SimdLanes.UnsignedVector<CompareEqual, FromRegister>),
        Same("MLA (vector)", 0, 0b10010, Sizes.BHS, &SimdLanes.UnsignedVector<MlaVector, FromRegister>),
        Same("MLS (vector)", 1, 0b10010, Sizes.BHS, &SimdLanes.UnsignedVector<MlsVector, FromRegister>),
        Same("MUL (vector)", 0, 0b10011, Sizes.BHS, &SimdLanes.UnsignedVector<MulVector, FromRegister>),
        Same("PMUL", 1, 0b10011, Sizes.B, &SimdLanes.Unsigned<PolynomialMultiply, FromRegister>),
        Same("SMAXP", 0, 0b10100, Sizes.BHS, &SimdLanes.SignedPairwise<Max>),
        Same("UMAXP", 1, 0b10100, Sizes.BHS, &SimdLanes.UnsignedPairwise<Max>),
        Same("SMINP", 0, 0b10101, Sizes.BHS, &SimdLanes.SignedPairwise<Min>),
        Same("UMINP", 1, 0b10101, Sizes.BHS, &SimdLanes.UnsignedPairwise<Min>),
        Same("SQDMULH (vector)", 0, 0b10110, Sizes.HS, &SimdLanes.Signed<SaturatingDoublingMultiplyHigh, FromRegister>),
        Same("SQRDMULH (vector)", 1, 0b10110, Sizes.HS, &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyHigh, FromRegister>),
        Same("ADDP (vector)", 0, 0b10111, Sizes.BHSD, &SimdLanes.UnsignedPairwise<Add>),

        Logical("AND (vector)", "0 q 0 01110 00", &SimdLanes.Bitwise<AndBits, FromRegister>),
        Logical("BIC (vector, register)", "0 q 0 01110 01", &SimdLanes.Bitwise<BicBits, FromRegister>),
        Logical("ORR (vector, register)", "0 q 0 01110 10", &SimdLanes.Bitwise<OrrBits, FromRegister>),
        Logical("ORN (vector)", "0 q 0 01110 11", &SimdLanes.Bitwise<OrnBits, FromRegister>),
        Logical("EOR (vector)", "0 q 1 01110 00", &SimdLanes.Bitwise<EorBits, FromRegister>),
        Logical("BSL", "0 q 1 01110 01", &SimdLanes.Bitwise<SelectByDestination, FromRegister>),
        Logical("BIT", "0 q 1 01110 10", &SimdLanes.Bitwise<InsertIfTrue, FromRegister>),
        Logical("BIF", "0 q 1 01110 11", &SimdLanes.Bitwise<InsertIfFalse, FromRegister>),

        SameScalar("SQADD (scalar)", 0, 0b00001, Sizes.BHSD, &SimdLanes.Signed<SaturatingAdd, FromRegister>),
        SameScalar("UQADD (scalar)", 1, 0b00001, Sizes.BHSD, &SimdLanes.Unsigned<SaturatingAdd, FromRegister>),
        SameScalar("SQSUB (scalar)", 0, 0b00101, Sizes.BHSD, &SimdLanes.Signed<SaturatingSubtract, FromRegister>),
        SameScalar("UQSUB (scalar)", 1, 0b00101, Sizes.BHSD, &SimdLanes.Unsigned<SaturatingSubtract, FromRegister>),
        SameScalar("CMGT (register, scalar)", 0, 0b00110, Sizes.D, &SimdLanes.SignedVector<CompareGreater, FromRegister>),
        SameScalar("CMHI (register, scalar)", 1, 0b00110, Sizes.D, &SimdLanes.UnsignedVector<CompareGreater, FromRegister>),
        SameScalar("CMGE (register, scalar)", 0, 0b00111, Sizes.D, &SimdLanes.SignedVector<CompareGreaterOrEqual, FromRegister>),
        SameScalar("CMHS (register, scalar)", 1, 0b00111, Sizes.D, &SimdLanes.UnsignedVector<CompareGreaterOrEqual, FromRegister>),
        SameScalar("SSHL (scalar)", 0, 0b01000, Sizes.D, &SimdLanes.Signed<Shift, FromRegister>),
        SameScalar("USHL (scalar)", 1, 0b01000, Sizes.D, &SimdLanes.Unsigned<Shift, FromRegister>),
        SameScalar("SQSHL (register, scalar)", 0, 0b01001, Sizes.BHSD, &SimdLanes.Signed<SaturatingShift, FromRegister>),
        SameScalar("UQSHL (register, scalar)", 1, 0b01001, Sizes.BHSD, &SimdLanes.Unsigned<SaturatingShift, FromRegister>),
        SameScalar("SRSHL (scalar)", 0, 0b01010, Sizes.D, &SimdLanes.Signed<RoundingShift, FromRegister>),
        SameScalar("URSHL (scalar)", 1, 0b01010, Sizes.D, &SimdLanes.Unsigned<RoundingShift, FromRegister>),
        SameScalar("SQRSHL (scalar)", 0, 0b01011, Sizes.BHSD, &SimdLanes.Signed<SaturatingRoundingShift, FromRegister>),
        SameScalar("UQRSHL (scalar)", 1, 0b01011, Sizes.BHSD, &SimdLanes.Unsigned<SaturatingRoundingShift, FromRegister>),
        SameScalar("ADD (scalar)", 0, 0b10000, Sizes.D, &SimdLanes.UnsignedVector<AddVector, FromRegister>),
        SameScalar("SUB (scalar)", 1, 0b10000, Sizes.D, &SimdLanes.UnsignedVector<SubVector, FromRegister>),
        SameScalar("CMTST (scalar)", 0, 0b10001, Sizes.D, &SimdLanes.UnsignedVector<CompareTest, FromRegister>),
        SameScalar("CMEQ (register, scalar)", 1, 0b10001, Sizes.D, &SimdLanes.UnsignedVector<CompareEqual, FromRegister>),
        SameScalar("SQDMULH (scalar)", 0, 0b10110, Sizes.HS, &SimdLanes.Signed<SaturatingDoublingMultiplyHigh, FromRegister>),
        SameScalar("SQRDMULH (scalar)", 1, 0b10110, Sizes.HS, &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyHigh, FromRegister>),

        Extra("SQRDMLAH (vector)", "0 q 1", "0000", Sizes.HS, Feature.Rdm, &Operands.Vector,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyAddHigh, FromRegister>),
        Extra("SQRDMLSH (vector)", "0 q 1", "0001", Sizes.HS, Feature.Rdm, &Operands.Vector,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplySubtractHigh, FromRegister>),
        Extra("SDOT (vector)", "0 q 0", "0010", Sizes.S, Feature.DotProd, &Operands.Vector, &SimdWidening.SignedDot<FromRegister>),
        Extra("UDOT (vector)", "0 q 1", "0010", Sizes.S, Feature.DotProd, &Operands.Vector, &SimdWidening.UnsignedDot<FromRegister>),
        Row("SQRDMLAH (scalar)", "01 1 11110 zz 0 mmmmm 1 0000 1 nnnnn ddddd", Sizes.HS, Feature.Rdm, &Operands.VectorScalar,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyAddHigh, FromRegister>),
        Row("SQRDMLSH (scalar)", "01 1 11110 zz 0 mmmmm 1 0001 1 nnnnn ddddd", Sizes.HS, Feature.Rdm, &Operands.VectorScalar,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplySubtractHigh, FromRegister>),

        Different("SADDL", 0, 0b0000, Sizes.BHS, &SimdWidening.Signed<Add, FromRegister>),
        Different("UADDL", 1, 0b0000, Sizes.BHS, &SimdWidening.Unsigned<Add, FromRegister>),
        Different("SADDW", 0, 0b0001, Sizes.BHS, &SimdWidening.SignedWide<Add>),
        Different("UADDW", 1, 0b0001, Sizes.BHS, &SimdWidening.UnsignedWide<Add>),
        Different("SSUBL", 0, 0b0010, Sizes.BHS, &SimdWidening.Signed<Subtract, FromRegister>),
        Different("USUBL", 1, 0b0010, Sizes.BHS, &SimdWidening.Unsigned<Subtract, FromRegister>),
        Different("SSUBW", 0, 0b0011, Sizes.BHS, &SimdWidening.SignedWide<Subtract>),
        Different("USUBW", 1, 0b0011, Sizes.BHS, &SimdWidening.UnsignedWide<Subtract>),
        Different("ADDHN", 0, 0b0100, Sizes.BHS, &SimdWidening.UnsignedNarrow<AddHigh, FromRegister>),
        Different("RADDHN", 1, 0b0100, Sizes.BHS, &SimdWidening.UnsignedNarrow<RoundingAddHigh, FromRegister>),
        Different("SABAL", 0, 0b0101, Sizes.BHS, &SimdWidening.Signed<AbsoluteDifferenceAccumulate, FromRegister>),
        Different("UABAL", 1, 0b0101, Sizes.BHS, &SimdWidening.Unsigned<AbsoluteDifferenceAccumulate, FromRegister>),
        Different("SUBHN", 0, 0b0110, Sizes.BHS, &SimdWidening.UnsignedNarrow<SubtractHigh, FromRegister>),
        Different("RSUBHN", 1, 0b0110, Sizes.BHS, &SimdWidening.UnsignedNarrow<RoundingSubtractHigh, FromRegister>),
        Different("SABDL", 0, 0b0111, Sizes.BHS, &SimdWidening.Signed<AbsoluteDifference, FromRegister>),
        Different("UABDL", 1, 0b0111, Sizes.BHS, &SimdWidening.Unsigned<AbsoluteDifference, FromRegister>),
        Different("SMLAL", 0, 0b1000, Sizes.BHS, &SimdWidening.Signed<MultiplyAdd, FromRegister>),
        Different("UMLAL", 1, 0b1000, Sizes.BHS, &SimdWidening.Unsigned<MultiplyAdd, FromRegister>),
        Different("SQDMLAL", 0, 0b1001, Sizes.HS, &SimdWidening.Signed<SaturatingDoublingMultiplyAdd, FromRegister>),
        Different("SMLSL", 0, 0b1010, Sizes.BHS, &SimdWidening.Signed<MultiplySubtract, FromRegister>),
        Different("UMLSL", 1, 0b1010, Sizes.BHS, &SimdWidening.Unsigned<MultiplySubtract, FromRegister>),
        Different("SQDMLSL", 0, 0b1011, Sizes.HS, &SimdWidening.Signed<SaturatingDoublingMultiplySubtract, FromRegister>),
        Different("SMULL", 0, 0b1100, Sizes.BHS, &SimdWidening.Signed<Multiply, FromRegister>),
        Different("UMULL", 1, 0b1100, Sizes.BHS, &SimdWidening.Unsigned<Multiply, FromRegister>),
        Different("SQDMULL", 0, 0b1101, Sizes.HS, &SimdWidening.Signed<SaturatingDoublingMultiply, FromRegister>),
        Different("PMULL", 0, 0b1110, Sizes.B, &SimdWidening.PolynomialMultiply8),
        Row("PMULL (64)", "0 q 0 01110 11 1 mmmmm 1110 00 nnnnn ddddd", Sizes.D, Feature.Pmull, &Operands.VectorLong,
            &SimdWidening.PolynomialMultiply64),
        DifferentScalar("SQDMLAL (scalar)", 0b1001, &SimdWidening.Signed<SaturatingDoublingMultiplyAdd, FromRegister>),
        DifferentScalar("SQDMLSL (scalar)", 0b1011, &SimdWidening.Signed<SaturatingDoublingMultiplySubtract, FromRegister>),
        DifferentScalar("SQDMULL (scalar)", 0b1101, &SimdWidening.Signed<SaturatingDoublingMultiply, FromRegister>),

        Misc("REV64", 0, 0b00000, Sizes.BHS, &SimdPermute.Reverse64),
        Misc("REV32", 1, 0b00000, Sizes.B | Sizes.H, &SimdPermute.Reverse32),
        Misc("REV16", 0, 0b00001, Sizes.B, &SimdPermute.Reverse16),
        Misc("SADDLP", 0, 0b00010, Sizes.BHS, &SimdWidening.SignedPairs<Add>),
        Misc("UADDLP", 1, 0b00010, Sizes.BHS, &SimdWidening.UnsignedPairs<Add>),
        Misc("SUQADD", 0, 0b00011, Sizes.BHSD, &SimdLanes.Signed<SignedAddUnsigned, FromImmediate>),
        Misc("USQADD", 1, 0b00011, Sizes.BHSD, &SimdLanes.Unsigned<UnsignedAddSigned, FromImmediate>),
        Misc("CLS (vector)", 0, 0b00100, Sizes.BHS, &SimdLanes.Signed<CountLeadingSign, FromImmediate>),
        Misc("CLZ (vector)", 1, 0b00100, Sizes.BHS, &SimdLanes.Unsigned<CountLeadingZeros, FromImmediate>),
        Misc("CNT", 0, 0b00101, Sizes.B, &SimdLanes.Unsigned<CountOnes, FromImmediate>),
        Misc("NOT", 1, 0b00101, Sizes.B, &SimdLanes.Bitwise<NotBits, FromImmediate>),
        new("0 q 1 01110 01 10000 00101 10 nnnnn ddddd", "RBIT (vector)", &Operands.VectorBytewise,
            &SimdLanes.Unsigned<ReverseBits, FromImmediate>, Feature.None, RowFlags.FpSimd),
        Misc("SADALP", 0, 0b00110, Sizes.BHS, &SimdWidening.SignedPairs<AddAccumulate>),
        Misc("UADALP", 1, 0b00110, Sizes.BHS, &SimdWidening.UnsignedPairs<AddAccumulate>),
        Misc("SQABS", 0, 0b00111, Sizes.BHSD, &SimdLanes.Signed<SaturatingAbsolute, FromImmediate>),
        Misc("SQNEG", 1, 0b00111, Sizes.BHSD, &SimdLanes.Signed<SaturatingNegate, FromImmediate>),
        Misc("CMGT (zero)", 0, 0b01000, Sizes.BHSD, &SimdLanes.SignedVector<CompareGreater, FromImmediate>),
        Misc("CMGE (zero)", 1, 0b01000, Sizes.BHSD, &SimdLanes.SignedVector<CompareGreaterOrEqual, FromImmediate>),
        Misc("CMEQ (zero)", 0, 0b01001, Sizes.BHSD, &SimdLanes.SignedVector<CompareEqual, FromImmediate>),
        Misc("CMLE (zero)", 1, 0b01001, Sizes.BHSD, &SimdLanes.SignedVector<CompareLessOrEqual, FromImmediate>),
        Misc("CMLT (zero)", 0, 0b01010, Sizes.BHSD, &SimdLanes.SignedVector<CompareLess, FromImmediate>),
        Misc("ABS", 0, 0b01011, Sizes.BHSD, &SimdLanes.SignedVector<AbsVector, FromImmediate>),
        Misc("NEG (vector)", 1, 0b01011, Sizes.BHSD, &SimdLanes.UnsignedVector<NegVector, FromImmediate>),
        MiscNarrow("XTN", 0, 0b10010, &SimdWidening.UnsignedNarrow<ShiftNarrow, FromImmediate>),
        MiscNarrow("SQXTUN", 1, 0b10010, &SimdWidening.SignedToUnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        Row("SHLL", "0 q 1 01110 zz 10000 10011 10 nnnnn ddddd", Sizes.BHS, Feature.None, &Operands.VectorShiftLongBySize,
            &SimdWidening.Unsigned<Shift, FromImmediate>),
        MiscNarrow("SQXTN", 0, 0b10100, &SimdWidening.SignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        MiscNarrow("UQXTN", 1, 0b10100, &SimdWidening.UnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),

        MiscScalar("SUQADD (scalar)", 0, 0b00011, Sizes.BHSD, &SimdLanes.Signed<SignedAddUnsigned, FromImmediate>),
        MiscScalar("USQADD (scalar)", 1, 0b00011, Sizes.BHSD, &SimdLanes.Unsigned<UnsignedAddSigned, FromImmediate>),
        MiscScalar("SQABS (scalar)", 0, 0b00111, Sizes.BHSD, &SimdLanes.Signed<SaturatingAbsolute, FromImmediate>),
        MiscScalar("SQNEG (scalar)", 1, 0b00111, Sizes.BHSD, &SimdLanes.Signed<SaturatingNegate, FromImmediate>),
        MiscScalar("CMGT (zero, scalar)", 0, 0b01000, Sizes.D, &SimdLanes.SignedVector<CompareGreater, FromImmediate>),
        MiscScalar("CMGE (zero, scalar)", 1, 0b01000, Sizes.D, &SimdLanes.SignedVector<CompareGreaterOrEqual, FromImmediate>),
        MiscScalar("CMEQ (zero, scalar)", 0, 0b01001, Sizes.D, &SimdLanes.SignedVector<CompareEqual, FromImmediate>),
        MiscScalar("CMLE (zero, scalar)", 1, 0b01001, Sizes.D, &SimdLanes.SignedVector<CompareLessOrEqual, FromImmediate>),
        MiscScalar("CMLT (zero, scalar)", 0, 0b01010, Sizes.D, &SimdLanes.SignedVector<CompareLess, FromImmediate>),
        MiscScalar("ABS (scalar)", 0, 0b01011, Sizes.D, &SimdLanes.SignedVector<AbsVector, FromImmediate>),
        MiscScalar("NEG (scalar)", 1, 0b01011, Sizes.D, &SimdLanes.UnsignedVector<NegVector, FromImmediate>),
        MiscScalar("SQXTUN (scalar)", 1, 0b10010, Sizes.BHS, &SimdWidening.SignedToUnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        MiscScalar("SQXTN (scalar)", 0, 0b10100, Sizes.BHS, &SimdWidening.SignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        MiscScalar("UQXTN (scalar)", 1, 0b10100, Sizes.BHS, &SimdWidening.UnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),

        Across("SADDLV", 0, 0b00011, &SimdLanes.SignedAcrossLong),
        Across("UADDLV", 1, 0b00011, &SimdLanes.UnsignedAcrossLong),
        Across("SMAXV", 0, 0b01010, &SimdLanes.SignedAcross<Max>),
        Across("UMAXV", 1, 0b01010, &SimdLanes.UnsignedAcross<Max>),
        Across("SMINV", 0, 0b11010, &SimdLanes.SignedAcross<Min>),
        Across("UMINV", 1, 0b11010, &SimdLanes.UnsignedAcross<Min>),
        Across("ADDV", 0, 0b11011, &SimdLanes.UnsignedAcross<Add>),
        new("01 0 11110 11 11000 11011 10 nnnnn ddddd", "ADDP (scalar)", &Operands.VectorScalar, &SimdLanes.AddPairScalar,
            Feature.None, RowFlags.FpSimd),

        Element("MLA (by element)", 1, 0b0000, &SimdLanes.UnsignedVector<MlaVector, FromElement>),
        Element("MLS (by element)", 1, 0b0100, &SimdLanes.UnsignedVector<MlsVector, FromElement>),
        Element("MUL (by element)", 0, 0b1000, &SimdLanes.UnsignedVector<MulVector, FromElement>),
        Element("SQDMULH (by element)", 0, 0b1100, &SimdLanes.Signed<SaturatingDoublingMultiplyHigh, FromElement>),
        Element("SQRDMULH (by element)", 0, 0b1101, &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyHigh, FromElement>),
        Element("SQRDMLAH (by element)", 1, 0b1101,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyAddHigh, FromElement>, Feature.Rdm),
        Element("SQRDMLSH (by element)", 1, 0b1111,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplySubtractHigh, FromElement>, Feature.Rdm),
        ElementLong("SMLAL (by element)", 0, 0b0010, &SimdWidening.Signed<MultiplyAdd, FromElement>),
        ElementLong("UMLAL (by element)", 1, 0b0010, &SimdWidening.Unsigned<MultiplyAdd, FromElement>),
        ElementLong("SQDMLAL (by element)", 0, 0b0011, &SimdWidening.Signed<SaturatingDoublingMultiplyAdd, FromElement>),
        ElementLong("SMLSL (by element)", 0, 0b0110, &SimdWidening.Signed<MultiplySubtract, FromElement>),
        ElementLong("UMLSL (by element)", 1, 0b0110, &SimdWidening.Unsigned<MultiplySubtract, FromElement>),
        ElementLong("SQDMLSL (by element)", 0, 0b0111, &SimdWidening.Signed<SaturatingDoublingMultiplySubtract, FromElement>),
        ElementLong("SMULL (by element)", 0, 0b1010, &SimdWidening.Signed<Multiply, FromElement>),
        ElementLong("UMULL (by element)", 1, 0b1010, &SimdWidening.Unsigned<Multiply, FromElement>),
        ElementLong("SQDMULL (by element)", 0, 0b1011, &SimdWidening.Signed<SaturatingDoublingMultiply, FromElement>),
        Row("SDOT (by element)", "0 q 0 01111 zz l mmmmm 1110 h 0 nnnnn ddddd", Sizes.S, Feature.DotProd, &Operands.VectorElement,
            &SimdWidening.SignedDot<FromElement>),
        Row("UDOT (by element)", "0 q 1 01111 zz l mmmmm 1110 h 0 nnnnn ddddd", Sizes.S, Feature.DotProd, &Operands.VectorElement,
            &SimdWidening.UnsignedDot<FromElement>),
        ElementScalar("SQDMLAL (by element, scalar)", 0, 0b0011, &SimdWidening.Signed<SaturatingDoublingMultiplyAdd, FromElement>),
        ElementScalar("SQDMLSL (by element, scalar)", 0, 0b0111, &SimdWidening.Signed<SaturatingDoublingMultiplySubtract, FromElement>),
        ElementScalar("SQDMULL (by element, scalar)", 0, 0b1011, &SimdWidening.Signed<SaturatingDoublingMultiply, FromElement>),
        ElementScalar("SQDMULH (by element, scalar)", 0, 0b1100, &SimdLanes.Signed<SaturatingDoublingMultiplyHigh, FromElement>),
        ElementScalar("SQRDMULH (by element, scalar)", 0, 0b1101, &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyHigh, FromElement>),
        ElementScalar("SQRDMLAH (by element, scalar)", 1, 0b1101,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyAddHigh, FromElement>, Feature.Rdm),
        ElementScalar("SQRDMLSH (by element, scalar)", 1, 0b1111,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplySubtractHigh, FromElement>, Feature.Rdm),
    ];

    private static string Bits(int value, int width) => Convert.ToString(value, 2).PadLeft(width, '0');

    // A pattern with the size field zz at bits 23:22 and, where it has one, q at bit 30. Other sizes are reserved, as is a vector of one
    // doubleword where the form counts elements by Q.
    private static EncodingRow Row(
        string name,
        string pattern,
        Sizes sizes,
        Feature feature,
        delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler,
        bool oneDoublewordReserved = false)
    {
        var reserved = new List<string>();
        for (int size = 0; size < 4 && pattern.Contains("zz", StringComparison.Ordinal); size++)
        {
            if (((int)sizes & (1 << size)) == 0)
            {
                reserved.Add(pattern.Replace("zz", Bits(size, 2), StringComparison.Ordinal));
            }
        }

        if (oneDoublewordReserved)
        {
            reserved.Add(pattern.Replace("zz", "11", StringComparison.Ordinal).Replace('q', '0'));
        }

        return new EncodingRow(pattern, name, form, handler, feature, RowFlags.FpSimd, [.. reserved]);
    }

    private static EncodingRow Same(string name, int u, int opcode, Sizes sizes, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"0 q {u} 01110 zz 1 mmmmm {Bits(opcode, 5)} 1 nnnnn ddddd", sizes, Feature.None, &Operands.Vector, handler, sizes.HasFlag(Sizes.D));

    private static EncodingRow SameScalar(string name, int u, int opcode, Sizes sizes, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"01 {u} 11110 zz 1 mmmmm {Bits(opcode, 5)} 1 nnnnn ddddd", sizes, Feature.None, &Operands.VectorScalar, handler);

    private static EncodingRow Logical(string name, string top, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"{top} 1 mmmmm 00011 1 nnnnn ddddd", Sizes.BHSD, Feature.None, &Operands.Vector, handler);

    private static EncodingRow Extra(
        string name,
        string top,
        string opcode,
        Sizes sizes,
        Feature feature,
        delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"{top} 01110 zz 0 mmmmm 1 {opcode} 1 nnnnn ddddd", sizes, feature, form, handler);

    private static EncodingRow Different(string name, int u, int opcode, Sizes sizes, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"0 q {u} 01110 zz 1 mmmmm {Bits(opcode, 4)} 00 nnnnn ddddd", sizes, Feature.None, &Operands.VectorLong, handler);

    private static EncodingRow DifferentScalar(string name, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"01 0 11110 zz 1 mmmmm {Bits(opcode, 4)} 00 nnnnn ddddd", Sizes.HS, Feature.None, &Operands.VectorScalar, handler);

    private static EncodingRow Misc(string name, int u, int opcode, Sizes sizes, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"0 q {u} 01110 zz 10000 {Bits(opcode, 5)} 10 nnnnn ddddd", sizes, Feature.None, &Operands.Vector, handler, sizes.HasFlag(Sizes.D));

    private static EncodingRow MiscNarrow(string name, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"0 q {u} 01110 zz 10000 {Bits(opcode, 5)} 10 nnnnn ddddd", Sizes.BHS, Feature.None, &Operands.VectorLong, handler);

    private static EncodingRow MiscScalar(string name, int u, int opcode, Sizes sizes, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"01 {u} 11110 zz 10000 {Bits(opcode, 5)} 10 nnnnn ddddd", sizes, Feature.None, &Operands.VectorScalar, handler);

    private static EncodingRow Across(string name, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        new(
            $"0 q {u} 01110 zz 11000 {Bits(opcode, 5)} 10 nnnnn ddddd",
            name,
            &Operands.Vector,
            handler,
            Feature.None,
            RowFlags.FpSimd,
            $"0 q {u} 01110 11 11000 {Bits(opcode, 5)} 10 nnnnn ddddd",
            $"0 0 {u} 01110 10 11000 {Bits(opcode, 5)} 10 nnnnn ddddd");

    private static EncodingRow Element(
        string name, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler, Feature feature = Feature.None) =>
        Row(name, $"0 q {u} 01111 zz l mmmmm {Bits(opcode, 4)} h 0 nnnnn ddddd", Sizes.HS, feature, &Operands.VectorElement, handler);

    private static EncodingRow ElementLong(string name, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, $"0 q {u} 01111 zz l mmmmm {Bits(opcode, 4)} h 0 nnnnn ddddd", Sizes.HS, Feature.None, &Operands.VectorElementLong, handler);

    private static EncodingRow ElementScalar(
        string name, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler, Feature feature = Feature.None) =>
        Row(name, $"01 {u} 11111 zz l mmmmm {Bits(opcode, 4)} h 0 nnnnn ddddd", Sizes.HS, feature, &Operands.VectorElementScalar, handler);
}

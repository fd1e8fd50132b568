using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;
using static Vmm.Emulation.Cpu.Decoding.Effects;

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
        Same("SHADD", Operation.Shadd, WriteVd | ReadVn | ReadVm, 0, 0b00000, Sizes.BHS, &SimdLanes.Signed<HalvingAdd, FromRegister>),
        Same("UHADD", Operation.Uhadd, WriteVd | ReadVn | ReadVm, 1, 0b00000, Sizes.BHS, &SimdLanes.Unsigned<HalvingAdd, FromRegister>),
        Same("SQADD", Operation.Sqadd, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b00001, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingAdd, FromRegister>),
        Same("UQADD", Operation.Uqadd, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b00001, Sizes.BHSD,
            &SimdLanes.Unsigned<SaturatingAdd, FromRegister>),
        Same("SRHADD", Operation.Srhadd, WriteVd | ReadVn | ReadVm, 0, 0b00010, Sizes.BHS,
            &SimdLanes.Signed<RoundingHalvingAdd, FromRegister>),
        Same("URHADD", Operation.Urhadd, WriteVd | ReadVn | ReadVm, 1, 0b00010, Sizes.BHS,
            &SimdLanes.Unsigned<RoundingHalvingAdd, FromRegister>),
        Same("SHSUB", Operation.Shsub, WriteVd | ReadVn | ReadVm, 0, 0b00100, Sizes.BHS, &SimdLanes.Signed<HalvingSubtract, FromRegister>),
        Same("UHSUB", Operation.Uhsub, WriteVd | ReadVn | ReadVm, 1, 0b00100, Sizes.BHS,
            &SimdLanes.Unsigned<HalvingSubtract, FromRegister>),
        Same("SQSUB", Operation.Sqsub, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b00101, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingSubtract, FromRegister>),
        Same("UQSUB", Operation.Uqsub, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b00101, Sizes.BHSD,
            &SimdLanes.Unsigned<SaturatingSubtract, FromRegister>),
        Same("CMGT (register)", Operation.CmgtRegister, WriteVd | ReadVn | ReadVm, 0, 0b00110, Sizes.BHSD,
            &SimdLanes.SignedVector<CompareGreater, FromRegister>),
        Same("CMHI (register)", Operation.CmhiRegister, WriteVd | ReadVn | ReadVm, 1, 0b00110, Sizes.BHSD,
            &SimdLanes.UnsignedVector<CompareGreater, FromRegister>),
        Same("CMGE (register)", Operation.CmgeRegister, WriteVd | ReadVn | ReadVm, 0, 0b00111, Sizes.BHSD,
            &SimdLanes.SignedVector<CompareGreaterOrEqual, FromRegister>),
        Same("CMHS (register)", Operation.CmhsRegister, WriteVd | ReadVn | ReadVm, 1, 0b00111, Sizes.BHSD,
            &SimdLanes.UnsignedVector<CompareGreaterOrEqual, FromRegister>),
        Same("SSHL", Operation.Sshl, WriteVd | ReadVn | ReadVm, 0, 0b01000, Sizes.BHSD, &SimdLanes.Signed<Shift, FromRegister>),
        Same("USHL", Operation.Ushl, WriteVd | ReadVn | ReadVm, 1, 0b01000, Sizes.BHSD, &SimdLanes.Unsigned<Shift, FromRegister>),
        Same("SQSHL (register)", Operation.SqshlRegister, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b01001, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingShift, FromRegister>),
        Same("UQSHL (register)", Operation.UqshlRegister, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b01001, Sizes.BHSD,
            &SimdLanes.Unsigned<SaturatingShift, FromRegister>),
        Same("SRSHL", Operation.Srshl, WriteVd | ReadVn | ReadVm, 0, 0b01010, Sizes.BHSD, &SimdLanes.Signed<RoundingShift, FromRegister>),
        Same("URSHL", Operation.Urshl, WriteVd | ReadVn | ReadVm, 1, 0b01010, Sizes.BHSD,
            &SimdLanes.Unsigned<RoundingShift, FromRegister>),
        Same("SQRSHL", Operation.Sqrshl, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b01011, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingRoundingShift, FromRegister>),
        Same("UQRSHL", Operation.Uqrshl, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b01011, Sizes.BHSD,
            &SimdLanes.Unsigned<SaturatingRoundingShift, FromRegister>),
        Same("SMAX", Operation.Smax, WriteVd | ReadVn | ReadVm, 0, 0b01100, Sizes.BHS, &SimdLanes.SignedVector<MaxVector, FromRegister>),
        Same("UMAX", Operation.Umax, WriteVd | ReadVn | ReadVm, 1, 0b01100, Sizes.BHS, &SimdLanes.UnsignedVector<MaxVector, FromRegister>),
        Same("SMIN", Operation.Smin, WriteVd | ReadVn | ReadVm, 0, 0b01101, Sizes.BHS, &SimdLanes.SignedVector<MinVector, FromRegister>),
        Same("UMIN", Operation.Umin, WriteVd | ReadVn | ReadVm, 1, 0b01101, Sizes.BHS, &SimdLanes.UnsignedVector<MinVector, FromRegister>),
        Same("SABD", Operation.Sabd, WriteVd | ReadVn | ReadVm, 0, 0b01110, Sizes.BHS,
            &SimdLanes.Signed<AbsoluteDifference, FromRegister>),
        Same("UABD", Operation.Uabd, WriteVd | ReadVn | ReadVm, 1, 0b01110, Sizes.BHS,
            &SimdLanes.Unsigned<AbsoluteDifference, FromRegister>),
        Same("SABA", Operation.Saba, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b01111, Sizes.BHS,
            &SimdLanes.Signed<AbsoluteDifferenceAccumulate, FromRegister>),
        Same("UABA", Operation.Uaba, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b01111, Sizes.BHS,
            &SimdLanes.Unsigned<AbsoluteDifferenceAccumulate, FromRegister>),
        Same("ADD (vector)", Operation.AddVector, WriteVd | ReadVn | ReadVm, 0, 0b10000, Sizes.BHSD,
            &SimdLanes.UnsignedVector<AddVector, FromRegister>),
        Same("SUB (vector)", Operation.SubVector, WriteVd | ReadVn | ReadVm, 1, 0b10000, Sizes.BHSD,
            &SimdLanes.UnsignedVector<SubVector, FromRegister>),
        Same("CMTST", Operation.Cmtst, WriteVd | ReadVn | ReadVm, 0, 0b10001, Sizes.BHSD,
            &SimdLanes.UnsignedVector<CompareTest, FromRegister>),
        Same("CMEQ (register)", Operation.CmeqRegister, WriteVd | ReadVn | ReadVm, 1, 0b10001, Sizes.BHSD,
            &SimdLanes.UnsignedVector<CompareEqual, FromRegister>),
        Same("MLA (vector)", Operation.MlaVector, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b10010, Sizes.BHS,
            &SimdLanes.UnsignedVector<MlaVector, FromRegister>),
        Same("MLS (vector)", Operation.MlsVector, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b10010, Sizes.BHS,
            &SimdLanes.UnsignedVector<MlsVector, FromRegister>),
        Same("MUL (vector)", Operation.MulVector, WriteVd | ReadVn | ReadVm, 0, 0b10011, Sizes.BHS,
            &SimdLanes.UnsignedVector<MulVector, FromRegister>),
        Same("PMUL", Operation.Pmul, WriteVd | ReadVn | ReadVm, 1, 0b10011, Sizes.B,
            &SimdLanes.Unsigned<PolynomialMultiply, FromRegister>),
        Same("SMAXP", Operation.Smaxp, WriteVd | ReadVn | ReadVm, 0, 0b10100, Sizes.BHS, &SimdLanes.SignedPairwise<Max>),
        Same("UMAXP", Operation.Umaxp, WriteVd | ReadVn | ReadVm, 1, 0b10100, Sizes.BHS, &SimdLanes.UnsignedPairwise<Max>),
        Same("SMINP", Operation.Sminp, WriteVd | ReadVn | ReadVm, 0, 0b10101, Sizes.BHS, &SimdLanes.SignedPairwise<Min>),
        Same("UMINP", Operation.Uminp, WriteVd | ReadVn | ReadVm, 1, 0b10101, Sizes.BHS, &SimdLanes.UnsignedPairwise<Min>),
        Same("SQDMULH (vector)", Operation.SqdmulhVector, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b10110, Sizes.HS,
            &SimdLanes.Signed<SaturatingDoublingMultiplyHigh, FromRegister>),
        Same("SQRDMULH (vector)", Operation.SqrdmulhVector, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b10110, Sizes.HS,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyHigh, FromRegister>),
        Same("ADDP (vector)", Operation.AddpVector, WriteVd | ReadVn | ReadVm, 0, 0b10111, Sizes.BHSD, &SimdLanes.UnsignedPairwise<Add>),

        Logical("AND (vector)", Operation.AndVector, WriteVd | ReadVn | ReadVm, "0 q 0 01110 00",
            &SimdLanes.Bitwise<AndBits, FromRegister>),
        Logical("BIC (vector, register)", Operation.BicVectorRegister, WriteVd | ReadVn | ReadVm, "0 q 0 01110 01",
            &SimdLanes.Bitwise<BicBits, FromRegister>),
        Logical("ORR (vector, register)", Operation.OrrVectorRegister, WriteVd | ReadVn | ReadVm, "0 q 0 01110 10",
            &SimdLanes.Bitwise<OrrBits, FromRegister>),
        Logical("ORN (vector)", Operation.OrnVector, WriteVd | ReadVn | ReadVm, "0 q 0 01110 11",
            &SimdLanes.Bitwise<OrnBits, FromRegister>),
        Logical("EOR (vector)", Operation.EorVector, WriteVd | ReadVn | ReadVm, "0 q 1 01110 00",
            &SimdLanes.Bitwise<EorBits, FromRegister>),
        Logical("BSL", Operation.Bsl, WriteVd | ReadVn | ReadVm | ReadVd, "0 q 1 01110 01",
            &SimdLanes.Bitwise<SelectByDestination, FromRegister>),
        Logical("BIT", Operation.Bit, WriteVd | ReadVn | ReadVm | ReadVd, "0 q 1 01110 10",
            &SimdLanes.Bitwise<InsertIfTrue, FromRegister>),
        Logical("BIF", Operation.Bif, WriteVd | ReadVn | ReadVm | ReadVd, "0 q 1 01110 11",
            &SimdLanes.Bitwise<InsertIfFalse, FromRegister>),

        SameScalar("SQADD (scalar)", Operation.SqaddScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b00001, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingAdd, FromRegister>),
        SameScalar("UQADD (scalar)", Operation.UqaddScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b00001, Sizes.BHSD,
            &SimdLanes.Unsigned<SaturatingAdd, FromRegister>),
        SameScalar("SQSUB (scalar)", Operation.SqsubScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b00101, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingSubtract, FromRegister>),
        SameScalar("UQSUB (scalar)", Operation.UqsubScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b00101, Sizes.BHSD,
            &SimdLanes.Unsigned<SaturatingSubtract, FromRegister>),
        SameScalar("CMGT (register, scalar)", Operation.CmgtRegisterScalar, WriteVd | ReadVn | ReadVm, 0, 0b00110, Sizes.D,
            &SimdLanes.SignedVector<CompareGreater, FromRegister>),
        SameScalar("CMHI (register, scalar)", Operation.CmhiRegisterScalar, WriteVd | ReadVn | ReadVm, 1, 0b00110, Sizes.D,
            &SimdLanes.UnsignedVector<CompareGreater, FromRegister>),
        SameScalar("CMGE (register, scalar)", Operation.CmgeRegisterScalar, WriteVd | ReadVn | ReadVm, 0, 0b00111, Sizes.D,
            &SimdLanes.SignedVector<CompareGreaterOrEqual, FromRegister>),
        SameScalar("CMHS (register, scalar)", Operation.CmhsRegisterScalar, WriteVd | ReadVn | ReadVm, 1, 0b00111, Sizes.D,
            &SimdLanes.UnsignedVector<CompareGreaterOrEqual, FromRegister>),
        SameScalar("SSHL (scalar)", Operation.SshlScalar, WriteVd | ReadVn | ReadVm, 0, 0b01000, Sizes.D,
            &SimdLanes.Signed<Shift, FromRegister>),
        SameScalar("USHL (scalar)", Operation.UshlScalar, WriteVd | ReadVn | ReadVm, 1, 0b01000, Sizes.D,
            &SimdLanes.Unsigned<Shift, FromRegister>),
        SameScalar("SQSHL (register, scalar)", Operation.SqshlRegisterScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b01001,
            Sizes.BHSD, &SimdLanes.Signed<SaturatingShift, FromRegister>),
        SameScalar("UQSHL (register, scalar)", Operation.UqshlRegisterScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b01001,
            Sizes.BHSD, &SimdLanes.Unsigned<SaturatingShift, FromRegister>),
        SameScalar("SRSHL (scalar)", Operation.SrshlScalar, WriteVd | ReadVn | ReadVm, 0, 0b01010, Sizes.D,
            &SimdLanes.Signed<RoundingShift, FromRegister>),
        SameScalar("URSHL (scalar)", Operation.UrshlScalar, WriteVd | ReadVn | ReadVm, 1, 0b01010, Sizes.D,
            &SimdLanes.Unsigned<RoundingShift, FromRegister>),
        SameScalar("SQRSHL (scalar)", Operation.SqrshlScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b01011, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingRoundingShift, FromRegister>),
        SameScalar("UQRSHL (scalar)", Operation.UqrshlScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b01011, Sizes.BHSD,
            &SimdLanes.Unsigned<SaturatingRoundingShift, FromRegister>),
        SameScalar("ADD (scalar)", Operation.AddScalar, WriteVd | ReadVn | ReadVm, 0, 0b10000, Sizes.D,
            &SimdLanes.UnsignedVector<AddVector, FromRegister>),
        SameScalar("SUB (scalar)", Operation.SubScalar, WriteVd | ReadVn | ReadVm, 1, 0b10000, Sizes.D,
            &SimdLanes.UnsignedVector<SubVector, FromRegister>),
        SameScalar("CMTST (scalar)", Operation.CmtstScalar, WriteVd | ReadVn | ReadVm, 0, 0b10001, Sizes.D,
            &SimdLanes.UnsignedVector<CompareTest, FromRegister>),
        SameScalar("CMEQ (register, scalar)", Operation.CmeqRegisterScalar, WriteVd | ReadVn | ReadVm, 1, 0b10001, Sizes.D,
            &SimdLanes.UnsignedVector<CompareEqual, FromRegister>),
        SameScalar("SQDMULH (scalar)", Operation.SqdmulhScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b10110, Sizes.HS,
            &SimdLanes.Signed<SaturatingDoublingMultiplyHigh, FromRegister>),
        SameScalar("SQRDMULH (scalar)", Operation.SqrdmulhScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 1, 0b10110, Sizes.HS,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyHigh, FromRegister>),

        Extra("SQRDMLAH (vector)", Operation.SqrdmlahVector, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, "0 q 1", "0000", Sizes.HS,
            Feature.Rdm, &Operands.Vector, &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyAddHigh, FromRegister>),
        Extra("SQRDMLSH (vector)", Operation.SqrdmlshVector, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, "0 q 1", "0001", Sizes.HS,
            Feature.Rdm, &Operands.Vector, &SimdLanes.Signed<SaturatingRoundingDoublingMultiplySubtractHigh, FromRegister>),
        Extra("SDOT (vector)", Operation.SdotVector, WriteVd | ReadVn | ReadVm | ReadVd, "0 q 0", "0010", Sizes.S, Feature.DotProd,
            &Operands.Vector, &SimdWidening.SignedDot<FromRegister>),
        Extra("UDOT (vector)", Operation.UdotVector, WriteVd | ReadVn | ReadVm | ReadVd, "0 q 1", "0010", Sizes.S, Feature.DotProd,
            &Operands.Vector, &SimdWidening.UnsignedDot<FromRegister>),
        Row("SQRDMLAH (scalar)", Operation.SqrdmlahScalar, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr,
            "01 1 11110 zz 0 mmmmm 1 0000 1 nnnnn ddddd", Sizes.HS, Feature.Rdm, &Operands.VectorScalar,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyAddHigh, FromRegister>),
        Row("SQRDMLSH (scalar)", Operation.SqrdmlshScalar, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr,
            "01 1 11110 zz 0 mmmmm 1 0001 1 nnnnn ddddd", Sizes.HS, Feature.Rdm, &Operands.VectorScalar,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplySubtractHigh, FromRegister>),

        Different("SADDL", Operation.Saddl, WriteVd | ReadVn | ReadVm, 0, 0b0000, Sizes.BHS, &SimdWidening.Signed<Add, FromRegister>),
        Different("UADDL", Operation.Uaddl, WriteVd | ReadVn | ReadVm, 1, 0b0000, Sizes.BHS, &SimdWidening.Unsigned<Add, FromRegister>),
        Different("SADDW", Operation.Saddw, WriteVd | ReadVn | ReadVm, 0, 0b0001, Sizes.BHS, &SimdWidening.SignedWide<Add>),
        Different("UADDW", Operation.Uaddw, WriteVd | ReadVn | ReadVm, 1, 0b0001, Sizes.BHS, &SimdWidening.UnsignedWide<Add>),
        Different("SSUBL", Operation.Ssubl, WriteVd | ReadVn | ReadVm, 0, 0b0010, Sizes.BHS, &SimdWidening.Signed<Subtract, FromRegister>),
        Different("USUBL", Operation.Usubl, WriteVd | ReadVn | ReadVm, 1, 0b0010, Sizes.BHS,
            &SimdWidening.Unsigned<Subtract, FromRegister>),
        Different("SSUBW", Operation.Ssubw, WriteVd | ReadVn | ReadVm, 0, 0b0011, Sizes.BHS, &SimdWidening.SignedWide<Subtract>),
        Different("USUBW", Operation.Usubw, WriteVd | ReadVn | ReadVm, 1, 0b0011, Sizes.BHS, &SimdWidening.UnsignedWide<Subtract>),
        Different("ADDHN", Operation.Addhn, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b0100, Sizes.BHS,
            &SimdWidening.UnsignedNarrow<AddHigh, FromRegister>),
        Different("RADDHN", Operation.Raddhn, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b0100, Sizes.BHS,
            &SimdWidening.UnsignedNarrow<RoundingAddHigh, FromRegister>),
        Different("SABAL", Operation.Sabal, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b0101, Sizes.BHS,
            &SimdWidening.Signed<AbsoluteDifferenceAccumulate, FromRegister>),
        Different("UABAL", Operation.Uabal, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b0101, Sizes.BHS,
            &SimdWidening.Unsigned<AbsoluteDifferenceAccumulate, FromRegister>),
        Different("SUBHN", Operation.Subhn, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b0110, Sizes.BHS,
            &SimdWidening.UnsignedNarrow<SubtractHigh, FromRegister>),
        Different("RSUBHN", Operation.Rsubhn, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b0110, Sizes.BHS,
            &SimdWidening.UnsignedNarrow<RoundingSubtractHigh, FromRegister>),
        Different("SABDL", Operation.Sabdl, WriteVd | ReadVn | ReadVm, 0, 0b0111, Sizes.BHS,
            &SimdWidening.Signed<AbsoluteDifference, FromRegister>),
        Different("UABDL", Operation.Uabdl, WriteVd | ReadVn | ReadVm, 1, 0b0111, Sizes.BHS,
            &SimdWidening.Unsigned<AbsoluteDifference, FromRegister>),
        Different("SMLAL", Operation.Smlal, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b1000, Sizes.BHS,
            &SimdWidening.Signed<MultiplyAdd, FromRegister>),
        Different("UMLAL", Operation.Umlal, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b1000, Sizes.BHS,
            &SimdWidening.Unsigned<MultiplyAdd, FromRegister>),
        Different("SQDMLAL", Operation.Sqdmlal, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 0, 0b1001, Sizes.HS,
            &SimdWidening.Signed<SaturatingDoublingMultiplyAdd, FromRegister>),
        Different("SMLSL", Operation.Smlsl, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b1010, Sizes.BHS,
            &SimdWidening.Signed<MultiplySubtract, FromRegister>),
        Different("UMLSL", Operation.Umlsl, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b1010, Sizes.BHS,
            &SimdWidening.Unsigned<MultiplySubtract, FromRegister>),
        Different("SQDMLSL", Operation.Sqdmlsl, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 0, 0b1011, Sizes.HS,
            &SimdWidening.Signed<SaturatingDoublingMultiplySubtract, FromRegister>),
        Different("SMULL", Operation.Smull, WriteVd | ReadVn | ReadVm, 0, 0b1100, Sizes.BHS, &SimdWidening.Signed<Multiply, FromRegister>),
        Different("UMULL", Operation.Umull, WriteVd | ReadVn | ReadVm, 1, 0b1100, Sizes.BHS,
            &SimdWidening.Unsigned<Multiply, FromRegister>),
        Different("SQDMULL", Operation.Sqdmull, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b1101, Sizes.HS,
            &SimdWidening.Signed<SaturatingDoublingMultiply, FromRegister>),
        Different("PMULL", Operation.Pmull, WriteVd | ReadVn | ReadVm, 0, 0b1110, Sizes.B, &SimdWidening.PolynomialMultiply8),
        Row("PMULL (64)", Operation.Pmull64, WriteVd | ReadVn | ReadVm, "0 q 0 01110 11 1 mmmmm 1110 00 nnnnn ddddd", Sizes.D,
            Feature.Pmull, &Operands.VectorLong, &SimdWidening.PolynomialMultiply64),
        DifferentScalar("SQDMLAL (scalar)", Operation.SqdmlalScalar, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 0b1001,
            &SimdWidening.Signed<SaturatingDoublingMultiplyAdd, FromRegister>),
        DifferentScalar("SQDMLSL (scalar)", Operation.SqdmlslScalar, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 0b1011,
            &SimdWidening.Signed<SaturatingDoublingMultiplySubtract, FromRegister>),
        DifferentScalar("SQDMULL (scalar)", Operation.SqdmullScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0b1101,
            &SimdWidening.Signed<SaturatingDoublingMultiply, FromRegister>),

        Misc("REV64", Operation.Rev64, WriteVd | ReadVn, 0, 0b00000, Sizes.BHS, &SimdPermute.Reverse64),
        Misc("REV32", Operation.Rev32Vector, WriteVd | ReadVn, 1, 0b00000, Sizes.B | Sizes.H, &SimdPermute.Reverse32),
        Misc("REV16", Operation.Rev16Vector, WriteVd | ReadVn, 0, 0b00001, Sizes.B, &SimdPermute.Reverse16),
        Misc("SADDLP", Operation.Saddlp, WriteVd | ReadVn, 0, 0b00010, Sizes.BHS, &SimdWidening.SignedPairs<Add>),
        Misc("UADDLP", Operation.Uaddlp, WriteVd | ReadVn, 1, 0b00010, Sizes.BHS, &SimdWidening.UnsignedPairs<Add>),
        Misc("SUQADD", Operation.Suqadd, WriteVd | ReadVn | ReadVd | WriteFpsr, 0, 0b00011, Sizes.BHSD,
            &SimdLanes.Signed<SignedAddUnsigned, FromImmediate>),
        Misc("USQADD", Operation.Usqadd, WriteVd | ReadVn | ReadVd | WriteFpsr, 1, 0b00011, Sizes.BHSD,
            &SimdLanes.Unsigned<UnsignedAddSigned, FromImmediate>),
        Misc("CLS (vector)", Operation.ClsVector, WriteVd | ReadVn, 0, 0b00100, Sizes.BHS,
            &SimdLanes.Signed<CountLeadingSign, FromImmediate>),
        Misc("CLZ (vector)", Operation.ClzVector, WriteVd | ReadVn, 1, 0b00100, Sizes.BHS,
            &SimdLanes.Unsigned<CountLeadingZeros, FromImmediate>),
        Misc("CNT", Operation.Cnt, WriteVd | ReadVn, 0, 0b00101, Sizes.B, &SimdLanes.Unsigned<CountOnes, FromImmediate>),
        Misc("NOT", Operation.Not, WriteVd | ReadVn, 1, 0b00101, Sizes.B, &SimdLanes.Bitwise<NotBits, FromImmediate>),
        new("0 q 1 01110 01 10000 00101 10 nnnnn ddddd", "RBIT (vector)", Operation.RbitVector, WriteVd | ReadVn, &Operands.VectorBytewise,
            &SimdLanes.Unsigned<ReverseBits, FromImmediate>),
        Misc("SADALP", Operation.Sadalp, WriteVd | ReadVn | ReadVd, 0, 0b00110, Sizes.BHS, &SimdWidening.SignedPairs<AddAccumulate>),
        Misc("UADALP", Operation.Uadalp, WriteVd | ReadVn | ReadVd, 1, 0b00110, Sizes.BHS, &SimdWidening.UnsignedPairs<AddAccumulate>),
        Misc("SQABS", Operation.Sqabs, WriteVd | ReadVn | WriteFpsr, 0, 0b00111, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingAbsolute, FromImmediate>),
        Misc("SQNEG", Operation.Sqneg, WriteVd | ReadVn | WriteFpsr, 1, 0b00111, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingNegate, FromImmediate>),
        Misc("CMGT (zero)", Operation.CmgtZero, WriteVd | ReadVn, 0, 0b01000, Sizes.BHSD,
            &SimdLanes.SignedVector<CompareGreater, FromImmediate>),
        Misc("CMGE (zero)", Operation.CmgeZero, WriteVd | ReadVn, 1, 0b01000, Sizes.BHSD,
            &SimdLanes.SignedVector<CompareGreaterOrEqual, FromImmediate>),
        Misc("CMEQ (zero)", Operation.CmeqZero, WriteVd | ReadVn, 0, 0b01001, Sizes.BHSD,
            &SimdLanes.SignedVector<CompareEqual, FromImmediate>),
        Misc("CMLE (zero)", Operation.CmleZero, WriteVd | ReadVn, 1, 0b01001, Sizes.BHSD,
            &SimdLanes.SignedVector<CompareLessOrEqual, FromImmediate>),
        Misc("CMLT (zero)", Operation.CmltZero, WriteVd | ReadVn, 0, 0b01010, Sizes.BHSD,
            &SimdLanes.SignedVector<CompareLess, FromImmediate>),
        Misc("ABS", Operation.Abs, WriteVd | ReadVn, 0, 0b01011, Sizes.BHSD, &SimdLanes.SignedVector<AbsVector, FromImmediate>),
        Misc("NEG (vector)", Operation.NegVector, WriteVd | ReadVn, 1, 0b01011, Sizes.BHSD,
            &SimdLanes.UnsignedVector<NegVector, FromImmediate>),
        MiscNarrow("XTN", Operation.Xtn, WriteVd | ReadVn | ReadVd, 0, 0b10010, &SimdWidening.UnsignedNarrow<ShiftNarrow, FromImmediate>),
        MiscNarrow("SQXTUN", Operation.Sqxtun, WriteVd | ReadVn | ReadVd | WriteFpsr, 1, 0b10010,
            &SimdWidening.SignedToUnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        Row("SHLL", Operation.Shll, WriteVd | ReadVn, "0 q 1 01110 zz 10000 10011 10 nnnnn ddddd", Sizes.BHS, Feature.None,
            &Operands.VectorShiftLongBySize, &SimdWidening.Unsigned<Shift, FromImmediate>),
        MiscNarrow("SQXTN", Operation.Sqxtn, WriteVd | ReadVn | ReadVd | WriteFpsr, 0, 0b10100,
            &SimdWidening.SignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        MiscNarrow("UQXTN", Operation.Uqxtn, WriteVd | ReadVn | ReadVd | WriteFpsr, 1, 0b10100,
            &SimdWidening.UnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),

        MiscScalar("SUQADD (scalar)", Operation.SuqaddScalar, WriteVd | ReadVn | ReadVd | WriteFpsr, 0, 0b00011, Sizes.BHSD,
            &SimdLanes.Signed<SignedAddUnsigned, FromImmediate>),
        MiscScalar("USQADD (scalar)", Operation.UsqaddScalar, WriteVd | ReadVn | ReadVd | WriteFpsr, 1, 0b00011, Sizes.BHSD,
            &SimdLanes.Unsigned<UnsignedAddSigned, FromImmediate>),
        MiscScalar("SQABS (scalar)", Operation.SqabsScalar, WriteVd | ReadVn | WriteFpsr, 0, 0b00111, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingAbsolute, FromImmediate>),
        MiscScalar("SQNEG (scalar)", Operation.SqnegScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b00111, Sizes.BHSD,
            &SimdLanes.Signed<SaturatingNegate, FromImmediate>),
        MiscScalar("CMGT (zero, scalar)", Operation.CmgtZeroScalar, WriteVd | ReadVn, 0, 0b01000, Sizes.D,
            &SimdLanes.SignedVector<CompareGreater, FromImmediate>),
        MiscScalar("CMGE (zero, scalar)", Operation.CmgeZeroScalar, WriteVd | ReadVn, 1, 0b01000, Sizes.D,
            &SimdLanes.SignedVector<CompareGreaterOrEqual, FromImmediate>),
        MiscScalar("CMEQ (zero, scalar)", Operation.CmeqZeroScalar, WriteVd | ReadVn, 0, 0b01001, Sizes.D,
            &SimdLanes.SignedVector<CompareEqual, FromImmediate>),
        MiscScalar("CMLE (zero, scalar)", Operation.CmleZeroScalar, WriteVd | ReadVn, 1, 0b01001, Sizes.D,
            &SimdLanes.SignedVector<CompareLessOrEqual, FromImmediate>),
        MiscScalar("CMLT (zero, scalar)", Operation.CmltZeroScalar, WriteVd | ReadVn, 0, 0b01010, Sizes.D,
            &SimdLanes.SignedVector<CompareLess, FromImmediate>),
        MiscScalar("ABS (scalar)", Operation.AbsScalar, WriteVd | ReadVn, 0, 0b01011, Sizes.D,
            &SimdLanes.SignedVector<AbsVector, FromImmediate>),
        MiscScalar("NEG (scalar)", Operation.NegScalar, WriteVd | ReadVn, 1, 0b01011, Sizes.D,
            &SimdLanes.UnsignedVector<NegVector, FromImmediate>),
        MiscScalar("SQXTUN (scalar)", Operation.SqxtunScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b10010, Sizes.BHS,
            &SimdWidening.SignedToUnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        MiscScalar("SQXTN (scalar)", Operation.SqxtnScalar, WriteVd | ReadVn | WriteFpsr, 0, 0b10100, Sizes.BHS,
            &SimdWidening.SignedNarrow<SaturatingShiftNarrow, FromImmediate>),
        MiscScalar("UQXTN (scalar)", Operation.UqxtnScalar, WriteVd | ReadVn | WriteFpsr, 1, 0b10100, Sizes.BHS,
            &SimdWidening.UnsignedNarrow<SaturatingShiftNarrow, FromImmediate>),

        Across("SADDLV", Operation.Saddlv, WriteVd | ReadVn, 0, 0b00011, &SimdLanes.SignedAcrossLong),
        Across("UADDLV", Operation.Uaddlv, WriteVd | ReadVn, 1, 0b00011, &SimdLanes.UnsignedAcrossLong),
        Across("SMAXV", Operation.Smaxv, WriteVd | ReadVn, 0, 0b01010, &SimdLanes.SignedAcross<Max>),
        Across("UMAXV", Operation.Umaxv, WriteVd | ReadVn, 1, 0b01010, &SimdLanes.UnsignedAcross<Max>),
        Across("SMINV", Operation.Sminv, WriteVd | ReadVn, 0, 0b11010, &SimdLanes.SignedAcross<Min>),
        Across("UMINV", Operation.Uminv, WriteVd | ReadVn, 1, 0b11010, &SimdLanes.UnsignedAcross<Min>),
        Across("ADDV", Operation.Addv, WriteVd | ReadVn, 0, 0b11011, &SimdLanes.UnsignedAcross<Add>),
        new("01 0 11110 11 11000 11011 10 nnnnn ddddd", "ADDP (scalar)", Operation.AddpScalar, WriteVd | ReadVn, &Operands.VectorScalar,
            &SimdLanes.AddPairScalar),

        Element("MLA (by element)", Operation.MlaByElement, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b0000,
            &SimdLanes.UnsignedVector<MlaVector, FromElement>),
        Element("MLS (by element)", Operation.MlsByElement, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b0100,
            &SimdLanes.UnsignedVector<MlsVector, FromElement>),
        Element("MUL (by element)", Operation.MulByElement, WriteVd | ReadVn | ReadVm, 0, 0b1000,
            &SimdLanes.UnsignedVector<MulVector, FromElement>),
        Element("SQDMULH (by element)", Operation.SqdmulhByElement, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b1100,
            &SimdLanes.Signed<SaturatingDoublingMultiplyHigh, FromElement>),
        Element("SQRDMULH (by element)", Operation.SqrdmulhByElement, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b1101,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyHigh, FromElement>),
        Element("SQRDMLAH (by element)", Operation.SqrdmlahByElement, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 1, 0b1101,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyAddHigh, FromElement>, Feature.Rdm),
        Element("SQRDMLSH (by element)", Operation.SqrdmlshByElement, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 1, 0b1111,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplySubtractHigh, FromElement>, Feature.Rdm),
        ElementLong("SMLAL (by element)", Operation.SmlalByElement, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b0010,
            &SimdWidening.Signed<MultiplyAdd, FromElement>),
        ElementLong("UMLAL (by element)", Operation.UmlalByElement, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b0010,
            &SimdWidening.Unsigned<MultiplyAdd, FromElement>),
        ElementLong("SQDMLAL (by element)", Operation.SqdmlalByElement, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 0, 0b0011,
            &SimdWidening.Signed<SaturatingDoublingMultiplyAdd, FromElement>),
        ElementLong("SMLSL (by element)", Operation.SmlslByElement, WriteVd | ReadVn | ReadVm | ReadVd, 0, 0b0110,
            &SimdWidening.Signed<MultiplySubtract, FromElement>),
        ElementLong("UMLSL (by element)", Operation.UmlslByElement, WriteVd | ReadVn | ReadVm | ReadVd, 1, 0b0110,
            &SimdWidening.Unsigned<MultiplySubtract, FromElement>),
        ElementLong("SQDMLSL (by element)", Operation.SqdmlslByElement, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 0, 0b0111,
            &SimdWidening.Signed<SaturatingDoublingMultiplySubtract, FromElement>),
        ElementLong("SMULL (by element)", Operation.SmullByElement, WriteVd | ReadVn | ReadVm, 0, 0b1010,
            &SimdWidening.Signed<Multiply, FromElement>),
        ElementLong("UMULL (by element)", Operation.UmullByElement, WriteVd | ReadVn | ReadVm, 1, 0b1010,
            &SimdWidening.Unsigned<Multiply, FromElement>),
        ElementLong("SQDMULL (by element)", Operation.SqdmullByElement, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b1011,
            &SimdWidening.Signed<SaturatingDoublingMultiply, FromElement>),
        Row("SDOT (by element)", Operation.SdotByElement, WriteVd | ReadVn | ReadVm | ReadVd,
            "0 q 0 01111 zz l mmmmm 1110 h 0 nnnnn ddddd", Sizes.S, Feature.DotProd, &Operands.VectorElement,
            &SimdWidening.SignedDot<FromElement>),
        Row("UDOT (by element)", Operation.UdotByElement, WriteVd | ReadVn | ReadVm | ReadVd,
            "0 q 1 01111 zz l mmmmm 1110 h 0 nnnnn ddddd", Sizes.S, Feature.DotProd, &Operands.VectorElement,
            &SimdWidening.UnsignedDot<FromElement>),
        ElementScalar("SQDMLAL (by element, scalar)", Operation.SqdmlalByElementScalar, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 0,
            0b0011, &SimdWidening.Signed<SaturatingDoublingMultiplyAdd, FromElement>),
        ElementScalar("SQDMLSL (by element, scalar)", Operation.SqdmlslByElementScalar, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr, 0,
            0b0111, &SimdWidening.Signed<SaturatingDoublingMultiplySubtract, FromElement>),
        ElementScalar("SQDMULL (by element, scalar)", Operation.SqdmullByElementScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b1011,
            &SimdWidening.Signed<SaturatingDoublingMultiply, FromElement>),
        ElementScalar("SQDMULH (by element, scalar)", Operation.SqdmulhByElementScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b1100,
            &SimdLanes.Signed<SaturatingDoublingMultiplyHigh, FromElement>),
        ElementScalar("SQRDMULH (by element, scalar)", Operation.SqrdmulhByElementScalar, WriteVd | ReadVn | ReadVm | WriteFpsr, 0, 0b1101,
            &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyHigh, FromElement>),
        ElementScalar("SQRDMLAH (by element, scalar)", Operation.SqrdmlahByElementScalar, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr,
            1, 0b1101, &SimdLanes.Signed<SaturatingRoundingDoublingMultiplyAddHigh, FromElement>, Feature.Rdm),
        ElementScalar("SQRDMLSH (by element, scalar)", Operation.SqrdmlshByElementScalar, WriteVd | ReadVn | ReadVm | ReadVd | WriteFpsr,
            1, 0b1111, &SimdLanes.Signed<SaturatingRoundingDoublingMultiplySubtractHigh, FromElement>, Feature.Rdm),
    ];

    private static string Bits(int value, int width) => Convert.ToString(value, 2).PadLeft(width, '0');

    // A pattern with the size field zz at bits 23:22 and, where it has one, q at bit 30. Other sizes are reserved, as is a vector of one
    // doubleword where the form counts elements by Q.
    private static EncodingRow Row(
        string name,
        Operation operation,
        Effects effects,
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

        return new EncodingRow(pattern, name, operation, effects, form, handler, feature, [.. reserved]);
    }

    private static EncodingRow Same(
        string name, Operation operation, Effects effects, int u, int opcode, Sizes sizes,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"0 q {u} 01110 zz 1 mmmmm {Bits(opcode, 5)} 1 nnnnn ddddd",
            sizes, Feature.None, &Operands.Vector, handler, sizes.HasFlag(Sizes.D));

    private static EncodingRow SameScalar(
        string name, Operation operation, Effects effects, int u, int opcode, Sizes sizes,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"01 {u} 11110 zz 1 mmmmm {Bits(opcode, 5)} 1 nnnnn ddddd",
            sizes, Feature.None, &Operands.VectorScalar, handler);

    private static EncodingRow Logical(
        string name, Operation operation, Effects effects, string top, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"{top} 1 mmmmm 00011 1 nnnnn ddddd", Sizes.BHSD, Feature.None, &Operands.Vector, handler);

    private static EncodingRow Extra(
        string name,
        Operation operation,
        Effects effects,
        string top,
        string opcode,
        Sizes sizes,
        Feature feature,
        delegate*<Op*, void> form,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"{top} 01110 zz 0 mmmmm 1 {opcode} 1 nnnnn ddddd", sizes, feature, form, handler);

    private static EncodingRow Different(
        string name, Operation operation, Effects effects, int u, int opcode, Sizes sizes,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"0 q {u} 01110 zz 1 mmmmm {Bits(opcode, 4)} 00 nnnnn ddddd",
            sizes, Feature.None, &Operands.VectorLong, handler);

    private static EncodingRow DifferentScalar(
        string name, Operation operation, Effects effects, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"01 0 11110 zz 1 mmmmm {Bits(opcode, 4)} 00 nnnnn ddddd",
            Sizes.HS, Feature.None, &Operands.VectorScalar, handler);

    private static EncodingRow Misc(
        string name, Operation operation, Effects effects, int u, int opcode, Sizes sizes,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"0 q {u} 01110 zz 10000 {Bits(opcode, 5)} 10 nnnnn ddddd",
            sizes, Feature.None, &Operands.Vector, handler, sizes.HasFlag(Sizes.D));

    private static EncodingRow MiscNarrow(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"0 q {u} 01110 zz 10000 {Bits(opcode, 5)} 10 nnnnn ddddd",
            Sizes.BHS, Feature.None, &Operands.VectorLong, handler);

    private static EncodingRow MiscScalar(
        string name, Operation operation, Effects effects, int u, int opcode, Sizes sizes,
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"01 {u} 11110 zz 10000 {Bits(opcode, 5)} 10 nnnnn ddddd",
            sizes, Feature.None, &Operands.VectorScalar, handler);

    private static EncodingRow Across(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        new(
            $"0 q {u} 01110 zz 11000 {Bits(opcode, 5)} 10 nnnnn ddddd",
            name,
            operation,
            effects,
            &Operands.Vector,
            handler,
            Feature.None,
            $"0 q {u} 01110 11 11000 {Bits(opcode, 5)} 10 nnnnn ddddd",
            $"0 0 {u} 01110 10 11000 {Bits(opcode, 5)} 10 nnnnn ddddd");

    private static EncodingRow Element(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler,
        Feature feature = Feature.None) =>
        Row(name, operation, effects, $"0 q {u} 01111 zz l mmmmm {Bits(opcode, 4)} h 0 nnnnn ddddd",
            Sizes.HS, feature, &Operands.VectorElement, handler);

    private static EncodingRow ElementLong(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler) =>
        Row(name, operation, effects, $"0 q {u} 01111 zz l mmmmm {Bits(opcode, 4)} h 0 nnnnn ddddd",
            Sizes.HS, Feature.None, &Operands.VectorElementLong, handler);

    private static EncodingRow ElementScalar(
        string name, Operation operation, Effects effects, int u, int opcode, delegate*<VcpuCore, CpuState*, Op*, Op*> handler,
        Feature feature = Feature.None) =>
        Row(name, operation, effects, $"01 {u} 11111 zz l mmmmm {Bits(opcode, 4)} h 0 nnnnn ddddd",
            Sizes.HS, feature, &Operands.VectorElementScalar, handler);
}

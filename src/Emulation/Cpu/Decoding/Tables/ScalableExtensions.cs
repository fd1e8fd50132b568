using Vmm.Emulation.Cpu.FloatingPoint;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Decoding.Effects;
using static Vmm.Emulation.Cpu.Decoding.Tables.ScalableRows;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>SVE2: complex integers, searches, conversions and cryptography (Arm ARM C4.1.42 to C4.1.46).</summary>
internal static unsafe class ScalableExtensions
{
    public static readonly EncodingRow[] Rows =
    [
        // Complex numbers.
        Row("01000101 ss 00000 x 11011 r mmmmm ddddd", "CADD, SQCADD", &SveForms.Destructive, &SveComplex.Add, feature: Feature.Sve2),
        Row("01000100 ss 0 mmmmm 001 x rr nnnnn ddddd", "CMLA, SQRDCMLAH (vectors)", &SveForms.Three, &SveComplex.Multiply,
            feature: Feature.Sve2),
        Row("01000100 10 1 ii mmm 011 x rr nnnnn ddddd", "CMLA, SQRDCMLAH (indexed) H", &SveForms.IndexedHalfPair,
            &SveComplex.MultiplyIndexed, feature: Feature.Sve2),
        Row("01000100 11 1 i mmmm 011 x rr nnnnn ddddd", "CMLA, SQRDCMLAH (indexed) S", &SveForms.IndexedWordPair,
            &SveComplex.MultiplyIndexed, feature: Feature.Sve2),
        Row("01000100 1s 0 mmmmm 0001 rr nnnnn ddddd", "CDOT (vectors)", &SveForms.Three, &SveComplex.Dot, feature: Feature.Sve2),
        Row("01000100 10 1 ii mmm 0100 rr nnnnn ddddd", "CDOT (indexed) S", &SveForms.IndexedWord, &SveComplex.DotIndexed,
            feature: Feature.Sve2),
        Row("01000100 11 1 i mmmm 0100 rr nnnnn ddddd", "CDOT (indexed) D", &SveForms.IndexedDoubleword, &SveComplex.DotIndexed,
            feature: Feature.Sve2),

        // Searches and tables.
        Row("01000101 0s 1 mmmmm 100 ggg nnnnn x dddd", "MATCH, NMATCH", &SveForms.Compare, &SveComplex.Match, feature: Feature.Sve2,
            effects: WriteFlags),
        Row("01000101 1s 1 mmmmm 110 ggg nnnnn ddddd", "HISTCNT", &SveForms.Three, &SveComplex.HistogramCount, feature: Feature.Sve2),
        Row("01000101 00 1 mmmmm 101 000 nnnnn ddddd", "HISTSEG", &SveForms.Three, &SveComplex.HistogramSegment, feature: Feature.Sve2),
        Row("00000101 ss 1 mmmmm 001010 nnnnn ddddd", "TBL (two registers)", &SveForms.Three, &SvePermute.TableLookUpTwo,
            feature: Feature.Sve2),
        Row("00000101 ss 1 mmmmm 001011 nnnnn ddddd", "TBX", &SveForms.Three, &SvePermute.TableExtension, feature: Feature.Sve2),
        Row("00000101 011 iiiii 000 jjj nnnnn ddddd", "EXT (constructive)", &SvePermute.ExtractForm, &SvePermute.Extract,
            feature: Feature.Sve2),
        Row("00000101 ss 101 101 100 ggg nnnnn ddddd", "SPLICE (constructive)", &SvePermute.SpliceForm, &SvePermute.Splice,
            feature: Feature.Sve2),

        // Conversions.
        Row("01100101 00 0010 10 101 ggg nnnnn ddddd", "FCVTX", &SveForms.Doublewords, &SveShapes.Merge, &SveFloatLanes.ConvertToOdd,
            feature: Feature.Sve2, effects: Fp),
        Row("01100100 00 0010 10 101 ggg nnnnn ddddd", "FCVTXNT", &SveForms.Doublewords, &SveShapes.Merge, &SveFloatLanes.ConvertToOddTop,
            feature: Feature.Sve2, effects: Fp),
        Row("01100100 10 0010 00 101 ggg nnnnn ddddd", "FCVTNT S to H", &SveForms.Words, &SveShapes.Merge,
            &SveFloatLanes.ConvertTop<SingleFormat, HalfFormat>, feature: Feature.Sve2, effects: Fp),
        Row("01100100 11 0010 10 101 ggg nnnnn ddddd", "FCVTNT D to S", &SveForms.Doublewords, &SveShapes.Merge,
            &SveFloatLanes.ConvertTop<DoubleFormat, SingleFormat>, feature: Feature.Sve2, effects: Fp),
        Row("01100100 10 0010 01 101 ggg nnnnn ddddd", "FCVTLT H to S", &SveForms.Words, &SveShapes.Merge,
            &SveFloatLanes.ConvertFromTop<HalfFormat, SingleFormat>, feature: Feature.Sve2, effects: Fp),
        Row("01100100 11 0010 11 101 ggg nnnnn ddddd", "FCVTLT S to D", &SveForms.Doublewords, &SveShapes.Merge,
            &SveFloatLanes.ConvertFromTop<SingleFormat, DoubleFormat>, feature: Feature.Sve2, effects: Fp),
        Row("01100100 10 0010 10 101 ggg nnnnn ddddd", "BFCVTNT", &SveForms.Words, &SveShapes.Merge,
            &SveFloatLanes.ConvertTop<SingleFormat, BrainFormat>, feature: Feature.Bf16, effects: Fp),
        Row("01100101 00 011 ss 0101 ggg nnnnn ddddd", "FLOGB", &SveFloatLanes.LogarithmForm, &SveShapes.Merge, &SveFloatLanes.Logarithm,
            feature: Feature.Sve2, effects: Fp, except: "s=00"),

        // Cryptography.
        Row("01000101 00 10000011100 0 00000 ddddd", "AESMC", &SveForms.Destructive, &SveComplex.AesMix,
            feature: Feature.Sve2 | Feature.Aes),
        Row("01000101 00 10000011100 1 00000 ddddd", "AESIMC", &SveForms.Destructive, &SveComplex.AesInverseMix,
            feature: Feature.Sve2 | Feature.Aes),
        Row("01000101 00 10001 0 11100 0 mmmmm ddddd", "AESE", &SveForms.Two, &SveComplex.AesEncrypt, feature: Feature.Sve2 | Feature.Aes),
        Row("01000101 00 10001 0 11100 1 mmmmm ddddd", "AESD", &SveForms.Two, &SveComplex.AesDecrypt, feature: Feature.Sve2 | Feature.Aes),
        Row("01000101 00 10001 1 11100 0 mmmmm ddddd", "SM4E", &SveForms.Two, &SveComplex.Sm4Encrypt, feature: Feature.Sve2 | Feature.Sm4),
        Row("01000101 00 1 mmmmm 11110 0 nnnnn ddddd", "SM4EKEY", &SveForms.Three, &SveComplex.Sm4ExpandKey,
            feature: Feature.Sve2 | Feature.Sm4),
        Row("01000101 00 1 mmmmm 11110 1 nnnnn ddddd", "RAX1", &SveForms.Bits, &SveShapes.Each, &SveLongLanes.Rax1,
            feature: Feature.Sve2 | Feature.Sha3),
    ];
}

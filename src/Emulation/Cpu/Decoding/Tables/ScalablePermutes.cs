using Vmm.Emulation.Cpu.Interpreter.Handlers.Simd;
using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Decoding.Effects;
using static Vmm.Emulation.Cpu.Decoding.Tables.ScalableRows;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>SVE: reductions, series, counts of elements, and elements that change places (Arm ARM C4.1.36).</summary>
internal static unsafe class ScalablePermutes
{
    public static readonly EncodingRow[] Rows =
    [
        // Reductions.
        Row("00000100 ss 011 000 001 ggg nnnnn ddddd", "ORV", &SveReductions.Form, &SveReductions.Reduce, &SveLanes.Orr),
        Row("00000100 ss 011 001 001 ggg nnnnn ddddd", "EORV", &SveReductions.Form, &SveReductions.Reduce, &SveLanes.Eor),
        Row("00000100 ss 011 010 001 ggg nnnnn ddddd", "ANDV", &SveReductions.Form, &SveReductions.Reduce, &SveLanes.And),
        Row("00000100 ss 001 000 001 ggg nnnnn ddddd", "SMAXV", &SveReductions.Form, &SveReductions.Reduce, &SveLanes.Signed<Max>),
        Row("00000100 ss 001 001 001 ggg nnnnn ddddd", "UMAXV", &SveReductions.Form, &SveReductions.Reduce, &SveLanes.Unsigned<Max>),
        Row("00000100 ss 001 010 001 ggg nnnnn ddddd", "SMINV", &SveReductions.Form, &SveReductions.Reduce, &SveLanes.Signed<Min>),
        Row("00000100 ss 001 011 001 ggg nnnnn ddddd", "UMINV", &SveReductions.Form, &SveReductions.Reduce, &SveLanes.Unsigned<Min>),
        Row("00000100 ss 000 000 001 ggg nnnnn ddddd", "SADDV", &SveForms.Two, &SveReductions.Sum, except: "s=11"),
        Row("00000100 ss 000 001 001 ggg nnnnn ddddd", "UADDV", &SveForms.Two, &SveReductions.Sum),

        // Series and addresses.
        Row("00000100 ss 1 iiiii 010000 jjjjj ddddd", "INDEX (immediates)", &SveForms.Three, &SveReductions.Index),
        Row("00000100 ss 1 iiiii 010001 nnnnn ddddd", "INDEX (scalar, immediate)", &SveForms.Three, &SveReductions.Index, effects: ReadRn),
        Row("00000100 ss 1 mmmmm 010010 jjjjj ddddd", "INDEX (immediate, scalar)", &SveForms.Three, &SveReductions.Index, effects: ReadRm),
        Row("00000100 ss 1 mmmmm 010011 nnnnn ddddd", "INDEX (scalars)", &SveForms.Three, &SveReductions.Index, effects: ReadRn | ReadRm),
        Row("00000100 oo 1 mmmmm 1010 hh nnnnn ddddd", "ADR", &SveForms.Three, &SveReductions.Address),

        // The vector length, and counts of elements.
        Row("00000100 001 nnnnn 01010 iiiiii ddddd", "ADDVL", &SveCounts.Length, &SveCounts.AddVectorLength, effects: WriteRd | ReadRn,
            operation: Operation.SveAddvl),
        Row("00000100 011 nnnnn 01010 iiiiii ddddd", "ADDPL", &SveCounts.Length, &SveCounts.AddPredicateLength, effects: WriteRd | ReadRn,
            operation: Operation.SveAddpl),
        Row("00000100 101 11111 01010 iiiiii ddddd", "RDVL", &SveCounts.LengthOnly, &SveCounts.ReadVectorLength, effects: WriteRd,
            operation: Operation.SveRdvl),
        Row("00000100 ss 10 iiii 1110 0 0 ppppp ddddd", "CNTB, CNTH, CNTW, CNTD", &SveCounts.General, &SveCounts.Count, effects: WriteRd,
            operation: Operation.SveCnt),
        Row("00000100 ss 11 iiii 1110 0 w ppppp ddddd", "INCB, DECB and kin (scalar)", &SveCounts.General, &SveCounts.Change,
            effects: WriteRd | ReadRn, operation: Operation.SveInc),
        Row("00000100 ss 1 x iiii 1111 w u ppppp ddddd", "SQINCB, UQDECB and kin (scalar)", &SveCounts.General, &SveCounts.Saturate,
            effects: WriteRd | ReadRn),
        Row("00000100 ss 1 1 iiii 1100 0 w ppppp ddddd", "INCH, DECH and kin (vector)", &SveCounts.Vector, &SveCounts.ChangeVector,
            except: "s=00"),
        Row("00000100 ss 1 0 iiii 1100 w u ppppp ddddd", "SQINCH, UQDECH and kin (vector)", &SveCounts.Vector, &SveCounts.SaturateVector,
            except: "s=00"),
        Row("00100101 ss 100 000 10 gggg 0 nnnn ddddd", "CNTP", &SveCounts.General, &SveCounts.CountPredicate, effects: WriteRd,
            operation: Operation.SveCntp),
        Row("00100101 ss 10110 w 10001 00 mmmm ddddd", "INCP, DECP (scalar)", &SveCounts.General, &SveCounts.ChangeByPredicate,
            effects: WriteRd | ReadRn, operation: Operation.SveIncp),
        Row("00100101 ss 10110 w 10000 00 mmmm ddddd", "INCP, DECP (vector)", &SveCounts.Vector, &SveCounts.ChangeVectorByPredicate,
            except: "s=00"),
        Row("00100101 ss 1010 w u 10001 x0 mmmm ddddd", "SQINCP, UQDECP and kin (scalar)", &SveCounts.General,
            &SveCounts.SaturateByPredicate, effects: WriteRd | ReadRn),
        Row("00100101 ss 1010 w u 10000 00 mmmm ddddd", "SQINCP, UQDECP and kin (vector)", &SveCounts.Vector,
            &SveCounts.SaturateVectorByPredicate, except: "s=00"),

        // Elements of two vectors.
        Row("00000101 ss 1 mmmmm 011 000 nnnnn ddddd", "ZIP1 (vectors)", &SveForms.Three, &SvePermute.Permute),
        Row("00000101 ss 1 mmmmm 011 001 nnnnn ddddd", "ZIP2 (vectors)", &SveForms.Three, &SvePermute.Permute),
        Row("00000101 ss 1 mmmmm 011 010 nnnnn ddddd", "UZP1 (vectors)", &SveForms.Three, &SvePermute.Permute),
        Row("00000101 ss 1 mmmmm 011 011 nnnnn ddddd", "UZP2 (vectors)", &SveForms.Three, &SvePermute.Permute),
        Row("00000101 ss 1 mmmmm 011 100 nnnnn ddddd", "TRN1 (vectors)", &SveForms.Three, &SvePermute.Permute),
        Row("00000101 ss 1 mmmmm 011 101 nnnnn ddddd", "TRN2 (vectors)", &SveForms.Three, &SvePermute.Permute),
        Row("00000101 10 1 mmmmm 000 000 nnnnn ddddd", "ZIP1 (vectors, 128 bits)", &SveForms.Three, &SvePermute.PermuteQuadwords,
            feature: Feature.ScalableMatrices),
        Row("00000101 10 1 mmmmm 000 001 nnnnn ddddd", "ZIP2 (vectors, 128 bits)", &SveForms.Three, &SvePermute.PermuteQuadwords,
            feature: Feature.ScalableMatrices),
        Row("00000101 10 1 mmmmm 000 010 nnnnn ddddd", "UZP1 (vectors, 128 bits)", &SveForms.Three, &SvePermute.PermuteQuadwords,
            feature: Feature.ScalableMatrices),
        Row("00000101 10 1 mmmmm 000 011 nnnnn ddddd", "UZP2 (vectors, 128 bits)", &SveForms.Three, &SvePermute.PermuteQuadwords,
            feature: Feature.ScalableMatrices),
        Row("00000101 10 1 mmmmm 000 110 nnnnn ddddd", "TRN1 (vectors, 128 bits)", &SveForms.Three, &SvePermute.PermuteQuadwords,
            feature: Feature.ScalableMatrices),
        Row("00000101 10 1 mmmmm 000 111 nnnnn ddddd", "TRN2 (vectors, 128 bits)", &SveForms.Three, &SvePermute.PermuteQuadwords,
            feature: Feature.ScalableMatrices),
        Row("00000101 001 iiiii 000 jjj mmmmm ddddd", "EXT", &SveForms.Destructive, &SvePermute.Extract),
        Row("00000101 ss 1 mmmmm 001100 nnnnn ddddd", "TBL", &SveForms.Three, &SvePermute.TableLookUp),
        Row("00000101 ss 101 100 100 ggg mmmmm ddddd", "SPLICE", &SveForms.Destructive, &SvePermute.Splice),
        Row("00000101 ss 1 mmmmm 11 gggg nnnnn ddddd", "SEL (vectors)", &SveForms.ThreeWide, &SvePermute.Select,
            operation: Operation.SveSel),

        // Elements of one vector.
        Row("00000101 tt 1 uuuuu 001000 nnnnn ddddd", "DUP (indexed)", &SveForms.Three, &SvePermute.DuplicateElement,
            operation: Operation.SveDupIndexed, except: "u=00000"),
        Row("00000101 ss 1 00000 001110 nnnnn ddddd", "DUP (scalar)", &SvePermute.FromGeneral, &SvePermute.DuplicateGeneral,
            effects: ReadRn, operation: Operation.SveDupGeneral),
        Row("00000101 ss 1 10100 001110 mmmmm ddddd", "INSR (SIMD and FP scalar)", &SvePermute.FromGeneralOrZero, &SvePermute.InsertScalar),
        Row("00000101 ss 1 00100 001110 mmmmm ddddd", "INSR (scalar)", &SvePermute.FromGeneralOrZero, &SvePermute.InsertGeneral,
            effects: ReadRn),
        Row("00000101 ss 1 11000 001110 nnnnn ddddd", "REV (vector)", &SveForms.Two, &SvePermute.Reverse),
        Row("00000101 ss 1100 u h 001110 nnnnn ddddd", "SUNPKLO, SUNPKHI, UUNPKLO, UUNPKHI", &SveForms.Two, &SvePermute.Unpack,
            except: "s=00"),
        Row("00000101 1s 100001 100 ggg nnnnn ddddd", "COMPACT", &SveForms.Two, &SvePermute.Compact),
        Row("00000101 ss 10100 b 100 ggg mmmmm ddddd", "CLASTA, CLASTB (vectors)", &SveForms.Destructive, &SvePermute.ConditionalLast),
        Row("00000101 ss 10101 b 100 ggg nnnnn ddddd", "CLASTA, CLASTB (SIMD and FP scalar)", &SveForms.Two,
            &SvePermute.ConditionalLastToScalar),
        Row("00000101 ss 11000 b 101 ggg nnnnn ddddd", "CLASTA, CLASTB (scalar)", &SvePermute.ToGeneralOrKept,
            &SvePermute.ConditionalLastToGeneral, effects: WriteRd | ReadRa),
        Row("00000101 ss 10001 b 100 ggg nnnnn ddddd", "LASTA, LASTB (SIMD and FP scalar)", &SveForms.Two, &SvePermute.LastToScalar),
        Row("00000101 ss 10000 b 101 ggg nnnnn ddddd", "LASTA, LASTB (scalar)", &SvePermute.ToGeneral, &SvePermute.LastToGeneral,
            effects: WriteRd),
        Row("00000101 ss 100000 100 ggg nnnnn ddddd", "CPY (SIMD and FP scalar)", &SveForms.Two, &SvePermute.CopyScalar),
        Row("00000101 ss 101000 101 ggg nnnnn ddddd", "CPY (scalar)", &SvePermute.FromGeneral, &SvePermute.CopyGeneral, effects: ReadRn,
            operation: Operation.SveCpyGeneral),
    ];
}

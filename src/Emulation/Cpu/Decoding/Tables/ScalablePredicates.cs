using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Decoding.Effects;
using static Vmm.Emulation.Cpu.Decoding.Tables.ScalableRows;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>SVE: operations on predicates (Arm ARM C4.1.35).</summary>
internal static unsafe class ScalablePredicates
{
    public static readonly EncodingRow[] Rows =
    [
        // Logic.
        Row("00100101 00 00 mmmm 01 gggg 0 nnnn 0 dddd", "AND (predicates)", &SveForms.Predicates, &SvePredicates.And,
            operation: Operation.SveAndPredicates),
        Row("00100101 01 00 mmmm 01 gggg 0 nnnn 0 dddd", "ANDS (predicates)", &SveForms.Predicates, &SvePredicates.And,
            effects: WriteFlags, operation: Operation.SveAndPredicates),
        Row("00100101 00 00 mmmm 01 gggg 0 nnnn 1 dddd", "BIC (predicates)", &SveForms.Predicates, &SvePredicates.Bic,
            operation: Operation.SveBicPredicates),
        Row("00100101 01 00 mmmm 01 gggg 0 nnnn 1 dddd", "BICS (predicates)", &SveForms.Predicates, &SvePredicates.Bic,
            effects: WriteFlags, operation: Operation.SveBicPredicates),
        Row("00100101 00 00 mmmm 01 gggg 1 nnnn 0 dddd", "EOR (predicates)", &SveForms.Predicates, &SvePredicates.Eor,
            operation: Operation.SveEorPredicates),
        Row("00100101 01 00 mmmm 01 gggg 1 nnnn 0 dddd", "EORS (predicates)", &SveForms.Predicates, &SvePredicates.Eor,
            effects: WriteFlags, operation: Operation.SveEorPredicates),
        Row("00100101 00 00 mmmm 01 gggg 1 nnnn 1 dddd", "SEL (predicates)", &SveForms.Predicates, &SvePredicates.Select,
            operation: Operation.SveSelPredicates),
        Row("00100101 10 00 mmmm 01 gggg 0 nnnn 0 dddd", "ORR (predicates)", &SveForms.Predicates, &SvePredicates.Orr,
            operation: Operation.SveOrrPredicates),
        Row("00100101 11 00 mmmm 01 gggg 0 nnnn 0 dddd", "ORRS (predicates)", &SveForms.Predicates, &SvePredicates.Orr,
            effects: WriteFlags, operation: Operation.SveOrrPredicates),
        Row("00100101 10 00 mmmm 01 gggg 0 nnnn 1 dddd", "ORN (predicates)", &SveForms.Predicates, &SvePredicates.Orn,
            operation: Operation.SveOrnPredicates),
        Row("00100101 11 00 mmmm 01 gggg 0 nnnn 1 dddd", "ORNS (predicates)", &SveForms.Predicates, &SvePredicates.Orn,
            effects: WriteFlags, operation: Operation.SveOrnPredicates),
        Row("00100101 10 00 mmmm 01 gggg 1 nnnn 0 dddd", "NOR (predicates)", &SveForms.Predicates, &SvePredicates.Nor,
            operation: Operation.SveNorPredicates),
        Row("00100101 11 00 mmmm 01 gggg 1 nnnn 0 dddd", "NORS (predicates)", &SveForms.Predicates, &SvePredicates.Nor,
            effects: WriteFlags, operation: Operation.SveNorPredicates),
        Row("00100101 10 00 mmmm 01 gggg 1 nnnn 1 dddd", "NAND (predicates)", &SveForms.Predicates, &SvePredicates.Nand,
            operation: Operation.SveNandPredicates),
        Row("00100101 11 00 mmmm 01 gggg 1 nnnn 1 dddd", "NANDS (predicates)", &SveForms.Predicates, &SvePredicates.Nand,
            effects: WriteFlags, operation: Operation.SveNandPredicates),
        Row("00100101 01 010000 11 gggg 0 nnnn 0 0000", "PTEST", &SveForms.Predicates, &SvePredicates.Test, effects: WriteFlags,
            operation: Operation.SvePtest),

        // Initialisation, FFR, and the first or next active element.
        Row("00100101 ss 01100 0 111000 ppppp 0 dddd", "PTRUE", &SveForms.Predicates, &SvePredicates.True, operation: Operation.SvePtrue),
        Row("00100101 ss 01100 1 111000 ppppp 0 dddd", "PTRUES", &SveForms.Predicates, &SvePredicates.True, effects: WriteFlags,
            operation: Operation.SvePtrue),
        Row("00100101 0001 1000 1110 0100 0000 dddd", "PFALSE", &SveForms.Predicates, &SvePredicates.False, operation: Operation.SvePfalse),
        Row("00100101 0010 1100 1001 0000 0000 0000", "SETFFR", &SveForms.Predicates, &SvePredicates.SetFfr,
            operation: Operation.SveSetffr),
        Row("00100101 0010 1000 1001 000 nnnn 00000", "WRFFR", &SveForms.Predicates, &SvePredicates.WriteFfr,
            operation: Operation.SveWrffr),
        Row("00100101 0001 1001 1111 0000 0000 dddd", "RDFFR", &SveForms.Predicates, &SvePredicates.ReadFfr, operation: Operation.SveRdffr),
        Row("00100101 0 0 0110001111000 gggg 0 dddd", "RDFFR (predicated)", &SveForms.Predicates, &SvePredicates.ReadFfrMasked,
            operation: Operation.SveRdffrPredicated),
        Row("00100101 0 1 0110001111000 gggg 0 dddd", "RDFFRS (predicated)", &SveForms.Predicates, &SvePredicates.ReadFfrMasked,
            effects: WriteFlags, operation: Operation.SveRdffrPredicated),
        Row("00100101 01 011 000 11000 00 gggg 0 dddd", "PFIRST", &SveForms.Predicates, &SvePredicates.First, effects: WriteFlags,
            operation: Operation.SvePfirst),
        Row("00100101 ss 011 001 11000 10 gggg 0 dddd", "PNEXT", &SveForms.Predicates, &SvePredicates.NextActive, effects: WriteFlags,
            operation: Operation.SvePnext),

        // Breaks.
        Row("00100101 00 00 mmmm 11 gggg 0 nnnn 0 dddd", "BRKPA", &SveForms.Predicates, &SvePredicates.BreakPropagate,
            operation: Operation.SveBrkp),
        Row("00100101 01 00 mmmm 11 gggg 0 nnnn 0 dddd", "BRKPAS", &SveForms.Predicates, &SvePredicates.BreakPropagate, effects: WriteFlags,
            operation: Operation.SveBrkp),
        Row("00100101 00 00 mmmm 11 gggg 0 nnnn 1 dddd", "BRKPB", &SveForms.Predicates, &SvePredicates.BreakPropagate,
            operation: Operation.SveBrkp),
        Row("00100101 01 00 mmmm 11 gggg 0 nnnn 1 dddd", "BRKPBS", &SveForms.Predicates, &SvePredicates.BreakPropagate, effects: WriteFlags,
            operation: Operation.SveBrkp),
        Row("00100101 00 01000001 gggg 0 nnnn m dddd", "BRKA", &SveForms.Predicates, &SvePredicates.Break, operation: Operation.SveBrk),
        Row("00100101 01 01000001 gggg 0 nnnn 0 dddd", "BRKAS", &SveForms.Predicates, &SvePredicates.Break, effects: WriteFlags,
            operation: Operation.SveBrk),
        Row("00100101 10 01000001 gggg 0 nnnn m dddd", "BRKB", &SveForms.Predicates, &SvePredicates.Break, operation: Operation.SveBrk),
        Row("00100101 11 01000001 gggg 0 nnnn 0 dddd", "BRKBS", &SveForms.Predicates, &SvePredicates.Break, effects: WriteFlags,
            operation: Operation.SveBrk),
        Row("00100101 00 01100001 gggg 0 nnnn 0 dddd", "BRKN", &SveForms.Predicates, &SvePredicates.BreakNext,
            operation: Operation.SveBrkn),
        Row("00100101 01 01100001 gggg 0 nnnn 0 dddd", "BRKNS", &SveForms.Predicates, &SvePredicates.BreakNext, effects: WriteFlags,
            operation: Operation.SveBrkn),

        // Elements that change places.
        Row("00000101 ss 10 mmmm 010 000 0 nnnn 0 dddd", "ZIP1 (predicates)", &SveForms.Predicates, &SvePredicates.Permute),
        Row("00000101 ss 10 mmmm 010 001 0 nnnn 0 dddd", "ZIP2 (predicates)", &SveForms.Predicates, &SvePredicates.Permute),
        Row("00000101 ss 10 mmmm 010 010 0 nnnn 0 dddd", "UZP1 (predicates)", &SveForms.Predicates, &SvePredicates.Permute),
        Row("00000101 ss 10 mmmm 010 011 0 nnnn 0 dddd", "UZP2 (predicates)", &SveForms.Predicates, &SvePredicates.Permute),
        Row("00000101 ss 10 mmmm 010 100 0 nnnn 0 dddd", "TRN1 (predicates)", &SveForms.Predicates, &SvePredicates.Permute),
        Row("00000101 ss 10 mmmm 010 101 0 nnnn 0 dddd", "TRN2 (predicates)", &SveForms.Predicates, &SvePredicates.Permute),
        Row("00000101 ss 11 0100 010 000 0 nnnn 0 dddd", "REV (predicate)", &SveForms.Predicates, &SvePredicates.Reverse),
        Row("00000101 00 11 000 h 010 000 0 nnnn 0 dddd", "PUNPKLO, PUNPKHI", &SveForms.Predicates, &SvePredicates.Unpack,
            operation: Operation.SvePunpk),

        // Loops.
        Row("00100101 ss 1 mmmmm 000 x u 1 nnnnn e dddd", "WHILELT, WHILELE, WHILELO, WHILELS", &SvePredicates.WhileForm,
            &SvePredicates.While, effects: WriteFlags | ReadRn | ReadRm, operation: Operation.SveWhile),
        Row("00100101 ss 1 mmmmm 000 x u 0 nnnnn e dddd", "WHILEGE, WHILEGT, WHILEHI, WHILEHS", &SvePredicates.WhileForm,
            &SvePredicates.While, feature: Feature.Sve2, effects: WriteFlags | ReadRn | ReadRm),
        Row("00100101 ss 1 mmmmm 001 100 nnnnn w dddd", "WHILEWR, WHILERW", &SvePredicates.WhileForm, &SvePredicates.WhilePointers,
            feature: Feature.Sve2, effects: WriteFlags | ReadRn | ReadRm),
        Row("00100101 1 x 1 mmmmm 001000 nnnnn e 0000", "CTERMEQ, CTERMNE", &SvePredicates.WhileForm, &SvePredicates.ConditionallyTerminate,
            effects: ReadFlags | WriteFlags | ReadRn | ReadRm),
    ];
}

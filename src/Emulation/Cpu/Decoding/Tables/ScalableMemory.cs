using Vmm.Emulation.Cpu.Interpreter.Handlers.Sve;
using static Vmm.Emulation.Cpu.Decoding.Effects;
using static Vmm.Emulation.Cpu.Decoding.Tables.ScalableRows;

namespace Vmm.Emulation.Cpu.Decoding.Tables;

/// <summary>SVE: loads, stores and prefetches (Arm ARM C4.1.49 to C4.1.55).</summary>
internal static unsafe class ScalableMemory
{
    public static readonly EncodingRow[] Rows =
    [
        // Whole registers.
        Row("10000101 10 iiiiii 000 jjj nnnnn 0 dddd", "LDR (predicate)", &SveMemory.PredicateForm, &SveMemory.LoadPredicate,
            effects: Load | ReadRn, operation: Operation.SveLdrPredicate),
        Row("10000101 10 iiiiii 010 jjj nnnnn ddddd", "LDR (vector)", &SveMemory.Form, &SveMemory.LoadRegister, effects: Load | ReadRn,
            operation: Operation.SveLdr),
        Row("1110010 11 0 iiiiii 000 jjj nnnnn 0 dddd", "STR (predicate)", &SveMemory.PredicateForm, &SveMemory.StorePredicate,
            effects: Store | ReadRn, operation: Operation.SveStrPredicate),
        Row("1110010 11 0 iiiiii 010 jjj nnnnn ddddd", "STR (vector)", &SveMemory.Form, &SveMemory.StoreRegister, effects: Store | ReadRn,
            operation: Operation.SveStr),

        // Contiguous loads.
        Row("1010010 tttt mmmmm 010 ggg nnnnn ddddd", "LD1 (scalar plus scalar)", &SveMemory.Form, &SveMemory.LoadScalar,
            effects: Load | ReadRn | ReadRm, operation: Operation.SveLd1, except: "m=11111"),
        Row("1010010 tttt 0 iiii 101 ggg nnnnn ddddd", "LD1 (scalar plus immediate)", &SveMemory.Form, &SveMemory.LoadImmediate,
            effects: Load | ReadRn, operation: Operation.SveLd1Immediate),
        Row("1010010 tttt mmmmm 011 ggg nnnnn ddddd", "LDFF1 (scalar plus scalar)", &SveMemory.Form, &SveMemory.LoadFirstFault,
            effects: Load | ReadRn | ReadRm),
        Row("1010010 tttt 1 iiii 101 ggg nnnnn ddddd", "LDNF1", &SveMemory.Form, &SveMemory.LoadNonFault, effects: Load | ReadRn),
        Row("1000010 tt 1 iiiiii 1 uu ggg nnnnn ddddd", "LD1R", &SveMemory.Form, &SveMemory.LoadReplicate, effects: Load | ReadRn),
        Row("1010010 ss 00 mmmmm 000 ggg nnnnn ddddd", "LD1RQ (scalar plus scalar)", &SveMemory.Form, &SveMemory.LoadQuadword,
            effects: Load | ReadRn | ReadRm, except: "m=11111"),
        Row("1010010 ss 00 0 iiii 001 ggg nnnnn ddddd", "LD1RQ (scalar plus immediate)", &SveMemory.Form, &SveMemory.LoadQuadwordImmediate,
            effects: Load | ReadRn),
        Row("1010010 ss 01 mmmmm 000 ggg nnnnn ddddd", "LD1RO (scalar plus scalar)", &SveMemory.Form, &SveMemory.LoadOctword,
            feature: Feature.ScalableMatrices, effects: Load | ReadRn | ReadRm, except: "m=11111"),
        Row("1010010 ss 01 0 iiii 001 ggg nnnnn ddddd", "LD1RO (scalar plus immediate)", &SveMemory.Form, &SveMemory.LoadOctwordImmediate,
            feature: Feature.ScalableMatrices, effects: Load | ReadRn),
        Row("1010010 ss rr mmmmm 110 ggg nnnnn ddddd", "LDNT1, LD2, LD3, LD4 (scalar plus scalar)", &SveMemory.Form,
            &SveMemory.LoadStructures, effects: Load | ReadRn | ReadRm, except: "m=11111"),
        Row("1010010 ss rr 0 iiii 111 ggg nnnnn ddddd", "LDNT1, LD2, LD3, LD4 (scalar plus immediate)", &SveMemory.Form,
            &SveMemory.LoadStructuresImmediate, effects: Load | ReadRn),

        // Contiguous stores: the size in memory is at most that of an element.
        Row("1110010 ss ee mmmmm 010 ggg nnnnn ddddd", "ST1 (scalar plus scalar)", &SveMemory.Form, &SveMemory.StoreScalar,
            effects: Store | ReadRn | ReadRm, operation: Operation.SveSt1,
            except: ["m=11111", "s=01,e=00", "s=10,e=00", "s=10,e=01", "s=11,e=00", "s=11,e=01", "s=11,e=10"]),
        Row("1110010 ss ee 0 iiii 111 ggg nnnnn ddddd", "ST1 (scalar plus immediate)", &SveMemory.Form, &SveMemory.StoreImmediate,
            effects: Store | ReadRn, operation: Operation.SveSt1Immediate, except: ["s=01,e=00", "s=10,e=00", "s=10,e=01", "s=11,e=00",
            "s=11,e=01", "s=11,e=10"]),
        Row("1110010 ss rr mmmmm 011 ggg nnnnn ddddd", "STNT1, ST2, ST3, ST4 (scalar plus scalar)", &SveMemory.Form,
            &SveMemory.StoreStructures, effects: Store | ReadRn | ReadRm, except: "m=11111"),
        Row("1110010 ss rr 1 iiii 111 ggg nnnnn ddddd", "STNT1, ST2, ST3, ST4 (scalar plus immediate)", &SveMemory.Form,
            &SveMemory.StoreStructuresImmediate, effects: Store | ReadRn),

        // Gathers: what a word or doubleword fills has no sign, and bytes have no scale.
        Row("1000010 00 x0 mmmmm 0 u f ggg nnnnn ddddd", "LD1 of words (scalar plus vector) B", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1000010 01 xs mmmmm 0 u f ggg nnnnn ddddd", "LD1 of words (scalar plus vector) H", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1000010 10 xs mmmmm 0 1 f ggg nnnnn ddddd", "LD1 of words (scalar plus vector) W", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1100010 00 x0 mmmmm 0 u f ggg nnnnn ddddd", "LD1 of doublewords (scalar plus vector) B", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1100010 01 xs mmmmm 0 u f ggg nnnnn ddddd", "LD1 of doublewords (scalar plus vector) H", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1100010 10 xs mmmmm 0 u f ggg nnnnn ddddd", "LD1 of doublewords (scalar plus vector) W", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1100010 11 xs mmmmm 0 1 f ggg nnnnn ddddd", "LD1 of doublewords (scalar plus vector) D", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1100010 00 10 mmmmm 1 u f ggg nnnnn ddddd", "LD1 (scalar plus vector of 64 bits) B", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1100010 01 1s mmmmm 1 u f ggg nnnnn ddddd", "LD1 (scalar plus vector of 64 bits) H", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1100010 10 1s mmmmm 1 u f ggg nnnnn ddddd", "LD1 (scalar plus vector of 64 bits) W", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1100010 11 1s mmmmm 1 1 f ggg nnnnn ddddd", "LD1 (scalar plus vector of 64 bits) D", &SveMemory.Form, &SveMemory.Gather,
            effects: Load | ReadRn),
        Row("1000010 ss 01 iiiii 1 u f ggg nnnnn ddddd", "LD1 of words (vector plus immediate)", &SveMemory.VectorForm,
            &SveMemory.GatherImmediate, effects: Load, except: ["s=11", "s=10,u=0"]),
        Row("1100010 ss 01 iiiii 1 u f ggg nnnnn ddddd", "LD1 of doublewords (vector plus immediate)", &SveMemory.VectorForm,
            &SveMemory.GatherImmediate, effects: Load, except: "s=11,u=0"),
        Row("1000010 ss 00 mmmmm 10 u ggg nnnnn ddddd", "LDNT1 of words (vector plus scalar)", &SveMemory.VectorForm,
            &SveMemory.GatherScalar, feature: Feature.Sve2, effects: Load | ReadRm, except: ["s=11", "s=10,u=0"]),
        Row("1100010 ss 00 mmmmm 1 u 0 ggg nnnnn ddddd", "LDNT1 of doublewords (vector plus scalar)", &SveMemory.VectorForm,
            &SveMemory.GatherScalar, feature: Feature.Sve2, effects: Load | ReadRm, except: "s=11,u=0"),

        // Scatters.
        Row("1110010 ss 11 mmmmm 1 x 0 ggg nnnnn ddddd", "ST1 of words (scalar plus vector, scaled)", &SveMemory.Form, &SveMemory.Scatter,
            effects: Store | ReadRn, except: ["s=00", "s=11"]),
        Row("1110010 ss 10 mmmmm 1 x 0 ggg nnnnn ddddd", "ST1 of words (scalar plus vector)", &SveMemory.Form, &SveMemory.Scatter,
            effects: Store | ReadRn, except: "s=11"),
        Row("1110010 ss 01 mmmmm 1 x 0 ggg nnnnn ddddd", "ST1 of doublewords (scalar plus vector, scaled)", &SveMemory.Form,
            &SveMemory.Scatter, effects: Store | ReadRn, except: "s=00"),
        Row("1110010 ss 00 mmmmm 1 x 0 ggg nnnnn ddddd", "ST1 of doublewords (scalar plus vector)", &SveMemory.Form, &SveMemory.Scatter,
            effects: Store | ReadRn),
        Row("1110010 ss 01 mmmmm 1 0 1 ggg nnnnn ddddd", "ST1 (scalar plus vector of 64 bits, scaled)", &SveMemory.Form, &SveMemory.Scatter,
            effects: Store | ReadRn, except: "s=00"),
        Row("1110010 ss 00 mmmmm 1 0 1 ggg nnnnn ddddd", "ST1 (scalar plus vector of 64 bits)", &SveMemory.Form, &SveMemory.Scatter,
            effects: Store | ReadRn),
        Row("1110010 ss 10 iiiii 1 0 1 ggg nnnnn ddddd", "ST1 of doublewords (vector plus immediate)", &SveMemory.VectorForm,
            &SveMemory.ScatterImmediate, effects: Store),
        Row("1110010 ss 11 iiiii 1 0 1 ggg nnnnn ddddd", "ST1 of words (vector plus immediate)", &SveMemory.VectorForm,
            &SveMemory.ScatterImmediate, effects: Store, except: "s=11"),
        Row("1110010 ss 00 mmmmm 0 0 1 ggg nnnnn ddddd", "STNT1 of doublewords (vector plus scalar)", &SveMemory.VectorForm,
            &SveMemory.ScatterScalar, feature: Feature.Sve2, effects: Store | ReadRm),
        Row("1110010 ss 10 mmmmm 0 0 1 ggg nnnnn ddddd", "STNT1 of words (vector plus scalar)", &SveMemory.VectorForm,
            &SveMemory.ScatterScalar, feature: Feature.Sve2, effects: Store | ReadRm, except: "s=11"),

        // Prefetches.
        Row("1000010 00 x1 mmmmm 0 pp ggg nnnnn 0 oooo", "PRF of words (scalar plus vector)", &SveMemory.VectorForm, &SveMemory.Prefetch),
        Row("1100010 00 x1 mmmmm 0 pp ggg nnnnn 0 oooo", "PRF of doublewords (scalar plus vector)", &SveMemory.VectorForm,
            &SveMemory.Prefetch),
        Row("1100010 00 11 mmmmm 1 pp ggg nnnnn 0 oooo", "PRF (scalar plus vector of 64 bits)", &SveMemory.VectorForm, &SveMemory.Prefetch),
        Row("1000010 pp 00 iiiii 111 ggg nnnnn 0 oooo", "PRF of words (vector plus immediate)", &SveMemory.VectorForm, &SveMemory.Prefetch),
        Row("1100010 pp 00 iiiii 111 ggg nnnnn 0 oooo", "PRF of doublewords (vector plus immediate)", &SveMemory.VectorForm,
            &SveMemory.Prefetch),
        Row("1000010 11 1 iiiiii 0 pp ggg nnnnn 0 oooo", "PRF (scalar plus immediate)", &SveMemory.VectorForm, &SveMemory.Prefetch),
        Row("1000010 pp 00 mmmmm 110 ggg nnnnn 0 oooo", "PRF (scalar plus scalar)", &SveMemory.VectorForm, &SveMemory.Prefetch,
            except: "m=11111"),
    ];
}

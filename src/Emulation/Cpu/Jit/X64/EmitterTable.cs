using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;
using Vmm.Emulation.Cpu.Jit.X64.Emitters;

namespace Vmm.Emulation.Cpu.Jit.X64;

/// <summary>
/// Which emitter makes the code of which row of the <see cref="EncodingTable"/>, by the row's operation. What has none is interpreted. An
/// emitter makes the code of one instruction, or returns false before it has written anything: then that instruction is interpreted.
/// </summary>
internal static unsafe class EmitterTable
{
    private static readonly delegate*<BlockEmitter, Op*, bool>[] s_emitters = Build();

    /// <summary>Whether a row has an emitter.</summary>
    public static bool Has(int row) => s_emitters[row] != null;

    /// <summary>Makes the code of an instruction. False if it is to be interpreted.</summary>
    public static bool TryEmit(BlockEmitter e, Op* op) => s_emitters[op->Row] is var emitter && emitter != null && emitter(e, op);

    private static delegate*<BlockEmitter, Op*, bool>[] Build()
    {
        var emitters = new delegate*<BlockEmitter, Op*, bool>[EncodingTable.Rows.Length];
        for (int i = 0; i < emitters.Length; i++)
        {
            ref EncodingRow row = ref EncodingTable.Rows[i];
            emitters[i] = row.IsScalable ? OfScalable(row.Operation) : row.UsesVectors ? OfVector(row.Operation) : OfGeneral(row.Operation);
        }

        return emitters;
    }

    private static delegate*<BlockEmitter, Op*, bool> OfGeneral(Operation operation)
    {
        switch (operation)
        {
            case Operation.Adr: return &IntegerImmediateEmitters.Adr;
            case Operation.Adrp: return &IntegerImmediateEmitters.Adrp;
            case Operation.AddImmediate: return &IntegerImmediateEmitters.AddImmediate;
            case Operation.SubImmediate: return &IntegerImmediateEmitters.SubImmediate;
            case Operation.AddsImmediate: return &IntegerImmediateEmitters.AddsImmediate;
            case Operation.SubsImmediate: return &IntegerImmediateEmitters.SubsImmediate;
            case Operation.AddRegister or Operation.AddShiftedRegister: return &IntegerRegisterEmitters.AddRegister;
            case Operation.SubRegister or Operation.SubShiftedRegister: return &IntegerRegisterEmitters.SubRegister;
            case Operation.AddsRegister or Operation.AddsShiftedRegister: return &IntegerRegisterEmitters.AddsRegister;
            case Operation.SubsRegister or Operation.SubsShiftedRegister: return &IntegerRegisterEmitters.SubsRegister;
            case Operation.AddExtendedRegister: return &IntegerRegisterEmitters.AddExtended;
            case Operation.SubExtendedRegister: return &IntegerRegisterEmitters.SubExtended;
            case Operation.AddsExtendedRegister: return &IntegerRegisterEmitters.AddsExtended;
            case Operation.SubsExtendedRegister: return &IntegerRegisterEmitters.SubsExtended;
            case Operation.Adc or Operation.Adcs: return &IntegerRegisterEmitters.AddWithCarry;
            case Operation.Sbc or Operation.Sbcs: return &IntegerRegisterEmitters.SubWithCarry;
            case Operation.AndImmediate: return &IntegerImmediateEmitters.AndImmediate;
            case Operation.OrrImmediate: return &IntegerImmediateEmitters.OrrImmediate;
            case Operation.EorImmediate: return &IntegerImmediateEmitters.EorImmediate;
            case Operation.AndsImmediate: return &IntegerImmediateEmitters.AndsImmediate;
            case Operation.AndRegister or Operation.AndShiftedRegister: return &IntegerRegisterEmitters.AndRegister;
            case Operation.BicRegister or Operation.BicShiftedRegister: return &IntegerRegisterEmitters.BicRegister;
            case Operation.OrrRegister or Operation.OrrShiftedRegister: return &IntegerRegisterEmitters.OrrRegister;
            case Operation.OrnRegister or Operation.OrnShiftedRegister: return &IntegerRegisterEmitters.OrnRegister;
            case Operation.EorRegister or Operation.EorShiftedRegister: return &IntegerRegisterEmitters.EorRegister;
            case Operation.EonRegister or Operation.EonShiftedRegister: return &IntegerRegisterEmitters.EonRegister;
            case Operation.AndsRegister or Operation.AndsShiftedRegister: return &IntegerRegisterEmitters.AndsRegister;
            case Operation.BicsRegister or Operation.BicsShiftedRegister: return &IntegerRegisterEmitters.BicsRegister;
            case Operation.Movz: return &IntegerImmediateEmitters.MoveZero;
            case Operation.Movn: return &IntegerImmediateEmitters.MoveNot;
            case Operation.Movk: return &IntegerImmediateEmitters.MoveKeep;
            case Operation.Ubfm: return &IntegerImmediateEmitters.UnsignedBitfield;
            case Operation.Sbfm: return &IntegerImmediateEmitters.SignedBitfield;
            case Operation.Bfm: return &IntegerImmediateEmitters.BitfieldMove;
            case Operation.Extr: return &IntegerImmediateEmitters.Extract;
            case Operation.Lslv: return &IntegerRegisterEmitters.ShiftLeft;
            case Operation.Lsrv: return &IntegerRegisterEmitters.ShiftRight;
            case Operation.Asrv: return &IntegerRegisterEmitters.ShiftArithmetic;
            case Operation.Rorv: return &IntegerRegisterEmitters.RotateVariable;
            case Operation.Madd: return &IntegerRegisterEmitters.MultiplyAdd;
            case Operation.Msub: return &IntegerRegisterEmitters.MultiplySub;
            case Operation.Smaddl: return &IntegerRegisterEmitters.SignedMultiplyAddLong;
            case Operation.Smsubl: return &IntegerRegisterEmitters.SignedMultiplySubLong;
            case Operation.Umaddl: return &IntegerRegisterEmitters.UnsignedMultiplyAddLong;
            case Operation.Umsubl: return &IntegerRegisterEmitters.UnsignedMultiplySubLong;
            case Operation.Smulh: return &IntegerRegisterEmitters.SignedMultiplyHigh;
            case Operation.Umulh: return &IntegerRegisterEmitters.UnsignedMultiplyHigh;
            case Operation.Udiv: return &IntegerRegisterEmitters.UnsignedDivide;
            case Operation.Sdiv: return &IntegerRegisterEmitters.SignedDivide;
            case Operation.Clz: return &IntegerRegisterEmitters.CountLeadingZeros;
            case Operation.Rev: return &IntegerRegisterEmitters.ReverseBytes;
            case Operation.Rev32: return &IntegerRegisterEmitters.ReverseBytes32;
            case Operation.Rbit: return &IntegerRegisterEmitters.ReverseBits;
            case Operation.Crc32cb or Operation.Crc32ch or Operation.Crc32cw or Operation.Crc32cx: return &IntegerRegisterEmitters.Crc32C;
            case Operation.Csel: return &IntegerRegisterEmitters.Select;
            case Operation.Csinc: return &IntegerRegisterEmitters.SelectIncrement;
            case Operation.Csinv: return &IntegerRegisterEmitters.SelectInvert;
            case Operation.Csneg: return &IntegerRegisterEmitters.SelectNegate;
            case Operation.PacGeneral: return &PointerEmitters.Sign;
            case Operation.AutGeneral: return &PointerEmitters.Authenticate;
            case Operation.Setp: return &MemoryOperationEmitters.BeginSet;
            case Operation.Cpyfp or Operation.Cpyp: return &MemoryOperationEmitters.BeginCopy;
            case Operation.Cpyfm or Operation.Cpyfe or Operation.Cpym or Operation.Cpye or Operation.Setm or Operation.Sete:
                return &MemoryOperationEmitters.GoOn;
            case Operation.MsrDitImmediate: return &SystemInstructionEmitters.SetDataIndependentTiming;
            case Operation.Cfinv: return &FlagManipulationEmitters.InvertCarry;
            case Operation.Xaflag: return &FlagManipulationEmitters.FromExternal;
            case Operation.Axflag: return &FlagManipulationEmitters.ToExternal;
            case Operation.Rmif: return &FlagManipulationEmitters.RotateMaskInsert;
            case Operation.Setf8: return &FlagManipulationEmitters.Evaluate8;
            case Operation.Setf16: return &FlagManipulationEmitters.Evaluate16;
            case Operation.AbsGeneral: return &IntegerMinMaxEmitters.Absolute;
            case Operation.CntGeneral: return &IntegerMinMaxEmitters.CountOnes;
            case Operation.Ctz: return &IntegerMinMaxEmitters.CountTrailingZeros;
            case Operation.SmaxGeneral: return &IntegerMinMaxEmitters.MaximumSigned;
            case Operation.UmaxGeneral: return &IntegerMinMaxEmitters.MaximumUnsigned;
            case Operation.SminGeneral: return &IntegerMinMaxEmitters.MinimumSigned;
            case Operation.UminGeneral: return &IntegerMinMaxEmitters.MinimumUnsigned;
            case Operation.SmaxImmediate: return &IntegerMinMaxEmitters.MaximumSignedImmediate;
            case Operation.UmaxImmediate: return &IntegerMinMaxEmitters.MaximumUnsignedImmediate;
            case Operation.SminImmediate: return &IntegerMinMaxEmitters.MinimumSignedImmediate;
            case Operation.UminImmediate: return &IntegerMinMaxEmitters.MinimumUnsignedImmediate;
            case Operation.CcmpRegister or Operation.CcmnRegister: return &IntegerRegisterEmitters.CompareRegister;
            case Operation.CcmpImmediate or Operation.CcmnImmediate: return &IntegerRegisterEmitters.CompareImmediate;

            case Operation.B: return &BranchEmitters.Branch;
            case Operation.Bl: return &BranchEmitters.BranchLink;
            case Operation.Br or Operation.Ret: return &BranchEmitters.BranchRegister;
            case Operation.Blr: return &BranchEmitters.BranchLinkRegister;
            case Operation.BCond: return &BranchEmitters.BranchConditional;
            case Operation.Cbz: return &BranchEmitters.CompareAndBranchZero;
            case Operation.Cbnz: return &BranchEmitters.CompareAndBranchNotZero;
            case Operation.Tbz: return &BranchEmitters.TestAndBranchZero;
            case Operation.Tbnz: return &BranchEmitters.TestAndBranchNotZero;

            case Operation.Ldarb or Operation.Ldarh or Operation.Ldar or Operation.Ldaprb or Operation.Ldaprh or Operation.Ldapr:
                return &AtomicEmitters.LoadAcquire;
            case Operation.Stlrb or Operation.Stlrh or Operation.Stlr: return &AtomicEmitters.StoreRelease;
            case Operation.Ldapurb or Operation.Ldapurh or Operation.Ldapur or Operation.Ldapursb or Operation.Ldapursh
                or Operation.Ldapursw:
                return &AtomicEmitters.LoadAcquireOffset;
            case Operation.Stlurb or Operation.Stlurh or Operation.Stlur: return &AtomicEmitters.StoreReleaseOffset;
            case Operation.Ldaddb or Operation.Ldaddh or Operation.Ldadd: return &AtomicEmitters.AtomicAdd;
            case Operation.Ldclrb or Operation.Ldclrh or Operation.Ldclr: return &AtomicEmitters.AtomicClear;
            case Operation.Ldeorb or Operation.Ldeorh or Operation.Ldeor: return &AtomicEmitters.AtomicExclusiveOr;
            case Operation.Ldsetb or Operation.Ldseth or Operation.Ldset: return &AtomicEmitters.AtomicSet;
            case Operation.Swpb or Operation.Swph or Operation.Swp: return &AtomicEmitters.AtomicSwap;
            case Operation.Casb or Operation.Cash or Operation.Cas: return &AtomicEmitters.CompareAndSwap;
            case Operation.Casp64: return &AtomicEmitters.CompareAndSwapPair;
            case Operation.Ldxp64 or Operation.Ldaxp64: return &AtomicEmitters.LoadExclusivePair;
            case Operation.Stxp64 or Operation.Stlxp64: return &AtomicEmitters.StoreExclusivePair;
            case Operation.Ldxrb or Operation.Ldxrh or Operation.Ldxr or Operation.Ldaxrb or Operation.Ldaxrh or Operation.Ldaxr:
                return &AtomicEmitters.LoadExclusive;
            case Operation.Stxrb or Operation.Stxrh or Operation.Stxr or Operation.Stlxrb or Operation.Stlxrh or Operation.Stlxr:
                return &AtomicEmitters.StoreExclusive;
            case Operation.Clrex: return &AtomicEmitters.ClearExclusive;

            case Operation.Hint or Operation.Yield or Operation.Sb or Operation.PrfmImmediate or Operation.Prfum or Operation.PrfmRegister
                or Operation.PrfmLiteral:
                return &SystemInstructionEmitters.Nothing;
            case Operation.Dmb: return &SystemInstructionEmitters.Barrier;
            case Operation.Dsb: return &SystemInstructionEmitters.SynchronizationBarrier;
            case Operation.Isb: return &SystemInstructionEmitters.InstructionBarrier;
            case Operation.Sys: return &SystemInstructionEmitters.SystemOperation;
            case Operation.Mrs: return &SystemInstructionEmitters.ReadSystemRegister;
            case Operation.MsrRegister: return &SystemInstructionEmitters.WriteSystemRegister;
            case Operation.MsrDAIFSet: return &SystemInstructionEmitters.SetInterruptMasks;
            case Operation.MsrDAIFClr: return &SystemInstructionEmitters.ClearInterruptMasks;
            case Operation.LdrLiteral or Operation.LdrswLiteral: return &LoadStoreEmitters.LoadLiteral;
            case Operation.Sttrb or Operation.Ldtrb or Operation.Sttrh or Operation.Ldtrh or Operation.Sttr or Operation.Ldtr
                or Operation.Ldtrsb or Operation.Ldtrsh or Operation.Ldtrsw:
                return &LoadStoreEmitters.LoadStoreUnprivileged;
        }

        return BaseAccess.Of(operation) switch
        {
            (AccessForm.General, AddressMode.Offset) => &LoadStoreEmitters.LoadStoreOffset,
            (AccessForm.General, AddressMode.PreIndex) => &LoadStoreEmitters.LoadStorePreIndex,
            (AccessForm.General, AddressMode.PostIndex) => &LoadStoreEmitters.LoadStorePostIndex,
            (AccessForm.General, AddressMode.Register) => &LoadStoreEmitters.LoadStoreRegister,
            (AccessForm.Pair, AddressMode.Offset) => &LoadStoreEmitters.PairOffset,
            (AccessForm.Pair, AddressMode.PreIndex) => &LoadStoreEmitters.PairPreIndex,
            (AccessForm.Pair, AddressMode.PostIndex) => &LoadStoreEmitters.PairPostIndex,
            _ => null,
        };
    }

    private static delegate*<BlockEmitter, Op*, bool> OfScalable(Operation operation) => operation switch
    {
        Operation.SveAndPredicates => &SvePredicateEmitters.And,
        Operation.SveBicPredicates => &SvePredicateEmitters.Bic,
        Operation.SveEorPredicates => &SvePredicateEmitters.Eor,
        Operation.SveOrrPredicates => &SvePredicateEmitters.Orr,
        Operation.SveOrnPredicates => &SvePredicateEmitters.Orn,
        Operation.SveNorPredicates => &SvePredicateEmitters.Nor,
        Operation.SveNandPredicates => &SvePredicateEmitters.Nand,
        Operation.SveSelPredicates => &SvePredicateEmitters.Select,
        Operation.SvePtest => &SvePredicateEmitters.Test,
        Operation.SvePtrue => &SvePredicateEmitters.True,
        Operation.SvePfalse => &SvePredicateEmitters.False,
        Operation.SveSetffr => &SvePredicateEmitters.SetFfr,
        Operation.SveWrffr => &SvePredicateEmitters.WriteFfr,
        Operation.SveRdffr => &SvePredicateEmitters.ReadFfr,
        Operation.SveRdffrPredicated => &SvePredicateEmitters.ReadFfrMasked,
        Operation.SveBrk => &SvePredicateEmitters.Break,
        Operation.SveWhile => &SvePredicateEmitters.While,
        Operation.SveAddvl => &SveCountEmitters.AddVectorLength,
        Operation.SveAddpl => &SveCountEmitters.AddPredicateLength,
        Operation.SveRdvl => &SveCountEmitters.ReadVectorLength,
        Operation.SveCnt => &SveCountEmitters.Count,
        Operation.SveInc => &SveCountEmitters.Change,
        Operation.SveCntp => &SveCountEmitters.CountPredicate,
        Operation.SveIncp => &SveCountEmitters.ChangeByPredicate,
        Operation.SveLdrPredicate => &SveMemoryEmitters.LoadPredicate,
        Operation.SveLdr => &SveMemoryEmitters.LoadRegister,
        Operation.SveStrPredicate => &SveMemoryEmitters.StorePredicate,
        Operation.SveStr => &SveMemoryEmitters.StoreRegister,
        Operation.SveLd1 => &SveMemoryEmitters.LoadScalar,
        Operation.SveLd1Immediate => &SveMemoryEmitters.LoadImmediate,
        Operation.SveSt1 => &SveMemoryEmitters.StoreScalar,
        Operation.SveSt1Immediate => &SveMemoryEmitters.StoreImmediate,
        Operation.SveLd1r => &SveMemoryEmitters.LoadReplicate,
        Operation.SveLd1rq => &SveMemoryEmitters.LoadQuadword,
        Operation.SveLd1rqImmediate => &SveMemoryEmitters.LoadQuadwordImmediate,
        Operation.SvePrf => &SveMemoryEmitters.Prefetch,
        Operation.SveLdStructures => &SveStructureEmitters.LoadScalar,
        Operation.SveLdStructuresImmediate => &SveStructureEmitters.LoadImmediate,
        Operation.SveStStructures => &SveStructureEmitters.StoreScalar,
        Operation.SveStStructuresImmediate => &SveStructureEmitters.StoreImmediate,
        Operation.SvePfirst => &SvePredicateEmitters.First,
        Operation.SvePnext => &SvePredicateEmitters.Next,
        Operation.SveBrkp => &SvePredicateEmitters.BreakPropagate,
        Operation.SveBrkn => &SvePredicateEmitters.BreakNext,
        Operation.SvePunpk => &SvePredicateEmitters.Unpack,
        Operation.SveIncVector => &SveCountEmitters.ChangeVector,
        Operation.SveZip => &SvePermuteEmitters.Zip,
        Operation.SveUzp => &SvePermuteEmitters.Unzip,
        Operation.SveTrn => &SvePermuteEmitters.Transpose,
        Operation.SveExt => &SvePermuteEmitters.Extract,
        Operation.SveRev => &SvePermuteEmitters.Reverse,
        Operation.SveUnpk => &SvePermuteEmitters.Unpack,
        Operation.SveIndex => &SvePermuteEmitters.Index,
        Operation.SveOrv or Operation.SveEorv or Operation.SveAndv or Operation.SveSmaxv or Operation.SveUmaxv or Operation.SveSminv
            or Operation.SveUminv => &SveReductionEmitters.Reduce,
        Operation.SveAddv => &SveReductionEmitters.Sum,
        Operation.SveFaddv => &SveReductionEmitters.FloatSum,
        Operation.SveFadda => &SveReductionEmitters.FloatSumInOrder,
        Operation.SveSel => &SveShapeEmitters.Select,
        Operation.SveDupIndexed => &SvePermuteEmitters.DuplicateElement,
        Operation.SveDupGeneral => &SveShapeEmitters.DuplicateGeneral,
        Operation.SveCpyGeneral => &SveShapeEmitters.CopyGeneral,
        _ => SveOperations.Of(operation).Shape != SveShape.None ? &SveShapeEmitters.Operate : null,
    };

    private static delegate*<BlockEmitter, Op*, bool> OfVector(Operation operation)
    {
        switch (operation)
        {
            case Operation.Ld1Multiple or Operation.St1Multiple: return &SimdStructureEmitters.ConsecutiveRegisters;
            case Operation.Ld2Multiple or Operation.St2Multiple or Operation.Ld4Multiple or Operation.St4Multiple:
                return &SimdStructureEmitters.MultipleStructures;
            case Operation.LdSingle or Operation.StSingle: return &SimdStructureEmitters.SingleStructure;
            case Operation.LdReplicate: return &SimdStructureEmitters.ReplicatedStructure;
            case Operation.Sha1c: return &ShaEmitters.Sha1Choose;
            case Operation.Sha1p: return &ShaEmitters.Sha1Parity;
            case Operation.Sha1m: return &ShaEmitters.Sha1Majority;
            case Operation.Sha1h: return &ShaEmitters.Sha1Rotate;
            case Operation.Sha1su0: return &ShaEmitters.Sha1Schedule0;
            case Operation.Sha1su1: return &ShaEmitters.Sha1Schedule1;
            case Operation.Sha256h: return &ShaEmitters.Sha256Hash;
            case Operation.Sha256h2: return &ShaEmitters.Sha256Hash2;
            case Operation.Sha256su0: return &ShaEmitters.Sha256Schedule0;
            case Operation.Sha256su1: return &ShaEmitters.Sha256Schedule1;
            case Operation.Sha512h: return &Sha512Emitters.Hash;
            case Operation.Sha512h2: return &Sha512Emitters.Hash2;
            case Operation.Sha512su0: return &Sha512Emitters.Schedule0;
            case Operation.Sha512su1: return &Sha512Emitters.Schedule1;
            case Operation.Eor3: return &SimdHashEmitters.ExclusiveOrThree;
            case Operation.Bcax: return &SimdHashEmitters.ClearAndExclusiveOr;
            case Operation.Rax1: return &SimdHashEmitters.RotateAndExclusiveOr;
            case Operation.Xar: return &SimdHashEmitters.ExclusiveOrAndRotate;
            case Operation.LdrLiteralVector: return &LoadStoreEmitters.VectorLiteral;
        }

        return BaseAccess.Of(operation) switch
        {
            (AccessForm.Vector, AddressMode.Offset) => &LoadStoreEmitters.VectorOffset,
            (AccessForm.Vector, AddressMode.PreIndex) => &LoadStoreEmitters.VectorPreIndex,
            (AccessForm.Vector, AddressMode.PostIndex) => &LoadStoreEmitters.VectorPostIndex,
            (AccessForm.Vector, AddressMode.Register) => &LoadStoreEmitters.VectorRegister,
            (AccessForm.VectorPair, AddressMode.Offset) => &LoadStoreEmitters.VectorPairOffset,
            (AccessForm.VectorPair, AddressMode.PreIndex) => &LoadStoreEmitters.VectorPairPreIndex,
            (AccessForm.VectorPair, AddressMode.PostIndex) => &LoadStoreEmitters.VectorPairPostIndex,
            _ => SimdOperations.Of(operation).Shape != Shape.None ? &SimdVectorEmitters.Operate : OfFloat(operation),
        };
    }

    private static delegate*<BlockEmitter, Op*, bool> OfFloat(Operation operation) => operation switch
    {
        Operation.Fadd => &FloatingPointScalarEmitters.FloatAdd,
        Operation.Fsub => &FloatingPointScalarEmitters.FloatSubtract,
        Operation.Fmul => &FloatingPointScalarEmitters.FloatMultiply,
        Operation.Fdiv => &FloatingPointScalarEmitters.FloatDivide,
        Operation.Fsqrt => &FloatingPointScalarEmitters.FloatSquareRoot,
        Operation.Fmadd => &FloatingPointScalarEmitters.FloatMultiplyAdd,
        Operation.Fmsub => &FloatingPointScalarEmitters.FloatMultiplySubtract,
        Operation.Fnmadd => &FloatingPointScalarEmitters.FloatNegatedMultiplyAdd,
        Operation.Fnmsub => &FloatingPointScalarEmitters.FloatNegatedMultiplySubtract,
        Operation.FcvtSToD or Operation.FcvtDToS => &FloatingPointScalarEmitters.FloatPrecision,
        Operation.FcmpFcmpe => &FloatingPointScalarEmitters.FloatCompare,
        Operation.FccmpFccmpe => &FloatingPointScalarEmitters.FloatConditionalCompare,
        Operation.Fcsel => &FloatingPointScalarEmitters.FloatSelect,
        Operation.Fabs => &FloatingPointScalarEmitters.FloatAbsolute,
        Operation.Fneg => &FloatingPointScalarEmitters.FloatNegate,
        Operation.FmovRegister => &FloatingPointScalarEmitters.FloatMove,
        Operation.FmovImmediate => &FloatingPointScalarEmitters.FloatMoveImmediate,
        Operation.FmovGeneralSToGeneral or Operation.FmovGeneralDToGeneral => &FloatingPointScalarEmitters.FloatToGeneral,
        Operation.FmovGeneralTopHalfToGeneral => &FloatingPointScalarEmitters.FloatTopToGeneral,
        Operation.FmovGeneralSFromGeneral or Operation.FmovGeneralDFromGeneral => &FloatingPointScalarEmitters.FloatFromGeneral,
        Operation.FmovGeneralTopHalfFromGeneral => &FloatingPointScalarEmitters.FloatTopFromGeneral,
        Operation.FcvtzsFcvtzuScalarInteger => &FloatingPointScalarEmitters.FloatToInteger,
        Operation.ScvtfUcvtfScalarInteger => &FloatingPointScalarEmitters.FloatFromInteger,
        _ => FloatOperations.Of(operation).Shape == FloatShape.None ? null : &FloatingPointVectorEmitters.FloatVector,
    };
}

using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.Plan;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>
/// Which emitter makes the code of which encoding, by the operations of <see cref="EncodingTable"/>. All others are interpreted.
/// </content>
internal sealed unsafe partial class Translator
{
    private static readonly delegate*<Translator, Op*, bool>[] s_emitters = BuildEmitters();
    private static readonly bool[] s_translated = FindTranslated();

    private static delegate*<Translator, Op*, bool>[] BuildEmitters()
    {
        var emitters = new delegate*<Translator, Op*, bool>[EncodingTable.Rows.Length];
        for (int i = 0; i < emitters.Length; i++)
        {
            ref EncodingRow row = ref EncodingTable.Rows[i];
            emitters[i] = row.UsesVectors ? OfVector(row.Operation) : OfGeneral(row.Operation);
        }

        return emitters;
    }

    // Of each row, whether it has an emitter.
    private static bool[] FindTranslated()
    {
        var translated = new bool[s_emitters.Length];
        for (int i = 0; i < translated.Length; i++)
        {
            translated[i] = s_emitters[i] != null;
        }

        return translated;
    }

    private static delegate*<Translator, Op*, bool> OfGeneral(Operation operation)
    {
        switch (operation)
        {
            case Operation.Adr: return &Adr;
            case Operation.Adrp: return &Adrp;
            case Operation.AddImmediate: return &AddImmediate;
            case Operation.SubImmediate: return &SubImmediate;
            case Operation.AddsImmediate: return &AddsImmediate;
            case Operation.SubsImmediate: return &SubsImmediate;
            case Operation.AddRegister or Operation.AddShiftedRegister: return &AddRegister;
            case Operation.SubRegister or Operation.SubShiftedRegister: return &SubRegister;
            case Operation.AddsRegister or Operation.AddsShiftedRegister: return &AddsRegister;
            case Operation.SubsRegister or Operation.SubsShiftedRegister: return &SubsRegister;
            case Operation.AddExtendedRegister: return &AddExtended;
            case Operation.SubExtendedRegister: return &SubExtended;
            case Operation.AddsExtendedRegister: return &AddsExtended;
            case Operation.SubsExtendedRegister: return &SubsExtended;
            case Operation.Adc or Operation.Adcs: return &AddWithCarry;
            case Operation.Sbc or Operation.Sbcs: return &SubWithCarry;
            case Operation.AndImmediate: return &AndImmediate;
            case Operation.OrrImmediate: return &OrrImmediate;
            case Operation.EorImmediate: return &EorImmediate;
            case Operation.AndsImmediate: return &AndsImmediate;
            case Operation.AndRegister or Operation.AndShiftedRegister: return &AndRegister;
            case Operation.BicRegister or Operation.BicShiftedRegister: return &BicRegister;
            case Operation.OrrRegister or Operation.OrrShiftedRegister: return &OrrRegister;
            case Operation.OrnRegister or Operation.OrnShiftedRegister: return &OrnRegister;
            case Operation.EorRegister or Operation.EorShiftedRegister: return &EorRegister;
            case Operation.EonRegister or Operation.EonShiftedRegister: return &EonRegister;
            case Operation.AndsRegister or Operation.AndsShiftedRegister: return &AndsRegister;
            case Operation.BicsRegister or Operation.BicsShiftedRegister: return &BicsRegister;
            case Operation.Movz: return &MoveZero;
            case Operation.Movn: return &MoveNot;
            case Operation.Movk: return &MoveKeep;
            case Operation.Ubfm: return &UnsignedBitfield;
            case Operation.Sbfm: return &SignedBitfield;
            case Operation.Bfm: return &BitfieldMove;
            case Operation.Extr: return &Extract;
            case Operation.Lslv: return &ShiftLeft;
            case Operation.Lsrv: return &ShiftRight;
            case Operation.Asrv: return &ShiftArithmetic;
            case Operation.Rorv: return &RotateVariable;
            case Operation.Madd: return &MultiplyAdd;
            case Operation.Msub: return &MultiplySub;
            case Operation.Smaddl: return &SignedMultiplyAddLong;
            case Operation.Smsubl: return &SignedMultiplySubLong;
            case Operation.Umaddl: return &UnsignedMultiplyAddLong;
            case Operation.Umsubl: return &UnsignedMultiplySubLong;
            case Operation.Smulh: return &SignedMultiplyHigh;
            case Operation.Umulh: return &UnsignedMultiplyHigh;
            case Operation.Udiv: return &UnsignedDivide;
            case Operation.Sdiv: return &SignedDivide;
            case Operation.Clz: return &CountLeadingZeros;
            case Operation.Rev: return &ReverseBytes;
            case Operation.Rev32: return &ReverseBytes32;
            case Operation.Rbit: return &ReverseBits;
            case Operation.Crc32cb or Operation.Crc32ch or Operation.Crc32cw or Operation.Crc32cx: return &Crc32C;
            case Operation.Csel: return &Select;
            case Operation.Csinc: return &SelectIncrement;
            case Operation.Csinv: return &SelectInvert;
            case Operation.Csneg: return &SelectNegate;
            case Operation.CcmpRegister or Operation.CcmnRegister: return &CompareRegister;
            case Operation.CcmpImmediate or Operation.CcmnImmediate: return &CompareImmediate;

            case Operation.B: return &Branch;
            case Operation.Bl: return &BranchLink;
            case Operation.Br or Operation.Ret: return &BranchRegister;
            case Operation.Blr: return &BranchLinkRegister;
            case Operation.BCond: return &BranchConditional;
            case Operation.Cbz: return &CompareAndBranchZero;
            case Operation.Cbnz: return &CompareAndBranchNotZero;
            case Operation.Tbz: return &TestAndBranchZero;
            case Operation.Tbnz: return &TestAndBranchNotZero;

            case Operation.Ldarb or Operation.Ldarh or Operation.Ldar or Operation.Ldaprb or Operation.Ldaprh or Operation.Ldapr:
                return &LoadAcquire;
            case Operation.Stlrb or Operation.Stlrh or Operation.Stlr: return &StoreRelease;
            case Operation.Ldaddb or Operation.Ldaddh or Operation.Ldadd: return &AtomicAdd;
            case Operation.Ldclrb or Operation.Ldclrh or Operation.Ldclr: return &AtomicClear;
            case Operation.Ldeorb or Operation.Ldeorh or Operation.Ldeor: return &AtomicExclusiveOr;
            case Operation.Ldsetb or Operation.Ldseth or Operation.Ldset: return &AtomicSet;
            case Operation.Swpb or Operation.Swph or Operation.Swp: return &AtomicSwap;
            case Operation.Casb or Operation.Cash or Operation.Cas: return &CompareAndSwap;
            case Operation.Casp64: return &CompareAndSwapPair;
            case Operation.Ldxp64 or Operation.Ldaxp64: return &LoadExclusivePair;
            case Operation.Stxp64 or Operation.Stlxp64: return &StoreExclusivePair;
            case Operation.Ldxrb or Operation.Ldxrh or Operation.Ldxr or Operation.Ldaxrb or Operation.Ldaxrh or Operation.Ldaxr:
                return &LoadExclusive;
            case Operation.Stxrb or Operation.Stxrh or Operation.Stxr or Operation.Stlxrb or Operation.Stlxrh or Operation.Stlxr:
                return &StoreExclusive;
            case Operation.Clrex: return &ClearExclusive;

            case Operation.Hint or Operation.Yield or Operation.PrfmImmediate or Operation.Prfum or Operation.PrfmRegister
                or Operation.PrfmLiteral:
                return &Nothing;
            case Operation.Dmb: return &Barrier;
            case Operation.Dsb: return &SynchronizationBarrier;
            case Operation.Isb: return &InstructionBarrier;
            case Operation.Sys: return &SystemOperation;
            case Operation.Mrs: return &ReadSystemRegister;
            case Operation.MsrRegister: return &WriteSystemRegister;
            case Operation.MsrDAIFSet: return &SetInterruptMasks;
            case Operation.MsrDAIFClr: return &ClearInterruptMasks;
            case Operation.LdrLiteral or Operation.LdrswLiteral: return &LoadLiteral;
            case Operation.Sttrb or Operation.Ldtrb or Operation.Sttrh or Operation.Ldtrh or Operation.Sttr or Operation.Ldtr
                or Operation.Ldtrsb or Operation.Ldtrsh or Operation.Ldtrsw:
                return &LoadStoreUnprivileged;
        }

        return BaseAccess.Of(operation) switch
        {
            (AccessForm.General, AddressMode.Offset) => &LoadStoreOffset,
            (AccessForm.General, AddressMode.PreIndex) => &LoadStorePreIndex,
            (AccessForm.General, AddressMode.PostIndex) => &LoadStorePostIndex,
            (AccessForm.General, AddressMode.Register) => &LoadStoreRegister,
            (AccessForm.Pair, AddressMode.Offset) => &PairOffset,
            (AccessForm.Pair, AddressMode.PreIndex) => &PairPreIndex,
            (AccessForm.Pair, AddressMode.PostIndex) => &PairPostIndex,
            _ => null,
        };
    }

    private static delegate*<Translator, Op*, bool> OfVector(Operation operation)
    {
        switch (operation)
        {
            case Operation.Ld1Multiple or Operation.St1Multiple: return &Registers;
            case Operation.Ld2Multiple or Operation.St2Multiple or Operation.Ld4Multiple or Operation.St4Multiple:
                return &MultipleStructures;
            case Operation.LdSingle or Operation.StSingle: return &SingleStructure;
            case Operation.LdReplicate: return &ReplicatedStructure;
            case Operation.LdrLiteralVector: return &VectorLiteral;
        }

        return BaseAccess.Of(operation) switch
        {
            (AccessForm.Vector, AddressMode.Offset) => &VectorOffset,
            (AccessForm.Vector, AddressMode.PreIndex) => &VectorPreIndex,
            (AccessForm.Vector, AddressMode.PostIndex) => &VectorPostIndex,
            (AccessForm.Vector, AddressMode.Register) => &VectorRegister,
            (AccessForm.VectorPair, AddressMode.Offset) => &VectorPairOffset,
            (AccessForm.VectorPair, AddressMode.PreIndex) => &VectorPairPreIndex,
            (AccessForm.VectorPair, AddressMode.PostIndex) => &VectorPairPostIndex,
            _ => OfOperation(operation).Shape != Shape.None ? &VectorOperation : OfFloat(operation),
        };
    }
}

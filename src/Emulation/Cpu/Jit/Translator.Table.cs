using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit;

/// <content>Which emitter makes the code of which encoding, by the mnemonics of <see cref="EncodingTable"/>. All others are interpreted.</content>
internal sealed unsafe partial class Translator
{
    private static readonly delegate*<Translator, Op*, bool>[] s_emitters = BuildEmitters();

    /// <summary>Whether an encoding has an emitter; it may still decline an instruction.</summary>
    public static bool HasEmitter(int row) => s_emitters[row] != null;

    private static delegate*<Translator, Op*, bool>[] BuildEmitters()
    {
        var emitters = new delegate*<Translator, Op*, bool>[EncodingTable.Rows.Length];
        for (int i = 0; i < emitters.Length; i++)
        {
            EncodingRow row = EncodingTable.Rows[i];
            emitters[i] = (row.Flags & RowFlags.FpSimd) != 0 ? OfVector(row) : OfGeneral(WithoutSize(row.Mnemonic), row.Mnemonic);
        }

        return emitters;
    }

    private static string WithoutSize(string mnemonic) =>
        mnemonic.EndsWith(" 32", StringComparison.Ordinal) || mnemonic.EndsWith(" 64", StringComparison.Ordinal) ? mnemonic[..^3] : mnemonic;

    private static delegate*<Translator, Op*, bool> OfGeneral(string name, string mnemonic)
    {
        switch (name)
        {
            case "ADR": return &Adr;
            case "ADRP": return &Adrp;
            case "ADD (immediate)": return &AddImmediate;
            case "SUB (immediate)": return &SubImmediate;
            case "ADDS (immediate)": return &AddsImmediate;
            case "SUBS (immediate)": return &SubsImmediate;
            case "ADD (register)" or "ADD (shifted register)": return &AddRegister;
            case "SUB (register)" or "SUB (shifted register)": return &SubRegister;
            case "ADDS (register)" or "ADDS (shifted register)": return &AddsRegister;
            case "SUBS (register)" or "SUBS (shifted register)": return &SubsRegister;
            case "ADD (extended register)": return &AddExtended;
            case "SUB (extended register)": return &SubExtended;
            case "ADDS (extended register)": return &AddsExtended;
            case "SUBS (extended register)": return &SubsExtended;
            case "ADC" or "ADCS": return &AddWithCarry;
            case "SBC" or "SBCS": return &SubWithCarry;
            case "AND (immediate)": return &AndImmediate;
            case "ORR (immediate)": return &OrrImmediate;
            case "EOR (immediate)": return &EorImmediate;
            case "ANDS (immediate)": return &AndsImmediate;
            case "AND (register)" or "AND (shifted register)": return &AndRegister;
            case "BIC (register)" or "BIC (shifted register)": return &BicRegister;
            case "ORR (register)" or "ORR (shifted register)": return &OrrRegister;
            case "ORN (register)" or "ORN (shifted register)": return &OrnRegister;
            case "EOR (register)" or "EOR (shifted register)": return &EorRegister;
            case "EON (register)" or "EON (shifted register)": return &EonRegister;
            case "ANDS (register)" or "ANDS (shifted register)": return &AndsRegister;
            case "BICS (register)" or "BICS (shifted register)": return &BicsRegister;
            case "MOVZ": return &MoveZero;
            case "MOVN": return &MoveNot;
            case "MOVK": return &MoveKeep;
            case "UBFM": return &UnsignedBitfield;
            case "SBFM": return &SignedBitfield;
            case "BFM": return &BitfieldMove;
            case "EXTR": return &Extract;
            case "LSLV": return &ShiftLeft;
            case "LSRV": return &ShiftRight;
            case "ASRV": return &ShiftArithmetic;
            case "RORV": return &RotateVariable;
            case "MADD": return &MultiplyAdd;
            case "MSUB": return &MultiplySub;
            case "SMADDL": return &SignedMultiplyAddLong;
            case "SMSUBL": return &SignedMultiplySubLong;
            case "UMADDL": return &UnsignedMultiplyAddLong;
            case "UMSUBL": return &UnsignedMultiplySubLong;
            case "SMULH": return &SignedMultiplyHigh;
            case "UMULH": return &UnsignedMultiplyHigh;
            case "UDIV": return &UnsignedDivide;
            case "SDIV": return &SignedDivide;
            case "CLZ": return &CountLeadingZeros;
            case "REV": return &ReverseBytes;
            case "REV32": return &ReverseBytes32;
            case "RBIT": return &ReverseBits;
            case "CRC32CB" or "CRC32CH" or "CRC32CW" or "CRC32CX": return &Crc32C;
            case "CSEL": return &Select;
            case "CSINC": return &SelectIncrement;
            case "CSINV": return &SelectInvert;
            case "CSNEG": return &SelectNegate;
            case "CCMP (register)" or "CCMN (register)": return &CompareRegister;
            case "CCMP (immediate)" or "CCMN (immediate)": return &CompareImmediate;

            case "B": return &Branch;
            case "BL": return &BranchLink;
            case "BR" or "RET": return &BranchRegister;
            case "BLR": return &BranchLinkRegister;
            case "B.cond": return &BranchConditional;
            case "CBZ": return &CompareAndBranchZero;
            case "CBNZ": return &CompareAndBranchNotZero;
            case "TBZ": return &TestAndBranchZero;
            case "TBNZ": return &TestAndBranchNotZero;

            case "LDARB" or "LDARH" or "LDAR" or "LDAPRB" or "LDAPRH" or "LDAPR": return &LoadAcquire;
            case "STLRB" or "STLRH" or "STLR": return &StoreRelease;
            case "LDADDB" or "LDADDH" or "LDADD": return &AtomicAdd;
            case "LDCLRB" or "LDCLRH" or "LDCLR": return &AtomicClear;
            case "LDEORB" or "LDEORH" or "LDEOR": return &AtomicExclusiveOr;
            case "LDSETB" or "LDSETH" or "LDSET": return &AtomicSet;
            case "SWPB" or "SWPH" or "SWP": return &AtomicSwap;
            case "CASB" or "CASH" or "CAS": return &CompareAndSwap;
            case "CASP" when mnemonic == "CASP 64": return &CompareAndSwapPair;
            case "LDXP" or "LDAXP" when mnemonic.EndsWith(" 64", StringComparison.Ordinal): return &LoadExclusivePair;
            case "STXP" or "STLXP" when mnemonic.EndsWith(" 64", StringComparison.Ordinal): return &StoreExclusivePair;
            case "LDXRB" or "LDXRH" or "LDXR" or "LDAXRB" or "LDAXRH" or "LDAXR": return &LoadExclusive;
            case "STXRB" or "STXRH" or "STXR" or "STLXRB" or "STLXRH" or "STLXR": return &StoreExclusive;
            case "CLREX": return &ClearExclusive;

            case "HINT" or "YIELD": return &Nothing;
            case "DMB": return &Barrier;
            case "DSB": return &SynchronizationBarrier;
            case "ISB": return &InstructionBarrier;
            case "SYS": return &SystemOperation;
            case "MRS": return &ReadSystemRegister;
            case "MSR (register)": return &WriteSystemRegister;
            case "MSR DAIFSet": return &SetInterruptMasks;
            case "MSR DAIFClr": return &ClearInterruptMasks;
            case "LDR (literal)" or "LDRSW (literal)": return &LoadLiteral;
        }

        if (name.StartsWith("PRF", StringComparison.Ordinal))
        {
            return &Nothing;
        }

        if (name.StartsWith("LDTR", StringComparison.Ordinal) || name.StartsWith("STTR", StringComparison.Ordinal))
        {
            return &LoadStoreUnprivileged;
        }

        return FormOf(mnemonic, vector: false) switch
        {
            (Form.General, Mode.Offset) => &LoadStoreOffset,
            (Form.General, Mode.PreIndex) => &LoadStorePreIndex,
            (Form.General, Mode.PostIndex) => &LoadStorePostIndex,
            (Form.General, Mode.Register) => &LoadStoreRegister,
            (Form.Pair, Mode.Offset) => &PairOffset,
            (Form.Pair, Mode.PreIndex) => &PairPreIndex,
            (Form.Pair, Mode.PostIndex) => &PairPostIndex,
            _ => null,
        };
    }

    private static delegate*<Translator, Op*, bool> OfVector(EncodingRow row)
    {
        if (row.Mnemonic.Contains("structure", StringComparison.Ordinal) || row.Mnemonic.StartsWith("LD1R", StringComparison.Ordinal))
        {
            return OfStructure(row.Mnemonic);
        }

        if (row.Mnemonic.StartsWith("LDR (literal)", StringComparison.Ordinal))
        {
            return &VectorLiteral;
        }

        return FormOf(row.Mnemonic, vector: true) switch
        {
            (Form.Vector, Mode.Offset) => &VectorOffset,
            (Form.Vector, Mode.PreIndex) => &VectorPreIndex,
            (Form.Vector, Mode.PostIndex) => &VectorPostIndex,
            (Form.Vector, Mode.Register) => &VectorRegister,
            (Form.VectorPair, Mode.Offset) => &VectorPairOffset,
            (Form.VectorPair, Mode.PreIndex) => &VectorPairPreIndex,
            (Form.VectorPair, Mode.PostIndex) => &VectorPairPostIndex,
            _ => HasVectorOperation(row.Mnemonic) ? &VectorOperation : OfFloat(row.Mnemonic),
        };
    }

    // What a load or store moves; None for what is not one of the common ones.
    private enum Form : byte
    {
        None,
        General,
        Pair,
        Vector,
        VectorPair,
    }

    private static readonly (Form Form, Mode Mode)[] s_forms = [.. EncodingTable.Rows.Select(row => FormOf(row.Mnemonic, (row.Flags & RowFlags.FpSimd) != 0))];

    private static (Form Form, Mode Mode) FormOf(string mnemonic, bool vector)
    {
        Mode mode = mnemonic.Contains("(pre-index)", StringComparison.Ordinal) ? Mode.PreIndex
            : mnemonic.Contains("(post-index)", StringComparison.Ordinal) ? Mode.PostIndex
            : mnemonic.Contains("(register offset)", StringComparison.Ordinal) ? Mode.Register : Mode.Offset;
        switch (mnemonic.Split(' ')[0])
        {
            case "LDR" or "LDRSW" when mnemonic.Contains("(literal)", StringComparison.Ordinal):
                return default;
            case "LDP" or "STP" or "LDNP" or "STNP" or "LDPSW":
                return (vector ? Form.VectorPair : Form.Pair, mode);
            case "LDR" or "STR" or "LDRB" or "STRB" or "LDRH" or "STRH" or "LDRSB" or "LDRSH" or "LDRSW"
                or "LDUR" or "STUR" or "LDURB" or "STURB" or "LDURH" or "STURH" or "LDURSB" or "LDURSH" or "LDURSW":
                return (vector ? Form.Vector : Form.General, mode);
            default:
                return default;
        }
    }
}

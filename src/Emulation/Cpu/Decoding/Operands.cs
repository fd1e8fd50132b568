using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.SystemRegisters;

namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>
/// Operand forms: each fills the operand fields of an op from its word, so that the handler need not look at the word again.
/// Register 31 is resolved here: to <see cref="CpuState.Zr"/> as a source, <see cref="CpuState.Sink"/> as a destination, or
/// <see cref="CpuState.Sp"/> where the instruction means the stack pointer.
/// </summary>
public static unsafe partial class Operands
{
    /// <summary>Fills no field, for a handler that reads the word itself.</summary>
    public static void None(Op* op)
    {
    }

    /// <summary>ADD, SUB (immediate): Rd and Rn may be SP; imm12, shifted by 12 when sh is set.</summary>
    public static void AddSubImmediate(Op* op)
    {
        op->Rd = OrStackPointer(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Imm = Bits(op->Word, 10, 12) << (Bits(op->Word, 22, 1) != 0 ? 12 : 0);
    }

    /// <summary>ADDS, SUBS (immediate): Rn may be SP.</summary>
    public static void AddSubImmediateFlags(Op* op)
    {
        AddSubImmediate(op);
        op->Rd = Destination(op->Word, 0);
    }

    /// <summary>AND, ORR, EOR (immediate): Rd may be SP; Imm is the bit mask.</summary>
    public static void LogicalImmediate(Op* op)
    {
        op->Rd = OrStackPointer(op->Word, 0);
        op->Rn = Source(op->Word, 5);
        op->Imm = BitMask(op->Word);
    }

    /// <summary>ANDS (immediate).</summary>
    public static void LogicalImmediateFlags(Op* op)
    {
        LogicalImmediate(op);
        op->Rd = Destination(op->Word, 0);
    }

    /// <summary>MOVZ, MOVN, MOVK: Imm is imm16 in its place, Shift that place.</summary>
    public static void MoveWide(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Shift = (byte)(Bits(op->Word, 21, 2) * 16);
        op->Imm = (ulong)Bits(op->Word, 5, 16) << op->Shift;
    }

    /// <summary>SBFM, BFM, UBFM, EXTR and the shifted-register group: Rd, Rn, Rm, Shift = imms, Extra = immr.</summary>
    public static void Bitfield(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Rn = Source(op->Word, 5);
        op->Rm = Source(op->Word, 16);
        op->Shift = (byte)Bits(op->Word, 10, 6);
        op->Extra = (byte)Bits(op->Word, 16, 6);
    }

    /// <summary>ADR and ADRP: Rd, Imm = the displacement from the PC or its page.</summary>
    public static void PcRelative(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        ulong imm = (ulong)SignExtend((Bits(op->Word, 5, 19) << 2) | Bits(op->Word, 29, 2), 21);
        op->Imm = op->Word >> 31 != 0 ? imm << 12 : imm;
    }

    /// <summary>B and BL: Imm = the displacement.</summary>
    public static void Branch26(Op* op) => op->Imm = (ulong)(SignExtend(Bits(op->Word, 0, 26), 26) << 2);

    /// <summary>B.cond, CBZ, CBNZ: Rd is the register that is tested, Shift the condition; Imm = the displacement.</summary>
    public static void Branch19(Op* op)
    {
        op->Rd = Source(op->Word, 0);
        op->Shift = (byte)Bits(op->Word, 0, 4);
        op->Imm = (ulong)(SignExtend(Bits(op->Word, 5, 19), 19) << 2);
    }

    /// <summary>TBZ, TBNZ: Rd is the register that is tested, Shift the bit; Imm = the displacement.</summary>
    public static void Branch14(Op* op)
    {
        op->Rd = Source(op->Word, 0);
        op->Shift = (byte)((Bits(op->Word, 31, 1) << 5) | Bits(op->Word, 19, 5));
        op->Imm = (ulong)(SignExtend(Bits(op->Word, 5, 14), 14) << 2);
    }

    /// <summary>Rd, Rn, Rm, Ra; Shift = imm6 and Extra = the shift type of a shifted register.</summary>
    public static void Registers(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Rn = Source(op->Word, 5);
        op->Rm = Source(op->Word, 16);
        op->Ra = Source(op->Word, 10);
        op->Shift = (byte)Bits(op->Word, 10, 6);
        op->Extra = (byte)Bits(op->Word, 22, 2);
    }

    /// <summary>ADD, SUB (extended register): Rd and Rn may be SP; Shift = the left shift, Extra = the extension.</summary>
    public static void ExtendedRegister(Op* op)
    {
        op->Rd = OrStackPointer(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Rm = Source(op->Word, 16);
        op->Shift = (byte)Bits(op->Word, 10, 3);
        op->Extra = (byte)Bits(op->Word, 13, 3);
    }

    /// <summary>ADDS, SUBS (extended register): Rn may be SP.</summary>
    public static void ExtendedRegisterFlags(Op* op)
    {
        ExtendedRegister(op);
        op->Rd = Destination(op->Word, 0);
    }

    /// <summary>CSEL and its kin: Rd, Rn, Rm, Shift = the condition.</summary>
    public static void ConditionalSelect(Op* op)
    {
        Registers(op);
        op->Shift = (byte)Bits(op->Word, 12, 4);
    }

    /// <summary>CCMP, CCMN: Rn, Rm or Imm = imm5, Shift = the condition, Extra = nzcv.</summary>
    public static void ConditionalCompare(Op* op)
    {
        op->Rn = Source(op->Word, 5);
        op->Rm = Source(op->Word, 16);
        op->Imm = Bits(op->Word, 16, 5);
        op->Shift = (byte)Bits(op->Word, 12, 4);
        op->Extra = (byte)Bits(op->Word, 0, 4);
    }

    /// <summary>A load with a scaled unsigned offset: Rd = Rt as destination, Rn may be SP, Imm = the offset in bytes.</summary>
    public static void LoadUnsignedOffset(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Imm = (ulong)Bits(op->Word, 10, 12) << (int)(op->Word >> 30);
    }

    /// <summary>A store with a scaled unsigned offset: Rd = Rt as source.</summary>
    public static void StoreUnsignedOffset(Op* op)
    {
        LoadUnsignedOffset(op);
        op->Rd = Source(op->Word, 0);
    }

    /// <summary>A load with a signed imm9 offset: unscaled, pre- or post-indexed, unprivileged.</summary>
    public static void LoadImm9(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Imm = (ulong)SignExtend(Bits(op->Word, 12, 9), 9);
    }

    /// <summary>A store with a signed imm9 offset.</summary>
    public static void StoreImm9(Op* op)
    {
        LoadImm9(op);
        op->Rd = Source(op->Word, 0);
    }

    /// <summary>A load with a register offset: Rm, Extra = the extension, Shift = the left shift.</summary>
    public static void LoadRegisterOffset(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Rm = Source(op->Word, 16);
        op->Extra = (byte)Bits(op->Word, 13, 3);
        op->Shift = (byte)(Bits(op->Word, 12, 1) * (op->Word >> 30));
    }

    /// <summary>A store with a register offset.</summary>
    public static void StoreRegisterOffset(Op* op)
    {
        LoadRegisterOffset(op);
        op->Rd = Source(op->Word, 0);
    }

    /// <summary>LDR (literal): Rd = Rt, Imm = the displacement.</summary>
    public static void LoadLiteral(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Imm = (ulong)(SignExtend(Bits(op->Word, 5, 19), 19) << 2);
    }

    /// <summary>A load of a pair: Rd = Rt, Ra = Rt2, Imm = the offset in bytes, scaled by 4 or 8 as bit 31 says.</summary>
    public static void LoadPair(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Ra = Destination(op->Word, 10);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Imm = (ulong)(SignExtend(Bits(op->Word, 15, 7), 7) << (op->Word >> 31 != 0 ? 3 : 2));
    }

    /// <summary>A store of a pair.</summary>
    public static void StorePair(Op* op)
    {
        LoadPair(op);
        op->Rd = Source(op->Word, 0);
        op->Ra = Source(op->Word, 10);
    }

    /// <summary>LDAPR (post-index): Imm = the bytes that it loads.</summary>
    public static void LoadOrdered(Op* op)
    {
        LoadExclusive(op);
        op->Imm = op->Word >> 30 != 2 ? 8u : 4u;
    }

    /// <summary>STLR (pre-index): Imm = the bytes that it stores, negated.</summary>
    public static void StoreOrdered(Op* op)
    {
        LoadOrdered(op);
        op->Rd = Source(op->Word, 0);
        op->Imm = 0 - op->Imm;
    }

    /// <summary>LDIAPP: Imm = the bytes of both registers.</summary>
    public static void LoadOrderedPair(Op* op)
    {
        LoadOrdered(op);
        op->Ra = Destination(op->Word, 16);
        op->Imm *= 2;
    }

    /// <summary>STILP: Imm = the bytes of both registers, negated.</summary>
    public static void StoreOrderedPair(Op* op)
    {
        StoreOrdered(op);
        op->Ra = Source(op->Word, 16);
        op->Imm *= 2;
    }

    /// <summary>Exclusive and atomic loads: Rd = Rt and Ra = Rt2 as destinations, Rm = Rs as source, Rn may be SP.</summary>
    public static void LoadExclusive(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Ra = Destination(op->Word, 10);
        op->Rm = Source(op->Word, 16);
        op->Rn = OrStackPointer(op->Word, 5);
    }

    /// <summary>Exclusive stores: Rd = Rt and Ra = Rt2 as sources, Rm = Rs (the status) as destination.</summary>
    public static void StoreExclusive(Op* op)
    {
        op->Rd = Source(op->Word, 0);
        op->Ra = Source(op->Word, 10);
        op->Rm = Destination(op->Word, 16);
        op->Rn = OrStackPointer(op->Word, 5);
    }

    /// <summary>CAS: Rd = Rt as source, Rm = Rs as source, Ra = Rs as destination.</summary>
    public static void CompareAndSwap(Op* op)
    {
        op->Rd = Source(op->Word, 0);
        op->Rm = Source(op->Word, 16);
        op->Ra = Destination(op->Word, 16);
        op->Rn = OrStackPointer(op->Word, 5);
    }

    /// <summary>
    /// MRS, MSR, SYS: Rd = Rt as destination, Rn = Rt as source, Imm = the index of the register's or operation's row, or all ones.
    /// </summary>
    public static void SystemRegister(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Rn = Source(op->Word, 0);
        int key = (int)Bits(op->Word, 5, 16);
        op->Imm = (ulong)(Bits(op->Word, 19, 2) == 1 ? SystemOperations.Find(key) : SystemRegisterTable.Find(key));
    }

    /// <summary>WFET, WFIT: Rn = Rt.</summary>
    public static void Timeout(Op* op) => op->Rn = Source(op->Word, 0);

    /// <summary>RMIF, SETF8, SETF16: Rn, Shift = imm6 and Extra = the mask.</summary>
    public static void FlagsOfRegister(Op* op)
    {
        op->Rn = Source(op->Word, 5);
        op->Shift = (byte)Bits(op->Word, 15, 6);
        op->Extra = (byte)Bits(op->Word, 0, 4);
    }

    /// <summary>SMAX, SMIN (immediate): Rd, Rn, Imm = imm8 with its sign.</summary>
    public static void SignedImmediate8(Op* op)
    {
        UnsignedImmediate8(op);
        op->Imm = (ulong)SignExtend((uint)op->Imm, 8);
    }

    /// <summary>UMAX, UMIN (immediate): Rd, Rn, Imm = imm8.</summary>
    public static void UnsignedImmediate8(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Rn = Source(op->Word, 5);
        op->Imm = Bits(op->Word, 10, 8);
    }

    /// <summary>A field of the word.</summary>
    public static uint Bits(uint word, int low, int count) => (word >> low) & ((1u << count) - 1);

    /// <summary>The low <paramref name="bits"/> of a value as a signed number.</summary>
    public static long SignExtend(uint value, int bits) => (long)((ulong)value << (64 - bits)) >> (64 - bits);

    /// <summary>
    /// The mask of a logical immediate (Arm ARM, DecodeBitMasks): N is bit 22, immr 21:16, imms 15:10. Reserved values are the caller's to
    /// exclude.
    /// </summary>
    public static ulong BitMask(uint word)
    {
        uint imms = Bits(word, 10, 6);
        int length = 31 - System.Numerics.BitOperations.LeadingZeroCount((Bits(word, 22, 1) << 6) | (~imms & 0x3F));
        int size = 1 << length;
        int ones = (int)(imms & (uint)(size - 1)) + 1;
        int rotation = (int)(Bits(word, 16, 6) & (uint)(size - 1));
        ulong element = ones == 64 ? ulong.MaxValue : (1ul << ones) - 1;
        if (rotation != 0)
        {
            element = (element >> rotation) | (element << (size - rotation));
        }

        if (size < 64)
        {
            element &= (1ul << size) - 1;
            for (; size < 64; size *= 2)
            {
                element |= element << size;
            }
        }

        return word >> 31 != 0 ? element : (uint)element;
    }

    private static byte Source(uint word, int shift) => (byte)((word >> shift) & 31);

    private static byte Destination(uint word, int shift)
    {
        uint register = (word >> shift) & 31;
        return register == 31 ? (byte)CpuState.Sink : (byte)register;
    }

    private static byte OrStackPointer(uint word, int shift)
    {
        uint register = (word >> shift) & 31;
        return register == 31 ? (byte)CpuState.Sp : (byte)register;
    }
}

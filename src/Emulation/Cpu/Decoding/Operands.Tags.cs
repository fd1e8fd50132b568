using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Decoding;

/// <content>Operand forms of memory tagging.</content>
public static unsafe partial class Operands
{
    private const int GranuleShift = 4;

    /// <summary>ADDG, SUBG: Rd and Rn may be SP; Imm = the offset in bytes, Shift = the offset of the tag.</summary>
    public static void AddSubTag(Op* op)
    {
        op->Rd = OrStackPointer(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Imm = Bits(op->Word, 16, 6) * (ulong)TagMemory.Granule;
        op->Shift = (byte)Bits(op->Word, 10, 4);
    }

    /// <summary>IRG: Rd and Rn may be SP.</summary>
    public static void InsertTag(Op* op)
    {
        op->Rd = OrStackPointer(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Rm = Source(op->Word, 16);
    }

    /// <summary>GMI: Rn may be SP.</summary>
    public static void TagMask(Op* op)
    {
        InsertTag(op);
        op->Rd = Destination(op->Word, 0);
    }

    /// <summary>SUBP, SUBPS: Rn and Rm may be SP.</summary>
    public static void SubtractPointers(Op* op)
    {
        TagMask(op);
        op->Rm = OrStackPointer(op->Word, 16);
    }

    /// <summary>LDG: Rd = Rt as destination, Ra = Rt as source, Rn may be SP, Imm = the offset in bytes.</summary>
    public static void LoadTag(Op* op)
    {
        LoadImm9(op);
        op->Ra = Source(op->Word, 0);
        op->Imm <<= GranuleShift;
    }

    /// <summary>STG and its kin: Rd = Rt, which has the tag and may be SP; Imm = the offset in bytes.</summary>
    public static void StoreTag(Op* op)
    {
        LoadImm9(op);
        op->Rd = OrStackPointer(op->Word, 0);
        op->Imm <<= GranuleShift;
    }

    /// <summary>STGP: Rd = Rt, Ra = Rt2, Imm = the offset in bytes.</summary>
    public static void StoreTagAndPair(Op* op)
    {
        op->Rd = Source(op->Word, 0);
        op->Ra = Source(op->Word, 10);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Imm = (ulong)SignExtend(Bits(op->Word, 15, 7), 7) << GranuleShift;
    }

    /// <summary>LDGM, STGM, STZGM: Rd = Rt as destination, Ra = Rt as source, Rn may be SP.</summary>
    public static void TagBlock(Op* op)
    {
        op->Rd = Destination(op->Word, 0);
        op->Ra = Source(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
    }
}

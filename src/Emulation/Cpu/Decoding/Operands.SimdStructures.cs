using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>Forms of the loads and stores of structures: Rd is the first V register, Rn the base, which may be SP.</summary>
public static unsafe partial class Operands
{
    /// <summary>LD1–LD4, ST1–ST4 (multiple structures).</summary>
    public static void SimdMultipleStructures(Op* op)
    {
        SimdBase(op);
        op->Extra = (byte)Field(op, 10, 2);
        op->Shift = VectorBytes(op);
        op->Ra = Field(op, 12, 4) switch
        {
            0b0000 or 0b0010 => 4,
            0b0100 or 0b0110 => 3,
            0b0111 => 1,
            _ => 2,
        };
        PostIndex(op, (uint)(op->Ra * op->Shift));
    }

    /// <summary>One lane of LD1–LD4, ST1–ST4: the index is Q:S:size without the bits that the element size takes.</summary>
    public static void SimdSingleStructure(Op* op)
    {
        SimdBase(op);
        uint index = (Field(op, 30, 1) << 3) | Field(op, 10, 3);
        uint scale = Field(op, 14, 2);
        if (scale == 2 && (index & 1) != 0)
        {
            scale = 3;
        }

        op->Extra = (byte)scale;
        op->Shift = (byte)(index >> (int)scale);
        op->Ra = StructureRegisters(op);
        PostIndex(op, (uint)op->Ra << (int)scale);
    }

    /// <summary>LD1R–LD4R.</summary>
    public static void SimdReplicate(Op* op)
    {
        SimdBase(op);
        op->Extra = (byte)Field(op, 10, 2);
        op->Shift = VectorBytes(op);
        op->Ra = StructureRegisters(op);
        PostIndex(op, (uint)op->Ra << op->Extra);
    }

    // opcode<0>:R
    private static byte StructureRegisters(Op* op) => (byte)(((Field(op, 13, 1) << 1) | Field(op, 21, 1)) + 1);

    private static void PostIndex(Op* op, uint bytes)
    {
        op->Rm = Source(op->Word, 16);
        bool indexed = Field(op, 23, 1) != 0;
        op->Imm = !indexed ? 0 : op->Rm == 31 ? bytes : ulong.MaxValue;
    }

    private static void SimdBase(Op* op)
    {
        op->Rd = (byte)Field(op, 0, 5);
        op->Rn = OrStackPointer(op->Word, 5);
    }
}

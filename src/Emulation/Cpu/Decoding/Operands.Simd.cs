using System.Numerics;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>
/// Forms of Advanced SIMD data processing. Register fields are V register numbers. <see cref="Op.Extra"/>: log2 of the element bytes
/// (of the narrow elements where two sizes meet); <see cref="Op.Shift"/>: bytes the element loop covers (of narrow elements likewise);
/// <see cref="Op.Ra"/>: 8 when a "2" form selects the high half, else 0; <see cref="Op.Imm"/>: an element index, a signed shift
/// amount (right shifts are negative) or an immediate.
/// </summary>
public static unsafe partial class Operands
{
    /// <summary>Rd, Rn, Rm, size at 23:22, Q.</summary>
    public static void Vector(Op* op)
    {
        VectorRegisters(op);
        op->Extra = (byte)Field(op, 22, 2);
        op->Shift = VectorBytes(op);
    }

    /// <summary>One element of the size at 23:22.</summary>
    public static void VectorScalar(Op* op)
    {
        VectorRegisters(op);
        op->Extra = (byte)Field(op, 22, 2);
        op->Shift = (byte)(1 << op->Extra);
    }

    /// <summary>Bytes, whatever the size field says: RBIT.</summary>
    public static void VectorBytewise(Op* op)
    {
        VectorRegisters(op);
        op->Shift = VectorBytes(op);
    }

    /// <summary>Long, wide and narrow: size at 23:22 is that of the narrow elements, Q selects the half.</summary>
    public static void VectorLong(Op* op)
    {
        VectorRegisters(op);
        op->Extra = (byte)Field(op, 22, 2);
        op->Shift = 8;
        op->Ra = (byte)(Field(op, 30, 1) * 8);
    }

    /// <summary>SHLL: a widening shift by the element size.</summary>
    public static void VectorShiftLongBySize(Op* op)
    {
        VectorLong(op);
        op->Imm = 8ul << op->Extra;
    }

    /// <summary>Fields of an instruction by element whose result has elements of the same size. The index is H:L:M or H:L.</summary>
    public static void VectorElement(Op* op)
    {
        VectorRegisters(op);
        ElementIndex(op);
        op->Shift = VectorBytes(op);
    }

    /// <summary>Fields of a scalar instruction by element.</summary>
    public static void VectorElementScalar(Op* op)
    {
        VectorRegisters(op);
        ElementIndex(op);
        op->Shift = (byte)(1 << op->Extra);
    }

    /// <summary>Fields of an instruction by element whose result has elements of twice the size.</summary>
    public static void VectorElementLong(Op* op)
    {
        VectorRegisters(op);
        ElementIndex(op);
        op->Shift = 8;
        op->Ra = (byte)(Field(op, 30, 1) * 8);
    }

    /// <summary>Shift left by immediate: immh:immb minus the element size.</summary>
    public static void VectorShiftLeft(Op* op)
    {
        ShiftSize(op);
        op->Imm = Field(op, 16, 7) - (8ul << op->Extra);
        op->Shift = VectorBytes(op);
    }

    /// <summary>Shift right by immediate: twice the element size minus immh:immb, negated.</summary>
    public static void VectorShiftRight(Op* op)
    {
        ShiftSize(op);
        op->Imm = Field(op, 16, 7) - (16ul << op->Extra);
        op->Shift = VectorBytes(op);
    }

    /// <summary>Shift left by immediate, scalar.</summary>
    public static void VectorShiftLeftScalar(Op* op)
    {
        VectorShiftLeft(op);
        op->Shift = (byte)(1 << op->Extra);
    }

    /// <summary>Shift right by immediate, scalar.</summary>
    public static void VectorShiftRightScalar(Op* op)
    {
        VectorShiftRight(op);
        op->Shift = (byte)(1 << op->Extra);
    }

    /// <summary>Shift left long by immediate.</summary>
    public static void VectorShiftLeftLong(Op* op)
    {
        VectorShiftLeft(op);
        op->Shift = 8;
        op->Ra = (byte)(Field(op, 30, 1) * 8);
    }

    /// <summary>Shift right narrow by immediate.</summary>
    public static void VectorShiftRightNarrow(Op* op)
    {
        VectorShiftRight(op);
        op->Shift = 8;
        op->Ra = (byte)(Field(op, 30, 1) * 8);
    }

    /// <summary>Element of a copy: imm5 gives the size as its lowest one, and the index above that; Shift is the result's bytes.</summary>
    public static void VectorCopy(Op* op)
    {
        VectorRegisters(op);
        uint imm5 = Field(op, 16, 5);
        op->Extra = (byte)BitOperations.TrailingZeroCount(imm5);
        op->Imm = imm5 >> (op->Extra + 1);
        op->Shift = VectorBytes(op);
    }

    /// <summary>DUP (scalar).</summary>
    public static void VectorCopyScalar(Op* op)
    {
        VectorCopy(op);
        op->Shift = (byte)(1 << op->Extra);
    }

    /// <summary>A general register as the source of a copy.</summary>
    public static void VectorCopyFromGeneral(Op* op)
    {
        VectorCopy(op);
        op->Rn = Source(op->Word, 5);
    }

    /// <summary>A general register as the destination of a copy.</summary>
    public static void VectorCopyToGeneral(Op* op)
    {
        VectorCopy(op);
        op->Rd = Destination(op->Word, 0);
    }

    /// <summary>INS (element): the source's index, imm4, in <see cref="Op.Ra"/>.</summary>
    public static void VectorInsertElement(Op* op)
    {
        VectorCopy(op);
        op->Ra = (byte)(Field(op, 11, 4) >> op->Extra);
    }

    /// <summary>EXT: the byte offset in Imm.</summary>
    public static void VectorExtract(Op* op)
    {
        VectorRegisters(op);
        op->Shift = VectorBytes(op);
        op->Imm = Field(op, 11, 4);
    }

    /// <summary>XAR: Shift is the rotation to the right.</summary>
    public static void VectorRotation(Op* op)
    {
        VectorRegisters(op);
        op->Shift = (byte)Field(op, 10, 6);
    }

    /// <summary>TBL, TBX: the number of table bytes in Imm.</summary>
    public static void VectorTable(Op* op)
    {
        VectorRegisters(op);
        op->Shift = VectorBytes(op);
        op->Imm = 16 * (Field(op, 13, 2) + 1);
    }

    /// <summary>Modified immediate: <see cref="Op.Imm"/> is the 64 bits, inverted already for MVNI (Arm ARM AdvSIMDExpandImm).</summary>
    public static void VectorModifiedImmediate(Op* op)
    {
        op->Rd = (byte)Field(op, 0, 5);
        op->Rn = op->Rd;
        op->Shift = VectorBytes(op);
        ulong imm8 = (Field(op, 16, 3) << 5) | Field(op, 5, 5);
        uint cmode = Field(op, 12, 4);
        bool inverted = Field(op, 29, 1) != 0;
        op->Imm = cmode switch
        {
            < 8 => (imm8 << (int)(8 * (cmode >> 1))) * 0x0000_0001_0000_0001,
            < 12 => (imm8 << (int)(8 * ((cmode >> 1) & 1))) * 0x0001_0001_0001_0001,
            12 => ((imm8 << 8) | 0xFF) * 0x0000_0001_0000_0001,
            13 => ((imm8 << 16) | 0xFFFF) * 0x0000_0001_0000_0001,
            _ when !inverted => imm8 * 0x0101_0101_0101_0101,
            _ => ByteMask(imm8),
        };

        // MVNI is a MOVI of the complement; BIC keeps its operand.
        if (inverted && cmode < 14 && (cmode >= 12 || (cmode & 1) == 0))
        {
            op->Imm = ~op->Imm;
        }
    }

    private static uint Field(Op* op, int low, int width) => (op->Word >> low) & ((1u << width) - 1);

    private static void VectorRegisters(Op* op)
    {
        op->Rd = (byte)Field(op, 0, 5);
        op->Rn = (byte)Field(op, 5, 5);
        op->Rm = (byte)Field(op, 16, 5);
    }

    private static byte VectorBytes(Op* op) => (byte)(8 << (int)Field(op, 30, 1));

    // Halfwords have 8 elements, indexed by H:L:M, in V0–V15; words 4, indexed by H:L.
    private static void ElementIndex(Op* op)
    {
        op->Extra = (byte)Field(op, 22, 2);
        uint hl = (Field(op, 11, 1) << 1) | Field(op, 21, 1);
        if (op->Extra == 1)
        {
            op->Imm = (hl << 1) | Field(op, 20, 1);
            op->Rm = (byte)Field(op, 16, 4);
        }
        else
        {
            op->Imm = hl;
        }
    }

    private static void ShiftSize(Op* op)
    {
        VectorRegisters(op);
        op->Extra = (byte)BitOperations.Log2(Field(op, 19, 4));
    }

    // Each of eight bits to a byte of ones or zeros.
    private static ulong ByteMask(ulong imm8)
    {
        ulong mask = 0;
        for (int i = 0; i < 8; i++)
        {
            mask |= ((imm8 >> i) & 1) * (0xFFul << (8 * i));
        }

        return mask;
    }
}

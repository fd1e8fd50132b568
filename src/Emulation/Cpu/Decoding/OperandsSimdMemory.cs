using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>
/// Operand forms of SIMD&amp;FP loads and stores: Rd and Ra are V registers, so 31 is V31. The scale of the offset is opc&lt;1&gt;:size for
/// single registers and opc + 2 for pairs.
/// </summary>
public static unsafe class OperandsSimdMemory
{
    private static int Scale(uint word) => (int)((Operands.Bits(word, 23, 1) << 2) | (word >> 30));

    public static void UnsignedOffset(Op* op)
    {
        Operands.LoadImm9(op);
        op->Rd = (byte)Operands.Bits(op->Word, 0, 5);
        op->Imm = (ulong)Operands.Bits(op->Word, 10, 12) << Scale(op->Word);
    }

    public static void Imm9(Op* op)
    {
        Operands.LoadImm9(op);
        op->Rd = (byte)Operands.Bits(op->Word, 0, 5);
    }

    public static void RegisterOffset(Op* op)
    {
        Operands.LoadRegisterOffset(op);
        op->Rd = (byte)Operands.Bits(op->Word, 0, 5);
        op->Shift = (byte)(Operands.Bits(op->Word, 12, 1) * (uint)Scale(op->Word));
    }

    public static void Literal(Op* op)
    {
        Operands.LoadLiteral(op);
        op->Rd = (byte)Operands.Bits(op->Word, 0, 5);
    }

    public static void Pair(Op* op)
    {
        Operands.LoadImm9(op);
        op->Rd = (byte)Operands.Bits(op->Word, 0, 5);
        op->Ra = (byte)Operands.Bits(op->Word, 10, 5);
        op->Imm = (ulong)(Operands.SignExtend(Operands.Bits(op->Word, 15, 7), 7) << (int)((op->Word >> 30) + 2));
    }
}

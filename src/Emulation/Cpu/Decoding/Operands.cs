using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Decoding;

/// <summary>
/// Operand forms: each fills the operand fields of an op from its word, so that the handler need not look at the word again.
/// Register 31 is resolved here: to <see cref="CpuState.Zr"/> as a source, <see cref="CpuState.Sink"/> as a destination, or
/// <see cref="CpuState.Sp"/> where the instruction means the stack pointer.
/// </summary>
public static unsafe partial class Operands
{
    /// <summary>For handlers that read the word themselves.</summary>
    public static void None(Op* op)
    {
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

    /// <summary>ADD/SUB (immediate): Rd and Rn may be SP; imm12, shifted by 12 when sh is set.</summary>
    public static void AddSubImmediate(Op* op)
    {
        op->Rd = OrStackPointer(op->Word, 0);
        op->Rn = OrStackPointer(op->Word, 5);
        op->Imm = ((op->Word >> 10) & 0xFFF) << (((op->Word >> 22) & 1) != 0 ? 12 : 0);
    }
}

using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>
/// One decoded instruction: 32 bytes. A <see cref="CodePage"/> of the interpreter has one for each word. It is written once, under the code
/// cache's lock, with <see cref="Handler"/> last. Translated code leaves some instructions to their handlers. It keeps copies of their ops
/// behind its exits.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
public unsafe struct Op
{
    /// <summary>
    /// Executes the instruction and returns the op to execute next: the following one, the target of a branch, or null to leave
    /// the run loop with <see cref="CpuState.Pc"/> set and the reason in <see cref="VcpuCore.ExitReason"/>.
    /// </summary>
    public delegate*<VcpuCore, CpuState*, Op*, Op*> Handler;

    /// <summary>The immediate in the form that the handler uses: extended, scaled, or a branch displacement in bytes.</summary>
    public ulong Imm;

    /// <summary>The instruction word.</summary>
    public uint Word;

    /// <summary>
    /// Slots in <see cref="CpuState.X"/>, with ZR and SP resolved by the operand form; Rt is <see cref="Rd"/>, Rt2 and Rs are
    /// <see cref="Ra"/>.
    /// </summary>
    public byte Rd;
    public byte Rn;
    public byte Rm;
    public byte Ra;

    /// <summary>Byte offset in the 4 KiB page: bits 11:0 of the PC (4096 in the op after the last).</summary>
    public ushort Offset;

    /// <summary>Index of the row in <see cref="Decoding.EncodingTable"/>.</summary>
    public ushort Row;

    /// <summary>A shift amount, condition or other small operand.</summary>
    public byte Shift;

    /// <summary>A second small operand.</summary>
    public byte Extra;

    /// <summary>
    /// 0 until the fields above are filled; <see cref="Unallocated"/> when the word is UNDEFINED. Owner: the holder of the code cache's
    /// lock.
    /// </summary>
    public byte Decoded;

    public const byte Allocated = 1;
    public const byte Unallocated = 2;

    /// <summary>Whether the word is an instruction that the CPU has. False also while the op is not decoded.</summary>
    public readonly bool IsAllocated => Decoded == Allocated;
}

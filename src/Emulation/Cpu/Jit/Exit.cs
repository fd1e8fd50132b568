using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>Why translated code returned.</summary>
internal enum ExitKind
{
    /// <summary>The jump cache does not know the address in <see cref="CpuState.Pc"/>.</summary>
    Lookup,

    /// <summary>An instruction is for the interpreter: it is not translated, or its memory access missed the TLB.</summary>
    Interpret,

    /// <summary>A jump inside the page goes to code that is to be translated, and the jump to be pointed there.</summary>
    Link,

    /// <summary>Attention or the end of the budget before an instruction.</summary>
    Attention,

    /// <summary>
    /// Accesses that were to be checked together lie in two pages: code that checks each is to be translated, and the jump to be pointed
    /// there.
    /// </summary>
    Apart,
}

/// <summary>What an exit says, in the code just behind the call that leaves: its address is in <see cref="CpuState.Exit"/>.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public unsafe struct ExitInfo
{
    /// <summary>
    /// Interpret: where the decoded instruction is, from the address of this field. Others: the offset in the page to go on at, in bytes.
    /// </summary>
    public int Where;

    /// <summary>Interpret: instructions executed before it that are not yet taken off the budget.</summary>
    public byte Count;

    /// <summary>Interpret: the code goes on only if the translations in force did not change.</summary>
    public bool Relies;

    /// <summary>Which of <see cref="VcpuCounters.Exits"/> counts it.</summary>
    public ushort Counter;

    /// <summary>Interpret: where the code goes on. Link, Apart: the displacement of the jump. From the address of this field.</summary>
    public int Place;

    /// <summary>The page of the instruction, by number in the translation cache.</summary>
    public int Page;

    /// <summary>Link, Apart: the block, from the address of this field. Other exits end before it.</summary>
    public int Block;

    /// <summary>Bytes before <see cref="Block"/>.</summary>
    public const int CommonSize = 16;
}

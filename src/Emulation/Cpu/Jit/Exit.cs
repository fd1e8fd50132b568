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
    /// The bytes of a cover lie in two pages. A block in which each access does its own look-up is to be translated, and the jump to be
    /// pointed there.
    /// </summary>
    Apart,
}

/// <summary>What an exit says. It lies just behind the call that leaves, and <see cref="CpuState.Exit"/> points to it.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public unsafe struct ExitInfo
{
    /// <summary>
    /// Interpret: the distance from this field to the decoded instruction. Others: the offset in the page to go on at, in bytes.
    /// </summary>
    public int Where;

    /// <summary>Interpret: instructions executed before it that are not yet taken off the budget.</summary>
    public byte Count;

    /// <summary>Interpret: the code goes on only if the translations in force did not change.</summary>
    public bool Relies;

    /// <summary>Which of <see cref="VcpuCounters.Exits"/> counts it.</summary>
    public ushort Counter;

    /// <summary>
    /// The distance from this field: for Interpret to where the code goes on, for Link and Apart to the place in the jump that is changed
    /// when it is linked.
    /// </summary>
    public int Place;

    /// <summary>The page of the instruction, by number in the translation cache.</summary>
    public int Page;

    /// <summary>Link, Apart: the distance from this field to the <see cref="CodeBlock"/>. Other exits end before this field.</summary>
    public int Block;

    /// <summary>Bytes before <see cref="Block"/>.</summary>
    public const int CommonSize = 16;
}

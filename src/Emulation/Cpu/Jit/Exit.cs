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
}

/// <summary>What an exit says, in the code just behind the call that leaves: its address is in <see cref="CpuState.Exit"/>.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public unsafe struct ExitInfo
{
    /// <summary>The instruction to interpret, or to go on at.</summary>
    public Op* Op;

    /// <summary>Interpret: instructions executed before it that are not yet taken off the budget.</summary>
    public int Count;

    /// <summary>Interpret: where the code goes on. Link: the displacement of the jump. From the address of this field.</summary>
    public int Place;

    /// <summary>The page of <see cref="Op"/>, by number in the translation cache.</summary>
    public int Page;
}

/// <summary>An entry of the jump cache: code for an instruction, by its virtual address.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct JumpCacheEntry
{
    public const int Count = 2048;

    /// <summary>Or <see cref="NoAddress"/>.</summary>
    public ulong Va;
    public byte* Code;

    /// <summary>What an empty entry holds: a branch may go to any address, also a misaligned one, but one that is looked for in this entry is never this.</summary>
    public static ulong NoAddress(int index) => ~((ulong)index << 2);
}

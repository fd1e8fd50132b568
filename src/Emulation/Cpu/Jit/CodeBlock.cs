using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// What the translation cache knows of a block, at the start of its cold part. Places are offsets from the start of the memory for code.
/// Owner: whoever holds the lock of the translation cache.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CodeBlock
{
    /// <summary>Lines of the page, by bit, that its code depends on; 0 once the block is given up.</summary>
    public ulong Lines;

    // As in BlockCode.
    public int Hot;
    public int HotEnd;
    public int Ways;
    public int ColdEnd;

    /// <summary>Number of the page.</summary>
    public int Page;

    /// <summary>The next block in force of the page, or 0.</summary>
    public int Next;

    /// <summary>Not once one of its lines has changed.</summary>
    public readonly bool InForce => Lines != 0;

    public readonly int Bytes(int cold) => HotEnd - Hot + ColdEnd - cold;
}

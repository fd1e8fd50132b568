using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>
/// One 4 KiB translation for loads and stores. An access of <c>size</c> bytes at <c>va</c> hits when the tag equals
/// <c>(va + size - 1) &amp; ~0xFFF</c>, so one that leaves the page misses. Pages that need more than a host load or store (devices,
/// alignment checks, watchpoints) are never given a tag.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = TlbEntry.Size)]
public struct TlbEntry
{
    /// <summary>
    /// A tag no address can have: not a multiple of the page size, nor with the low bits that misaligned accesses leave in it.
    /// </summary>
    public const ulong Invalid = 0x800;

    /// <summary>
    /// Set in the tags of a page whose accesses are checked against tags of memory: no fast path finds them. Like <see cref="Invalid"/> no
    /// misaligned access leaves this bit.
    /// </summary>
    public const ulong Checked = 0x400;

    /// <summary>Bytes of an entry.</summary>
    public const int Size = 32;

    /// <summary>Entries in a set, indexed by bits 23:12 of the virtual address.</summary>
    public const int Count = 4096;

    // Offsets of the fields, in bytes, for translated code.
    public const int ReadTagOffset = 0;
    public const int WriteTagOffset = 8;
    public const int AddendOffset = 16;

    public ulong ReadTag;

    /// <summary>The read tag, or <see cref="Invalid"/> where stores are not allowed.</summary>
    public ulong WriteTag;

    /// <summary>Host address = virtual address + addend.</summary>
    public nint Addend;

    /// <summary>log2 of the size of the page or block that this is a piece of; 0 in an entry that was never filled.</summary>
    public int SizeBits;

    /// <summary>1 when the translation holds for all ASIDs (nG = 0).</summary>
    public int Global;
}

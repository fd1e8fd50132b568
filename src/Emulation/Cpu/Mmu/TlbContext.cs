using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;

namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>
/// The cached translations of one pair of translation tables: a set for each view of memory. A vCPU keeps the contexts
/// that it used last, so that a switch of TTBR0 and back finds its translations again.
/// </summary>
internal sealed unsafe class TlbContext : IDisposable
{
    public const int ViewEl0 = 0;
    public const int ViewEl1Pan = 1;
    public const int ViewEl1 = 2;
    public const int Views = 3;
    private const int InstructionEntries = 256;
    private const ulong PageMask = ~0xFFFul;

    internal struct InstructionEntry
    {
        /// <summary>Virtual address of the page, or 1 for none.</summary>
        public ulong Tag;
        public CodePage? Page;
    }

    private TlbEntry* _entries = (TlbEntry*)NativeMemory.AlignedAlloc(Views * TlbEntry.Count * (nuint)sizeof(TlbEntry), 64);
    private readonly InstructionEntry[] _instructions = new InstructionEntry[2 * InstructionEntries];

    // What blocks larger than a granule cover, in the lower and the upper half: invalidating an address there may mean a block
    // of which many pieces are cached.
    private readonly ulong[] _blockBase = new ulong[2];
    private readonly ulong[] _blockMask = new ulong[2];

    public TlbContext() => Clear();

    public ulong Ttbr0 { get; set; }

    public ulong Ttbr1 { get; set; }

    /// <summary>Set when a full invalidation is due before the context is used again.</summary>
    public bool Stale { get; set; }

    /// <summary>When it was used last, in switches; the oldest context is given up first.</summary>
    public long LastUse { get; set; }

    public TlbEntry* View(int view) => _entries + (view * TlbEntry.Count);

    public ref InstructionEntry Instruction(int exceptionLevel, ulong va) =>
        ref _instructions[(exceptionLevel * InstructionEntries) + (int)((va >> 12) & (InstructionEntries - 1))];

    public void Clear()
    {
        for (int i = 0; i < Views * TlbEntry.Count; i++)
        {
            _entries[i].ReadTag = TlbEntry.Invalid;
            _entries[i].WriteTag = TlbEntry.Invalid;
        }

        _blockMask[0] = _blockMask[1] = 0;
        ClearInstructions();
        Stale = false;
    }

    /// <summary>Notes that a piece of a block of 2^<paramref name="bits"/> bytes is cached.</summary>
    public void NoteBlock(ulong va, int bits)
    {
        int half = (int)(va >> 55) & 1;
        ulong mask = ulong.MaxValue << bits;
        if (_blockMask[half] == 0)
        {
            _blockBase[half] = va & mask;
            _blockMask[half] = mask;
            return;
        }

        mask &= _blockMask[half];
        while (((_blockBase[half] ^ va) & mask) != 0)
        {
            mask <<= 1;
        }

        _blockBase[half] &= mask;
        _blockMask[half] = mask;
    }

    /// <summary>TLBI by address: forgets the page of 2^<paramref name="granuleBits"/> bytes, or everything where blocks are.</summary>
    public void Invalidate(ulong va, int granuleBits)
    {
        int half = (int)(va >> 55) & 1;
        if (_blockMask[half] != 0 && ((_blockBase[half] ^ va) & _blockMask[half] & 0x00FF_FFFF_FFFF_FFFF) == 0)
        {
            Clear();
            return;
        }

        ulong first = va & (ulong.MaxValue << granuleBits);
        for (ulong offset = 0; offset < 1ul << granuleBits; offset += 4096)
        {
            InvalidatePage(first + offset);
        }
    }

    public void ClearInstructions() => Array.Fill(_instructions, new InstructionEntry { Tag = TlbEntry.Invalid });

    // Forgets the translations of one 4 KiB piece, whatever its top byte.
    private void InvalidatePage(ulong va)
    {
        for (int view = 0; view < Views; view++)
        {
            TlbEntry* entry = View(view) + ((va >> 12) & (TlbEntry.Count - 1));
            if (((entry->ReadTag ^ va) & PageMask & 0x00FF_FFFF_FFFF_FFFF) == 0)
            {
                entry->ReadTag = TlbEntry.Invalid;
            }

            if (((entry->WriteTag ^ va) & PageMask & 0x00FF_FFFF_FFFF_FFFF) == 0)
            {
                entry->WriteTag = TlbEntry.Invalid;
            }
        }

        Instruction(0, va).Tag = TlbEntry.Invalid;
        Instruction(1, va).Tag = TlbEntry.Invalid;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_entries);
        _entries = null;
    }
}

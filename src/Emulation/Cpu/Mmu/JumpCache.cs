using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>An entry of the jump cache: code for an instruction, by its virtual address.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct JumpCacheEntry
{
    /// <summary>Bytes of an entry.</summary>
    public const int Size = 16;

    /// <summary>Entries of a cache, indexed by bits 15:2 of the virtual address.</summary>
    public const int Count = 16384;

    /// <summary>
    /// The number of second places behind them, for entries that had to give way. The index is bits 14:2 of the address exclusive or bits
    /// 28:16.
    /// </summary>
    public const int SecondCount = 8192;

    /// <summary>The distance from bit 16 to bit 2 of the address.</summary>
    public const int SecondShift = 14;

    /// <summary>
    /// The virtual address, or <see cref="NoAddress"/> in an empty entry. An entry that was never written holds 0. That is never taken for
    /// address 0, because the two places of address 0 are always written.
    /// </summary>
    public ulong Va;
    public byte* Code;

    public static int IndexOf(ulong va) => (int)(va >> 2) & (Count - 1);

    /// <summary>The other place, in the same array.</summary>
    public static int SecondIndexOf(ulong va) => Count + ((int)((va ^ (va >> SecondShift)) >> 2) & (SecondCount - 1));

    /// <summary>
    /// The address in an empty entry. It is misaligned, so no instruction is there. A branch may go to a misaligned address, but this one
    /// is looked for in another entry.
    /// </summary>
    public static ulong NoAddress(int index) => ~((ulong)index << 2);
}

/// <summary>
/// Translated code by virtual address, for indirect jumps and for jumps to other pages. Each address space has a jump cache for EL0. EL1
/// has one, which all address spaces share while it holds only global code. An address has two places. The first holds the address that
/// was noted last, and translated code looks there itself; a thunk looks at the second. Two places are needed because functions of Linux
/// that run together are megabytes apart: with one place a fork misses 260 times, an exec 1,000 times. Owner: the vCPU's thread.
/// </summary>
internal sealed unsafe class JumpCache : IDisposable
{
    // A cache with no more entries than this is cleared by its list of them.
    private const int RememberedNotes = 1024;
    private const int EntriesOfPart = SparseTable.PartSize / JumpCacheEntry.Size;
    private const int All = JumpCacheEntry.Count + JumpCacheEntry.SecondCount;

    private readonly PageSizes _sizes = new();
    private readonly ushort[] _notes = new ushort[RememberedNotes];
    private int _noteCount = int.MaxValue;
    private readonly SparseTable _table = new(All * JumpCacheEntry.Size);
    private readonly JumpCacheEntry* _entries;

    public JumpCache()
    {
        _entries = (JumpCacheEntry*)_table.Start;
        Clear();
    }

    public JumpCacheEntry* Entries => _entries;

    /// <summary>
    /// Whether the cache holds code of one pair of translation tables: code that is not global, or that lies in the lower half of the
    /// address space.
    /// </summary>
    public bool AnyLocal { get; private set; }

    /// <summary>Whether it holds code in global pages.</summary>
    public bool AnyGlobal { get; private set; }

    /// <summary>Lets jumps to an address find its code.</summary>
    /// <param name="sizeBits">log2 of the size of the page or block that maps the address.</param>
    public void Note(ulong va, int sizeBits, bool global, byte* code)
    {
        int index = JumpCacheEntry.IndexOf(va);
        ulong there = _entries[index].Va;
        if (there != va && there != 0 && there != JumpCacheEntry.NoAddress(index))
        {
            int second = JumpCacheEntry.SecondIndexOf(there);
            Remember(second);
            _entries[second] = _entries[index];
        }

        Remember(index);
        _entries[index].Va = va;
        _entries[index].Code = code;
        _sizes.Note(va, sizeBits);
        AnyGlobal |= global;
        AnyLocal |= !global || ((va >> 55) & 1) == 0;
    }

    /// <summary>The code of an address in a cache's entries, or null.</summary>
    public static byte* Find(JumpCacheEntry* entries, ulong va)
    {
        JumpCacheEntry* first = entries + JumpCacheEntry.IndexOf(va);
        JumpCacheEntry* second = entries + JumpCacheEntry.SecondIndexOf(va);
        return first->Va == va ? first->Code : second->Va == va ? second->Code : null;
    }

    // Before an entry is written.
    private void Remember(int index)
    {
        _table.Touch(index * JumpCacheEntry.Size);
        if (_noteCount < RememberedNotes)
        {
            _notes[_noteCount++] = (ushort)index;
        }
        else
        {
            _noteCount = int.MaxValue;
        }
    }

    public void Clear()
    {
        if (_noteCount <= RememberedNotes)
        {
            foreach (ushort index in _notes.AsSpan(0, _noteCount))
            {
                _entries[index].Va = JumpCacheEntry.NoAddress(index);
            }
        }
        else
        {
            _table.Clear();
            _entries[0].Va = JumpCacheEntry.NoAddress(0);
            _entries[JumpCacheEntry.Count].Va = JumpCacheEntry.NoAddress(JumpCacheEntry.Count);
        }

        _noteCount = 0;
        _sizes.Clear();
        AnyLocal = AnyGlobal = false;
    }

    /// <summary>Forgets the code in every page and block that holds an address.</summary>
    public void Invalidate(ulong va)
    {
        for (int i = 0; i < _sizes.Count; i++)
        {
            if (!_sizes.MayHold(i, va))
            {
                continue;
            }

            ulong region = (ulong.MaxValue << _sizes.SizeBits(i)) & TlbContext.AddressBits;
            bool page = _sizes.SizeBits(i) == GuestMemory.PageShift;
            if (page)
            {
                // The first places of a page's instructions are one stretch of entries, and so are the second places. The order inside
                // a stretch may differ.
                Forget(va, region, JumpCacheEntry.IndexOf(va) & ~(CodePage.Words - 1), CodePage.Words);
                Forget(va, region, JumpCacheEntry.SecondIndexOf(va) & ~(CodePage.Words - 1), CodePage.Words);
            }
            else
            {
                Forget(va, region, 0, All);
            }
        }
    }

    private void Forget(ulong va, ulong region, int first, int count)
    {
        for (int part = first / EntriesOfPart; part < (first + count) / EntriesOfPart; part++)
        {
            if (!_table.IsTouched(part))
            {
                continue;
            }

            JumpCacheEntry* entries = _entries;
            for (int i = part * EntriesOfPart; i < (part + 1) * EntriesOfPart; i++)
            {
                if (((entries[i].Va ^ va) & region) == 0)
                {
                    entries[i].Va = JumpCacheEntry.NoAddress(i);
                }
            }
        }
    }

    public void Dispose() => _table.Dispose();
}

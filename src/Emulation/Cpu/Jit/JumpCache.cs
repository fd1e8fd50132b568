using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>An entry of the jump cache: code for an instruction, by its virtual address.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct JumpCacheEntry
{
    /// <summary>Entries of a cache, indexed by bits 15:2 of the virtual address.</summary>
    public const int Count = 16384;

    /// <summary>Or <see cref="NoAddress"/>.</summary>
    public ulong Va;
    public byte* Code;

    /// <summary>What an empty entry holds: a branch may go to any address, also a misaligned one, but one that is looked for in this entry is never this.</summary>
    public static ulong NoAddress(int index) => ~((ulong)index << 2);
}

/// <summary>
/// Where jumps to other pages, and indirect ones, find translated code by virtual address. One for each address space at EL0, and one for EL1, which all address spaces
/// share while what it holds is global. Owner: the thread of the vCPU.
/// </summary>
internal sealed unsafe class JumpCache : IDisposable
{
    // A cache with no more entries than this is cleared by its list of them.
    private const int RememberedNotes = 1024;

    private readonly PageSizes _sizes = new();
    private readonly ushort[] _notes = new ushort[RememberedNotes];
    private int _noteCount = int.MaxValue;
    private JumpCacheEntry* _entries = (JumpCacheEntry*)NativeMemory.AlignedAlloc(JumpCacheEntry.Count * (nuint)sizeof(JumpCacheEntry), 64);

    public JumpCache() => Clear();

    public JumpCacheEntry* Entries => _entries;

    /// <summary>Whether it holds code that is not global, or in the lower half of the address space: it is of one pair of translation tables only.</summary>
    public bool AnyLocal { get; private set; }

    /// <summary>Whether it holds code in global pages.</summary>
    public bool AnyGlobal { get; private set; }

    /// <summary>Lets jumps to an address find its code.</summary>
    /// <param name="sizeBits">log2 of the size of the page or block that maps the address.</param>
    public void Note(ulong va, int sizeBits, bool global, byte* code)
    {
        int index = (int)(va >> 2) & (JumpCacheEntry.Count - 1);
        _entries[index].Va = va;
        _entries[index].Code = code;
        _sizes.Note(va, sizeBits);
        AnyGlobal |= global;
        AnyLocal |= !global || ((va >> 55) & 1) == 0;
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
            for (int i = 0; i < JumpCacheEntry.Count; i++)
            {
                _entries[i].Va = JumpCacheEntry.NoAddress(i);
            }
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
            int first = page ? (int)((va & ~(ulong)(GuestMemory.PageSize - 1)) >> 2) & (JumpCacheEntry.Count - 1) : 0;
            int count = page ? CodePage.Words : JumpCacheEntry.Count;
            for (int k = first; k < first + count; k++)
            {
                if (((_entries[k].Va ^ va) & region) == 0)
                {
                    _entries[k].Va = JumpCacheEntry.NoAddress(k);
                }
            }
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_entries);
        _entries = null;
    }
}

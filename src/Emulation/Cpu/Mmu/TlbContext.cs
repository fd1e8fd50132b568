using System.Runtime.InteropServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;

namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>
/// The cached translations of one pair of translation tables, and so of one ASID: a set for each view of memory. A vCPU keeps the
/// contexts that it used last, so that a switch of TTBR0 and back finds its translations again. Global translations are in each
/// context that has used them.
/// </summary>
internal sealed unsafe class TlbContext : IDisposable
{
    public const int ViewEl0 = 0;
    public const int ViewEl1Pan = 1;
    public const int ViewEl1 = 2;
    public const int Views = 3;
    private const int InstructionEntries = 256;

    // A context that is passed through on the way to another (Linux changes TTBR0 and TTBR1 in three steps) fills few entries; up to this
    // many are remembered, so that clearing it costs next to nothing.
    private const int RememberedFills = 256;
    private const int PageShift = 12;

    // Without the top byte, which is a tag or a copy of bit 55.
    private const ulong AddressBits = 0x00FF_FFFF_FFFF_FFFF;

    internal struct InstructionEntry
    {
        /// <summary>Virtual address of the page, or 1 for none.</summary>
        public ulong Tag;
        public CodePage? Page;
    }

    private TlbEntry* _entries = (TlbEntry*)NativeMemory.AlignedAlloc(Views * TlbEntry.Count * (nuint)sizeof(TlbEntry), 64);
    private readonly InstructionEntry[] _instructions = new InstructionEntry[2 * InstructionEntries];

    // Entries filled since the last clear: index in _entries, or Views * TlbEntry.Count + index in _instructions.
    private readonly ushort[] _fills = new ushort[RememberedFills];
    private int _fillCount = int.MaxValue;

    // Of the lower and the upper half of the address space: log2 of the largest page or block of which a piece is cached, and whether anything
    // global is.
    private readonly int[] _largest = new int[2];
    private readonly bool[] _anyGlobal = new bool[2];

    // Entries of translated code for EL0, then for EL1; null without a translator. Each page among them is in _instructions too.
    private JumpCacheEntry* _jumps;
    private bool _jumped = true;

    /// <param name="jumps">Whether translated code is to find its way by this context.</param>
    public TlbContext(bool jumps)
    {
        if (jumps)
        {
            _jumps = (JumpCacheEntry*)NativeMemory.AlignedAlloc(2 * JumpCacheEntry.Count * (nuint)sizeof(JumpCacheEntry), 64);
        }

        Clear();
    }

    public ulong Ttbr0 { get; set; }

    public ulong Ttbr1 { get; set; }

    /// <summary>Set when a full invalidation is due before the context is used again.</summary>
    public bool Stale { get; set; }

    /// <summary>When it was used last, in switches; the oldest context is given up first.</summary>
    public long LastUse { get; set; }

    public TlbEntry* View(int view) => _entries + (view * TlbEntry.Count);

    /// <summary>The jump cache of an exception level.</summary>
    public JumpCacheEntry* Jumps(int exceptionLevel) => _jumps + (exceptionLevel * JumpCacheEntry.Count);

    /// <summary>Lets jumps to an address, whose page is among the instruction entries, find its translated code.</summary>
    public void NoteJump(int exceptionLevel, ulong va, byte* code)
    {
        JumpCacheEntry* entry = Jumps(exceptionLevel) + ((va >> 2) & (JumpCacheEntry.Count - 1));
        entry->Va = va;
        entry->Code = code;
        _jumped = true;
    }

    /// <summary>Forgets all translated code.</summary>
    public void DropJumps()
    {
        if (_jumped && _jumps != null)
        {
            for (int i = 0; i < 2 * JumpCacheEntry.Count; i++)
            {
                _jumps[i].Va = JumpCacheEntry.NoAddress(i);
            }

            _jumped = false;
        }
    }

    // Forgets the translated code of a page.
    private void DropJumps(int instructionIndex, ulong page)
    {
        if (_jumps == null || page == TlbEntry.Invalid)
        {
            return;
        }

        int first = (instructionIndex < InstructionEntries ? 0 : JumpCacheEntry.Count) + (int)((page >> 2) & (JumpCacheEntry.Count - 1));
        for (int i = first; i < first + CodePage.Words; i++)
        {
            if (_jumps[i].Va >> PageShift == page >> PageShift)
            {
                _jumps[i].Va = JumpCacheEntry.NoAddress(i);
            }
        }
    }

    public ref InstructionEntry Instruction(int exceptionLevel, ulong va) => ref _instructions[InstructionIndex(exceptionLevel, va)];

    private static int InstructionIndex(int exceptionLevel, ulong va) =>
        (exceptionLevel * InstructionEntries) + (int)((va >> PageShift) & (InstructionEntries - 1));

    /// <summary>Caches a data translation: the piece at the page of <paramref name="va"/>, at <paramref name="addend"/> from host memory.</summary>
    public void Fill(int view, ulong va, in Translation translation, nint addend)
    {
        int index = (view * TlbEntry.Count) + (int)((va >> PageShift) & (TlbEntry.Count - 1));
        ulong tag = va >> PageShift << PageShift;
        TlbEntry* entry = _entries + index;
        entry->ReadTag = translation.Readable ? tag : TlbEntry.Invalid;
        entry->WriteTag = translation.Writable ? tag : TlbEntry.Invalid;
        entry->Addend = addend;
        entry->SizeBits = translation.SizeBits;
        entry->Global = translation.Global ? 1 : 0;
        Note(index, va, translation);
    }

    /// <summary>Caches the translation of a page of code.</summary>
    public void FillInstruction(int exceptionLevel, ulong pc, in Translation translation, CodePage page)
    {
        int index = InstructionIndex(exceptionLevel, pc);
        ulong tag = pc >> PageShift << PageShift;
        if (_instructions[index].Tag != tag)
        {
            DropJumps(index, _instructions[index].Tag);
        }

        _instructions[index].Tag = tag;
        _instructions[index].Page = page;
        Note((Views * TlbEntry.Count) + index, pc, translation);
    }

    private void Note(int fill, ulong va, in Translation translation)
    {
        int half = Half(va);
        _largest[half] = Math.Max(_largest[half], translation.SizeBits);
        _anyGlobal[half] |= translation.Global;
        if (_fillCount < RememberedFills)
        {
            _fills[_fillCount++] = (ushort)fill;
        }
        else
        {
            _fillCount = int.MaxValue;
        }
    }

    private static int Half(ulong va) => (int)(va >> 55) & 1;

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        if (_fillCount <= RememberedFills)
        {
            foreach (ushort fill in _fills.AsSpan(0, _fillCount))
            {
                if (fill < Views * TlbEntry.Count)
                {
                    _entries[fill].ReadTag = _entries[fill].WriteTag = TlbEntry.Invalid;
                }
                else
                {
                    _instructions[fill - (Views * TlbEntry.Count)] = new InstructionEntry { Tag = TlbEntry.Invalid };
                }
            }
        }
        else
        {
            for (int i = 0; i < Views * TlbEntry.Count; i++)
            {
                _entries[i].ReadTag = _entries[i].WriteTag = TlbEntry.Invalid;
            }

            Array.Fill(_instructions, new InstructionEntry { Tag = TlbEntry.Invalid });
        }

        DropJumps();
        _fillCount = 0;
        _largest[0] = _largest[1] = PageShift;
        _anyGlobal[0] = _anyGlobal[1] = false;
        Stale = false;
    }

    /// <summary>
    /// TLBI by address: forgets every piece of the page or block that holds it, or with <paramref name="globalOnly"/> those that are global.
    /// Of instruction entries nearby it may forget more.
    /// </summary>
    public void Invalidate(ulong va, bool globalOnly)
    {
        int half = Half(va);
        if (globalOnly && !_anyGlobal[half])
        {
            return;
        }

        // Where pieces of what holds the address can be.
        ulong region = ulong.MaxValue << _largest[half];
        long pieces = 1L << (_largest[half] - PageShift);
        ulong first = va & region;
        for (long i = Math.Min(pieces, TlbEntry.Count) - 1; i >= 0; i--)
        {
            int index = (int)((first >> PageShift) + (ulong)i) & (TlbEntry.Count - 1);
            for (TlbEntry* entry = _entries + index; entry < _entries + (Views * TlbEntry.Count); entry += TlbEntry.Count)
            {
                if (((entry->ReadTag ^ va) & (ulong.MaxValue << entry->SizeBits) & AddressBits) == 0 && (!globalOnly || entry->Global != 0))
                {
                    entry->ReadTag = entry->WriteTag = TlbEntry.Invalid;
                }
            }
        }

        for (long i = Math.Min(pieces, InstructionEntries) - 1; i >= 0; i--)
        {
            int index = (int)((first >> PageShift) + (ulong)i) & (InstructionEntries - 1);
            for (; index < _instructions.Length; index += InstructionEntries)
            {
                if (((_instructions[index].Tag ^ va) & region & AddressBits) == 0)
                {
                    DropJumps(index, _instructions[index].Tag);
                    _instructions[index].Tag = TlbEntry.Invalid;
                }
            }
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_entries);
        NativeMemory.AlignedFree(_jumps);
        _entries = null;
        _jumps = null;
    }
}

using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>The translations of a context that must be forgotten before it is used again.</summary>
internal enum TlbLoss
{
    None,

    /// <summary>All but global translations of the upper half of the address space.</summary>
    Local,
    All,
}

/// <summary>
/// The cached translations of one pair of translation tables, and so of one ASID: a set for each view of memory. A vCPU keeps the
/// contexts that it used last, so that a switch of TTBR0 and back finds its translations again. Global translations are in each
/// context that has used them; those of the upper half, the kernel's, stay when a context passes to another ASID.
/// </summary>
internal sealed unsafe class TlbContext : IDisposable
{
    public const int ViewEl0 = 0;
    public const int ViewEl1Pan = 1;
    public const int ViewEl1 = 2;
    public const int Views = 3;
    private const int InstructionEntries = 1024;

    // A context with no more local entries than this has a list of them, and forgets them one by one. So a context that is only passed
    // through costs next to nothing: Linux changes TTBR0 and TTBR1 in three steps.
    private const int RememberedFills = 1024;
    private const int PageShift = 12;

    /// <summary>An address without the top byte, which is a tag or a copy of bit 55.</summary>
    public const ulong AddressBits = 0x00FF_FFFF_FFFF_FFFF;

    internal struct InstructionEntry
    {
        /// <summary>Virtual address of the page, or <see cref="TlbEntry.Invalid"/> for none.</summary>
        public ulong Tag;
        public CodePage? Page;

        /// <summary>The same as in <see cref="TlbEntry"/>.</summary>
        public int SizeBits;
        public bool Global;
        public bool Guarded;
    }

    private const int EntriesOfPart = SparseTable.PartSize / TlbEntry.Size;

    // An entry that was never written has the tag 0. Two kinds of access look for that tag. An access to page 0 looks at entry 0. An access
    // that goes on from the last page of the address space into page 0 looks at the last entry. So these two entries of each view are
    // always written.
    private readonly SparseTable _table = new(Views * TlbEntry.Count * TlbEntry.Size);
    private readonly TlbEntry* _entries;
    private readonly InstructionEntry[] _instructions = new InstructionEntry[2 * InstructionEntries];
    private readonly PageSizes _sizes = new();

    // Local entries filled since they were last cleared: index in _entries, or Views * TlbEntry.Count + index in _instructions.
    private readonly ushort[] _fills = new ushort[RememberedFills];
    private int _fillCount;

    /// <param name="jumps">Whether translated code is to find its way by this context.</param>
    public TlbContext(bool jumps)
    {
        Jumps = jumps ? new JumpCache() : null;
        _entries = (TlbEntry*)_table.Start;
        Clear();
    }

    public ulong Ttbr0 { get; set; }

    public ulong Ttbr1 { get; set; }

    /// <summary>The translations that must be forgotten before the context is used again.</summary>
    public TlbLoss Pending { get; private set; }

    /// <summary>Whether it may have global translations of the lower half of the address space.</summary>
    public bool HasLowerGlobal { get; private set; }

    /// <summary>When it was used last, in switches; the oldest context is given up first.</summary>
    public long LastUse { get; set; }

    /// <summary>Translated code for EL0; null without a translator.</summary>
    public JumpCache? Jumps { get; }

    public TlbEntry* View(int view) => _entries + (view * TlbEntry.Count);

    public ref InstructionEntry Instruction(int exceptionLevel, ulong va) => ref _instructions[InstructionIndex(exceptionLevel, va)];

    private static int InstructionIndex(int exceptionLevel, ulong va) =>
        (exceptionLevel * InstructionEntries) + (int)((va >> PageShift) & (InstructionEntries - 1));

    /// <summary>
    /// Caches a data translation: the piece at the page of <paramref name="va"/>, at <paramref name="addend"/> from host memory.
    /// </summary>
    public void Fill(int view, ulong va, in Translation translation, nint addend)
    {
        int index = (view * TlbEntry.Count) + (int)((va >> PageShift) & (TlbEntry.Count - 1));
        ulong tag = (va >> PageShift << PageShift) | (translation.Checked ? TlbEntry.Checked : 0);
        _table.Touch(index * TlbEntry.Size);
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
        ref InstructionEntry entry = ref _instructions[index];
        entry.Tag = pc >> PageShift << PageShift;
        entry.Page = page;
        entry.SizeBits = translation.SizeBits;
        entry.Global = translation.Global;
        entry.Guarded = translation.Guarded;
        Note((Views * TlbEntry.Count) + index, pc, translation);
    }

    private void Note(int fill, ulong va, in Translation translation)
    {
        _sizes.Note(va, translation.SizeBits);
        if (translation.Global && IsUpper(va))
        {
            return;
        }

        HasLowerGlobal |= translation.Global;

        if (_fillCount < RememberedFills)
        {
            _fills[_fillCount++] = (ushort)fill;
        }
        else
        {
            _fillCount = int.MaxValue;
        }
    }

    private static bool IsUpper(ulong va) => ((va >> 55) & 1) != 0;

    /// <summary>Forgets something when the context is next used; nothing is looked up in it before.</summary>
    public void Postpone(TlbLoss loss) => Pending = loss > Pending ? loss : Pending;

    /// <summary>Forgets at once what was postponed.</summary>
    public void Settle()
    {
        if (Pending == TlbLoss.All)
        {
            Clear();
        }
        else if (Pending == TlbLoss.Local)
        {
            ClearLocal();
        }
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        _table.Clear();
        for (int view = 0; view < Views; view++)
        {
            TlbEntry* first = View(view);
            TlbEntry* last = first + TlbEntry.Count - 1;
            first->ReadTag = first->WriteTag = last->ReadTag = last->WriteTag = TlbEntry.Invalid;
        }

        Array.Fill(_instructions, new InstructionEntry { Tag = TlbEntry.Invalid });
        Jumps?.Clear();
        _fillCount = 0;
        _sizes.Clear();
        HasLowerGlobal = false;
        Pending = TlbLoss.None;
    }

    /// <summary>Forgets all but global translations of the upper half.</summary>
    public void ClearLocal()
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
                    _instructions[fill - (Views * TlbEntry.Count)].Tag = TlbEntry.Invalid;
                }
            }
        }
        else
        {
            for (int part = 0; part < _table.Parts; part++)
            {
                if (_table.IsTouched(part))
                {
                    ClearLocal(new Span<TlbEntry>(_entries + (part * EntriesOfPart), EntriesOfPart));
                }
            }

            foreach (ref InstructionEntry entry in _instructions.AsSpan())
            {
                if (!entry.Global || !IsUpper(entry.Tag))
                {
                    entry.Tag = TlbEntry.Invalid;
                }
            }
        }

        Jumps?.Clear();
        _fillCount = 0;
        HasLowerGlobal = false;
        Pending = TlbLoss.None;
    }

    private static void ClearLocal(Span<TlbEntry> entries)
    {
        foreach (ref TlbEntry entry in entries)
        {
            if (entry.Global == 0 || !IsUpper(entry.ReadTag))
            {
                entry.ReadTag = entry.WriteTag = TlbEntry.Invalid;
            }
        }
    }

    /// <summary>
    /// TLBI by address: forgets every piece of the page or block that holds the address. With <paramref name="globalOnly"/> it forgets
    /// only the global pieces.
    /// </summary>
    public void Invalidate(ulong va, bool globalOnly)
    {
        for (int i = 0; i < _sizes.Count; i++)
        {
            if (_sizes.MayHold(i, va))
            {
                Invalidate(va, _sizes.SizeBits(i), globalOnly);
            }
        }

        if (Jumps != null && (!globalOnly || Jumps.AnyGlobal))
        {
            Jumps.Invalidate(va);
        }
    }

    // The pieces of a page or block of one size.
    private void Invalidate(ulong va, int sizeBits, bool globalOnly)
    {
        ulong region = (ulong.MaxValue << sizeBits) & AddressBits;
        int pieces = (int)Math.Min(1L << (sizeBits - PageShift), TlbEntry.Count);
        int first = (int)((va & region) >> PageShift);
        for (int i = 0; i < pieces; i++)
        {
            TlbEntry* entry = _entries + ((first + i) & (TlbEntry.Count - 1));
            for (int view = 0; view < Views; view++, entry += TlbEntry.Count)
            {
                if (((entry->ReadTag ^ va) & region) == 0 && entry->SizeBits == sizeBits && (!globalOnly || entry->Global != 0))
                {
                    entry->ReadTag = entry->WriteTag = TlbEntry.Invalid;
                }
            }
        }

        for (int i = 0; i < Math.Min(pieces, InstructionEntries); i++)
        {
            for (int index = (first + i) & (InstructionEntries - 1); index < _instructions.Length; index += InstructionEntries)
            {
                ref InstructionEntry entry = ref _instructions[index];
                if (((entry.Tag ^ va) & region) == 0 && entry.SizeBits == sizeBits && (!globalOnly || entry.Global))
                {
                    entry.Tag = TlbEntry.Invalid;
                }
            }
        }
    }

    public void Dispose()
    {
        _table.Dispose();
        Jumps?.Dispose();
    }
}

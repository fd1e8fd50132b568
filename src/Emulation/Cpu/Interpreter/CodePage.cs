using System.Numerics;
using System.Runtime.CompilerServices;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>
/// The contents of the instruction cache for one 4 KiB page of guest memory. All vCPUs share the page. It has lines of 16 instruction
/// words. A word is read from memory when it is first decoded, and is kept until its line is invalidated.
/// <para>A page of the interpreter also has an op for each word, which is decoded when it is first executed, and one more op that goes on
/// to the next page. vCPUs execute ops without a lock, so an op changes only once, from undecoded to decoded. When a line changes, a copy
/// without that line replaces the page. The garbage collector frees the old page when the last vCPU has left it.</para>
/// <para>A page of the translator has no ops. It has an entry for each word instead: the place of the word's translated code. Translated
/// code never looks at the page, so a line that changes is forgotten in place.</para>
/// <para>Owner of all that changes: the holder of the code cache's lock. Any thread reads <see cref="Entry"/> and
/// <see cref="Stale"/>.</para>
/// </summary>
internal sealed unsafe class CodePage
{
    public const int Words = 1024;
    public const int LineWords = 16;
    public const int Lines = Words / LineWords;
    public const ulong AllLines = ulong.MaxValue;
    private const int FewLines = 4;

    private readonly Op[]? _ops;

    // For each line 0, or 1 plus its index in the arrays below. The arrays grow with the number of lines that were read.
    private LineSlots _slots;
    private int _count;
    private uint[] _words = new uint[FewLines * LineWords];
    private ushort[] _read = new ushort[FewLines];

    // How often execution has gone on at each word before there was code of it.
    private byte[] _executed = new byte[FewLines * LineWords];
    private int[]? _entries;
    private bool _stale;

    [InlineArray(Lines)]
    private struct LineSlots
    {
        private byte _first;
    }

    private CodePage(GuestMemory memory, int index, Op[]? ops)
    {
        Memory = memory;
        Index = index;
        Host = memory.Host + ((long)index << GuestMemory.PageShift);
        _ops = ops;
        First = ops == null ? null : (Op*)Unsafe.AsPointer(ref ops[0]);
    }

    /// <summary>A page for translation: without ops.</summary>
    /// <param name="index">Number of the page in its memory.</param>
    public static CodePage WithoutOps(GuestMemory memory, int index) => new(memory, index, null);

    /// <summary>A page for the interpreter, its ops undecoded.</summary>
    public static CodePage WithOps(GuestMemory memory, int index)
    {
        var page = new CodePage(memory, index, GC.AllocateUninitializedArray<Op>(Words + 1, pinned: true));
        page.Undecode(AllLines);
        Op* end = page.First + Words;
        *end = default;
        end->Handler = &Flow.PageEnd;
        end->Offset = Words * sizeof(uint);
        return page;
    }

    public GuestMemory Memory { get; }

    /// <summary>Its number in the memory.</summary>
    public int Index { get; }

    /// <summary>Host address of the page's bytes.</summary>
    public byte* Host { get; }

    /// <summary>The op of the first word, valid while a reference to the page is held; null without ops.</summary>
    public Op* First { get; }

    /// <summary>True once the page is replaced or given up: enter it no more.</summary>
    public bool Stale => Volatile.Read(ref _stale);

    /// <summary>The translation cache's: the page's number there, -1 before it has one.</summary>
    public int Number { get; set; } = -1;

    /// <summary>The translation cache's: the first of its blocks in force, 0 for none.</summary>
    public int FirstBlock { get; set; }

    /// <summary>The translation cache's: the first of the jumps between its blocks, -1 for none.</summary>
    public int FirstLink { get; set; } = -1;

    /// <summary>The translation cache's: blocks of the page whose code is there, in force or not.</summary>
    public int Blocks { get; set; }

    /// <summary>
    /// The translated code of a word, as an offset in the translation cache; 0 for none. Any thread may call it. Code that is just being
    /// made may not be found yet.
    /// </summary>
    public int Entry(int word)
    {
        // The slot is written last when a line is made, after the arrays that have room for it.
        int slot = Volatile.Read(ref _slots[word / LineWords]);
        int at = Place(slot, word);
        return slot != 0 && Volatile.Read(ref _entries) is { } entries && at < entries.Length ? Volatile.Read(ref entries[at]) : 0;
    }

    /// <summary>When the code is complete. The word has been read.</summary>
    public void SetEntry(int word, int code)
    {
        if (_entries == null)
        {
            Volatile.Write(ref _entries, new int[_words.Length]);
        }

        Volatile.Write(ref _entries![Place(_slots[word / LineWords], word)], code);
    }

    public void ClearEntry(int word) => Volatile.Write(ref _entries![Place(_slots[word / LineWords], word)], 0);

    /// <summary>The instruction at a word: what memory held when the word was first read since its line was invalidated.</summary>
    public uint Read(int word)
    {
        int line = word / LineWords;
        if (_slots[line] == 0)
        {
            AddLine(line);
        }

        int slot = _slots[line];
        int at = Place(slot, word);
        ref ushort read = ref _read[slot - 1];
        if (((read >> (word % LineWords)) & 1) == 0)
        {
            _words[at] = Volatile.Read(ref ((uint*)Host)[word]);
            read |= (ushort)(1 << (word % LineWords));
        }

        return _words[at];
    }

    /// <summary>
    /// How often <see cref="NoteExecution"/> was called for a word; half as often when its line is invalidated, because what is written
    /// there is likely to be executed as often as what was.
    /// </summary>
    public int Executions(int word) => _slots[word / LineWords] is var slot and not 0 ? _executed[Place(slot, word)] : 0;

    /// <summary>Notes that execution goes on at a word that was read.</summary>
    public void NoteExecution(int word) => _executed[Place(_slots[word / LineWords], word)]++;

    /// <summary>The lines, among those given by bit, that contain a word which memory no longer holds.</summary>
    public ulong ChangedLines(ulong lines)
    {
        ulong changed = 0;
        for (; lines != 0; lines &= lines - 1)
        {
            int line = BitOperations.TrailingZeroCount(lines);
            changed |= _slots[line] != 0 && IsChanged(line) ? 1ul << line : 0;
        }

        return changed;
    }

    private bool IsChanged(int line)
    {
        ReadOnlySpan<uint> now = new((uint*)Host + (line * LineWords), LineWords);
        ReadOnlySpan<uint> then = _words.AsSpan((_slots[line] - 1) * LineWords, LineWords);
        for (uint read = _read[_slots[line] - 1]; read != 0; read &= read - 1)
        {
            int i = BitOperations.TrailingZeroCount(read);
            if (now[i] != then[i])
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Forgets what was read of some lines; in a page without ops.</summary>
    public void Forget(ulong lines)
    {
        for (; lines != 0; lines &= lines - 1)
        {
            int slot = _slots[BitOperations.TrailingZeroCount(lines)];
            if (slot != 0)
            {
                _read[slot - 1] = 0;
                foreach (ref byte count in _executed.AsSpan((slot - 1) * LineWords, LineWords))
                {
                    count /= 2;
                }
            }
        }
    }

    /// <summary>A copy of a page with ops that has not read some lines.</summary>
    public CodePage Without(ulong lines)
    {
        var page = new CodePage(Memory, Index, GC.AllocateUninitializedArray<Op>(Words + 1, pinned: true))
        {
            _slots = _slots,
            _count = _count,
            _words = [.. _words],
            _read = [.. _read],
            _executed = [.. _executed],
        };
        new ReadOnlySpan<Op>(First, Words + 1).CopyTo(page._ops);
        page.Undecode(lines);
        page.Forget(lines);
        return page;
    }

    public void MarkStale() => Volatile.Write(ref _stale, true);

    private void Undecode(ulong lines)
    {
        for (; lines != 0; lines &= lines - 1)
        {
            int first = BitOperations.TrailingZeroCount(lines) * LineWords;
            for (int i = first; i < first + LineWords; i++)
            {
                First[i] = default;
                First[i].Handler = &Flow.Undecoded;
                First[i].Offset = (ushort)(i * sizeof(uint));
            }
        }
    }

    private static int Place(int slot, int word) => ((slot - 1) * LineWords) + (word % LineWords);

    private void AddLine(int line)
    {
        if (_count == _read.Length)
        {
            Array.Resize(ref _read, 2 * _count);
            Array.Resize(ref _words, 2 * _count * LineWords);
            Array.Resize(ref _executed, _words.Length);
            if (_entries is { } entries)
            {
                Array.Resize(ref entries, _words.Length);
                Volatile.Write(ref _entries, entries);
            }
        }

        _count++;
        Volatile.Write(ref _slots[line], (byte)_count);
    }
}

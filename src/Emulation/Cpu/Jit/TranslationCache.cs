using System.Diagnostics;
using System.Numerics;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// The translated code of a machine, shared by its vCPUs. It is found by page and instruction, and made when it is first asked for. A block
/// is given up when the guest has changed and invalidated a line that it was made of. When the memory is full, a segment is given up with
/// all its blocks.
/// <para>Threads: translating, linking and giving up hold the lock, which is that of the code cache. A vCPU says that it is in translated
/// code by a flag of its own, which it sets before it looks at <see cref="Generation"/>. Whoever empties a segment changes the generation,
/// has every thread fenced, and waits until no flag is set.</para>
/// <para>A block of a changed line is given up while vCPUs may be in it, and its memory stays what it is until its segment is emptied. Each
/// entry of a block begins with a test of <see cref="CpuState.Attention"/>, which is changed so that it always leaves. So whatever leads
/// there, such as the jump cache of a vCPU, leads to <see cref="Find"/>, which no longer knows the block. Jumps of other blocks into it are
/// unlinked; that is for speed alone. Each change is one store, of a byte or aligned: a vCPU that executes the instruction executes it as
/// it was or as it is. The architecture asks for the new instructions when the invalidation has completed, by DSB, and the other vCPU has
/// passed a context synchronisation event. By then all vCPUs have been given <see cref="AttentionBits.CodeChange"/>, so an ISB leaves
/// translated code, as an exception does. The DSB has had every thread fenced (<see cref="VcpuCore.CompleteBroadcast"/>), so no host CPU
/// still has the old bytes in its pipeline.</para>
/// </summary>
internal sealed unsafe class TranslationCache : ICodeTranslator, IDisposable
{
    /// <summary>The smallest capacity that is of use, in bytes.</summary>
    public const long SmallestCapacity = 1 << 20;

    /// <summary>
    /// A third of the blocks of a Linux boot are not executed more often. A guest that comes from elsewhere runs at once, where translating
    /// all that it touches would take its vCPUs some 10 ms. Translating takes as long as interpreting some ten times.
    /// </summary>
    public const int DefaultColdExecutions = 4;

    // There are segments of this size, or a few smaller ones, or only one where even these would be too small.
    private const long SegmentSize = 8 << 20;
    private const int FewSegments = 4;
    private const long SmallestSegment = 1 << 20;

    private readonly Lock _lock;
    private readonly CodeCache _code;
    private readonly ExecutableMemory _memory;
    private readonly IHostBackend _backend;
    private readonly Translator _translator;
    private readonly CodeSegment[] _segments;
    private readonly JumpLinks _links = new();
    private readonly Stack<int> _freePages = new();
    private VcpuCore[] _cpus = [];
    private CodePage?[] _pages = new CodePage?[256];
    private int _pageCount;
    private CodeSegment _segment;
    private long _segmentsFilled = 1;
    private long _generation;
    private TranslationStatistics _statistics;
    private BlockTrace? _trace;

    private TranslationCache(ExecutableMemory memory, CodeCache code, bool lockstep, int cold)
    {
        ColdExecutions = cold;
        _lock = code.Lock;
        _code = code;
        _memory = memory;
        _backend = HostBackends.Create(memory.Start, lockstep, code.Model);
        _translator = new Translator(this, code, _backend, lockstep);
        Turn = lockstep ? new LockstepTurn() : null;
        Enter = (delegate* unmanaged<CpuState*, byte*, int>)(_backend.Enter + ExecutableOffset);
        _segments = Divide(memory, _backend);
        _segment = _segments[0];
        _segment.Filled = _segmentsFilled;
        code.Attach(this);
    }

    private static CodeSegment[] Divide(ExecutableMemory memory, IHostBackend backend)
    {
        long capacity = (long)memory.Size;
        long count = capacity < FewSegments * SmallestSegment ? 1 : Math.Max(FewSegments, capacity / SegmentSize);
        long size = capacity / count & ~4095;
        var segments = new CodeSegment[count];
        for (long i = 0; i < count; i++)
        {
            byte* start = memory.Start + (i * size);
            segments[i] = new CodeSegment(
                i == 0 ? backend.ThunksEnd : start, start + (size / 2), start + size, backend.MaxBytes);
        }

        return segments;
    }

    /// <summary>From where code is written to where it is executed; see <see cref="ExecutableMemory"/>.</summary>
    public nint ExecutableOffset => _memory.ExecutableOffset;

    /// <summary>Runs translated code; returns an <see cref="ExitKind"/>.</summary>
    public delegate* unmanaged<CpuState*, byte*, int> Enter { get; }

    /// <summary>Gives names to code; null where nothing does. To be set before anything is translated.</summary>
    public PerfMap? PerfMap
    {
        get;
        set
        {
            field = value;
            value?.AddThunks(_backend.Thunks, ExecutableOffset);
        }
    }

    /// <summary>Writes each block to a trace when it is translated. To be called before anything is translated.</summary>
    public void TraceTo(TraceLog trace) => _trace = new BlockTrace(trace, _backend, _translator.Plan);

    /// <summary>
    /// Changes before and after a segment is emptied. Code of another generation is not to be entered, and none is while it is odd.
    /// </summary>
    public long Generation => Volatile.Read(ref _generation);

    /// <summary>How often execution goes on at a word, which is interpreted (<see cref="ColdOps"/>), before it is translated.</summary>
    public int ColdExecutions { get; }

    /// <summary>In lockstep, whose turn it is; else null.</summary>
    public LockstepTurn? Turn { get; }

    /// <summary>How often a segment, or all code, was given up.</summary>
    public long GivenUp => Generation / 2;

    /// <param name="capacity">Bytes of code, <see cref="SmallestCapacity"/> at least; taken from the host as they are used.</param>
    /// <param name="dual">Code is written at other addresses than it is executed at, also where the host allows the same.</param>
    /// <param name="lockstep">Whether the code is for vCPUs that run both engines side by side: all of it is translated at once.</param>
    /// <param name="cold">Of other vCPUs: <see cref="ColdExecutions"/>.</param>
    /// <returns>Null where the host lacks what it takes, or the memory.</returns>
    public static TranslationCache? TryCreate(
        CodeCache code, long capacity, bool dual = false, bool lockstep = false, int cold = DefaultColdExecutions) =>
        HostBackends.IsSupported && ExecutableMemory.TryReserve((nuint)capacity, dual) is { } memory
            ? new TranslationCache(memory, code, lockstep, lockstep ? 0 : cold)
            : null;

    /// <summary>What was done so far. Any thread; waits for a translation at most.</summary>
    public TranslationStatistics Statistics
    {
        get
        {
            lock (_lock)
            {
                return _statistics with
                {
                    GivenUp = GivenUp,
                    Used = _backend.ThunksEnd - _memory.Start + _segments.Sum(segment => segment.Used),
                    Live = _segments.Sum(segment => segment.Live),
                    Pages = _pageCount - _freePages.Count,
                    Capacity = (long)_memory.Size,
                    MappedTwice = ExecutableOffset != 0,
                    PerfMapFailure = PerfMap?.Failure,
                };
            }
        }
    }

    /// <summary>A vCPU whose code is to be waited for before it is given up.</summary>
    public void Register(VcpuCore cpu)
    {
        lock (_lock)
        {
            Volatile.Write(ref _cpus, [.. _cpus, cpu]);
        }
    }

    /// <summary>The code of a word of a page, translated if need be; null when the page is replaced or given up: enter it anew.</summary>
    /// <param name="generation">The generation that the code is of.</param>
    public byte* Find(VcpuCore cpu, CodePage page, int word, out long generation)
    {
        generation = Generation;
        int entry = page.Entry(word);
        return entry != 0 && !IsEnding(generation) ? Executable(entry) : Translate(cpu, page, word, apart: false, out generation);
    }

    /// <summary>The code of a word of a page; null for none.</summary>
    public byte* EntryOf(CodePage page, int word) => page.Entry(word) is var entry and not 0 ? Executable(entry) : null;

    /// <summary>
    /// As <see cref="Find"/>, and links the jump that an exit names to it. Null also if the exit's code was given up, or the word is to be
    /// interpreted (<see cref="ColdExecutions"/>).
    /// </summary>
    /// <param name="exit">Of a generation.</param>
    /// <param name="apart">To a block of its own, in which each access does its own look-up.</param>
    public byte* Link(VcpuCore cpu, CodePage page, ExitInfo* exit, long generation, bool apart)
    {
        Lock();
        try
        {
            if (generation != Generation || !(apart || IsWarm(page, exit->Where / sizeof(uint))))
            {
                return null;
            }

            byte* place = (byte*)&exit->Place + exit->Place;
            byte* target = _backend.TargetOf(place - ExecutableOffset) + ExecutableOffset;
            if (target != (byte*)exit - _backend.CallLength)
            {
                // It leads to the stub no more: another vCPU was here first.
                return target;
            }

            var source = (CodeBlock*)((byte*)&exit->Block + exit->Block);
            byte* entry = Translate(cpu, page, exit->Where / sizeof(uint), apart, out long now);
            if (entry != null && now == generation && source->InForce)
            {
                LinkJump(page, place - ExecutableOffset, entry - ExecutableOffset);
            }

            return now == generation ? entry : null;
        }
        finally
        {
            _lock.Exit();
        }
    }

    // Whether a word has code, or is to have it now.
    private bool IsWarm(CodePage page, int word) => page.Entry(word) != 0 || page.Executions(word) >= ColdExecutions;

    /// <summary>Lets a jump of a block of the page go to another, until either is given up. With the lock.</summary>
    /// <param name="jump">As <see cref="IHostBackend"/> has it. It now leads to a stub.</param>
    public void LinkJump(CodePage page, byte* jump, byte* target) =>
        page.FirstLink = _links.Add(page.FirstLink, OffsetOf(jump), _backend.Link(jump, target), OffsetOf(target));

    /// <summary>A page by the number that exits give. In translated code, or with the lock, only.</summary>
    public CodePage PageAt(int number) => Volatile.Read(ref _pages)[number]!;

    /// <summary>Where the code of an offset is written, as <see cref="CodePage.Entry"/> has it.</summary>
    public byte* At(int offset) => _memory.Start + offset;

    /// <summary>The offset of a place where code is written.</summary>
    public int OffsetOf(byte* place) => (int)(place - _memory.Start);

    /// <summary>The block whose hot part an address is in, in force or not, and the page that it was made of.</summary>
    public BlockCode BlockAt(byte* code, out CodePage? page)
    {
        lock (_lock)
        {
            page = null;
            int hot = OffsetOf(code - ExecutableOffset);
            CodeSegment? segment = Array.Find(_segments, segment => segment.Holds(code - ExecutableOffset));
            int low = 0;
            int high = segment?.Blocks ?? 0;
            while (low < high)
            {
                // The last that begins at the address or before it.
                int middle = (low + high) / 2;
                (low, high) = segment![middle]->Hot <= hot ? (middle + 1, high) : (low, middle);
            }

            if (low == 0 || hot >= segment![low - 1]->HotEnd)
            {
                return default;
            }

            CodeBlock* block = segment[low - 1];
            page = PageAt(block->Page);
            return new BlockCode(At(block->Hot), At(block->HotEnd), (byte*)block, At(block->Ways), At(block->ColdEnd));
        }
    }

    /// <summary>
    /// After code was given up: has every host CPU interrupted that executes another vCPU, so that it fetches instructions anew. One that
    /// begins to execute meanwhile does so behind a barrier of its own.
    /// </summary>
    public void FenceOthers(VcpuCore from)
    {
        foreach (VcpuCore cpu in Volatile.Read(ref _cpus))
        {
            if (cpu != from && cpu.IsExecuting)
            {
                Interlocked.MemoryBarrierProcessWide();
                return;
            }
        }
    }

    /// <summary>Code as text: see <see cref="IHostBackend.Disassemble"/>.</summary>
    public void Disassemble(byte* start, byte* end, CodeLine write) => _backend.Disassemble(start, end, ExecutableOffset, write);

    public void Dispose()
    {
        PerfMap?.Dispose();
        _translator.Dispose();
        _memory.Dispose();
    }

    private byte* Executable(int offset) => At(offset) + ExecutableOffset;

    private CodeBlock* Block(int cold) => (CodeBlock*)At(cold);

    private byte* Translate(VcpuCore cpu, CodePage page, int word, bool apart, out long generation)
    {
        Lock();
        try
        {
            if (!_segment.HasRoom)
            {
                MakeRoom();
            }

            generation = _generation;
            if (page.Stale)
            {
                return null;
            }

            if (!apart && page.Entry(word) is var entry and not 0)
            {
                return Executable(entry);
            }

            if (page.Number < 0)
            {
                page.Number = Add(page);
            }

            long start = Stopwatch.GetTimestamp();
            int scalableLength = cpu.Scalable?.TranslatedLength ?? 0;
            BlockCode block = _translator.Translate(page, word, apart, scalableLength, _segment.Hot, _segment.Cold);
            if (block.HotEnd - block.Hot > _backend.MaxBytes || block.ColdEnd - block.Cold > _backend.MaxBytes)
            {
                throw new InvalidOperationException(
                    $"a block of {_translator.Plan.Length} instructions takes more than {_backend.MaxBytes} bytes of host code");
            }

            Keep(page, block);
            _statistics.Translating += Stopwatch.GetElapsedTime(start);
            _statistics.Blocks++;
            _statistics.Instructions += _translator.Plan.Length;
            _statistics.HotBytes += block.HotEnd - block.Hot;
            _statistics.ColdBytes += block.ColdEnd - block.Cold;
            PerfMap?.AddBlock(block, ExecutableOffset, cpu.State->CodePageVa + ((ulong)word * sizeof(uint)), _translator.Plan.Length);
            _trace?.Write(cpu.State->CodePageVa + ((ulong)word * sizeof(uint)), block, ExecutableOffset);
            return block.Hot + ExecutableOffset;
        }
        finally
        {
            _lock.Exit();
        }
    }

    private void Keep(CodePage page, BlockCode code)
    {
        int cold = OffsetOf(code.Cold);
        *Block(cold) = new CodeBlock
        {
            Lines = _translator.Plan.Lines,
            Hot = OffsetOf(code.Hot),
            HotEnd = OffsetOf(code.HotEnd),
            Ways = OffsetOf(code.Ways),
            ColdEnd = OffsetOf(code.ColdEnd),
            Page = page.Number,
            Next = page.FirstBlock,
        };
        page.FirstBlock = cold;
        page.Blocks++;
        _segment.Keep(code);
    }

    // Takes the lock, and counts how long that has waited for others.
    private void Lock()
    {
        if (_lock.TryEnter())
        {
            return;
        }

        long start = Stopwatch.GetTimestamp();
        _lock.Enter();
        _statistics.Waits++;
        _statistics.Waiting += Stopwatch.GetElapsedTime(start);
    }

    private int Add(CodePage page)
    {
        if (!_freePages.TryPop(out int number))
        {
            if (_pageCount == _pages.Length)
            {
                var larger = new CodePage?[_pages.Length * 2];
                _pages.CopyTo(larger, 0);
                Volatile.Write(ref _pages, larger);
            }

            number = _pageCount++;
        }

        _pages[number] = page;
        return number;
    }

    private static bool IsEnding(long generation) => (generation & 1) != 0;

    // ---- Giving up ----

    void ICodeTranslator.Changed(CodePage page, ulong lines)
    {
        _translator.Forget(page, lines);
        int previous = 0;
        for (int cold = page.FirstBlock; cold != 0;)
        {
            CodeBlock* block = Block(cold);
            int next = block->Next;
            if ((block->Lines & lines) != 0)
            {
                TakeOut(page, previous, cold);
                GiveUp(page, cold, _segments.First(segment => segment.Holds((byte*)block)));
                _statistics.BlocksGivenUp++;
            }
            else
            {
                previous = cold;
            }

            cold = next;
        }

        foreach (VcpuCore cpu in _cpus)
        {
            cpu.Interrupts.Note(AttentionBits.CodeChange);
        }
    }

    void ICodeTranslator.Dropped()
    {
        if (_segments.Any(segment => segment.Used != 0))
        {
            Empty(_segments);
        }
    }

    private void TakeOut(CodePage page, int previous, int cold)
    {
        if (previous == 0)
        {
            page.FirstBlock = Block(cold)->Next;
        }
        else
        {
            Block(previous)->Next = Block(cold)->Next;
        }
    }

    // Gives up a block that was taken out of the list of its page.
    private void GiveUp(CodePage page, int cold, CodeSegment segment)
    {
        CodeBlock* block = Block(cold);
        segment.Live -= block->Bytes(cold);
        _backend.CloseEntry(At(block->Hot));
        for (ulong lines = block->Lines; lines != 0; lines &= lines - 1)
        {
            int first = BitOperations.TrailingZeroCount(lines) * CodePage.LineWords;
            for (int word = first; word < first + CodePage.LineWords; word++)
            {
                int entry = page.Entry(word);
                if (entry >= block->Hot && entry < block->HotEnd)
                {
                    page.ClearEntry(word);
                    _backend.CloseEntry(At(entry));
                }
            }
        }

        block->Lines = 0;
        Unlink(page, block, cold);
    }

    // Forgets the jumps from a block and into it.
    private void Unlink(CodePage page, CodeBlock* block, int cold)
    {
        int previous = JumpLinks.None;
        for (int index = page.FirstLink; index != JumpLinks.None;)
        {
            ref JumpLinks.Link link = ref _links[index];
            int next = link.Next;
            bool into = link.Target >= block->Hot && link.Target < block->HotEnd;
            bool from = (link.Place >= block->Hot && link.Place < block->HotEnd) || (link.Place >= cold && link.Place < block->ColdEnd);
            if (into)
            {
                _backend.Unlink(At(link.Place), link.Original);
            }

            if (!into && !from)
            {
                previous = index;
            }
            else
            {
                if (previous == JumpLinks.None)
                {
                    page.FirstLink = next;
                }
                else
                {
                    _links[previous].Next = next;
                }

                _links.Free(index);
            }

            index = next;
        }
    }

    /// <summary>
    /// Gives up all code and its memory; what is run again is translated again, at about a microsecond an instruction. Any thread; waits
    /// until no vCPU is in translated code.
    /// </summary>
    public void Trim()
    {
        lock (_lock)
        {
            CodeSegment[] filled = Array.FindAll(_segments, segment => segment.Filled != 0);
            Empty(filled);
            foreach (CodeSegment segment in filled)
            {
                segment.Filled = 0;
                segment.GiveBack(_memory);
            }

            _segment = _segments[0];
            _segment.Filled = ++_segmentsFilled;
        }
    }

    // Goes on in another segment. That is the one with least code in force, if that is little, as where the guest rewrites its code for
    // ever; else an empty one; else the one that was filled first. A segment that is not empty is emptied.
    private void MakeRoom()
    {
        CodeSegment sparse = _segments.Where(segment => segment.Filled != 0).MinBy(segment => segment.Live)!;
        CodeSegment? empty = _segments.FirstOrDefault(segment => segment.Filled == 0);
        bool isLittle = sparse.Live < sparse.Used / (empty == null ? 2 : 4);
        _segment = isLittle ? sparse : empty ?? _segments.MinBy(segment => segment.Filled)!;
        if (_segment.Filled != 0)
        {
            Empty([_segment]);
        }

        _segment.Filled = ++_segmentsFilled;
    }

    // A vCPU that calls this is not in translated code. Another may be on its way in: it sets its flag and then looks at the generation.
    private void Empty(CodeSegment[] segments)
    {
        long start = Stopwatch.GetTimestamp();
        Volatile.Write(ref _generation, _generation + 1);
        Interlocked.MemoryBarrierProcessWide();
        var spin = default(SpinWait);
        foreach (VcpuCore cpu in _cpus)
        {
            while (cpu.InTranslatedCode)
            {
                cpu.Interrupts.Note(AttentionBits.CodeChange);
                spin.SpinOnce(sleep1Threshold: -1);
            }
        }

        foreach (CodeSegment segment in segments)
        {
            for (int i = 0; i < segment.Blocks; i++)
            {
                Remove(OffsetOf((byte*)segment[i]), segment);
            }

            segment.Empty();
        }

        Volatile.Write(ref _generation, _generation + 1);
        TimeSpan taken = Stopwatch.GetElapsedTime(start);
        if (taken > _statistics.LongestGiveUp)
        {
            _statistics.LongestGiveUp = taken;
        }
    }

    // Removes a block whose memory is about to be used again, and its page if it was the last block of that.
    private void Remove(int cold, CodeSegment segment)
    {
        CodePage page = PageAt(Block(cold)->Page);
        if (Block(cold)->InForce)
        {
            int previous = 0;
            for (int other = page.FirstBlock; other != cold; other = Block(other)->Next)
            {
                previous = other;
            }

            TakeOut(page, previous, cold);
            GiveUp(page, cold, segment);
        }

        if (--page.Blocks == 0)
        {
            _pages[page.Number] = null;
            _freePages.Push(page.Number);
            page.Number = -1;
            _code.Drop(page);
        }
    }
}

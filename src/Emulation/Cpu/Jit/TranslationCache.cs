using System.Diagnostics;
using System.Runtime.Intrinsics.X86;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit.X64;
using Vmm.Emulation.Cpu.Lockstep;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu.Jit;

/// <summary>
/// The translated code of a machine, shared by its vCPUs: found by page and instruction, made when first asked for, all given up at once when the memory is
/// full, or much of it is of pages that the guest has replaced.
/// <para>Threads: translating and linking hold the lock. A vCPU says that it is in translated code by a flag of its own, which it sets before it looks at
/// <see cref="Generation"/>; who gives the code up changes the generation, has every thread fenced, and waits until no flag is set.</para>
/// </summary>
internal sealed unsafe class TranslationCache : IDisposable
{
    /// <summary>The least that is of use, in bytes.</summary>
    public const long SmallestCapacity = 1 << 20;

    private const int PagesBetweenLooks = 256;

    // 23 MB of decoded pages. Linux replaces some 450 while it boots, and would have to be translated again.
    private const int FewStale = 512;

    private readonly Lock _lock = new();
    private readonly ExecutableMemory _memory;
    private readonly Translator _translator;
    private VcpuCore[] _cpus = [];
    private readonly byte* _hotFirst;
    private readonly byte* _coldFirst;
    private CodePage[] _pages = new CodePage[256];
    private int _pageCount;
    private byte* _hot;
    private byte* _cold;
    private long _generation;
    private TranslationStatistics _statistics;

    // In lockstep: each block, and its page, by where its hot part starts. Under the lock.
    private readonly SortedList<nint, (BlockCode Code, CodePage Page)> _blocks = [];

    private TranslationCache(ExecutableMemory memory, CodeCache code, bool lockstep)
    {
        _memory = memory;
        _translator = new Translator(this, code, lockstep);
        Turn = lockstep ? new LockstepTurn() : null;
        Thunks = new Thunks(memory.Start);
        Enter = (delegate* unmanaged<CpuState*, byte*, int>)((byte*)Thunks.Enter + ExecutableOffset);
        _hot = _hotFirst = Thunks.End;
        _cold = _coldFirst = memory.Start + (memory.Size / 2);
        code.Changed += NoteCodeChange;
    }

    /// <summary>
    /// Whether this host can run translated code: x86-64 with LZCNT, BMI2, AVX2 and FMA3, and memory that may be both written and executed, at one address or at two.
    /// </summary>
    public static bool IsSupported { get; } = Bmi2.X64.IsSupported && Lzcnt.X64.IsSupported && Avx2.IsSupported && Fma.IsSupported && CanExecute();

    /// <summary>At the addresses where they are written, as all that the translator has; whoever runs code adds <see cref="ExecutableOffset"/>.</summary>
    public Thunks Thunks { get; }

    /// <summary>From where code is written to where it is executed; see <see cref="ExecutableMemory"/>.</summary>
    public nint ExecutableOffset => _memory.ExecutableOffset;

    /// <summary>Runs translated code; returns an <see cref="ExitKind"/>.</summary>
    public delegate* unmanaged<CpuState*, byte*, int> Enter { get; }

    /// <summary>Where code is given names; null for nowhere. Set before anything is translated.</summary>
    public PerfMap? PerfMap
    {
        get;
        set
        {
            field = value;
            value?.AddThunks(Thunks, ExecutableOffset);
        }
    }

    /// <summary>Where blocks are written when they are translated; null for nowhere. Set before anything is translated.</summary>
    public TraceLog? Trace { get; set; }

    /// <summary>
    /// Changes when all code is given up, before and after: addresses of code of another generation are not to be entered, and an odd one has none.
    /// </summary>
    public long Generation => Volatile.Read(ref _generation);

    /// <summary>In lockstep, whose turn it is; else null.</summary>
    public LockstepTurn? Turn { get; }

    /// <summary>How often all code was given up.</summary>
    public long GivenUp => Generation / 2;

    /// <param name="capacity">Bytes of code, <see cref="SmallestCapacity"/> at least; taken from the host as they are used.</param>
    /// <param name="dual">Code is written at other addresses than it is executed at, also where the host allows the same.</param>
    /// <param name="lockstep">Whether the code is for vCPUs that run both engines side by side.</param>
    /// <returns>Null where the host lacks what it takes, or the memory.</returns>
    public static TranslationCache? TryCreate(CodeCache code, long capacity, bool dual = false, bool lockstep = false) =>
        IsSupported && ExecutableMemory.TryReserve((nuint)capacity, dual) is { } memory ? new TranslationCache(memory, code, lockstep) : null;

    private static bool CanExecute()
    {
        using ExecutableMemory? page = ExecutableMemory.TryReserve(4096, dual: false);
        return page != null;
    }

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
                    Used = _hot - _memory.Start + (_cold - _coldFirst),
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

    /// <summary>The code of an instruction of a page, translated if need be; null when all code had to be given up instead.</summary>
    /// <param name="generation">The generation that the code is of.</param>
    public byte* Find(VcpuCore cpu, CodePage page, Op* op, out long generation)
    {
        generation = Generation;
        byte* entry = page.Entry(op->Offset >> 2);
        return entry != null && !IsEnding(generation) ? entry : Translate(cpu, page, op, apart: false, out generation);
    }

    /// <summary>As <see cref="Find"/>, and lets the jump with the displacement at <paramref name="place"/> go there.</summary>
    /// <param name="apart">To code of its own, which checks each access for itself.</param>
    public byte* Link(VcpuCore cpu, CodePage page, Op* op, byte* place, long generation, bool apart)
    {
        Lock();
        try
        {
            if (generation != Generation)
            {
                return null;
            }

            byte* entry = Translate(cpu, page, op, apart, out long now);
            if (entry != null && now == generation)
            {
                // Aligned: a vCPU that executes the jump sees the old or the new displacement.
                Volatile.Write(ref *(int*)(place - ExecutableOffset), (int)(entry - (place + 4)));
            }

            return entry;
        }
        finally
        {
            _lock.Exit();
        }
    }

    /// <summary>A page by the number that exits give. In translated code, or with the lock, only.</summary>
    public CodePage PageAt(int number) => Volatile.Read(ref _pages)[number];

    /// <summary>In lockstep, the block whose hot part an address is in, and the page that it was made of.</summary>
    public BlockCode BlockAt(byte* code, out CodePage? page)
    {
        lock (_lock)
        {
            // The last that begins at the address or before it.
            int low = 0;
            int high = _blocks.Count;
            while (low < high)
            {
                int middle = (low + high) / 2;
                (low, high) = _blocks.Keys[middle] <= (nint)code ? (middle + 1, high) : (low, middle);
            }

            page = null;
            if (low == 0 || code >= _blocks.Values[low - 1].Code.HotEnd + ExecutableOffset)
            {
                return default;
            }

            page = _blocks.Values[low - 1].Page;
            return _blocks.Values[low - 1].Code;
        }
    }

    public void Dispose()
    {
        PerfMap?.Dispose();
        _memory.Dispose();
    }

    private byte* Translate(VcpuCore cpu, CodePage page, Op* op, bool apart, out long generation)
    {
        Lock();
        try
        {
            generation = _generation;
            int word = op->Offset >> 2;
            if (!apart && page.Entry(word) is var entry && entry != null)
            {
                return entry;
            }

            bool isNew = page.Number < 0 || page.Number >= _pageCount || _pages[page.Number] != page;
            if (_hot + Translator.MaxBytes > _coldFirst || _cold + Translator.MaxBytes > _memory.Start + _memory.Size || (isNew && ManyAreStale()))
            {
                GiveUpAll(cpu);
                generation = _generation;
                isNew = true;
            }

            if (isNew)
            {
                page.Number = Add(page);
            }

            long start = Stopwatch.GetTimestamp();
            BlockCode block = _translator.Translate(page, page.Number, word, apart, _hot, _cold);
            if (block.HotEnd - block.Hot > Translator.MaxBytes || block.ColdEnd - block.Cold > Translator.MaxBytes)
            {
                throw new InvalidOperationException($"a block of {_translator.Length} instructions takes more than {Translator.MaxBytes} bytes of host code");
            }

            _statistics.Translating += Stopwatch.GetElapsedTime(start);
            _statistics.Blocks++;
            _statistics.Instructions += _translator.Length;
            _statistics.HotBytes += block.HotEnd - block.Hot;
            _statistics.ColdBytes += block.ColdEnd - block.Cold;
            PerfMap?.AddBlock(block, ExecutableOffset, cpu.State->CodePageVa + op->Offset, _translator.Length);
            if (Trace is { } trace)
            {
                _translator.Trace(trace, cpu.State->CodePageVa + op->Offset, block, ExecutableOffset);
            }

            if (Turn != null)
            {
                _blocks.Add((nint)(block.Hot + ExecutableOffset), (block, page));
            }

            _hot = block.HotEnd;
            _cold = block.ColdEnd;
            return block.Hot + ExecutableOffset;
        }
        finally
        {
            _lock.Exit();
        }
    }

    // Counts what it waits for others.
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

    // Whether more than a few, and a quarter of the pages, is what the guest has replaced: such a page, 45 KB, lives as long as its code may run. Looked at once for so many pages.
    private bool ManyAreStale()
    {
        if (_pageCount == 0 || _pageCount % PagesBetweenLooks != 0)
        {
            return false;
        }

        int stale = 0;
        foreach (CodePage page in _pages.AsSpan(0, _pageCount))
        {
            stale += page.Stale ? 1 : 0;
        }

        return stale > Math.Max(FewStale, _pageCount / 4);
    }

    private int Add(CodePage page)
    {
        if (_pageCount == _pages.Length)
        {
            var larger = new CodePage[_pages.Length * 2];
            _pages.CopyTo(larger, 0);
            Volatile.Write(ref _pages, larger);
        }

        _pages[_pageCount] = page;
        return _pageCount++;
    }

    // Decoded code was dropped: no jump cache is to lead to what was made of it. Takes no lock, for the caller holds that of the decoded code.
    private void NoteCodeChange()
    {
        foreach (VcpuCore cpu in Volatile.Read(ref _cpus))
        {
            cpu.Interrupts.Note(AttentionBits.CodeChange);
        }
    }

    private static bool IsEnding(long generation) => (generation & 1) != 0;

    // The calling vCPU is not in translated code. Others may be on their way in: they look at the generation with their flag set.
    private void GiveUpAll(VcpuCore caller)
    {
        long start = Stopwatch.GetTimestamp();
        Volatile.Write(ref _generation, _generation + 1);
        Interlocked.MemoryBarrierProcessWide();
        var spin = default(SpinWait);
        foreach (VcpuCore cpu in _cpus)
        {
            while (cpu != caller && cpu.InTranslatedCode)
            {
                cpu.Interrupts.Note(AttentionBits.CodeChange);
                spin.SpinOnce(sleep1Threshold: -1);
            }
        }

        for (int i = 0; i < _pageCount; i++)
        {
            _pages[i].ClearEntries();
        }

        _pages = new CodePage[256];
        _pageCount = 0;
        _hot = _hotFirst;
        _cold = _coldFirst;
        _blocks.Clear();
        Volatile.Write(ref _generation, _generation + 1);
        TimeSpan taken = Stopwatch.GetElapsedTime(start);
        if (taken > _statistics.LongestGiveUp)
        {
            _statistics.LongestGiveUp = taken;
        }
    }
}

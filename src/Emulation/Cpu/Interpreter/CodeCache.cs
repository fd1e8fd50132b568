using System.Numerics;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Cpu.Interpreter.Handlers;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>A translator of the code cache's pages. Both methods are called with the cache's lock held.</summary>
internal interface ICodeTranslator
{
    /// <summary>Some lines of a page, by bit, hold other instructions now.</summary>
    void Changed(CodePage page, ulong lines);

    /// <summary>All pages are given up.</summary>
    void Dropped();
}

/// <summary>
/// The code of a machine, by physical page: the architecture's instruction cache. It is not coherent with stores, and CTR_EL0.DIC = 0 tells
/// the guest so. The guest therefore executes IC instructions after it has changed code. A vCPU sees the new code when it next enters the
/// page or passes a context synchronisation event.
/// <para>Memory ordering: the words that were read, and the code that was made of them, change under the lock. A store of the guest comes
/// before its DSB, which is a full barrier. The DSB comes before the IC instruction, which takes the lock. So the IC instruction finds a
/// line changed that was read before the store, and a line that is read after it, under the lock, has the new words.</para>
/// </summary>
public sealed unsafe class CodeCache(CpuModel model)
{
    /// <summary>Pages of the interpreter kept before all are dropped: 33 KiB each, and up to 4 for what was read.</summary>
    public const int Capacity = 4096;

    // Pages of the translator are up to 9 KiB and live as long as their code, so the room for code limits them first.
    private const int TranslatedCapacity = 65536;

    /// <summary>log2 of the bytes of a line of the instruction cache: CTR_EL0.IminLine.</summary>
    private const int LineShift = 6;

    private readonly HashSet<CodePage> _pages = [];
    private delegate*<VcpuCore, CpuState*, Op*, Op*>[] _handlers = BuildHandlers(model.Features, countsBranches: false);
    private ICodeTranslator? _translator;
    private volatile bool _countsBranches;

    /// <summary>The number of lines that the guest has invalidated after it had changed them. Any thread; so are the two below.</summary>
    public long LinesInvalidated { get; private set; }

    /// <summary>The number of times that the guest had all pages examined.</summary>
    public long AllInvalidated { get; private set; }

    /// <summary>The number of times that all pages were given up because there were too many.</summary>
    public long GivenUp { get; private set; }

    /// <summary>Guards all pages, and the code translated from them.</summary>
    internal Lock Lock { get; } = new();

    /// <summary>Has the code translated, not interpreted. Before there is any.</summary>
    internal void Attach(ICodeTranslator translator) => _translator = translator;

    /// <summary>The code of a page, created unread on first use. <paramref name="address"/> is inside <paramref name="memory"/>.</summary>
    internal CodePage Get(GuestMemory memory, ulong address)
    {
        int index = IndexOf(memory, address);
        return Volatile.Read(ref memory.CodePages[index]) ?? Create(memory, index);
    }

    /// <summary>Decodes an op of a page, or one of the caller's own with the offset of its word. Idempotent; any vCPU thread.</summary>
    internal void Decode(CodePage page, Op* op)
    {
        lock (Lock)
        {
            if (op->Decoded == 0)
            {
                Fill(op, page.Read(op->Offset / sizeof(uint)));
            }
        }
    }

    /// <summary>The word of a page at an address, as it was when it was first read.</summary>
    internal uint WordAt(CodePage page, ulong va)
    {
        lock (Lock)
        {
            return page.Read((int)(va & (GuestMemory.PageSize - 1)) / sizeof(uint));
        }
    }

    /// <summary>Whether code counts its branches in <see cref="CpuState.Branches"/>. Stays so.</summary>
    internal bool CountsBranches => _countsBranches;

    /// <summary>
    /// Has the branches of all vCPUs counted from here on. All code is given up for it once, so that code of a machine in which nobody asks
    /// for branches has nothing of it. A vCPU counts from its next context synchronisation event on. Any thread.
    /// </summary>
    internal void CountBranches()
    {
        if (_countsBranches)
        {
            return;
        }

        lock (Lock)
        {
            if (!_countsBranches)
            {
                _countsBranches = true;
                _handlers = BuildHandlers(model.Features, countsBranches: true);
                DropAll();
            }
        }
    }

    /// <summary>What the CPUs have beyond Armv8.0-A.</summary>
    internal CpuModel Model => model;

    /// <summary>Makes an op of an instruction word; its offset stays.</summary>
    internal void Fill(Op* op, uint word)
    {
        op->Word = word;
        int row = EncodingTable.Find(word, model.Features);
        delegate*<VcpuCore, CpuState*, Op*, Op*> handler = &Flow.Undefined;
        byte decoded = Op.Unallocated;
        if (row >= 0)
        {
            op->Row = (ushort)row;
            EncodingTable.Rows[row].Form(op);
            handler = _handlers[row];
            decoded = Op.Allocated;
        }

        op->Decoded = decoded;

        // Release: a thread that reads the handler sees the operands.
        Volatile.Write(ref *(nint*)&op->Handler, (nint)handler);
    }

    /// <summary>
    /// IC IVAU: forgets the line of code at a physical address if memory holds other words than were read. True when it forgot the line.
    /// </summary>
    public bool Invalidate(GuestMemory memory, ulong address)
    {
        int index = IndexOf(memory, address);
        if (Volatile.Read(ref memory.CodePages[index]) == null)
        {
            // A thread that makes the page reads memory only later, with a full barrier between. The guest's stores came before its DSB.
            return false;
        }

        lock (Lock)
        {
            return memory.CodePages[index] is { } page
                && Replace(page, page.ChangedLines(1ul << (int)((address >> LineShift) & (CodePage.Lines - 1))));
        }
    }

    /// <summary>
    /// IC IALLU, IC IALLUIS: forgets each line of which memory holds other words than were read. True when there was such a line. Linux
    /// does this on each CPU that it brings up, when hardly any line has changed.
    /// </summary>
    public bool InvalidateAll()
    {
        lock (Lock)
        {
            AllInvalidated++;
            bool any = false;
            foreach (CodePage page in _pages.Where(p => p.ChangedLines(CodePage.AllLines) != 0).ToArray())
            {
                any |= Replace(page, page.ChangedLines(CodePage.AllLines));
            }

            return any;
        }
    }

    /// <summary>Forgets everything, whatever memory holds: it is about to be replaced.</summary>
    public void Clear()
    {
        lock (Lock)
        {
            DropAll();
        }
    }

    /// <summary>Forgets a page of which nothing is translated any more. With the lock.</summary>
    internal void Drop(CodePage page)
    {
        page.MarkStale();
        page.Memory.CodePages[page.Index] = null;
        _pages.Remove(page);
    }

    private static int IndexOf(GuestMemory memory, ulong address) => (int)((address - memory.Start.Value) >> GuestMemory.PageShift);

    private CodePage Create(GuestMemory memory, int index)
    {
        lock (Lock)
        {
            if (memory.CodePages[index] is { } existing)
            {
                return existing;
            }

            if (_pages.Count >= (_translator == null ? Capacity : TranslatedCapacity))
            {
                GivenUp++;
                DropAll();
            }

            CodePage page = _translator == null ? CodePage.WithOps(memory, index) : CodePage.WithoutOps(memory, index);
            Add(page);
            return page;
        }
    }

    private void Add(CodePage page)
    {
        Interlocked.Exchange(ref page.Memory.CodePages[page.Index], page);
        _pages.Add(page);
    }

    private bool Replace(CodePage page, ulong lines)
    {
        if (lines == 0)
        {
            return false;
        }

        LinesInvalidated += BitOperations.PopCount(lines);
        if (_translator == null)
        {
            // The place in memory is never empty meanwhile: see Invalidate.
            _pages.Remove(page);
            Add(page.Without(lines));
            page.MarkStale();
        }
        else
        {
            page.Forget(lines);
            _translator.Changed(page, lines);
        }

        return true;
    }

    private void DropAll()
    {
        _translator?.Dropped();
        foreach (CodePage page in _pages.ToArray())
        {
            Drop(page);
        }
    }

    // The handlers by row. Those of FP and SIMD come after the access check, and those of branches after their count.
    private static delegate*<VcpuCore, CpuState*, Op*, Op*>[] BuildHandlers(Feature features, bool countsBranches)
    {
        EncodingRow[] rows = EncodingTable.Rows;
        var handlers = new delegate*<VcpuCore, CpuState*, Op*, Op*>[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            bool writesVectors = (features & Feature.Sve) != 0 && (rows[i].Effects & (Effects.WriteVd | Effects.WriteVa)) != 0;
            handlers[i] = rows[i].IsScalable ? &ScalableGates.Scalable
                : writesVectors ? &ScalableGates.Vector
                : rows[i].UsesVectors ? &Flow.FpSimdGate
                : rows[i].Handler;
            bool isGuarded = (features & Feature.Bti) != 0 && rows[i].Operation is (Operation.Br or Operation.Blr);
            if (isGuarded)
            {
                handlers[i] = rows[i].Operation == Operation.Br ? &GuardedBranches.Br : &GuardedBranches.Blr;
            }

            if (countsBranches && rows[i].IsBranch)
            {
                handlers[i] = !isGuarded ? &CountedBranches.Any
                    : rows[i].Operation == Operation.Br ? &CountedBranches.GuardedBr : &CountedBranches.GuardedBlr;
            }
        }

        return handlers;
    }
}

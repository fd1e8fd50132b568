using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Interpreter;

/// <summary>
/// The predecoded code of a machine, by physical page: what the architecture calls the instruction cache. It is not
/// coherent with stores, as CTR_EL0.DIC = 0 tells the guest, which therefore executes IC instructions after changing code; a vCPU sees
/// the new page when it next enters it or passes a context synchronisation event.
/// </summary>
public sealed unsafe class CodeCache(Feature features)
{
    /// <summary>Pages kept before all are dropped: 33 KiB each.</summary>
    public const int Capacity = 4096;

    /// <summary>Bytes of a line of the instruction cache: CTR_EL0.IminLine.</summary>
    private const int LineSize = 64;

    private readonly Lock _lock = new();
    private readonly HashSet<(GuestMemory Memory, int Page)> _filled = [];
    private readonly delegate*<VcpuCore, CpuState*, Op*, Op*>[] _handlers = BuildHandlers();

    /// <summary>Pages that were replaced because the guest had changed them. Any thread, as the two below.</summary>
    public long PagesInvalidated { get; private set; }

    /// <summary>How often the guest had all pages looked through.</summary>
    public long AllInvalidated { get; private set; }

    /// <summary>How often all pages were given up because there were <see cref="Capacity"/>.</summary>
    public long GivenUp { get; private set; }

    /// <summary>Raised when decoded code was dropped, under the cache's lock: whoever has addresses of it forgets them.</summary>
    public event Action? Changed;

    /// <summary>The code of a page, created undecoded on first use. <paramref name="address"/> is inside <paramref name="memory"/>.</summary>
    internal CodePage Get(GuestMemory memory, ulong address)
    {
        int index = (int)((address - memory.Start.Value) >> GuestMemory.PageShift);
        return Volatile.Read(ref memory.CodePages[index]) ?? Create(memory, index);
    }

    /// <summary>Fills an op from its word. Idempotent; any vCPU thread.</summary>
    internal void Decode(CodePage page, Op* op)
    {
        lock (_lock)
        {
            if (op->Decoded != 0)
            {
                return;
            }

            op->Word = *(uint*)(page.Host + op->Offset);
            int row = EncodingTable.Find(op->Word);
            delegate*<VcpuCore, CpuState*, Op*, Op*> handler = &Flow.Undefined;
            byte decoded = Op.Unallocated;
            if (row >= 0 && (EncodingTable.Rows[row].Feature & ~features) == 0)
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
    }

    /// <summary>
    /// IC IVAU: forgets the code of the page that holds a physical address, if what was decoded of the line there is not what memory holds.
    /// </summary>
    public void Invalidate(GuestMemory memory, ulong address)
    {
        int line = (int)(address & (GuestMemory.PageSize - LineSize)) / sizeof(uint);
        int index = (int)((address - memory.Start.Value) >> GuestMemory.PageShift);
        lock (_lock)
        {
            if (memory.CodePages[index] is { } page && !page.IsAsInMemory(line, LineSize / sizeof(uint)))
            {
                Drop(memory, index);
                Changed?.Invoke();
            }
        }
    }

    /// <summary>
    /// IC IALLU, IC IALLUIS: forgets the pages of which something was decoded that memory holds no more. Linux does this on each CPU that it brings up,
    /// when hardly any has changed.
    /// </summary>
    public void InvalidateAll()
    {
        lock (_lock)
        {
            AllInvalidated++;
            (GuestMemory Memory, int Page)[] changed = [.. _filled.Where(f => !f.Memory.CodePages[f.Page]!.IsAsInMemory(0, CodePage.Words))];
            foreach ((GuestMemory memory, int index) in changed)
            {
                Drop(memory, index);
            }

            if (changed.Length > 0)
            {
                Changed?.Invoke();
            }
        }
    }

    /// <summary>Forgets everything, whatever memory holds: it is about to be replaced.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            DropAll();
        }
    }

    private CodePage Create(GuestMemory memory, int index)
    {
        lock (_lock)
        {
            if (memory.CodePages[index] is { } existing)
            {
                return existing;
            }

            if (_filled.Count >= Capacity)
            {
                GivenUp++;
                DropAll();
            }

            var page = new CodePage(memory.Host + ((long)index << GuestMemory.PageShift), &Flow.Undecoded, &Flow.PageEnd);
            Volatile.Write(ref memory.CodePages[index], page);
            _filled.Add((memory, index));
            return page;
        }
    }

    private void Drop(GuestMemory memory, int index)
    {
        memory.CodePages[index]!.MarkStale();
        memory.CodePages[index] = null;
        _filled.Remove((memory, index));
        PagesInvalidated++;
    }

    private void DropAll()
    {
        foreach ((GuestMemory memory, int index) in _filled)
        {
            memory.CodePages[index]!.MarkStale();
            memory.CodePages[index] = null;
        }

        _filled.Clear();
        Changed?.Invoke();
    }

    // What each row does: FP and SIMD behind the access check.
    private static delegate*<VcpuCore, CpuState*, Op*, Op*>[] BuildHandlers()
    {
        EncodingRow[] rows = EncodingTable.Rows;
        var handlers = new delegate*<VcpuCore, CpuState*, Op*, Op*>[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            handlers[i] = (rows[i].Flags & RowFlags.FpSimd) != 0 ? &Flow.FpSimdGate : rows[i].Handler;
        }

        return handlers;
    }
}

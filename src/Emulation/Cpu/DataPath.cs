using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.Decoding;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.MemoryTagging;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Cpu;

/// <summary>
/// Loads and stores of a vCPU that its TLB does not serve: translated, checked, then made in RAM or at a device. The one place where a
/// vCPU's data accesses reach the bus. A method that returns false has taken the exception of the access. Owner: the vCPU's thread.
/// </summary>
internal sealed unsafe class DataPath(VcpuCore core)
{
    private const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);

    /// <summary>Checks of memory tags; null on a vCPU without, or whose memory has none.</summary>
    public TagChecks? Tagging { get; } = TagsOf(core) is { } tags ? new TagChecks(core, tags) : null;

    private static TagMemory? TagsOf(VcpuCore core)
    {
        foreach (GuestMemory memory in core.Bus.Memories)
        {
            if (core.Has(Feature.Mte3) && memory.Tags is { } tags)
            {
                return tags;
            }
        }

        return null;
    }

    /// <summary>Repeats accesses that were made before, to compare them (lockstep); null without.</summary>
    public IAccessReplay? Replay { get; init; }

    public bool LoadSlow<T>(Op* op, ulong va, AccessKind kind, out T value)
        where T : unmanaged
    {
        if (!LoadBytes(op, va, kind, out value))
        {
            return false;
        }

        value = Endianness.Ordered(core.State, value);
        return true;
    }

    public bool StoreSlow<T>(Op* op, ulong va, AccessKind kind, T value)
        where T : unmanaged => StoreBytes(op, va, kind, Endianness.Ordered(core.State, value));

    private bool LoadBytes<T>(Op* op, ulong va, AccessKind kind, out T value)
        where T : unmanaged
    {
        if (Find(va, sizeof(T), kind, write: false, out byte* known))
        {
            value = HostAtomics.Read<T>(known);
            return true;
        }

        value = default;
        int offset = (int)va & (GuestMemory.PageSize - 1);
        if (!CheckAlignment(op, va, sizeof(T), kind, AccessType.Read))
        {
            return false;
        }

        if (offset + sizeof(T) > GuestMemory.PageSize)
        {
            if (BothInTlb(va, sizeof(T), kind, write: false, out byte* head, out byte* tail))
            {
                T whole = default;
                Join((byte*)&whole, head, GuestMemory.PageSize - offset, tail, sizeof(T), write: false);
                value = whole;
                return true;
            }

            // Byte by byte, after both pages are known to be readable.
            if (!Access(op, va, 1, kind, AccessType.Read, sizeof(T), out _) ||
                !Access(op, (va + (ulong)sizeof(T) - 1) & PageMask, 1, kind, AccessType.Read, sizeof(T), out _) ||
                (core.Debug.Watching && core.TakeWatchpoint(op, va, sizeof(T), kind, AccessType.Read)))
            {
                return false;
            }

            T buffer = default;
            for (int i = 0; i < sizeof(T); i++)
            {
                if (!LoadBytes(op, va + (ulong)i, kind & ~AccessKind.Aligned, out byte b))
                {
                    return false;
                }

                ((byte*)&buffer)[i] = b;
            }

            value = buffer;
            return true;
        }

        if (Tagging != null && Tagging.TryFind(va, sizeof(T), kind, write: false, out byte* found))
        {
            value = HostAtomics.Read<T>(found);
            return Tagging.Check(op, va, sizeof(T), kind, AccessType.Read, found);
        }

        if (!Access(op, va, sizeof(T), kind, AccessType.Read, sizeof(T), out Translation t) ||
            (core.Debug.Watching && core.TakeWatchpoint(op, va, sizeof(T), kind, AccessType.Read)))
        {
            return false;
        }

        byte* host = core.Bus.HostPointer(t.Address);
        if (host != null)
        {
            value = HostAtomics.Read<T>(host);
            return true;
        }

        T result = default;
        for (int done = 0; done < sizeof(T);)
        {
            int size = Math.Min(sizeof(T) - done, 8);
            if (!ReadDevice(t.Address + (ulong)done, size, out ulong part))
            {
                core.TakeDataAbort(op, va + (ulong)done, FaultStatus.ExternalAbort, AccessType.Read, kind);
                return false;
            }

            Unsafe.CopyBlockUnaligned((byte*)&result + done, &part, (uint)size);
            done += size;
        }

        value = result;
        return true;
    }

    private bool StoreBytes<T>(Op* op, ulong va, AccessKind kind, T value)
        where T : unmanaged
    {
        if (Find(va, sizeof(T), kind, write: true, out byte* known))
        {
            HostAtomics.Write(known, value);
            return true;
        }

        int offset = (int)va & (GuestMemory.PageSize - 1);
        if (!CheckAlignment(op, va, sizeof(T), kind, AccessType.Write))
        {
            return false;
        }

        if (offset + sizeof(T) > GuestMemory.PageSize)
        {
            if (BothInTlb(va, sizeof(T), kind, write: true, out byte* head, out byte* tail))
            {
                Join((byte*)&value, head, GuestMemory.PageSize - offset, tail, sizeof(T), write: true);
                return true;
            }

            // Nothing is written unless both pages may be.
            if (!Access(op, va, 1, kind, AccessType.Write, sizeof(T), out _) ||
                !Access(op, (va + (ulong)sizeof(T) - 1) & PageMask, 1, kind, AccessType.Write, sizeof(T), out _) ||
                (core.Debug.Watching && core.TakeWatchpoint(op, va, sizeof(T), kind, AccessType.Write)))
            {
                return false;
            }

            for (int i = 0; i < sizeof(T); i++)
            {
                if (!StoreBytes(op, va + (ulong)i, kind & ~AccessKind.Aligned, ((byte*)&value)[i]))
                {
                    return false;
                }
            }

            return true;
        }

        if (Tagging != null && Tagging.TryFind(va, sizeof(T), kind, write: true, out byte* found))
        {
            if (!Tagging.Check(op, va, sizeof(T), kind, AccessType.Write, found))
            {
                return false;
            }

            Note(found, sizeof(T));
            HostAtomics.Write(found, value);
            return true;
        }

        if (!Access(op, va, sizeof(T), kind, AccessType.Write, sizeof(T), out Translation t) ||
            (core.Debug.Watching && core.TakeWatchpoint(op, va, sizeof(T), kind, AccessType.Write)))
        {
            return false;
        }

        byte* host = core.Bus.WritablePointer(t.Address);
        if (host != null)
        {
            Note(host, sizeof(T));
            HostAtomics.Write(host, value);
            return true;
        }

        for (int done = 0; done < sizeof(T);)
        {
            int size = Math.Min(sizeof(T) - done, 8);
            ulong part = 0;
            Unsafe.CopyBlockUnaligned(&part, (byte*)&value + done, (uint)size);
            if (WriteDevice(t.Address + (ulong)done, size, part) is { } fault)
            {
                Fault(op, va + (ulong)done, fault, AccessType.Write, kind);
                return false;
            }

            done += size;
        }

        return true;
    }

    // An access in two pages: whether the TLB has both, and where in host memory its parts are.
    private bool BothInTlb(ulong va, int size, AccessKind kind, bool write, out byte* head, out byte* tail)
    {
        TlbEntry* tlb = (kind & AccessKind.Unprivileged) != 0 ? core.State->TlbUnprivileged : core.State->Tlb;
        ulong second = (va + (ulong)size - 1) & PageMask;
        TlbEntry* first = tlb + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        TlbEntry* last = tlb + ((second >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        head = (byte*)(va + (nuint)first->Addend);
        tail = (byte*)(second + (nuint)last->Addend);
        return (write ? first->WriteTag : first->ReadTag) == (va & PageMask) && (write ? last->WriteTag : last->ReadTag) == second;
    }

    // Copies a value from its two parts, or to them.
    private static void Join(byte* value, byte* head, int headSize, byte* tail, int size, bool write)
    {
        Unsafe.CopyBlockUnaligned(write ? head : value, write ? value : head, (uint)headSize);
        Unsafe.CopyBlockUnaligned(write ? tail : value + headSize, write ? value + headSize : tail, (uint)(size - headSize));
    }

    public bool HostPointerSlow(Op* op, ulong va, int size, bool write, out byte* pointer)
    {
        pointer = null;
        AccessKind kind = AccessKind.Aligned | (write ? AccessKind.Atomic : AccessKind.Plain);
        AccessType type = write ? AccessType.Write : AccessType.Read;
        if (Find(va, size, kind, write, out pointer))
        {
            return true;
        }

        // An atomic reads first: its fault is one of a read where a read has it too (ESR_EL1.WnR).
        if (!CheckAlignment(op, va, size, kind, AccessType.Read))
        {
            return false;
        }

        if (Tagging != null && Tagging.TryFind(va, size, kind, write, out pointer))
        {
            Note(pointer, write ? size : 0);
            return Tagging.Check(op, va, size, kind, AccessType.Read, pointer);
        }

        if ((write && !Access(op, va, size, kind, AccessType.Read, size, out _))
            || !Access(op, va, size, kind, type, size, out Translation t))
        {
            return false;
        }

        if (core.Debug.Watching
            && ((write && core.TakeWatchpoint(op, va, size, kind, AccessType.Read)) || core.TakeWatchpoint(op, va, size, kind, type)))
        {
            return false;
        }

        pointer = t.IsDevice ? null : write ? core.Bus.WritablePointer(t.Address) : core.Bus.HostPointer(t.Address);
        if (pointer == null)
        {
            core.TakeDataAbort(op, va, FaultStatus.UnsupportedExclusive, type, kind);
            return false;
        }

        Note(pointer, write ? size : 0);
        return true;
    }

    /// <summary>
    /// Takes the faults that come before translation: SCTLR_EL1.A, and accesses that must be aligned in any case.
    /// </summary>
    public bool CheckAlignment(Op* op, ulong va, int size, AccessKind kind, AccessType type)
    {
        if ((va & (ulong)(size - 1)) != 0
            && ((core.State->SctlrEl1 & Sctlr.A) != 0 || ((kind & AccessKind.Aligned) != 0 && !MayBeUnaligned(va, size, kind))))
        {
            // A quadword of SIMD may be made of doublewords, but SCTLR_EL1.A checks it whole.
            core.TakeDataAbort(op, va, FaultStatus.Alignment, type, kind);
            return false;
        }

        return true;
    }

    // FEAT_LSE2 (Arm ARM B2.2.1, B2.5.2).
    private bool MayBeUnaligned(ulong va, int size, AccessKind kind)
    {
        const int Quantity = 16;
        bool isWithin = (int)(va % Quantity) + size <= Quantity;
        return core.Model.HasLse2
            && (((kind & AccessKind.Ordered) != 0 && (core.State->SctlrEl1 & Sctlr.NAa) != 0) || (isWithin && HostAtomics.TakesUnaligned));
    }

    // Translates a data access inside one page and takes its fault. It gives the page to the TLB if plain host accesses
    // will do from now on.
    private bool Access(Op* op, ulong va, int size, AccessKind kind, AccessType type, int whole, out Translation t)
    {
        int view = core.Mmu.View(kind);
        if (!core.Mmu.Translate(va, type, AskerOf(view), out t, out int status))
        {
            Fault(op, va, status, type, kind);
            return false;
        }

        // Device memory wants every access aligned (Arm ARM B2.7.2).
        if (t.IsDevice && (va & (ulong)(Math.Max(size, whole) - 1)) != 0)
        {
            core.TakeDataAbort(op, va, FaultStatus.Alignment, type, kind);
            return false;
        }

        if (core.Bus.FindMemory(t.Address) is { } memory && !core.Mmu.TryUse(memory, t.Address))
        {
            Fault(op, va, FaultStatus.PageMissing, type, kind);
            return false;
        }

        Fill(view, va, ref t, type);
        return !t.Checked || Tagging!.Check(op, va, size, kind, type, core.Bus.HostPointer(t.Address));
    }

    private static TableWalk.View AskerOf(int view) =>
        new(view == TlbContext.ViewEl0 ? 0 : 1, view == TlbContext.ViewEl1Pan, Updates: true);

    // Gives a page to the TLB if plain host accesses will do from now on, or such that are checked for tags.
    private void Fill(int view, ulong va, ref Translation t, AccessType type)
    {
        t.Checked = Tagging != null && Tagging.Apply(view, va, t);
        bool isPlain = !t.IsDevice && (core.State->SctlrEl1 & (Sctlr.A | Sctlr.E0e | Sctlr.Ee)) == 0;
        if (isPlain && !(core.Debug.Watching && core.Debug.IsPageWatched(va)))
        {
            core.Mmu.FillData(view, va, t, type);
        }
    }

    /// <summary>
    /// Takes the faults of an instruction that loads or stores tags of memory. <paramref name="place"/> is the byte in host memory whose
    /// tag is meant; null where memory has none.
    /// </summary>
    public bool TryReachTags(Op* op, ulong va, AccessType type, out byte* place, AccessKind kind = AccessKind.Plain)
    {
        if (Tagging != null && Tagging.TryFind(va, 1, kind, type == AccessType.Write, out place))
        {
            return true;
        }

        place = null;
        if (!Access(op, va, 0, kind, type, 1, out Translation t))
        {
            return false;
        }

        bool isTagged = Tagging != null && t.Attributes == TagChecks.TaggedMemory && core.Bus.FindMemory(t.Address)?.Tags != null;
        place = isTagged ? core.Bus.HostPointer(t.Address) : null;
        return true;
    }

    /// <summary>
    /// Takes the faults of DC ZVA at its address as given, which is the one that they report; device memory is always one (Arm ARM C5.3).
    /// </summary>
    public bool CheckZero(Op* op, ulong va)
    {
        if (Find(va, 1, AccessKind.Plain, write: true, out _))
        {
            return true;
        }

        // The tags are checked where the zeros are stored.
        if (!Access(op, va, 0, AccessKind.Plain, AccessType.Write, 1, out Translation t))
        {
            return false;
        }

        if (t.IsDevice)
        {
            core.TakeDataAbort(op, va, FaultStatus.Alignment, AccessType.Write, AccessKind.Plain);
            return false;
        }

        return true;
    }

    /// <summary>
    /// Translates the address of a cache maintenance instruction, with the permissions of the current EL and without PAN. One that only
    /// reads gives a page that loads may read to the TLB, for a program maintains a page line by line.
    /// </summary>
    /// <param name="address">The physical address.</param>
    public bool TranslateForMaintenance(Op* op, ulong va, AccessType type, out ulong address)
    {
        TlbEntry* entry = core.State->Tlb + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        if (type == AccessType.Read && entry->ReadTag == (va & PageMask))
        {
            address = core.Bus.AddressOf((byte*)(va + (nuint)entry->Addend));
            return true;
        }

        var asker = new TableWalk.View(Pstate.ExceptionLevel(core.State->Pstate), false);
        bool isThere = core.Mmu.Translate(va, type, asker, out Translation t, out int status);
        address = t.Address;
        if (!isThere)
        {
            Fault(op, va, status, type, AccessKind.CacheMaintenance);
            return false;
        }

        int view = core.Mmu.View(AccessKind.Plain);
        if (type == AccessType.Read && core.Bus.FindMemory(address) is { } memory && memory.TryUse(address)
            && core.Mmu.Translate(va, type, AskerOf(view), out t, out _))
        {
            Fill(view, va, ref t, type);
        }

        return true;
    }

    /// <summary>
    /// Takes the exception of an access; for one that lacks a page, has the instruction repeated when the vCPU next runs. The handler goes
    /// on in the same way after both.
    /// </summary>
    public void Fault(Op* op, ulong va, int status, AccessType type, AccessKind kind)
    {
        if (status != FaultStatus.PageMissing)
        {
            core.TakeDataAbort(op, va, status, type, kind);
            return;
        }

        // Resume charges the instruction, which has not been executed.
        core.State->Pc = core.PcOf(op);
        core.State->Remaining++;
        core.Mmu.AwaitPage();
    }

    private bool ReadDevice(ulong address, int size, out ulong value)
    {
        bool answered = core.Bus.TryRead(address, size, out value);
        if (core.Trace != null)
        {
            TraceDevice(address, size, value, false);
        }

        return answered;
    }

    // The fault status code; null when a device has taken the value.
    private int? WriteDevice(ulong address, int size, ulong value)
    {
        // Before the device acts, so that what follows from it stands below.
        if (core.Trace != null)
        {
            TraceDevice(address, size, value, true);
        }

        bool answered;
        try
        {
            answered = core.Bus.TryWrite(address, size, value);
        }
        catch (MissingPageException e)
        {
            // The device's own access to RAM; the store is repeated.
            core.Mmu.NoteMissing(core.Bus.FindMemory(e.Address)!, e.Address);
            return FaultStatus.PageMissing;
        }

        // A flash chip that left array mode is read as a device by the next instruction.
        core.Mmu.ServiceRequests();
        return answered ? null : FaultStatus.ExternalAbort;
    }

    private void TraceDevice(ulong address, int size, ulong value, bool write)
    {
        PhysicalAddressSpace.Window? window = core.Bus.FindDevice(address);
        string direction = write ? "write" : "read";
        if (core.TraceOf(TraceCategories.Mmio) is { } mmio)
        {
            string place = window is { } w ? $"{w.Device.Name}+0x{address - w.Start:x}" : $"nothing at 0x{address:x}";
            mmio.Write(TraceCategories.Mmio, $"cpu{core.Index.Value} {direction} {place} size {size} value 0x{value:x}");
        }

        if (window == null && core.TraceOf(TraceCategories.GuestErrors) is { } errors)
        {
            errors.Write(TraceCategories.GuestErrors, $"cpu{core.Index.Value} {direction} of nothing at 0x{address:x} size {size}");
        }

        if (core.TraceOf(TraceCategories.Acpi) is { } acpi && window is { Device: IAcpiDevice device } found
            && device.RegisterName(address - found.Start, write) is { } register)
        {
            acpi.Write(TraceCategories.Acpi, $"cpu{core.Index.Value} {direction} {device.Name} {register} 0x{value:x}");
        }
    }

    private bool Find(ulong va, int size, AccessKind kind, bool write, out byte* host)
    {
        host = null;
        return Replay != null && Replay.TryFind(va, size, kind, write, out host);
    }

    private void Note(byte* host, int size) => Replay?.NoteStore(host, size);
}

using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu;

/// <summary>The kind of an access, beside its size and direction.</summary>
[Flags]
public enum AccessKind
{
    Plain = 0,

    /// <summary>LDTR, STTR: with EL0's permissions unless PSTATE.UAO.</summary>
    Unprivileged = 1,

    /// <summary>Acquire, release, exclusive and atomic accesses: aligned, with FEAT_LSE2 within 16 bytes (Arm ARM B2.5.2).</summary>
    Aligned = 2,

    /// <summary>Checked for write permission as well: an atomic read-modify-write.</summary>
    Atomic = 4,

    /// <summary>A cache maintenance instruction by address: ESR.CM.</summary>
    CacheMaintenance = 8,

    /// <summary>Acquire and release: SCTLR_EL1.nAA lets them be anywhere.</summary>
    Ordered = 16,
}

/// <summary>
/// Guest loads and stores as handlers make them: the fast path through the TLB inline, the rest in <see cref="DataPath"/>. False
/// means that an exception was taken; the handler returns <see cref="VcpuCore.Resume"/> without having changed anything.
/// </summary>
internal static unsafe class MemoryAccess
{
    private const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Load<T>(VcpuCore core, CpuState* s, Op* op, ulong va, out T value)
        where T : unmanaged
    {
        TlbEntry* entry = s->Tlb + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        if (entry->ReadTag == ((va + (ulong)(sizeof(T) - 1)) & PageMask))
        {
            value = HostAtomics.Read<T>((byte*)(va + (nuint)entry->Addend));
            return true;
        }

        return core.Data.LoadSlow(op, va, AccessKind.Plain, out value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Store<T>(VcpuCore core, CpuState* s, Op* op, ulong va, T value)
        where T : unmanaged
    {
        TlbEntry* entry = s->Tlb + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        if (entry->WriteTag == ((va + (ulong)(sizeof(T) - 1)) & PageMask))
        {
            HostAtomics.Write((byte*)(va + (nuint)entry->Addend), value);
            return true;
        }

        return core.Data.StoreSlow(op, va, AccessKind.Plain, value);
    }

    public static bool LoadUnprivileged<T>(VcpuCore core, CpuState* s, Op* op, ulong va, out T value)
        where T : unmanaged
    {
        TlbEntry* entry = s->TlbUnprivileged + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        if (entry->ReadTag == ((va + (ulong)(sizeof(T) - 1)) & PageMask))
        {
            value = Unsafe.ReadUnaligned<T>((byte*)(va + (nuint)entry->Addend));
            return true;
        }

        return core.Data.LoadSlow(op, va, AccessKind.Unprivileged, out value);
    }

    public static bool StoreUnprivileged<T>(VcpuCore core, CpuState* s, Op* op, ulong va, T value)
        where T : unmanaged
    {
        TlbEntry* entry = s->TlbUnprivileged + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        if (entry->WriteTag == ((va + (ulong)(sizeof(T) - 1)) & PageMask))
        {
            Unsafe.WriteUnaligned((byte*)(va + (nuint)entry->Addend), value);
            return true;
        }

        return core.Data.StoreSlow(op, va, AccessKind.Unprivileged, value);
    }

    /// <summary>LDAR, LDAPR: aligned, and ordered before all that follows.</summary>
    public static bool LoadAcquire<T>(VcpuCore core, CpuState* s, Op* op, ulong va, out T value)
        where T : unmanaged
    {
        bool ok = (va & (ulong)(sizeof(T) - 1)) == 0
            ? Load(core, s, op, va, out value)
            : core.Data.LoadSlow(op, va, AccessKind.Aligned | AccessKind.Ordered, out value);
        if (!System.Runtime.Intrinsics.X86.X86Base.IsSupported)
        {
            Interlocked.MemoryBarrier();
        }

        return ok;
    }

    /// <summary>STLR: aligned, ordered after all that precedes, and before later LDARs.</summary>
    public static bool StoreRelease<T>(VcpuCore core, CpuState* s, Op* op, ulong va, T value)
        where T : unmanaged
    {
        Interlocked.MemoryBarrier();
        bool ok = (va & (ulong)(sizeof(T) - 1)) == 0
            ? Store(core, s, op, va, value)
            : core.Data.StoreSlow(op, va, AccessKind.Aligned | AccessKind.Ordered, value);
        Interlocked.MemoryBarrier();
        return ok;
    }

    /// <summary>Whether the TLB has the page of an address as plain memory that the current view may write.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsWritablePage(CpuState* s, ulong va) =>
        s->Tlb[(va >> GuestMemory.PageShift) & (TlbEntry.Count - 1)].WriteTag == (va & PageMask);

    /// <summary>
    /// Host memory of an aligned guest location of <paramref name="size"/> bytes, for atomics: readable, and writable when
    /// <paramref name="write"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool HostPointer(VcpuCore core, CpuState* s, Op* op, ulong va, int size, bool write, out byte* pointer)
    {
        TlbEntry* entry = s->Tlb + ((va >> GuestMemory.PageShift) & (TlbEntry.Count - 1));
        ulong tag = va & PageMask;
        if (entry->ReadTag == tag && (!write || entry->WriteTag == tag) && (va & (ulong)(size - 1)) == 0)
        {
            pointer = (byte*)(va + (nuint)entry->Addend);
            return true;
        }

        return core.Data.HostPointerSlow(op, va, size, write, out pointer);
    }
}

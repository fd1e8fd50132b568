using System.Runtime.CompilerServices;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Cpu.Jit;
using Vmm.Emulation.Cpu.Mmu;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu;

/// <content>Loads and stores that miss the TLB, and the TLB itself.</content>
public sealed unsafe partial class VcpuCore
{
    private const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);
    private const int Contexts = 8;

    private readonly TlbContext?[] _contexts = new TlbContext?[Contexts];
    private TlbContext _context = null!;
    private long _switches;

    // Translated code for EL1, and the tables of the upper half that its entries are of; null without a translator.
    private JumpCache? _jumpsEl1;
    private ulong _jumpsTtbr1;

    /// <summary>SCTLR_EL1.SA or SA0, for the current exception level.</summary>
    internal bool StackAlignmentChecked =>
        (_state->SctlrEl1 & (Pstate.ExceptionLevel(_state->Pstate) == 0 ? Sctlr.Sa0 : Sctlr.Sa)) != 0;

    private int View(AccessKind kind)
    {
        uint pstate = _state->Pstate;
        bool el0 = Pstate.ExceptionLevel(pstate) == 0 || ((kind & AccessKind.Unprivileged) != 0 && (pstate & Pstate.Uao) == 0);
        return el0 ? TlbContext.ViewEl0 : (pstate & Pstate.Pan) != 0 ? TlbContext.ViewEl1Pan : TlbContext.ViewEl1;
    }

    internal bool LoadSlow<T>(Op* op, ulong va, AccessKind kind, out T value)
        where T : unmanaged
    {
        if (!LoadBytes(op, va, kind, out value))
        {
            return false;
        }

        value = Endianness.Ordered(_state, value);
        return true;
    }

    internal bool StoreSlow<T>(Op* op, ulong va, AccessKind kind, T value)
        where T : unmanaged => StoreBytes(op, va, kind, Endianness.Ordered(_state, value));

    private bool LoadBytes<T>(Op* op, ulong va, AccessKind kind, out T value)
        where T : unmanaged
    {
        if (FindRepeated(va, sizeof(T), kind, write: false, out byte* known))
        {
            value = Unsafe.ReadUnaligned<T>(known);
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
                (_watching && TakeWatchpoint(op, va, sizeof(T), kind, AccessType.Read)))
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

        if (!Access(op, va, sizeof(T), kind, AccessType.Read, sizeof(T), out Translation t) ||
            (_watching && TakeWatchpoint(op, va, sizeof(T), kind, AccessType.Read)))
        {
            return false;
        }

        byte* host = Bus.HostPointer(t.Address);
        if (host != null)
        {
            value = Unsafe.ReadUnaligned<T>(host);
            return true;
        }

        T result = default;
        for (int done = 0; done < sizeof(T);)
        {
            int size = Math.Min(sizeof(T) - done, 8);
            if (!ReadDevice(t.Address + (ulong)done, size, out ulong part))
            {
                TakeDataAbort(op, va + (ulong)done, FaultStatus.ExternalAbort, AccessType.Read, kind);
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
        if (FindRepeated(va, sizeof(T), kind, write: true, out byte* known))
        {
            Unsafe.WriteUnaligned(known, value);
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
                (_watching && TakeWatchpoint(op, va, sizeof(T), kind, AccessType.Write)))
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

        if (!Access(op, va, sizeof(T), kind, AccessType.Write, sizeof(T), out Translation t) ||
            (_watching && TakeWatchpoint(op, va, sizeof(T), kind, AccessType.Write)))
        {
            return false;
        }

        byte* host = Bus.WritablePointer(t.Address);
        if (host != null)
        {
            NoteRepeatedStore(host, sizeof(T));
            Unsafe.WriteUnaligned(host, value);
            return true;
        }

        for (int done = 0; done < sizeof(T);)
        {
            int size = Math.Min(sizeof(T) - done, 8);
            ulong part = 0;
            Unsafe.CopyBlockUnaligned(&part, (byte*)&value + done, (uint)size);
            if (!WriteDevice(t.Address + (ulong)done, size, part))
            {
                TakeDataAbort(op, va + (ulong)done, FaultStatus.ExternalAbort, AccessType.Write, kind);
                return false;
            }

            done += size;
        }

        return true;
    }

    // An access in two pages: whether the TLB has both, and where in host memory its parts are.
    private bool BothInTlb(ulong va, int size, AccessKind kind, bool write, out byte* head, out byte* tail)
    {
        TlbEntry* tlb = (kind & AccessKind.Unprivileged) != 0 ? _state->TlbUnprivileged : _state->Tlb;
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

    internal bool HostPointerSlow(Op* op, ulong va, int size, bool write, out byte* pointer)
    {
        pointer = null;
        AccessKind kind = AccessKind.Aligned | (write ? AccessKind.Atomic : AccessKind.Plain);
        AccessType type = write ? AccessType.Write : AccessType.Read;
        if (FindRepeated(va, size, kind, write, out pointer))
        {
            return true;
        }

        // An atomic reads first: its fault is one of a read where a read has it too (ESR_EL1.WnR).
        if (!CheckAlignment(op, va, size, kind, AccessType.Read))
        {
            return false;
        }

        if ((write && !Access(op, va, size, kind, AccessType.Read, size, out _)) || !Access(op, va, size, kind, type, size, out Translation t))
        {
            return false;
        }

        if (_watching && ((write && TakeWatchpoint(op, va, size, kind, AccessType.Read)) || TakeWatchpoint(op, va, size, kind, type)))
        {
            return false;
        }

        pointer = t.IsDevice ? null : write ? Bus.WritablePointer(t.Address) : Bus.HostPointer(t.Address);
        if (pointer == null)
        {
            TakeDataAbort(op, va, FaultStatus.UnsupportedExclusive, type, kind);
            return false;
        }

        NoteRepeatedStore(pointer, write ? size : 0);
        return true;
    }

    // Faults that come before translation: SCTLR_EL1.A, and accesses that must be aligned in any case.
    private bool CheckAlignment(Op* op, ulong va, int size, AccessKind kind, AccessType type)
    {
        if ((va & (ulong)(size - 1)) != 0 && ((kind & AccessKind.Aligned) != 0 || (_state->SctlrEl1 & Sctlr.A) != 0))
        {
            // A quadword of SIMD may be made of doublewords, but SCTLR_EL1.A checks it whole.
            TakeDataAbort(op, va, FaultStatus.Alignment, type, kind);
            return false;
        }

        return true;
    }

    // Translates a data access inside one page, takes its fault, and gives the page to the TLB where a plain host access will do from now on.
    private bool Access(Op* op, ulong va, int size, AccessKind kind, AccessType type, int whole, out Translation t)
    {
        CpuState* s = _state;
        int view = View(kind);
        var asker = new TableWalk.View(view == TlbContext.ViewEl0 ? 0 : 1, view == TlbContext.ViewEl1Pan);
        if (!TableWalk.Translate(this, va, type, asker, out t, out int status))
        {
            TakeDataAbort(op, va, status, type, kind);
            return false;
        }

        // Device memory wants every access aligned (Arm ARM B2.7.2).
        if (t.IsDevice && (va & (ulong)(Math.Max(size, whole) - 1)) != 0)
        {
            TakeDataAbort(op, va, FaultStatus.Alignment, type, kind);
            return false;
        }

        if (t.IsDevice || (s->SctlrEl1 & (Sctlr.A | Sctlr.E0e | Sctlr.Ee)) != 0 || (_watching && IsPageWatched(va)) || Bus.FindMemory(t.Address) is not { } memory || !memory.TryCache())
        {
            return true;
        }

        Counters.DataTlbFills++;
        Translation cached = t;
        cached.Writable = t.Writable && memory.TryCacheForWriting(t.Address, type == AccessType.Write);
        _context.Fill(view, va, cached, (nint)(memory.Host + (t.Address - memory.Start.Value) - va));
        return true;
    }

    /// <summary>
    /// Takes the faults of DC ZVA at its address as given, which is the one that they report; device memory is always one (Arm ARM C5.3).
    /// </summary>
    internal bool CheckZero(Op* op, ulong va)
    {
        if (FindRepeated(va, 1, AccessKind.Plain, write: true, out _))
        {
            return true;
        }

        if (!Access(op, va, 1, AccessKind.Plain, AccessType.Write, 1, out Translation t))
        {
            return false;
        }

        if (t.IsDevice)
        {
            TakeDataAbort(op, va, FaultStatus.Alignment, AccessType.Write, AccessKind.Plain);
            return false;
        }

        return true;
    }

    /// <summary>Translates the address of a cache maintenance instruction, with the permissions of the current EL and without PAN.</summary>
    internal bool TranslateForMaintenance(Op* op, ulong va, AccessType type, out Translation t)
    {
        var asker = new TableWalk.View(Pstate.ExceptionLevel(_state->Pstate), false);
        if (TableWalk.Translate(this, va, type, asker, out t, out int status))
        {
            return true;
        }

        TakeDataAbort(op, va, status, type, AccessKind.CacheMaintenance);
        return false;
    }

    // Fills the instruction TLB entry of a page; false after an abort was taken.
    private bool FillInstructionTlb(ulong pc)
    {
        int level = Pstate.ExceptionLevel(_state->Pstate);
        if (!TableWalk.Translate(this, pc, AccessType.Execute, new TableWalk.View(level, false), out Translation t, out int status))
        {
            TakeInstructionAbort(pc, status);
            return false;
        }

        if (Bus.FindMemory(t.Address) is not { } memory || !memory.TryCache())
        {
            TakeInstructionAbort(pc, FaultStatus.ExternalAbort);
            return false;
        }

        Counters.InstructionTlbFills++;
        _context.FillInstruction(level, pc, t, _code.Get(memory, t.Address));
        return true;
    }

    /// <summary>Points the fast paths at the translations of the current PSTATE. After every change of EL, PAN or UAO.</summary>
    internal void UpdateView()
    {
        _state->Tlb = _context.View(View(AccessKind.Plain));
        _state->TlbUnprivileged = _context.View(View(AccessKind.Unprivileged));
        if (_translations != null)
        {
            _state->JumpCache = Jumps().Entries;
            ForgetBases();
        }
    }

    // The translations that base registers used last, of translated code, may no longer hold.
    private void ForgetBases()
    {
        _translationsChanged = true;
        if (_translations != null)
        {
            new Span<ulong>(_state->BaseReadTag, 2 * CpuState.Bases).Fill(TlbEntry.Invalid);
        }
    }

    // The jump cache of the current exception level.
    private JumpCache Jumps() => Pstate.ExceptionLevel(_state->Pstate) == 0 ? _context.Jumps! : _jumpsEl1!;

    /// <summary>Finds or makes the context of the current TTBR0_EL1 and TTBR1_EL1. After every write of either.</summary>
    internal void SwitchContext()
    {
        ulong ttbr0 = _state->Ttbr0El1;
        ulong ttbr1 = _state->Ttbr1El1;
        int oldest = 0;
        int found = -1;
        for (int i = 0; i < Contexts; i++)
        {
            TlbContext? candidate = _contexts[i];
            if (candidate == null)
            {
                oldest = i;
                continue;
            }

            if (candidate.Ttbr0 == ttbr0 && candidate.Ttbr1 == ttbr1)
            {
                found = i;
                break;
            }

            if (_contexts[oldest] is { } o && candidate.LastUse < o.LastUse)
            {
                oldest = i;
            }
        }

        TlbContext context;
        if (found >= 0)
        {
            context = _contexts[found]!;
        }
        else
        {
            context = _contexts[oldest] ??= new TlbContext(_translations != null);
            context.Postpone(HaveSameTables(context.Ttbr1, ttbr1) ? TlbLoss.Local : TlbLoss.All);
            context.Ttbr0 = ttbr0;
            context.Ttbr1 = ttbr1;
            Counters.ContextsMade++;
        }

        context.Settle();
        context.LastUse = ++_switches;
        _context = context;
        if (_translations != null)
        {
            _jumpsEl1 ??= new JumpCache();
            if (_jumpsEl1.AnyLocal || !HaveSameTables(_jumpsTtbr1, ttbr1))
            {
                _jumpsEl1.Clear();
            }

            _jumpsTtbr1 = ttbr1;
        }

        UpdateView();
    }

    // TTBRn_EL1 without ASID and CnP.
    private static bool HaveSameTables(ulong ttbr, ulong other) => ((ttbr ^ other) & 0x0000_FFFF_FFFF_FFFE) == 0;
}

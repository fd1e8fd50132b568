using System.Globalization;
using System.Text;
using Vmm.Emulation.Cpu.Interpreter;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>
/// The memory management unit of a vCPU: its cached translations, one <see cref="TlbContext"/> for each of the last pairs of translation
/// tables, and what forgets them. It knows no engine; what engines keep by virtual address (<see cref="JumpCache"/>, and the base
/// registers' last translations in <see cref="CpuState"/>) is forgotten with the translations that it was made of.
/// <para>Owner: the vCPU's thread, but for requests of other vCPUs, which any thread files under a lock.</para>
/// </summary>
/// <param name="hasJumps">Whether an engine keeps code by virtual address.</param>
internal sealed unsafe class VcpuMmu(
    CpuState* state,
    CpuModel model,
    PhysicalAddressSpace bus,
    CodeCache code,
    CpuInterruptWord interrupts,
    VcpuCounters counters,
    bool hasJumps)
{
    private const ulong PageMask = ~(ulong)(GuestMemory.PageSize - 1);
    private const int Contexts = 8;
    private const int MaxRequests = 32;

    // More pages are not looked for one by one: the whole half of the address space is forgotten.
    private const int MaxPages = 512;

    private readonly CpuState* _state = state;
    private readonly TlbContext?[] _contexts = new TlbContext?[Contexts];
    private long _switches;

    // Where a page was missing last.
    private GuestMemory? _missing;
    private ulong _missingAddress;

    // Code for EL1, and the tables of the upper half that its entries are of.
    private JumpCache? _jumpsEl1;
    private ulong _jumpsTtbr1;

    // Requests of other vCPUs; under _lock.
    private readonly Lock _lock = new();
    private readonly TlbRequest[] _requests = new TlbRequest[MaxRequests];
    private int _requestCount;

    // Written under _lock, read without.
    private bool _requestsOpen;

    public CpuState* State => _state;

    public CpuModel Model => model;

    public PhysicalAddressSpace Bus => bus;

    /// <summary>The translations of the current tables. None before <see cref="SwitchContext"/>.</summary>
    public TlbContext Context { get; private set; } = null!;

    /// <summary>
    /// Set when translations in force were forgotten, or others came into force; whoever relies on them clears it before.
    /// </summary>
    public bool Changed { get; set; }

    /// <summary>Whether requests of other vCPUs are open. Any thread.</summary>
    public bool HasOpenRequests => Volatile.Read(ref _requestsOpen);

    /// <summary>The view of memory that an access has: a row of <see cref="TlbContext"/>.</summary>
    public int View(AccessKind kind)
    {
        uint pstate = _state->Pstate;
        bool el0 = Pstate.ExceptionLevel(pstate) == 0 || ((kind & AccessKind.Unprivileged) != 0 && (pstate & Pstate.Uao) == 0);
        return el0 ? TlbContext.ViewEl0 : (pstate & Pstate.Pan) != 0 ? TlbContext.ViewEl1Pan : TlbContext.ViewEl1;
    }

    /// <summary>Translates an address for an access. False: <paramref name="status"/> is the fault status code.</summary>
    public bool Translate(ulong va, AccessType type, TableWalk.View view, out Translation t, out int status) =>
        TableWalk.Translate(this, va, type, view, out t, out status);

    /// <summary>
    /// Caches the translation of the page of code at <paramref name="pc"/>. False: <paramref name="status"/> is the fault status code.
    /// True, and nothing is cached, when the vCPU is to leave and wait for a page.
    /// </summary>
    public bool FillInstruction(ulong pc, out int status)
    {
        int level = Pstate.ExceptionLevel(_state->Pstate);
        if (!Translate(pc, AccessType.Execute, new TableWalk.View(level, false, Updates: true), out Translation t, out status))
        {
            if (status == FaultStatus.PageMissing)
            {
                AwaitPage();
            }

            return status == FaultStatus.PageMissing;
        }

        if (bus.FindMemory(t.Address) is not { } memory || !memory.TryCache())
        {
            status = FaultStatus.ExternalAbort;
            return false;
        }

        if (!TryUse(memory, t.Address))
        {
            AwaitPage();
            return true;
        }

        counters.InstructionTlbFills++;
        Context.FillInstruction(level, pc, t, code.Get(memory, t.Address));
        return true;
    }

    /// <summary>Whether branch targets are checked in the page of an address that is executing.</summary>
    public bool IsGuarded(ulong va)
    {
        int level = Pstate.ExceptionLevel(_state->Pstate);
        ref TlbContext.InstructionEntry entry = ref Context.Instruction(level, va);
        return entry.Tag == (va & PageMask)
            ? entry.Guarded
            : Translate(va, AccessType.Execute, new TableWalk.View(level, false), out Translation t, out _) && t.Guarded;
    }

    /// <summary>
    /// Whether the page of an address is there. One that is missing is asked for, and is what <see cref="AwaitPage"/> waits for.
    /// </summary>
    public bool TryUse(GuestMemory memory, ulong address)
    {
        if (memory.TryUse(address))
        {
            return true;
        }

        NoteMissing(memory, address);
        return false;
    }

    /// <summary>The page of an address is what <see cref="AwaitPage"/> waits for.</summary>
    public void NoteMissing(GuestMemory memory, ulong address)
    {
        _missing = memory;
        _missingAddress = address;
    }

    /// <summary>The vCPU leaves its run loop, and waits for the page that was last found missing.</summary>
    public void AwaitPage()
    {
        interrupts.Await(_missing!, _missingAddress);
        interrupts.Note(AttentionBits.PageMissing);
    }

    /// <summary>
    /// Caches a data translation, where the address is plain memory. Writes are cached where memory lets them be made unseen.
    /// </summary>
    public void FillData(int view, ulong va, in Translation translation, AccessType type)
    {
        if (bus.FindMemory(translation.Address) is not { } memory || !memory.TryCache())
        {
            return;
        }

        counters.DataTlbFills++;
        Translation cached = translation;
        cached.Writable = translation.Writable && memory.TryCacheForWriting(translation.Address, type == AccessType.Write);
        Context.Fill(view, va, cached, (nint)(memory.Host + (translation.Address - memory.Start.Value) - va));
    }

    /// <summary>Points the fast paths at the translations of the current PSTATE. After every change of EL, PAN or UAO.</summary>
    public void UpdateView()
    {
        _state->Tlb = Context.View(View(AccessKind.Plain));
        _state->TlbUnprivileged = Context.View(View(AccessKind.Unprivileged));
        if (hasJumps)
        {
            _state->JumpCache = Jumps().Entries;
            ForgetBases();
        }
    }

    // The translations that base registers used last, of translated code, may no longer hold.
    private void ForgetBases()
    {
        Changed = true;
        if (hasJumps)
        {
            new Span<ulong>(_state->BaseReadTag, 2 * CpuState.Bases).Fill(TlbEntry.Invalid);
        }
    }

    /// <summary>The jump cache of the current exception level.</summary>
    public JumpCache Jumps() => Pstate.ExceptionLevel(_state->Pstate) == 0 ? Context.Jumps! : _jumpsEl1!;

    /// <summary>Empties all jump caches.</summary>
    public void ClearJumps()
    {
        foreach (TlbContext? context in _contexts)
        {
            context?.Jumps?.Clear();
        }

        _jumpsEl1?.Clear();
    }

    /// <summary>Finds or makes the context of the current TTBR0_EL1 and TTBR1_EL1. After every write of either.</summary>
    public void SwitchContext()
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
            context = _contexts[oldest] ??= new TlbContext(hasJumps);
            context.Postpone(HaveSameTables(context.Ttbr1, ttbr1) ? TlbLoss.Local : TlbLoss.All);
            context.Ttbr0 = ttbr0;
            context.Ttbr1 = ttbr1;
            counters.ContextsMade++;
        }

        context.Settle();
        context.LastUse = ++_switches;
        Context = context;
        if (hasJumps)
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

    /// <summary>Frees all translations: the vCPU is disabled.</summary>
    public void Release()
    {
        Context = null!;
        _state->Tlb = null;
        _state->TlbUnprivileged = null;
        for (int i = 0; i < Contexts; i++)
        {
            _contexts[i]?.Dispose();
            _contexts[i] = null;
        }

        _jumpsEl1?.Dispose();
        _jumpsEl1 = null;
    }

    // ---- Forgetting ----

    /// <summary>Asks this vCPU to forget translations before the requester's DSB completes. Any thread.</summary>
    public void File(TlbRequest request)
    {
        lock (_lock)
        {
            if (request.Scope != TlbScope.All && _requestCount < MaxRequests)
            {
                _requests[_requestCount++] = request;
            }
            else
            {
                _requestCount = MaxRequests + 1;
            }

            Volatile.Write(ref _requestsOpen, true);
        }

        interrupts.Note(AttentionBits.TlbMaintenance);
    }

    /// <summary>Carries out what others asked for. Owner only.</summary>
    public void ServiceRequests()
    {
        if (!Volatile.Read(ref _requestsOpen))
        {
            return;
        }

        lock (_lock)
        {
            if (_requestCount > MaxRequests)
            {
                counters.BroadcastFlushes++;
                Flush();
            }
            else
            {
                counters.BroadcastsServed += _requestCount;
                for (int i = 0; i < _requestCount; i++)
                {
                    Invalidate(_requests[i]);
                }
            }

            _requestCount = 0;
            Volatile.Write(ref _requestsOpen, false);
        }
    }

    /// <summary>Forgets what a TLBI means.</summary>
    public void Invalidate(TlbRequest request)
    {
        bool isWide = request.Pages > MaxPages;
        if (request.Scope == TlbScope.All || (isWide && !request.IsLower))
        {
            Flush();
            return;
        }

        int asid = Asid(request.Asid);
        bool byPage = request.Scope != TlbScope.Asid && !isWide;
        foreach (TlbContext? context in _contexts)
        {
            if (context is null or { Pending: TlbLoss.All })
            {
                continue;
            }

            bool sameAsid = AsidOf(context) == asid;
            if (byPage)
            {
                for (int page = 0; page < request.Pages; page++)
                {
                    context.Invalidate(request.AddressOf(page), globalOnly: request.Scope == TlbScope.Address && !sameAsid);
                }
            }
            else if (sameAsid || request.Scope == TlbScope.AddressAllAsids || (isWide && context.HasLowerGlobal))
            {
                Forget(context, TlbLoss.Local);
            }
        }

        ForgetBases();
        if (byPage)
        {
            for (int page = 0; page < request.Pages; page++)
            {
                _jumpsEl1?.Invalidate(request.AddressOf(page));
            }
        }
        else if (_jumpsEl1 is { AnyLocal: true })
        {
            _jumpsEl1.Clear();
        }
    }

    /// <summary>Forgets every translation of this vCPU.</summary>
    public void Flush()
    {
        foreach (TlbContext? context in _contexts)
        {
            if (context != null)
            {
                Forget(context, TlbLoss.All);
            }
        }

        _jumpsEl1?.Clear();
    }

    // At once what is in use, the others when they are next used.
    private void Forget(TlbContext context, TlbLoss loss)
    {
        context.Postpone(loss);
        if (context == Context)
        {
            context.Settle();
            ForgetBases();
        }
    }

    // TCR_EL1.A1 says which TTBR has the ASID. A change of TCR_EL1 forgets all contexts.
    private int AsidOf(TlbContext context) => Asid((ushort)(((_state->TcrEl1 >> 22) & 1) != 0 ? context.Ttbr1 >> 48 : context.Ttbr0 >> 48));

    // TCR_EL1.AS: 8 bits or 16.
    private int Asid(ushort field) => ((_state->TcrEl1 >> 36) & 1) != 0 ? field : field & 0xFF;

    // ---- What a monitor looks at ----

    /// <summary>
    /// Copies memory at virtual addresses as EL1 reads it, up to the first page that is not mapped. It reads no device and changes no
    /// cache. Owner only, or while the vCPU does not run.
    /// </summary>
    /// <returns>Bytes copied.</returns>
    public int Peek(GuestVirtualAddress address, Span<byte> bytes)
    {
        int done = 0;
        while (done < bytes.Length)
        {
            ulong va = address.Value + (ulong)done;
            int count = Math.Min(bytes.Length - done, GuestMemory.PageSize - (int)(va & (GuestMemory.PageSize - 1)));

            // A debugger reads what EL1 may not: permissions do not count where the walk itself has ended.
            bool mapped = Translate(va, AccessType.Read, new TableWalk.View(1, Pan: false), out Translation translation, out int status)
                || (status & ~3) == FaultStatus.Permission;
            int copied = mapped ? bus.Peek(new GuestPhysicalAddress(translation.Address), bytes.Slice(done, count)) : 0;
            done += copied;
            if (copied < count)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>
    /// The cached data translations of the current translation tables, a line each. Owner only, or while the vCPU does not run.
    /// </summary>
    public string Describe()
    {
        if (Context == null)
        {
            return "";
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"TTBR0_EL1={Context.Ttbr0:x16} TTBR1_EL1={Context.Ttbr1:x16}");
        int count = 0;
        foreach ((ulong va, string view, ulong pa, TlbEntry entry) in CachedTranslations())
        {
            count++;
            text.Append(CultureInfo.InvariantCulture,
                $"\n{va:x16}: {pa:x16} {Letter(entry.ReadTag, 'r')}{Letter(entry.WriteTag, 'w')} ");
            text.Append(CultureInfo.InvariantCulture,
                $"{view,-8} {(entry.Global != 0 ? "global" : "asid  ")} of {1ul << entry.SizeBits >> 10} KiB");
        }

        text.Append(CultureInfo.InvariantCulture, $"\n{count} translations");
        return text.ToString();
    }

    private static char Letter(ulong tag, char letter) => tag != TlbEntry.Invalid ? letter : '-';

    private List<(ulong Address, string View, ulong Physical, TlbEntry Entry)> CachedTranslations()
    {
        var found = new List<(ulong Address, string View, ulong Physical, TlbEntry Entry)>();
        ReadOnlySpan<string> names = ["EL0", "EL1 PAN", "EL1"];
        for (int view = 0; view < TlbContext.Views; view++)
        {
            for (int i = 0; i < TlbEntry.Count; i++)
            {
                TlbEntry entry = Context.View(view)[i];
                ulong va = entry.ReadTag != TlbEntry.Invalid ? entry.ReadTag : entry.WriteTag;
                if (va != TlbEntry.Invalid && entry.SizeBits != 0)
                {
                    va &= PageMask;
                    found.Add((va, names[view], PhysicalAddressOf((byte*)(va + (ulong)entry.Addend)), entry));
                }
            }
        }

        found.Sort((a, b) => a.Address.CompareTo(b.Address));
        return found;
    }

    private ulong PhysicalAddressOf(byte* host)
    {
        foreach (GuestMemory memory in bus.Memories)
        {
            if (host >= memory.Host && host < memory.Host + memory.Size)
            {
                return memory.Start.Value + (ulong)(host - memory.Host);
            }
        }

        return 0;
    }
}

using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu;

/// <content>TLB maintenance by this vCPU and by others; see <see cref="TlbBroadcast"/>.</content>
public sealed unsafe partial class VcpuCore
{
    private const int MaxTlbRequests = 32;

    // Requests of other vCPUs; under _tlbLock.
    private readonly Lock _tlbLock = new();
    private readonly TlbRequest[] _tlbRequests = new TlbRequest[MaxTlbRequests];
    private int _tlbRequestCount;

    // Written under _tlbLock, read without.
    private bool _tlbRequestsOpen;

    // Whether the owner is inside Run.
    private bool _executing;

    // Whether this vCPU has invalidated code that had changed since its last DSB.
    private bool _codeChanged;

    /// <summary>The machine's other vCPUs, for maintenance that is broadcast; null for a vCPU that is tested alone.</summary>
    public TlbBroadcast? Broadcast { get; set; }

    /// <summary>Whether the owner is inside <see cref="Run"/>. Any thread.</summary>
    internal bool IsExecuting => Volatile.Read(ref _executing);

    internal bool HasOpenTlbRequests => Volatile.Read(ref _tlbRequestsOpen) && Volatile.Read(ref _executing);

    /// <summary>Any thread.</summary>
    internal void FileTlbRequest(TlbRequest request)
    {
        lock (_tlbLock)
        {
            if (request.Scope != TlbScope.All && _tlbRequestCount < MaxTlbRequests)
            {
                _tlbRequests[_tlbRequestCount++] = request;
            }
            else
            {
                _tlbRequestCount = MaxTlbRequests + 1;
            }

            Volatile.Write(ref _tlbRequestsOpen, true);
        }

        Interrupts.Note(AttentionBits.TlbMaintenance);
    }

    /// <summary>Carries out what others asked for. Owner only.</summary>
    internal void ServiceTlbRequests()
    {
        if (!Volatile.Read(ref _tlbRequestsOpen))
        {
            return;
        }

        lock (_tlbLock)
        {
            if (_tlbRequestCount > MaxTlbRequests)
            {
                Counters.BroadcastFlushes++;
                FlushTlb();
            }
            else
            {
                Counters.BroadcastsServed += _tlbRequestCount;
                for (int i = 0; i < _tlbRequestCount; i++)
                {
                    Invalidate(_tlbRequests[i]);
                }
            }

            _tlbRequestCount = 0;
            Volatile.Write(ref _tlbRequestsOpen, false);
        }
    }

    /// <summary>A TLBI of this vCPU.</summary>
    internal void InvalidateTlb(TlbRequest request, bool broadcast)
    {
        Counters.TlbInvalidations[(int)request.Scope]++;
        Invalidate(request);
        if (broadcast && Broadcast is { } others)
        {
            others.Request(this, request);
            _state->BroadcastOpen = 1;
        }
    }

    private void Invalidate(TlbRequest request)
    {
        if (request.Scope == TlbScope.All)
        {
            FlushTlb();
            return;
        }

        int asid = Asid(request.Asid);
        foreach (TlbContext? context in _contexts)
        {
            if (context is null or { Pending: TlbLoss.All })
            {
                continue;
            }

            bool sameAsid = AsidOf(context) == asid;
            if (request.Scope != TlbScope.Asid)
            {
                context.Invalidate(request.Va, globalOnly: request.Scope == TlbScope.Address && !sameAsid);
            }
            else if (sameAsid)
            {
                Forget(context, TlbLoss.Local);
            }
        }

        ForgetBases();
        if (request.Scope != TlbScope.Asid)
        {
            _jumpsEl1?.Invalidate(request.Va);
        }
        else if (_jumpsEl1 is { AnyLocal: true })
        {
            _jumpsEl1.Clear();
        }
    }

    /// <summary>Forgets every translation of this vCPU.</summary>
    internal void FlushTlb()
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
        if (context == _context)
        {
            context.Settle();
            ForgetBases();
        }
    }

    // TCR_EL1.A1 says which TTBR has the ASID. A change of TCR_EL1 forgets all contexts.
    private int AsidOf(TlbContext context) => Asid((ushort)(((_state->TcrEl1 >> 22) & 1) != 0 ? context.Ttbr1 >> 48 : context.Ttbr0 >> 48));

    // TCR_EL1.AS: 8 bits or 16.
    private int Asid(ushort field) => ((_state->TcrEl1 >> 36) & 1) != 0 ? field : field & 0xFF;

    /// <summary>After an IC instruction of this vCPU: whether it found code changed.</summary>
    internal void NoteCodeChange(bool changed) => _codeChanged |= changed;

    /// <summary>DSB: completes the maintenance that this vCPU broadcast.</summary>
    internal void CompleteBroadcast()
    {
        Interlocked.MemoryBarrier();
        if (_codeChanged)
        {
            _translations?.FenceOthers(this);
            _codeChanged = false;
        }

        if (_state->BroadcastOpen != 0)
        {
            // In lockstep the others need their turn to do it.
            _lockstep?.GiveTurn();
            Broadcast!.Wait(this);
            _lockstep?.TakeTurn();
            _state->BroadcastOpen = 0;
        }
    }
}

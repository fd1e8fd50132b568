using Vmm.Emulation.Cpu.Mmu;

namespace Vmm.Emulation.Cpu;

/// <content>TLB maintenance by this vCPU and by others; see <see cref="TlbBroadcast"/>.</content>
public sealed unsafe partial class VcpuCore
{
    private const int MaxTlbRequests = 32;

    // Requests of other vCPUs; under _tlbLock.
    private readonly Lock _tlbLock = new();
    private readonly ulong[] _tlbRequests = new ulong[MaxTlbRequests];
    private int _tlbRequestCount;

    // Written under _tlbLock, read without.
    private bool _tlbRequestsOpen;

    // Whether the owner is inside Run.
    private bool _executing;

    // Whether this vCPU broadcast maintenance that no DSB has completed yet. Owner only.
    private bool _broadcastOpen;

    /// <summary>The machine's other vCPUs, for maintenance that is broadcast; null for a vCPU that is tested alone.</summary>
    public TlbBroadcast? Broadcast { get; set; }

    internal bool HasOpenTlbRequests => Volatile.Read(ref _tlbRequestsOpen) && Volatile.Read(ref _executing);

    /// <summary>Any thread.</summary>
    internal void FileTlbRequest(ulong? va)
    {
        lock (_tlbLock)
        {
            if (va is { } address && _tlbRequestCount < MaxTlbRequests)
            {
                _tlbRequests[_tlbRequestCount++] = address;
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
                FlushTlb();
            }
            else
            {
                for (int i = 0; i < _tlbRequestCount; i++)
                {
                    FlushTlb(_tlbRequests[i]);
                }
            }

            _tlbRequestCount = 0;
            Volatile.Write(ref _tlbRequestsOpen, false);
        }
    }

    /// <summary>A TLBI of this vCPU: one address, or everything when <paramref name="va"/> is null.</summary>
    internal void InvalidateTlb(ulong? va, bool broadcast)
    {
        if (va is { } address)
        {
            FlushTlb(address);
        }
        else
        {
            FlushTlb();
        }

        if (broadcast && Broadcast is { } others)
        {
            others.Request(this, va);
            _broadcastOpen = true;
        }
    }

    /// <summary>DSB: completes the maintenance that this vCPU broadcast.</summary>
    internal void CompleteBroadcast()
    {
        Interlocked.MemoryBarrier();
        if (_broadcastOpen)
        {
            Broadcast!.Wait(this);
            _broadcastOpen = false;
        }
    }
}

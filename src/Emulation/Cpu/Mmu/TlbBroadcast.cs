namespace Vmm.Emulation.Cpu.Mmu;

/// <summary>
/// TLB maintenance that is broadcast to the Inner Shareable domain: each other vCPU gets a request, and the DSB that follows
/// waits until all that are executing have carried theirs out. A vCPU that is not executing does it before it next executes.
/// </summary>
/// <remarks>
/// Ordering: the requester files the request, then reads whether the other vCPU executes; a vCPU that begins to execute says
/// so, fences, and then looks for requests. One of the two sees the other.
/// </remarks>
public sealed class TlbBroadcast(IReadOnlyList<VcpuCore> cores)
{
    /// <summary>Files a request with every other vCPU.</summary>
    internal void Request(VcpuCore from, TlbRequest request)
    {
        for (int i = 0; i < cores.Count; i++)
        {
            VcpuCore core = cores[i];
            if (core != from && core.IsEnabled)
            {
                core.Mmu.File(request);
            }
        }
    }

    /// <summary>Files a request with every vCPU, for what a device changed. Any thread.</summary>
    internal void RequestAll(TlbRequest request)
    {
        for (int i = 0; i < cores.Count; i++)
        {
            if (cores[i].IsEnabled)
            {
                cores[i].Mmu.File(request);
            }
        }
    }

    /// <summary>Every vCPU forgets its translations; returns when those that execute have. For a thread that no vCPU waits for.</summary>
    internal void ForgetAll()
    {
        RequestAll(TlbRequest.All);
        var spin = default(SpinWait);
        for (int i = 0; i < cores.Count; i++)
        {
            while (cores[i].HasOpenTlbRequests)
            {
                spin.SpinOnce(sleep1Threshold: -1);
            }
        }
    }

    /// <summary>
    /// DSB: returns when no executing vCPU has a request open. The caller serves its own meanwhile, so two may wait for each other.
    /// </summary>
    internal void Wait(VcpuCore from)
    {
        var spin = default(SpinWait);
        for (int i = 0; i < cores.Count; i++)
        {
            VcpuCore core = cores[i];
            while (core != from && core.HasOpenTlbRequests)
            {
                from.Mmu.ServiceRequests();
                spin.SpinOnce(sleep1Threshold: -1);
            }
        }
    }
}

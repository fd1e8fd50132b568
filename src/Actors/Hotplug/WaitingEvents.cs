using Vmm.Actors.Vm;

namespace Vmm.Actors.Hotplug;

/// <summary>
/// What the guest did at the CPU hotplug block with CPUs of which something earlier is still to be told, in the guest's order for each CPU.
/// The coordinator's actor owns it.
/// </summary>
internal sealed class WaitingEvents
{
    // More _OST of one CPU than that do not wait: a guest that says so much says nothing. An eject always waits.
    private const int MostOfOneCpu = 64;

    private readonly Dictionary<int, Queue<CpuHotplugEvent>> _events = [];

    /// <summary>Every CPU that something has ever waited for.</summary>
    public IReadOnlyCollection<int> Cpus => _events.Keys;

    public void Add(CpuHotplugEvent happened)
    {
        if (!_events.TryGetValue(happened.Cpu, out Queue<CpuHotplugEvent>? waiting))
        {
            _events[happened.Cpu] = waiting = [];
        }

        if (happened.Ejected || waiting.Count < MostOfOneCpu)
        {
            waiting.Enqueue(happened);
        }
    }

    /// <summary>Whether an eject of the CPU waits.</summary>
    public bool HasEject(int cpu) => _events.TryGetValue(cpu, out Queue<CpuHotplugEvent>? waiting) && waiting.Any(e => e.Ejected);

    /// <summary>Takes the CPU's first event; false when there is none.</summary>
    public bool TryTake(int cpu, out CpuHotplugEvent happened)
    {
        happened = default;
        return _events.TryGetValue(cpu, out Queue<CpuHotplugEvent>? waiting) && waiting.TryDequeue(out happened);
    }
}

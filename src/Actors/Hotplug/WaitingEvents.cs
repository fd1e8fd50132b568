using Vmm.Actors.Vm;

namespace Vmm.Actors.Hotplug;

/// <summary>
/// Events of the CPU hotplug block that wait, because an earlier event of the same CPU is still to be told. The events of each CPU stay in
/// the guest's order. The coordinator's actor owns it.
/// </summary>
internal sealed class WaitingEvents
{
    // At most so many _OST of one CPU wait; a guest that sends more than that loses the rest. An eject always waits.
    private const int MostOfOneCpu = 64;

    private readonly Dictionary<int, Queue<CpuHotplugEvent>> _events = [];

    /// <summary>The CPUs for which an event has ever waited.</summary>
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

    /// <summary>Whether an eject of the CPU is waiting.</summary>
    public bool HasEject(int cpu) => _events.TryGetValue(cpu, out Queue<CpuHotplugEvent>? waiting) && waiting.Any(e => e.Ejected);

    /// <summary>Takes the CPU's first event; false when there is none.</summary>
    public bool TryTake(int cpu, out CpuHotplugEvent happened)
    {
        happened = default;
        return _events.TryGetValue(cpu, out Queue<CpuHotplugEvent>? waiting) && waiting.TryDequeue(out happened);
    }
}

using Akka.Event;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Hotplug;

/// <summary>Publishes the steps of changes of CPUs that were asked for with a trace. The coordinator's alone.</summary>
internal sealed class CpuSteps(EventStream published)
{
    // A guest may turn a CPU on, or eject it, long after it has answered. What comes later than this is no part of the trace; 100 ns.
    private const long Longest = TimeSpan.TicksPerMinute;

    // By CPU: the trace, and when the last step was taken.
    private readonly Dictionary<int, (string Trace, long Last)> _traced = [];

    private static long Now => (DateTime.UtcNow - DateTime.UnixEpoch).Ticks;

    /// <summary>A change of a CPU is asked for. It ends what was traced of the CPU before.</summary>
    /// <param name="trace">Empty for a change that nobody traces.</param>
    public void Begin(int cpu, string trace)
    {
        _traced.Remove(cpu);
        if (trace.Length > 0)
        {
            _traced[cpu] = (trace, Now);
        }
    }

    /// <summary>A step was taken.</summary>
    /// <param name="ost">The status of <see cref="CpuStep.GuestAnswered"/>.</param>
    public void Take(int cpu, CpuStep step, int ost = 0)
    {
        if (!_traced.TryGetValue(cpu, out (string Trace, long Last) traced))
        {
            return;
        }

        // The host's clock may be set back.
        long now = Math.Max(traced.Last, Now);
        if (now - traced.Last > Longest)
        {
            _traced.Remove(cpu);
            return;
        }

        _traced[cpu] = (traced.Trace, now);
        published.Publish(new CpuStepTaken(traced.Trace, cpu, step, ost, traced.Last, now));
        if (step == CpuStep.PoweredOn)
        {
            // The guest may turn it off and on again.
            _traced.Remove(cpu);
        }
    }
}

using Vmm.Actors.Vm;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Tracing;

namespace Vmm.Actors.Hosting;

/// <summary>An <see cref="ICpuHotplugPort"/> that writes a trace line for each step of a plug or unplug.</summary>
internal sealed class HotplugTrace(ICpuHotplugPort port, TraceLog trace) : ICpuHotplugPort
{
    public Doorbell Doorbell => port.Doorbell;

    public bool HasUnseen => port.HasUnseen;

    /// <summary>Wraps <paramref name="port"/>; returns it unchanged when the trace does not ask for hotplug.</summary>
    public static ICpuHotplugPort Of(ICpuHotplugPort port, TraceLog? trace) =>
        trace != null && trace.Traces(TraceCategories.Hotplug) ? new HotplugTrace(port, trace) : port;

    public static void Step(TraceLog? trace, int cpu, string step)
    {
        if (trace != null && trace.Traces(TraceCategories.Hotplug))
        {
            trace.Write(TraceCategories.Hotplug, $"cpu{cpu} {step}");
        }
    }

    public void Enable(int cpu)
    {
        Step(trace, cpu, "is enabled");
        port.Enable(cpu);
    }

    public void Disable(int cpu)
    {
        Step(trace, cpu, "is disabled");
        port.Disable(cpu);
    }

    public void Reset() => port.Reset();

    public void Insert(int cpu)
    {
        Step(trace, cpu, "is enabled, the guest is told of it");
        port.Insert(cpu);
    }

    public void RequestRemoval(int cpu)
    {
        Step(trace, cpu, "is asked back from the guest");
        port.RequestRemoval(cpu);
    }

    public bool TryTake(out CpuHotplugEvent happened)
    {
        bool taken = port.TryTake(out happened);
        if (taken)
        {
            Step(trace, happened.Cpu, happened.Ejected
                ? "is ejected by the guest"
                : $"_OST: event 0x{happened.OstSource:x}, status 0x{happened.OstStatus:x}");
        }

        return taken;
    }
}

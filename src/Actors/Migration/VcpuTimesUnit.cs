using Vmm.Actors.Vcpu;
using Vmm.Emulation.State;

namespace Vmm.Actors.Migration;

/// <summary>How long the vCPUs have run at the sender. It travels with a live migration alone: a snapshot may become many VMs.</summary>
internal sealed class VcpuTimesUnit : IStateUnit
{
    // 100 years in nanoseconds: sums of such numbers are still numbers of 64 bits.
    private const long Longest = 100L * 366 * 86400 * 1_000_000_000;

    /// <param name="reading">What to save; what is loaded replaces it.</param>
    public VcpuTimesUnit(VcpuReading reading) => Reading = reading;

    /// <summary>For loading: of a machine of so many possible CPUs.</summary>
    public VcpuTimesUnit(int cpus)
        : this(new VcpuReading(Guid.Empty, 0, new long[cpus], new long[cpus]))
    {
    }

    public string Id => "times";

    public VcpuReading Reading { get; private set; }

    public void Save(StateWriter writer)
    {
        writer.Write<byte>("meter", Reading.Meter.ToByteArray());
        writer.Write<long>("run", [Reading.RunNs]);
        writer.Write<long>("busy", Reading.BusyNs);
        writer.Write<long>("enabled", Reading.EnabledNs);
    }

    public void Load(StateReader reader)
    {
        byte[] meter = new byte[16];
        long[] run = new long[1];
        long[] busy = new long[Reading.BusyNs.Length];
        long[] enabled = new long[busy.Length];
        reader.Read("meter", meter.AsSpan());
        reader.Read("run", run.AsSpan());
        reader.Read("busy", busy.AsSpan());
        reader.Read("enabled", enabled.AsSpan());
        reader.Require(Array.TrueForAll(run, IsTime), "run");
        reader.Require(Array.TrueForAll(busy, IsTime), "busy");
        reader.Require(Array.TrueForAll(enabled, IsTime), "enabled");
        Reading = new VcpuReading(new Guid(meter), run[0], busy, enabled);
    }

    private static bool IsTime(long ns) => ns is >= 0 and <= Longest;
}

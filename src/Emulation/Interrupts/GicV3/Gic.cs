using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// A GICv3: a distributor, and for each possible CPU a redistributor and a CPU interface.
/// <para>One lock guards all of it. It is held for a few dozen instructions, and only <see cref="ICpuInputs.SetInput"/>, which takes no
/// lock, is called under it. A member whose name ends in Locked must be called with the lock held.</para>
/// </summary>
public sealed partial class Gic
{
    // All lines that were made.
    private readonly List<InterruptLine> _lines = [];

    /// <param name="redistributors">The number of redistributors in each region. Each possible CPU has one.</param>
    public Gic(params IReadOnlyList<int> redistributors)
    {
        Distributor = new Distributor(this);
        CpuInterfaces = [.. Enumerable.Range(0, redistributors.Sum()).Select(i => new CpuInterface(this, new CpuIndex(i)))];
        int first = 0;
        RedistributorRegions = [.. redistributors.Select(count => new RedistributorRegion(this, (first += count) - count, count))];
    }

    internal Lock Lock { get; } = new();

    /// <summary>The CPU interfaces of all possible CPUs.</summary>
    public CpuInterface[] CpuInterfaces { get; }

    public Distributor Distributor { get; }

    /// <summary>The regions of adjacent redistributors.</summary>
    public IReadOnlyList<RedistributorRegion> RedistributorRegions { get; }

    /// <summary>The trace that shows changes of lines made from now on; null for none.</summary>
    public TraceLog? Trace { get; init; }

    /// <summary>A private peripheral interrupt of one CPU.</summary>
    public InterruptLine PpiLine(CpuIndex cpu, IntId id) =>
        Line(Traced(CpuInterfaces[cpu.Value].Redistributor, $"cpu{cpu.Value} ppi"), id);

    /// <summary>A shared peripheral interrupt.</summary>
    public InterruptLine SpiLine(IntId id) => Line(Traced(Distributor, "spi"), id);

    private InterruptLine Line(IInterruptSink sink, IntId id)
    {
        var line = new InterruptLine(sink, id);
        _lines.Add(line);
        return line;
    }

    /// <summary>
    /// Lowers all lines, before GIC and devices are loaded in this order: a device then drives its lines to their levels, whatever they
    /// were. Nothing of the machine runs.
    /// </summary>
    public void LowerLines() => _lines.ForEach(line => line.Set(false));

    /// <summary>Sets the values of a cold reset. Lines keep their levels, and CPU interfaces stay attached or detached.</summary>
    public void Reset()
    {
        lock (Lock)
        {
            _lpis = null;
            Distributor.ResetLocked();
            foreach (CpuInterface cpu in CpuInterfaces)
            {
                cpu.Redistributor.ResetLocked();
                cpu.ResetLocked();
            }
        }
    }

    /// <summary>
    /// Updates all CPUs, for a change that may concern each of them: a group enable of the distributor, or the set of CPUs for 1-of-N
    /// routing.
    /// </summary>
    internal void UpdateAllLocked()
    {
        foreach (CpuInterface cpu in CpuInterfaces)
        {
            cpu.UpdateLocked();
        }
    }

    /// <summary>Makes an SGI pending on CPUs, which are given by affinity: ICC_SGI1R_EL1 and its like.</summary>
    internal void SendSgi(CpuInterface from, ulong value, bool group1)
    {
        int id = (int)(value >> 24) & 15;
        bool others = ((value >> 40) & 1) != 0;
        ulong cluster = (((value >> 16) & 0xFF) << 8) | (((value >> 32) & 0xFF) << 16) | (((value >> 48) & 0xFF) << 32);
        int range = (int)(value >> 44) & 15;
        lock (Lock)
        {
            if (others)
            {
                foreach (CpuInterface cpu in CpuInterfaces)
                {
                    if (cpu != from)
                    {
                        cpu.Redistributor.PendSgiLocked(id, group1);
                    }
                }

                return;
            }

            for (uint targets = (uint)value & 0xFFFF; targets != 0; targets &= targets - 1)
            {
                int target = System.Numerics.BitOperations.TrailingZeroCount(targets);
                FindCpu(cluster | (uint)((range * 16) + target))?.Redistributor.PendSgiLocked(id, group1);
            }
        }
    }

    /// <summary>The CPU interface with an affinity; null if there is none.</summary>
    internal CpuInterface? FindCpu(ulong affinity)
    {
        // The reverse of Mpidr.FromIndex: Aff0 is below 16, Aff1 is the cluster.
        ulong index = ((affinity >> 8) * Mpidr.CpusPerCluster) + (affinity & 0xFF);
        return (affinity & 0xFF) < Mpidr.CpusPerCluster && index < (ulong)CpuInterfaces.Length ? CpuInterfaces[index] : null;
    }

    private IInterruptSink Traced(IInterruptSink sink, string name) =>
        Trace != null && Trace.Traces(TraceCategories.Irq) ? new TracedInput(Trace, sink, name) : sink;
}

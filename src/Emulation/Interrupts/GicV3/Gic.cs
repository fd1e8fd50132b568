using Vmm.Emulation.Tracing;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// A GICv3: a distributor, and for every possible CPU a redistributor and a CPU interface.
/// <para>One lock guards all of it; it is held for a few dozen instructions and nothing is called with it but
/// <see cref="ICpuInputs.SetInput"/>, which takes no lock. Members whose names end in Locked are called with it.</para>
/// </summary>
public sealed partial class Gic
{
    /// <param name="redistributors">How many redistributors each region has; there is one for each possible CPU.</param>
    public Gic(params IReadOnlyList<int> redistributors)
    {
        Distributor = new Distributor(this);
        CpuInterfaces = [.. Enumerable.Range(0, redistributors.Sum()).Select(i => new CpuInterface(this, new CpuIndex(i)))];
        int first = 0;
        RedistributorRegions = [.. redistributors.Select(count => new RedistributorRegion(this, (first += count) - count, count))];
    }

    internal Lock Lock { get; } = new();

    /// <summary>One for each possible CPU.</summary>
    public CpuInterface[] CpuInterfaces { get; }

    public Distributor Distributor { get; }

    /// <summary>Redistributors that follow each other.</summary>
    public IReadOnlyList<RedistributorRegion> RedistributorRegions { get; }

    /// <summary>The trace of changes of the lines that are made from now on; null for none.</summary>
    public TraceLog? Trace { get; init; }

    /// <summary>A private peripheral interrupt of one CPU.</summary>
    public InterruptLine PpiLine(CpuIndex cpu, IntId id) => new(Traced(CpuInterfaces[cpu.Value].Redistributor, $"cpu{cpu.Value} ppi"), id);

    /// <summary>A shared peripheral interrupt.</summary>
    public InterruptLine SpiLine(IntId id) => new(Traced(Distributor, "spi"), id);

    /// <summary>Back to the values of a cold reset; the levels of the lines and which CPUs are accessible stay.</summary>
    public void Reset()
    {
        lock (Lock)
        {
            Distributor.ResetLocked();
            foreach (CpuInterface cpu in CpuInterfaces)
            {
                cpu.Redistributor.ResetLocked();
                cpu.ResetLocked();
            }
        }
    }

    /// <summary>For what may concern every CPU: a group enable of the distributor's, or who takes part in 1-of-N routing.</summary>
    internal void UpdateAllLocked()
    {
        foreach (CpuInterface cpu in CpuInterfaces)
        {
            cpu.UpdateLocked();
        }
    }

    /// <summary>Pends an SGI on CPUs by affinity: ICC_SGI1R_EL1 and its like.</summary>
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

    /// <summary>The CPU with an affinity; null for none.</summary>
    internal CpuInterface? FindCpu(ulong affinity)
    {
        // Mpidr.FromIndex backwards: Aff0 below 16, Aff1 the cluster.
        ulong index = ((affinity >> 8) * Mpidr.CpusPerCluster) + (affinity & 0xFF);
        return (affinity & 0xFF) < Mpidr.CpusPerCluster && index < (ulong)CpuInterfaces.Length ? CpuInterfaces[index] : null;
    }

    private IInterruptSink Traced(IInterruptSink sink, string name) =>
        Trace != null && Trace.Traces(TraceCategories.Irq) ? new TracedInput(Trace, sink, name) : sink;
}

using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>LPIs, which the <see cref="Its"/> sends. Its commands call these members, and hold no lock of the GIC.</content>
public sealed partial class Gic
{
    private LpiConfiguration? _lpis;

    /// <summary>The RAM with the tables of LPIs; null for a GIC without LPIs. Set before anything runs.</summary>
    public IDmaMemory? LpiMemory { get; init; }

    /// <summary>The configuration of LPIs. It has memory from the first use on.</summary>
    internal LpiConfiguration LpisLocked => _lpis ??= new LpiConfiguration();

    /// <summary>Makes an LPI pending for a CPU, or not.</summary>
    internal void SetLpi(int cpu, int id, bool pending)
    {
        lock (Lock)
        {
            CpuInterfaces[cpu].Redistributor.SetLpiLocked(id, pending);
        }
    }

    /// <summary>An LPI that is pending for a CPU becomes pending for another one.</summary>
    internal void MoveLpi(int from, int to, int id)
    {
        lock (Lock)
        {
            CpuInterfaces[from].Redistributor.MoveLpisLocked(CpuInterfaces[to].Redistributor, id);
        }
    }

    /// <summary>All LPIs that are pending for a CPU become pending for another one.</summary>
    internal void MoveLpis(int from, int to)
    {
        lock (Lock)
        {
            CpuInterfaces[from].Redistributor.MoveLpisLocked(CpuInterfaces[to].Redistributor, only: null);
        }
    }

    /// <summary>The guest has changed the configuration of an LPI.</summary>
    internal void InvalidateLpi(int cpu, int id, IDmaMemory memory) => Invalidate(cpu, id, memory);

    /// <summary>The guest has changed the configuration of the LPIs of a CPU.</summary>
    internal void InvalidateLpis(int cpu, IDmaMemory memory) => Invalidate(cpu, only: null, memory);

    private void Invalidate(int cpu, int? only, IDmaMemory memory)
    {
        lock (Lock)
        {
            CpuInterfaces[cpu].Redistributor.LoadLpisLocked(LpisLocked, memory, only);
            foreach (CpuInterface other in CpuInterfaces)
            {
                if (other.Redistributor.LpisLocked is { Count: > 0 } lpis)
                {
                    lpis.Reconsider();
                    other.UpdateLocked();
                }
            }
        }
    }
}

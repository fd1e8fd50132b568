using Vmm.Emulation.Snapshot;

namespace Vmm.Emulation.Interrupts.GicV3;

public sealed partial class Gic : ISnapshotUnit
{
    public string Name => "gicv3";

    public void Save(SnapshotWriter writer)
    {
        lock (Lock)
        {
            Distributor.SaveLocked(writer);
            writer.Write("cpus", CpuInterfaces.Length);
            foreach (CpuInterface cpu in CpuInterfaces)
            {
                cpu.Redistributor.SaveLocked(writer);
                cpu.SaveLocked(writer);
            }
        }
    }

    /// <summary>Also attaches and detaches CPUs as they were. Devices loaded before or after may drive their lines.</summary>
    public void Load(SnapshotReader reader)
    {
        lock (Lock)
        {
            reader.Require(reader.Read<int>("cpus") == CpuInterfaces.Length, "cpus");
            Distributor.LoadLocked(reader);
            foreach (CpuInterface cpu in CpuInterfaces)
            {
                cpu.Redistributor.LoadLocked(reader);
                cpu.LoadLocked(reader);
            }

            UpdateAllLocked();
        }
    }
}

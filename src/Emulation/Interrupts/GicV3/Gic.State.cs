using Vmm.Emulation.Snapshot;

namespace Vmm.Emulation.Interrupts.GicV3;

public sealed partial class Gic : ISnapshotUnit
{
    public string Name => "gicv3";

    public void Save(SnapshotWriter writer)
    {
        lock (Lock)
        {
            writer.Write("control", _control);
            writer.Write<uint>("group", _group);
            writer.Write<uint>("enabled", _enabled);
            writer.Write<uint>("latch", _latch);
            writer.Write<uint>("level", _level);
            writer.Write<uint>("active", _active);
            writer.Write<uint>("edge", _edge);
            writer.Write<byte>("priority", _priority);
            writer.Write<ulong>("router", _router);
            writer.Write("cpus", CpuInterfaces.Length);
            foreach (GicCpuInterface cpu in CpuInterfaces)
            {
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
            _control = reader.Read<uint>("control") & DistributorControlMask;
            reader.Read("group", _group.AsSpan());
            reader.Read("enabled", _enabled.AsSpan());
            reader.Read("latch", _latch.AsSpan());
            reader.Read("level", _level.AsSpan());
            reader.Read("active", _active.AsSpan());
            reader.Read("edge", _edge.AsSpan());
            reader.Read("priority", _priority.AsSpan());
            reader.Read("router", _router.AsSpan());
            foreach (GicCpuInterface cpu in CpuInterfaces)
            {
                cpu.LoadLocked(reader);
            }

            UpdateAllLocked();
        }
    }
}

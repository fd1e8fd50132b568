using Vmm.Emulation.Snapshot;

namespace Vmm.Emulation.Devices.Ged;

public sealed partial class Ged : ISnapshotUnit
{
    public void Save(SnapshotWriter writer)
    {
        lock (_lock)
        {
            writer.Write("selector", _selector);
        }
    }

    public void Load(SnapshotReader reader)
    {
        lock (_lock)
        {
            _selector = reader.Read<uint>("selector");
        }
    }
}

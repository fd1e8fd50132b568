using Vmm.Emulation.Snapshot;

namespace Vmm.Emulation.Devices.FwCfg;

public sealed partial class FwCfg : ISnapshotUnit
{
    public void Save(SnapshotWriter writer)
    {
        lock (_lock)
        {
            writer.Write("key", _key);
            writer.Write("offset", _offset);
            writer.Write("dmaHigh", _dmaHigh);
        }
    }

    public void Load(SnapshotReader reader)
    {
        lock (_lock)
        {
            _key = reader.Read<ushort>("key");
            _offset = reader.Read<uint>("offset");
            _dmaHigh = reader.Read<uint>("dmaHigh");
        }
    }
}

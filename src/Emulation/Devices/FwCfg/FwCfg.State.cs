using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.FwCfg;

public sealed partial class FwCfg : IStateUnit
{
    string IStateUnit.Id => Name;

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("key", _key);
            writer.Write("offset", _offset);
            writer.Write("dmaHigh", _dmaHigh);
        }
    }

    public void Load(StateReader reader)
    {
        lock (_lock)
        {
            _key = reader.Read<ushort>("key");
            _offset = reader.Read<uint>("offset");
            _dmaHigh = reader.Read<uint>("dmaHigh");
        }
    }
}

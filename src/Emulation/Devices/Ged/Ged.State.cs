using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Ged;

public sealed partial class Ged : IStateUnit
{
    string IStateUnit.Id => Name;

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("selector", _selector);
        }
    }

    public void Load(StateReader reader)
    {
        lock (_lock)
        {
            _selector = reader.Read<uint>("selector");
        }
    }
}

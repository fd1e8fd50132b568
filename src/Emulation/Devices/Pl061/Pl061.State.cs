using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Pl061;

public sealed partial class Pl061 : IStateUnit
{
    // 2: noticed.
    int IStateUnit.SchemaVersion => 2;

    string IStateUnit.Id => Name;

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("inputs", _inputs);
            writer.Write("outputs", _outputs);
            writer.Write("direction", _direction);
            writer.Write("sense", _sense);
            writer.Write("bothEdges", _bothEdges);
            writer.Write("event", _event);
            writer.Write("enabled", _enabled);
            writer.Write("alternate", _alternate);
            writer.Write("edges", _edges);
            writer.Write("noticed", _noticed);
        }
    }

    public void Load(StateReader reader)
    {
        lock (_lock)
        {
            _inputs = reader.Read<byte>("inputs");
            _outputs = reader.Read<byte>("outputs");
            _direction = reader.Read<byte>("direction");
            _sense = reader.Read<byte>("sense");
            _bothEdges = reader.Read<byte>("bothEdges");
            _event = reader.Read<byte>("event");
            _enabled = reader.Read<byte>("enabled");
            _alternate = reader.Read<byte>("alternate");
            _edges = reader.Read<byte>("edges");
            _noticed = reader.Version >= 2 ? reader.Read<byte>("noticed") : (byte)0;
            Update();
        }
    }
}

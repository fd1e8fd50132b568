using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Pl031;

public sealed partial class Pl031 : IStateUnit
{
    string IStateUnit.Id => Name;

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("offset", _offset);
            writer.Write("match", _match);
            writer.Write("load", _load);
            writer.Write("masked", (byte)(_masked ? 1 : 0));
            writer.Write("raw", (byte)(_raw ? 1 : 0));
            writer.Write("deadline", _deadline ?? 0);
        }
    }

    public void Load(StateReader reader)
    {
        lock (_lock)
        {
            _offset = reader.Read<uint>("offset");
            _match = reader.Read<uint>("match");
            _load = reader.Read<uint>("load");
            _masked = reader.Read<byte>("masked") != 0;
            _raw = reader.Read<byte>("raw") != 0;
            long deadline = reader.Read<long>("deadline");
            reader.Require(deadline >= 0 && deadline <= DateTimeOffset.MaxValue.ToUnixTimeSeconds(), "deadline");
            _deadline = deadline == 0 ? null : deadline;
            Update();
        }

        AlarmChanged.Ring();
    }
}

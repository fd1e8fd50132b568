using Vmm.Emulation.Snapshot;

namespace Vmm.Emulation.Devices.CpuHotplug;

public sealed partial class CpuHotplugBlock : ISnapshotUnit
{
    public void Save(SnapshotWriter writer)
    {
        lock (_lock)
        {
            writer.Write("selector", _selector);
            writer.Write("command", _command);
            writer.Write<byte>("flags", Array.ConvertAll(_slots, SaveFlags));
            writer.Write<uint>("ost-event", Array.ConvertAll(_slots, s => s.OstEvent));
            writer.Write<uint>("ost-status", Array.ConvertAll(_slots, s => s.OstStatus));
        }
    }

    /// <summary>The flags come back, the CPUs themselves do not: who loads makes the machine's enabled CPUs those of the snapshot first.</summary>
    public void Load(SnapshotReader reader)
    {
        var flags = new byte[_slots.Length];
        var events = new uint[_slots.Length];
        var statuses = new uint[_slots.Length];
        reader.Read("flags", flags.AsSpan());
        reader.Read("ost-event", events.AsSpan());
        reader.Read("ost-status", statuses.AsSpan());
        lock (_lock)
        {
            _selector = reader.Read<uint>("selector");
            _command = reader.Read<byte>("command");
            _events.Clear();
            for (int i = 0; i < _slots.Length; i++)
            {
                _slots[i] = new Slot
                {
                    Enabled = (flags[i] & FlagEnabled) != 0,
                    Insert = (flags[i] & FlagInsert) != 0,
                    Remove = (flags[i] & FlagRemove) != 0,
                    FirmwareEject = (flags[i] & FlagFirmwareEject) != 0,
                    OstEvent = events[i],
                    OstStatus = statuses[i],
                };
            }
        }
    }

    private static byte SaveFlags(Slot slot) => (byte)FlagsOf(slot);
}

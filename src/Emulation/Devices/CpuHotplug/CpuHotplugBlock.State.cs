using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.CpuHotplug;

public sealed partial class CpuHotplugBlock : IStateUnit
{
    // The number of words of an event: CPU, kind, source event, status.
    private const int EventWords = 4;

    // 2: events.
    int IStateUnit.SchemaVersion => 2;

    string IStateUnit.Id => Name;

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("selector", _selector);
            writer.Write("command", _command);
            writer.Write<byte>("flags", Array.ConvertAll(_slots, SaveFlags));
            writer.Write<uint>("ost-event", Array.ConvertAll(_slots, s => s.OstEvent));
            writer.Write<uint>("ost-status", Array.ConvertAll(_slots, s => s.OstStatus));
            writer.Write<uint>("events", [.. _events.SelectMany(e => new[] { (uint)e.Cpu.Value, (uint)e.Kind, e.Event, e.Status })]);
        }
    }

    /// <summary>
    /// Loads the flags. It does not make CPUs: the caller has made the enabled CPUs of the machine those of the saved state before.
    /// </summary>
    public void Load(StateReader reader)
    {
        var flags = new byte[_slots.Length];
        var events = new uint[_slots.Length];
        var statuses = new uint[_slots.Length];
        reader.Read("flags", flags.AsSpan());
        reader.Read("ost-event", events.AsSpan());
        reader.Read("ost-status", statuses.AsSpan());
        uint[] happened = reader.Version >= 2 ? reader.ReadArray<uint>("events", EventWords * (EventCapacity + _slots.Length)) : [];
        reader.Require(IsEvents(happened), "events");
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

            for (int i = 0; i < happened.Length; i += EventWords)
            {
                var cpu = new CpuIndex((int)happened[i]);
                _events.Enqueue(new CpuHotplugEvent(cpu, (CpuHotplugEventKind)happened[i + 1], happened[i + 2], happened[i + 3]));
            }
        }

        Doorbell.Ring();
    }

    private bool IsEvents(uint[] words)
    {
        bool valid = words.Length % EventWords == 0;
        for (int i = 0; valid && i < words.Length; i += EventWords)
        {
            valid = words[i] < (uint)_slots.Length && words[i + 1] <= (uint)CpuHotplugEventKind.Ost;
        }

        return valid;
    }

    private static byte SaveFlags(Slot slot) => (byte)FlagsOf(slot);
}

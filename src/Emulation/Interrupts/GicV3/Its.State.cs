using Vmm.Emulation.State;
using static Vmm.Emulation.Interrupts.GicV3.ItsSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>
/// Saved state. The tables are in RAM; translations that were read are saved, because a page of a table may arrive later.
/// </content>
public sealed partial class Its : IStateUnit
{
    // A translation: device, event, and the LPI with the number of the CPU above it.
    private const int WordsOfTranslation = 3;

    public string Id => "gicv3-its";

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write<ulong>("registers", [_control, _queue, _read, _write, _devices.Register, _collections.Register]);
            writer.Write<uint>(
                "translations",
                [.. _translations.Known.SelectMany(t => new[]
                {
                    t.Key.Device, t.Key.Event, t.Value.IntId | ((uint)t.Value.Cpu << 16),
                })]);
            writer.Write<uint>("waiting", [.. _translations.Waiting.SelectMany(w => new[] { w.Device, w.Event })]);
        }
    }

    public void Load(StateReader reader)
    {
        Span<ulong> registers = stackalloc ulong[6];
        reader.Read("registers", registers);
        uint[] translations = reader.ReadArray<uint>("translations", ItsTranslations.Capacity * WordsOfTranslation);
        uint[] waiting = reader.ReadArray<uint>("waiting", ItsTranslations.Capacity * 2);
        reader.Require(translations.Length % WordsOfTranslation == 0, "translations");
        reader.Require(waiting.Length % 2 == 0, "waiting");
        lock (_lock)
        {
            _control = (uint)registers[0] & Enabled;
            _queue = registers[1] & QueueWritable;
            _read = (uint)registers[2] & (QueueOffset | Stalled);
            _write = (uint)registers[3] & QueueOffset;
            _devices.Register = (registers[4] & TableWritable) | DeviceTable;
            _collections.Register = (registers[5] & TableWritable) | CollectionTable;
            _translations.Clear();
            for (int i = 0; i < translations.Length; i += WordsOfTranslation)
            {
                var known = new ItsTranslation((ushort)translations[i + 2], (ushort)(translations[i + 2] >> 16));
                reader.Require(known.IntId >= FirstLpi && known.Cpu < _gic.CpuInterfaces.Length, "translations");
                _translations.Add(translations[i], translations[i + 1], known);
            }

            for (int i = 0; i < waiting.Length; i += 2)
            {
                _translations.AddWaiting(waiting[i], waiting[i + 1]);
            }
        }
    }
}

using System.Globalization;
using System.Text;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>Saved state, and the state as text.</content>
public sealed partial class Redistributor
{
    internal void SaveLocked(StateWriter writer)
    {
        writer.Write<byte>($"{_cpu.Index}.priority", _priority);
        writer.Write<uint>($"{_cpu.Index}.redistributor", [_group, _enabled, _latch, _level, _active, _edge, _waker]);
        SaveLpisLocked(writer);
    }

    internal void LoadLocked(StateReader reader)
    {
        reader.Read($"{_cpu.Index}.priority", _priority.AsSpan());
        Span<uint> saved = stackalloc uint[7];
        reader.Read($"{_cpu.Index}.redistributor", saved);
        (_group, _enabled, _latch, _level) = (saved[0], saved[1], saved[2], saved[3]);
        (_active, _edge, _waker) = (saved[4], saved[5], saved[6]);
        ResetLpisLocked();
        if (reader.Version > Gic.VersionWithoutLpis)
        {
            LoadLpisLocked(reader);
        }
    }

    internal string DescribeLocked() => string.Create(
        CultureInfo.InvariantCulture, $"GICR_WAKER={_waker:x} LPIs={(_lpis == null ? "off" : "on")}");

    internal void DescribeInterruptsLocked(StringBuilder text)
    {
        for (int id = 0; id < GicSpec.FirstSpi; id++)
        {
            uint bit = 1u << id;
            Gic.AppendInterrupt(
                text,
                id,
                $"cpu{_cpu.Index.Value}",
                (_enabled & bit) != 0,
                (PendingLocked & bit) != 0,
                (_active & bit) != 0,
                _priority[id],
                (_edge & bit) != 0);
        }

        if (_lpis is { } lpis)
        {
            foreach (int id in lpis)
            {
                LpiConfiguration all = _gic.LpisLocked;
                Gic.AppendInterrupt(
                    text,
                    id,
                    $"cpu{_cpu.Index.Value}",
                    all.IsEnabled(id),
                    pending: true,
                    active: false,
                    (byte)all.PriorityOf(id),
                    edge: true);
            }
        }
    }
}

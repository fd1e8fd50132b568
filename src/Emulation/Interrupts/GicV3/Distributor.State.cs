using System.Globalization;
using System.Text;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>Saved state, and the state as text.</content>
public sealed partial class Distributor
{
    internal void SaveLocked(StateWriter writer)
    {
        writer.Write("control", _control);
        writer.Write<uint>("group", _group);
        writer.Write<uint>("enabled", _enabled);
        writer.Write<uint>("latch", _latch);
        writer.Write<uint>("level", _level);
        writer.Write<uint>("active", _active);
        writer.Write<uint>("edge", _edge);
        writer.Write<byte>("priority", _priority);
        writer.Write<ulong>("router", _router);
    }

    internal void LoadLocked(StateReader reader)
    {
        _control = reader.Read<uint>("control") & (GicSpec.EnableGroup0 | GicSpec.EnableGroup1);
        reader.Read("group", _group.AsSpan());
        reader.Read("enabled", _enabled.AsSpan());
        reader.Read("latch", _latch.AsSpan());
        reader.Read("level", _level.AsSpan());
        reader.Read("active", _active.AsSpan());
        reader.Read("edge", _edge.AsSpan());
        reader.Read("priority", _priority.AsSpan());
        reader.Read("router", _router.AsSpan());
    }

    internal string DescribeLocked() => string.Create(CultureInfo.InvariantCulture, $"arm-gicv3: GICD_CTLR={_control:x8}");

    internal void DescribeInterruptsLocked(StringBuilder text)
    {
        for (int id = GicSpec.FirstSpi; id < GicSpec.InterruptCount; id++)
        {
            uint bit = 1u << (id & 31);
            int word = id >> 5;
            string target = (_router[id] & GicSpec.RouteToAny) != 0 ? "any" : $"{_router[id] & Mpidr.AffinityMask:x}";
            Gic.AppendInterrupt(
                text,
                id,
                target,
                (_enabled[word] & bit) != 0,
                (PendingLocked(word) & bit) != 0,
                (_active[word] & bit) != 0,
                _priority[id],
                (_edge[word] & bit) != 0);
        }
    }
}

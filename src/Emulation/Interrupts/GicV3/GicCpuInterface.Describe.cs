using System.Globalization;
using System.Text;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>The state as text.</content>
public sealed partial class GicCpuInterface
{
    internal void DescribeInterruptsLocked(StringBuilder text)
    {
        for (int id = 0; id < 32; id++)
        {
            uint bit = 1u << id;
            Gic.AppendInterrupt(
                text, id, $"cpu{_cpu.Value}", (_enabled & bit) != 0, (PendingLocked & bit) != 0, (_active & bit) != 0, _priority[id], (_edge & bit) != 0);
        }
    }

    internal string DescribeLocked()
    {
        int id = HighestPendingLocked(out int priority);
        string highest = id == IntId.Spurious.Value ? "none" : string.Create(CultureInfo.InvariantCulture, $"{id} (priority {priority:x2})");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"cpu{_cpu.Value}: PMR={_mask:x2} BPR0={_binaryPoint0} BPR1={_binaryPoint1} IGRPEN0={(_group0Enabled ? 1 : 0)} IGRPEN1={(_group1Enabled ? 1 : 0)} "
            + $"EOImode={(_endOfInterruptMode ? 1 : 0)} AP0R0={_activePriorities0:x8} AP1R0={_activePriorities1:x8} GICR_WAKER={_waker:x} highest pending: {highest}");
    }
}

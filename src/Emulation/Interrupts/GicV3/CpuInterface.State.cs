using System.Globalization;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <content>Saved state, and the state as text.</content>
public sealed partial class CpuInterface
{
    private const byte SavedAccessible = 1;
    private const byte SavedEndOfInterruptMode = 2;
    private const byte SavedCommonBinaryPoint = 4;
    private const byte SavedGroup0Enabled = 8;
    private const byte SavedGroup1Enabled = 16;

    internal void SaveLocked(StateWriter writer)
    {
        writer.Write<uint>($"{Index}.interface", [_mask, (uint)_binaryPoint0, (uint)_binaryPoint1, _activePriorities0, _activePriorities1]);
        writer.Write($"{Index}.flags", (byte)(
            (Accessible ? SavedAccessible : 0)
            | (_endOfInterruptMode ? SavedEndOfInterruptMode : 0)
            | (_commonBinaryPoint ? SavedCommonBinaryPoint : 0)
            | (_group0Enabled ? SavedGroup0Enabled : 0)
            | (_group1Enabled ? SavedGroup1Enabled : 0)));
    }

    internal void LoadLocked(StateReader reader)
    {
        Span<uint> registers = stackalloc uint[5];
        reader.Read($"{Index}.interface", registers);
        reader.Require(registers[1] <= 7 && registers[2] <= 7, $"{Index}.interface");
        _mask = (byte)registers[0];
        (_binaryPoint0, _binaryPoint1) = ((int)registers[1], (int)registers[2]);
        (_activePriorities0, _activePriorities1) = (registers[3], registers[4]);

        byte flags = reader.Read<byte>($"{Index}.flags");
        Accessible = (flags & SavedAccessible) != 0;
        _endOfInterruptMode = (flags & SavedEndOfInterruptMode) != 0;
        _commonBinaryPoint = (flags & SavedCommonBinaryPoint) != 0;
        _group0Enabled = (flags & SavedGroup0Enabled) != 0;
        _group1Enabled = (flags & SavedGroup1Enabled) != 0;
    }

    internal string DescribeLocked()
    {
        int id = HighestPendingLocked(out int priority);
        string highest = id == IntId.Spurious.Value
            ? "none"
            : string.Create(CultureInfo.InvariantCulture, $"{id} (priority {priority:x2})");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"cpu{Index.Value}: PMR={_mask:x2} BPR0={_binaryPoint0} BPR1={_binaryPoint1} "
            + $"IGRPEN0={(_group0Enabled ? 1 : 0)} IGRPEN1={(_group1Enabled ? 1 : 0)} EOImode={(_endOfInterruptMode ? 1 : 0)} "
            + $"AP0R0={_activePriorities0:x8} AP1R0={_activePriorities1:x8} {Redistributor.DescribeLocked()} "
            + $"highest pending: {highest}");
    }
}

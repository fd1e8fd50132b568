using Vmm.Emulation.Snapshot;

namespace Vmm.Emulation.Interrupts.GicV3;

public sealed partial class GicCpuInterface
{
    private const byte SavedAccessible = 1;
    private const byte SavedEndOfInterruptMode = 2;
    private const byte SavedCommonBinaryPoint = 4;
    private const byte SavedGroup0Enabled = 8;
    private const byte SavedGroup1Enabled = 16;

    internal void SaveLocked(SnapshotWriter writer)
    {
        string cpu = _cpu.ToString();
        writer.Write<byte>($"{cpu}.priority", _priority);
        writer.Write<uint>($"{cpu}.redistributor", [_group, _enabled, _latch, _level, _active, _edge, _waker]);
        writer.Write<uint>($"{cpu}.interface", [_mask, (uint)_binaryPoint0, (uint)_binaryPoint1, _activePriorities0, _activePriorities1]);
        writer.Write($"{cpu}.flags", (byte)(
            (Accessible ? SavedAccessible : 0)
            | (_endOfInterruptMode ? SavedEndOfInterruptMode : 0)
            | (_commonBinaryPoint ? SavedCommonBinaryPoint : 0)
            | (_group0Enabled ? SavedGroup0Enabled : 0)
            | (_group1Enabled ? SavedGroup1Enabled : 0)));
    }

    internal void LoadLocked(SnapshotReader reader)
    {
        string cpu = _cpu.ToString();
        reader.Read($"{cpu}.priority", _priority.AsSpan());
        Span<uint> redistributor = stackalloc uint[7];
        reader.Read($"{cpu}.redistributor", redistributor);
        (_group, _enabled, _latch, _level) = (redistributor[0], redistributor[1], redistributor[2], redistributor[3]);
        (_active, _edge, _waker) = (redistributor[4], redistributor[5], redistributor[6]);

        Span<uint> registers = stackalloc uint[5];
        reader.Read($"{cpu}.interface", registers);
        reader.Require(registers[1] <= 7 && registers[2] <= 7, $"{cpu}.interface");
        _mask = (byte)registers[0];
        (_binaryPoint0, _binaryPoint1) = ((int)registers[1], (int)registers[2]);
        (_activePriorities0, _activePriorities1) = (registers[3], registers[4]);

        byte flags = reader.Read<byte>($"{cpu}.flags");
        Accessible = (flags & SavedAccessible) != 0;
        _endOfInterruptMode = (flags & SavedEndOfInterruptMode) != 0;
        _commonBinaryPoint = (flags & SavedCommonBinaryPoint) != 0;
        _group0Enabled = (flags & SavedGroup0Enabled) != 0;
        _group1Enabled = (flags & SavedGroup1Enabled) != 0;
    }
}

using System.Globalization;
using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

public sealed record BlockResizeArguments(string? Device, string? NodeName, long Size);

/// <summary>What was asked of a disk (QEMU, qapi/block-core.json).</summary>
public enum IoOperationType
{
    Read,
    Write,
}

public sealed record BlockIoErrorEvent(
    string QomPath, string Device, string? NodeName, IoOperationType Operation, BlockErrorAction Action, bool? Nospace, string Reason);

/// <summary>Commands about disks.</summary>
public sealed class BlockCommands(MonitorVm vm)
{
    public void Register(QapiCommandTable table) => table.Add<BlockResizeArguments>("block_resize", Resize);

    public async Task Resize(BlockResizeArguments arguments)
    {
        const int Sector = 512;
        string? disk = arguments.Device ?? arguments.NodeName;
        if (arguments.Size is < 0 or > long.MaxValue - Sector)
        {
            throw new QapiException("Parameter 'size' expects a >0 size");
        }

        BlockDevices disks = await Disks().ConfigureAwait(false);
        if (string.IsNullOrEmpty(disk) || !disks.Names.Concat(disks.NodeNames).Contains(disk))
        {
            throw new QapiException($"Cannot find device='{arguments.Device}' nor node-name='{arguments.NodeName}'");
        }

        long bytes = (arguments.Size + Sector - 1) / Sector * Sector;
        await vm.Ask<BlockCommandDone>(new ResizeBlock(disk, bytes)).ConfigureAwait(false);
    }

    /// <summary>The text of <c>info block</c>, in QEMU's layout.</summary>
    public async Task<string> Describe(string? disk)
    {
        BlockDevices disks = await Disks().ConfigureAwait(false);
        return string.Join("\n\n", Enumerable.Range(0, disks.Names.Length).Where(i => disk == null || NameOf(disks, i) == disk)
            .Select(i => Describe(disks, i)));
    }

    /// <summary>The text of <c>info blockstats</c>, in QEMU's layout.</summary>
    public async Task<string> DescribeFigures()
    {
        BlockDevices disks = await Disks().ConfigureAwait(false);
        return string.Join('\n', disks.Figures.Chunk(BlockDevices.FiguresOfDisk).Select((f, i) => string.Create(
            CultureInfo.InvariantCulture,
            $"{NameOf(disks, i)}: rd_bytes={f[0]} wr_bytes={f[3]} rd_operations={f[1]} wr_operations={f[4]} flush_operations={f[7]} "
            + $"wr_total_time_ns={f[5]} rd_total_time_ns={f[2]} flush_total_time_ns={f[8]} rd_merged=0 wr_merged=0")));
    }

    private Task<BlockDevices> Disks() => vm.Ask<BlockDevices>(new GetBlockDevices());

    private static string NameOf(BlockDevices disks, int i) => disks.Names[i].Length > 0 ? disks.Names[i] : disks.NodeNames[i];

    private static string Describe(BlockDevices disks, int i)
    {
        bool isOpen = disks.Drivers[i].Length > 0;
        string name = disks.Names[i].Length > 0 ? $"{disks.Names[i]} ({disks.NodeNames[i]})" : disks.NodeNames[i];
        var lines = new List<string>
        {
            isOpen ? $"{name}: {disks.FileNames[i]} ({disks.Drivers[i]}{(disks.ReadOnly[i] ? ", read-only" : "")})"
                : $"{NameOf(disks, i)}: [not inserted]",
            $"    Attached to:      {disks.Devices[i]}",
        };
        if (disks.Statuses[i] != "ok")
        {
            lines.Add($"    I/O status:       {disks.Statuses[i]}");
        }

        if (isOpen)
        {
            lines.Add($"    Cache mode:       {(disks.WriteBack[i] ? "writeback" : "writethrough")}{(disks.Direct[i] ? ", direct" : "")}"
                + $"{(disks.NoFlush[i] ? ", ignore flushes" : "")}");
        }

        if (disks.BackingFiles[i].Length > 0)
        {
            lines.Add($"    Backing file:     {disks.BackingFiles[i]} (chain depth: {disks.Depths[i]})");
        }

        if (disks.DetectZeroes[i] != "off")
        {
            lines.Add($"    Detect zeroes:    {disks.DetectZeroes[i]}");
        }

        return string.Join('\n', lines);
    }
}

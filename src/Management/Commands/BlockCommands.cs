using System.Globalization;
using Vmm.Actors.Protocol;
using Vmm.Management.Qapi;
using Vmm.Management.Text;

namespace Vmm.Management.Commands;

/// <summary>Commands about disks.</summary>
public sealed class BlockCommands(MonitorVm vm)
{
    public void Register(QapiCommandTable table)
    {
        table.Add<BlockResizeArguments>("block_resize", Resize);
        table.Add<BlockIoThrottle>("block_set_io_throttle", Limit);
        table.AddOpen<BlockdevOptions>("blockdev-add", options => Add(options.ToJsonString(), isNode: true));
        table.Add<BlockdevDelArguments>("blockdev-del", arguments => Remove(arguments.NodeName, isNode: true));
        table.Add<BlockdevSnapshotSync>("blockdev-snapshot-sync", PutOverlay);
        table.AddQuery("query-block", async () =>
            (BlockInfo[])[.. (await Report().ConfigureAwait(false)).Disks(), .. (await UnusedReport().ConfigureAwait(false)).Disks()
                .Where(d => d.Device.Length > 0)]);
        table.AddQuery<QueryBlockstatsArguments, BlockStats[]>("query-blockstats", async arguments =>
        {
            BlockReport report = await Report().ConfigureAwait(false);
            return arguments.QueryNodes == true
                ? [.. report.FiguresOfNodes(), .. (await UnusedReport().ConfigureAwait(false)).FiguresOfNodes()] : [.. report.Figures()];
        });
        table.AddQuery<QueryNamedBlockNodesArguments, BlockDeviceInfo[]>("query-named-block-nodes", async arguments =>
        {
            bool nested = arguments.Flat != true;
            return [.. (await Report().ConfigureAwait(false)).Nodes(nested), .. (await UnusedReport().ConfigureAwait(false)).Nodes(nested)];
        });
    }

    /// <summary>Names an image for a device that comes later: <c>blockdev-add</c>, <c>drive_add</c>.</summary>
    /// <param name="image">As <c>-blockdev</c> or <c>-drive</c> have it; the first also as JSON.</param>
    public Task Add(string image, bool isNode) => vm.Ask<BlockCommandDone>(new AddBlockImage(image, isNode));

    /// <summary>Forgets an image: <c>blockdev-del</c>, <c>drive_del</c>.</summary>
    public Task Remove(string name, bool isNode) => vm.Ask<BlockCommandDone>(new RemoveBlockImage(name, isNode));

    /// <summary>Limits how fast a disk may be: <c>block_set_io_throttle</c>.</summary>
    public async Task Limit(BlockIoThrottle limits)
    {
        if ((limits.Device == null) == (limits.Id == null))
        {
            throw new QapiException("Need exactly one of 'device' and 'id'");
        }

        BlockDevices disks = await Disks().ConfigureAwait(false);
        string path = CpuCommands.PathOf(limits.Id ?? "");
        int index = limits.Device is { } device ? (device.Length == 0 ? -1 : Array.IndexOf(disks.Names, device))
            : Array.FindIndex(disks.QomPaths, p => p == path || p.StartsWith(path + "/", StringComparison.Ordinal));
        if (index < 0)
        {
            throw new QapiException($"Device '{limits.Device ?? limits.Id}' not found", QapiErrorClass.DeviceNotFound);
        }

        // A burst that nothing is said of lasts a second.
        long[] values =
        [
            limits.Bps, limits.BpsMax ?? 0, limits.BpsMaxLength ?? 1, limits.BpsRd, limits.BpsRdMax ?? 0, limits.BpsRdMaxLength ?? 1,
            limits.BpsWr, limits.BpsWrMax ?? 0, limits.BpsWrMaxLength ?? 1, limits.Iops, limits.IopsMax ?? 0, limits.IopsMaxLength ?? 1,
            limits.IopsRd, limits.IopsRdMax ?? 0, limits.IopsRdMaxLength ?? 1, limits.IopsWr, limits.IopsWrMax ?? 0,
            limits.IopsWrMaxLength ?? 1, limits.IopsSize ?? 0,
        ];
        await vm.Ask<BlockCommandDone>(new LimitBlock(NameOf(disks, index), values, limits.Group ?? "")).ConfigureAwait(false);
    }

    /// <summary>Puts an overlay over a disk: <c>blockdev-snapshot-sync</c>, <c>snapshot_blkdev</c>.</summary>
    public async Task PutOverlay(BlockdevSnapshotSync arguments)
    {
        BlockDevices disks = await Disks().ConfigureAwait(false);
        string? disk = arguments.Device ?? arguments.NodeName;
        if (string.IsNullOrEmpty(disk) || !disks.Names.Concat(disks.NodeNames).Contains(disk))
        {
            throw new QapiException($"Cannot find device='{arguments.Device}' nor node-name='{arguments.NodeName}'");
        }

        if (arguments.Format is not (null or "qcow2"))
        {
            throw new QapiException(arguments.Format == "raw" ? "Backing file not supported for file format 'raw'"
                : $"Unknown file format '{UserText.Legible(arguments.Format)}'");
        }

        await vm.Ask<BlockCommandDone>(new PutBlockOverlay(
            disk, arguments.SnapshotFile, arguments.SnapshotNodeName ?? "", arguments.Mode == NewImageMode.Existing)).ConfigureAwait(false);
    }

    private async Task<BlockReport> Report() => new(
        await Disks().ConfigureAwait(false), await vm.Ask<BlockNodes>(new GetBlockNodes()).ConfigureAwait(false));

    private async Task<BlockReport> UnusedReport() => new(
        await vm.Ask<BlockDevices>(new GetUnusedImages()).ConfigureAwait(false),
        await vm.Ask<BlockNodes>(new GetUnusedNodes()).ConfigureAwait(false));

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
            $"{NameOf(disks, i)}: rd_bytes={f[0]} wr_bytes={f[5]} rd_operations={f[1]} wr_operations={f[6]} flush_operations={f[11]} "
            + $"wr_total_time_ns={f[7]} rd_total_time_ns={f[2]} flush_total_time_ns={f[12]} rd_merged=0 wr_merged=0")));
    }

    private Task<BlockDevices> Disks() => vm.Ask<BlockDevices>(new GetBlockDevices());

    // A disk whose medium was taken away has no name but its device's.
    private static string NameOf(BlockDevices disks, int i) => disks.Names[i].Length > 0 ? disks.Names[i]
        : disks.NodeNames[i].Length > 0 ? disks.NodeNames[i] : disks.Devices[i];

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

        // In the order of ThrottleLimits.Names each kind has its average, its burst, and how long that may last.
        long[] limits = disks.Limits[(i * BlockDevices.LimitsOfDisk)..((i + 1) * BlockDevices.LimitsOfDisk)];
        if (disks.Groups[i].Length > 0)
        {
            string Kind(string kind, int first) => string.Create(
                CultureInfo.InvariantCulture,
                $"{kind}={limits[first]} {kind}_rd={limits[first + 3]} {kind}_wr={limits[first + 6]} "
                + $"{kind}_max={limits[first + 1]} {kind}_rd_max={limits[first + 4]} {kind}_wr_max={limits[first + 7]}");
            lines.Add($"    I/O throttling:   {Kind("bps", 0)} {Kind("iops", 9)} iops_size={limits[^1]} group={disks.Groups[i]}");
        }

        return string.Join('\n', lines);
    }
}

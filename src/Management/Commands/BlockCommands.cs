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
        table.Add<BlockdevSnapshotInternal>("blockdev-snapshot-internal-sync", MakeSnapshot);
        table.AddQuery<BlockdevSnapshotDeleteInternalArguments, SnapshotInfo>("blockdev-snapshot-delete-internal-sync", DeleteSnapshot);
        table.AddQuery("query-block", async () => BlockReport.DisksOf(await Reports().ConfigureAwait(false)));
        table.AddQuery<QueryBlockstatsArguments, BlockStats[]>("query-blockstats", async arguments =>
        {
            BlockReport[] reports = await Reports().ConfigureAwait(false);
            return arguments.QueryNodes == true ? BlockReport.FiguresOfNodes(reports) : BlockReport.FiguresOf(reports);
        });
        table.AddQuery<QueryNamedBlockNodesArguments, BlockDeviceInfo[]>("query-named-block-nodes", async arguments =>
            BlockReport.NodesOf(arguments.Flat != true, await Reports().ConfigureAwait(false)));
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
        string disk = await Find(arguments.Device, arguments.NodeName).ConfigureAwait(false);
        if (arguments.Format is not (null or "qcow2"))
        {
            throw new QapiException(arguments.Format == "raw" ? "Backing file not supported for file format 'raw'"
                : $"Unknown file format '{UserText.Legible(arguments.Format)}'");
        }

        await vm.Ask<BlockCommandDone>(new PutBlockOverlay(
            disk, arguments.SnapshotFile, arguments.SnapshotNodeName ?? "", arguments.Mode == NewImageMode.Existing)).ConfigureAwait(false);
    }

    /// <summary>Makes an internal snapshot of a disk: <c>blockdev-snapshot-internal-sync</c>, <c>snapshot_blkdev_internal</c>.</summary>
    public async Task MakeSnapshot(BlockdevSnapshotInternal arguments)
    {
        string disk = await Find(arguments.Device, arguments.Device, mustBeRoot: true).ConfigureAwait(false);
        await vm.Ask<BlockCommandDone>(new MakeBlockSnapshot(disk, arguments.Name)).ConfigureAwait(false);
    }

    /// <summary>
    /// Deletes an internal snapshot of a disk: <c>blockdev-snapshot-delete-internal-sync</c>, <c>snapshot_delete_blkdev_internal</c>.
    /// </summary>
    public async Task<SnapshotInfo> DeleteSnapshot(BlockdevSnapshotDeleteInternalArguments arguments)
    {
        string disk = await Find(arguments.Device, arguments.Device, mustBeRoot: true).ConfigureAwait(false);
        BlockSnapshotDeleted deleted = await vm.Ask<BlockSnapshotDeleted>(new DeleteBlockSnapshot(disk, arguments.Id, arguments.Name))
            .ConfigureAwait(false);
        return BlockReport.SnapshotOf(deleted.Id, deleted.Name, deleted.Fields);
    }

    // The disk of a device, by its name or by that of its uppermost node. Other nodes are told of where they are nothing to work on.
    private async Task<string> Find(string? device, string? node, bool mustBeRoot = false)
    {
        BlockDevices disks = await Disks().ConfigureAwait(false);
        string? disk = device ?? node;
        if (string.IsNullOrEmpty(disk) || !disks.Names.Concat(disks.NodeNames).Contains(disk))
        {
            bool isBelow = mustBeRoot && !string.IsNullOrEmpty(disk)
                && (await vm.Ask<BlockNodes>(new GetBlockNodes()).ConfigureAwait(false)).Names.Contains(disk);
            throw new QapiException(isBelow ? "Need a root block node" : $"Cannot find device='{device}' nor node-name='{node}'");
        }

        return disk;
    }

    // The disks that devices have, and the images that none has.
    private async Task<BlockReport[]> Reports() =>
    [
        new(await Disks().ConfigureAwait(false), await vm.Ask<BlockNodes>(new GetBlockNodes()).ConfigureAwait(false)),
        new(
            await vm.Ask<BlockDevices>(new GetUnusedImages()).ConfigureAwait(false),
            await vm.Ask<BlockNodes>(new GetUnusedNodes()).ConfigureAwait(false)),
    ];

    public async Task Resize(BlockResizeArguments arguments)
    {
        const int Sector = 512;
        if (arguments.Size is < 0 or > long.MaxValue - Sector)
        {
            throw new QapiException("Parameter 'size' expects a >0 size");
        }

        string disk = await Find(arguments.Device, arguments.NodeName).ConfigureAwait(false);
        long bytes = (arguments.Size + Sector - 1) / Sector * Sector;
        await vm.Ask<BlockCommandDone>(new ResizeBlock(disk, bytes)).ConfigureAwait(false);
    }

    /// <summary>The text of <c>info block</c>.</summary>
    /// <param name="disk">The name of one; null for all.</param>
    /// <param name="nodes">Nodes instead of disks.</param>
    /// <param name="images">With all about their images.</param>
    public async Task<string> Describe(string? disk, bool nodes, bool images)
    {
        BlockReport[] reports = await Reports().ConfigureAwait(false);
        return nodes ? BlockText.Of(BlockReport.NodesOf(nested: true, reports).Where(n => disk == null || n.NodeName == disk), images)
            : BlockText.Of(BlockReport.DisksOf(reports).Where(d => disk == null || BlockText.NameOf(d) == disk), images);
    }

    /// <summary>The text of <c>info blockstats</c>.</summary>
    public async Task<string> DescribeFigures() =>
        BlockText.Of(BlockReport.FiguresOf(await Reports().ConfigureAwait(false)));

    private Task<BlockDevices> Disks() => vm.Ask<BlockDevices>(new GetBlockDevices());

    // A disk whose medium was taken away has no name but its device's.
    private static string NameOf(BlockDevices disks, int i) => disks.Names[i].Length > 0 ? disks.Names[i]
        : disks.NodeNames[i].Length > 0 ? disks.NodeNames[i] : disks.Devices[i];
}

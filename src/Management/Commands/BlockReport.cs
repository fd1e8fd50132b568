using Vmm.Actors.Protocol;
using Vmm.Emulation.Block;

namespace Vmm.Management.Commands;

/// <summary>What QMP says of disks and their nodes, made of what the VM has answered.</summary>
internal sealed class BlockReport(BlockDevices disks, BlockNodes nodes)
{
    private const long Second = 1_000_000_000;

    // Behind the kinds of operations that a disk has figures of.
    private enum Figure
    {
        Bytes,
        Done,
        Nanoseconds,
        Failed,
        Invalid,
    }

    // Disks without a name of their own are behind the others.
    private const int Unnamed = 1 << 24;

    /// <summary>The disks of several reports, in QEMU's order: those with a name of their own or with a device.</summary>
    public static BlockInfo[] DisksOf(params BlockReport[] reports) =>
        [.. InOrder(reports, r => r.Disks(), r => r.DiskOrders).Where(d => d.Device.Length > 0 || d.Qdev != null)];

    /// <summary>The figures of the disks of several reports, in QEMU's order.</summary>
    public static BlockStats[] FiguresOf(params BlockReport[] reports) =>
        [.. InOrder(reports, r => r.Figures(), r => r.DiskOrders).Where(d => d.Device!.Length > 0 || d.Qdev != null)];

    /// <summary>The nodes of several reports, in QEMU's order: the last one first.</summary>
    /// <param name="nested">With the images that they stand on.</param>
    public static BlockDeviceInfo[] NodesOf(bool nested, params BlockReport[] reports) =>
        [.. InOrder(reports, r => r.Nodes(nested), r => r.NodeOrders).Reverse()];

    /// <summary>The figures of the nodes of several reports, in QEMU's order.</summary>
    public static BlockStats[] FiguresOfNodes(params BlockReport[] reports) => InOrder(
        reports, r => Enumerable.Range(0, r.NodeOrders.Length).Select(n => r.FiguresOfNode(n, isDisk: false)), r => r.NodeOrders);

    /// <summary>An internal snapshot.</summary>
    /// <param name="fields">As <see cref="BlockNodes.Snapshots"/> has them, without the index of the node.</param>
    public static SnapshotInfo SnapshotOf(string id, string name, long[] fields) => new(
        id, name, fields[0], fields[1] / Second, fields[1] % Second, fields[2] / Second, fields[2] % Second,
        fields[3] < 0 ? null : fields[3]);

    private static T[] InOrder<T>(
        BlockReport[] reports, Func<BlockReport, IEnumerable<T>> items, Func<BlockReport, int[]> orders) =>
        [.. reports.SelectMany(r => items(r).Zip(orders(r))).OrderBy(i => i.Second).Select(i => i.First)];

    private int[] DiskOrders => [.. disks.Orders.Zip(disks.Names, (o, n) => n.Length > 0 ? o : o + Unnamed)];

    private int[] NodeOrders => nodes.Orders;

    private IEnumerable<BlockInfo> Disks() => Enumerable.Range(0, disks.Names.Length).Select(i =>
    {
        bool hasDevice = disks.Devices[i].Length > 0;
        int node = NodeOf(i);
        return new BlockInfo(
            disks.Names[i], hasDevice ? disks.QomPaths[i] : null, "unknown", Removable: !hasDevice, Locked: false,
            node < 0 ? null : Describe(node, i),
            hasDevice ? Enum.Parse<BlockDeviceIoStatus>(disks.Statuses[i], ignoreCase: true) : null);
    });

    private IEnumerable<BlockDeviceInfo> Nodes(bool nested) =>
        Enumerable.Range(0, nodes.Names.Length)
            .Select(i => Describe(i, Array.IndexOf(disks.NodeNames, nodes.Names[i]), nested, limits: false));

    private IEnumerable<BlockStats> Figures() => Enumerable.Range(0, disks.Names.Length).Select(i =>
    {
        int node = NodeOf(i);
        BlockStats? own = node < 0 ? null : FiguresOfNode(node, isDisk: true);
        return new BlockStats(
            disks.Names[i], disks.QomPaths[i].Length > 0 ? disks.QomPaths[i] : null, own?.NodeName,
            FiguresOfDisk(i, own?.Stats.WrHighestOffset ?? 0), own?.DriverSpecific, own?.Parent, own?.Backing);
    });

    private int NodeOf(int disk) => disks.NodeNames[disk].Length == 0 ? -1 : Array.IndexOf(nodes.Names, disks.NodeNames[disk]);

    private static string? NotEmpty(string text) => text.Length > 0 ? text : null;

    private BlockDeviceInfo Describe(int node, int disk, bool nested = true, bool limits = true)
    {
        // The limits are the disk's, in the order of ThrottleLimits.Names: three of each kind, and the size of an operation.
        long[] values = !limits || disk < 0 ? new long[BlockDevices.LimitsOfDisk]
            : disks.Limits[(disk * BlockDevices.LimitsOfDisk)..((disk + 1) * BlockDevices.LimitsOfDisk)];
        bool limited = limits && disk >= 0 && disks.Groups[disk].Length > 0;
        long? Burst(int kind) => values[(3 * kind) + 1] is > 0 and var burst ? burst : null;
        long? Length(int kind) => Burst(kind) == null ? null : values[(3 * kind) + 2];
        int depth = 0;
        for (int below = nested ? nodes.Backings[node] : -1; below >= 0; below = nodes.Backings[below])
        {
            depth++;
        }

        bool isDisk = disk >= 0;
        return new BlockDeviceInfo(
            nodes.FileNames[node], nodes.Names[node], nodes.ReadOnly[node], nodes.Drivers[node], NotEmpty(nodes.BackingFiles[node]), depth,
            Active: true, Encrypted: false,
            isDisk ? Enum.Parse<BlockdevDetectZeroesOptions>(disks.DetectZeroes[disk], ignoreCase: true) : BlockdevDetectZeroesOptions.Off,
            values[0], values[3], values[6], values[9], values[12], values[15], Image(node, nested),
            Burst(0), Burst(1), Burst(2), Burst(3), Burst(4), Burst(5), Length(0), Length(1), Length(2), Length(3), Length(4), Length(5),
            values[^1] > 0 ? values[^1] : null, limited ? disks.Groups[disk] : null,
            new BlockdevCacheInfo(!isDisk || disks.WriteBack[disk], nodes.Direct[node], nodes.NoFlush[node]),
            WriteThreshold: 0);
    }

    private ImageInfo Image(int node, bool nested)
    {
        long[] format = nodes.Formats[(node * BlockNodes.FieldsOfFormat)..((node + 1) * BlockNodes.FieldsOfFormat)];
        bool isQcow2 = format[0] > 0;
        int backing = nodes.Backings[node];
        SnapshotInfo[] snapshots =
        [
            .. nodes.Snapshots.Chunk(BlockNodes.FieldsOfSnapshot).Index().Where(s => s.Item[0] == node).Select(s =>
                SnapshotOf(nodes.SnapshotNames[2 * s.Index], nodes.SnapshotNames[(2 * s.Index) + 1], s.Item[1..])),
        ];
        return new ImageInfo(
            nodes.FileNames[node], nodes.Drivers[node], format[5] > 0, nodes.Allocated[node], nodes.Sizes[node], isQcow2 ? format[0] : null,
            NotEmpty(nodes.BackingFiles[node]), backing < 0 ? null : nodes.FileNames[backing], NotEmpty(nodes.BackingFormats[node]),
            snapshots.Length > 0 ? snapshots : null, backing < 0 || !nested ? null : Image(backing, nested),
            isQcow2 ? Specific(format) : nodes.Drivers[node] == "file" ? new ImageInfoOfFile(new ImageInfoSpecificFile()) : null);
    }

    private static ImageInfoOfQcow2 Specific(long[] format)
    {
        bool is3 = format[1] >= 3;
        return new ImageInfoOfQcow2(new ImageInfoSpecificQcow2(
            is3 ? "1.1" : "0.10", is3 ? false : null, is3 ? format[4] > 0 : null, is3 ? format[6] > 0 : null, format[2],
            format[3] > 0 ? Qcow2CompressionType.Zstd : Qcow2CompressionType.Zlib));
    }

    private BlockDeviceStats FiguresOfDisk(int disk, long highest)
    {
        long Of(BlockOperation operation, Figure figure) => disks.Figures[
            (disk * BlockDevices.FiguresOfDisk) + ((int)operation * BlockDevices.FiguresOfOperation) + (int)figure];
        return Figures(Of, highest, disks.Idle[disk] < 0 ? null : disks.Idle[disk], counts: true);
    }

    // Only disks have the other figures. A node's backing file is told of below the disk's uppermost node alone.
    private BlockStats FiguresOfNode(int node, bool isDisk)
    {
        long[] own = nodes.Figures[(node * BlockNodes.FiguresOfNode)..((node + 1) * BlockNodes.FiguresOfNode)];
        return new BlockStats(
            null, null, nodes.Names[node], Figures((_, _) => 0, own[0], null, counts: false),
            nodes.Drivers[node] == "file" ? new BlockStatsOfFile(own[1], own[2], own[3]) : null,
            nodes.Children[node] < 0 ? null : FiguresOfNode(nodes.Children[node], isDisk),
            nodes.Backings[node] < 0 || !isDisk ? null : FiguresOfNode(nodes.Backings[node], isDisk));
    }

    private static BlockDeviceStats Figures(Func<BlockOperation, Figure, long> of, long highest, long? idle, bool counts)
    {
        long[] Each(Figure figure) =>
        [
            of(BlockOperation.Read, figure), of(BlockOperation.Write, figure), of(BlockOperation.Flush, figure),
            of(BlockOperation.Unmap, figure),
        ];
        (long[] bytes, long[] done, long[] took, long[] failed, long[] invalid) =
            (Each(Figure.Bytes), Each(Figure.Done), Each(Figure.Nanoseconds), Each(Figure.Failed), Each(Figure.Invalid));
        return new BlockDeviceStats(
            bytes[0], bytes[1], 0, bytes[3], done[0], done[1], 0, done[2], done[3], took[0], took[1], 0, took[2], took[3],
            highest, 0, 0, 0, 0, failed[0], failed[1], 0, failed[2], failed[3],
            invalid[0], invalid[1], 0, invalid[2], invalid[3], idle,
            AccountInvalid: counts, AccountFailed: counts, TimedStats: []);
    }
}

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

    public IEnumerable<BlockInfo> Disks() => Enumerable.Range(0, disks.Names.Length).Select(i =>
    {
        bool hasDevice = disks.Devices[i].Length > 0;
        int node = NodeOf(i);
        return new BlockInfo(
            disks.Names[i], hasDevice ? disks.QomPaths[i] : null, "unknown", Removable: !hasDevice, Locked: false,
            node < 0 ? null : Describe(node, i),
            hasDevice ? Enum.Parse<BlockDeviceIoStatus>(disks.Statuses[i], ignoreCase: true) : null);
    });

    /// <param name="nested">With the images that they stand on.</param>
    public IEnumerable<BlockDeviceInfo> Nodes(bool nested) =>
        Enumerable.Range(0, nodes.Names.Length)
            .Select(i => Describe(i, Array.IndexOf(disks.NodeNames, nodes.Names[i]), nested, limits: false));

    public IEnumerable<BlockStats> Figures() => Enumerable.Range(0, disks.Names.Length).Select(i =>
    {
        int node = NodeOf(i);
        BlockStats? own = node < 0 ? null : FiguresOfNode(node);
        return new BlockStats(
            disks.Names[i], disks.QomPaths[i].Length > 0 ? disks.QomPaths[i] : null, own?.NodeName, FiguresOfDisk(i), own?.Parent,
            own?.Backing);
    });

    public IEnumerable<BlockStats> FiguresOfNodes() => Enumerable.Range(0, nodes.Names.Length).Select(FiguresOfNode);

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
        for (int below = nodes.Backings[node]; below >= 0; below = nodes.Backings[below])
        {
            depth++;
        }

        // A file has the cache of the disk that it belongs to; which one that is, is of no use to anybody.
        bool isDisk = disk >= 0;
        return new BlockDeviceInfo(
            nodes.FileNames[node], nodes.Names[node], nodes.ReadOnly[node], nodes.Drivers[node], NotEmpty(nodes.BackingFiles[node]), depth,
            Active: true, Encrypted: false,
            isDisk ? Enum.Parse<BlockdevDetectZeroesOptions>(disks.DetectZeroes[disk], ignoreCase: true) : BlockdevDetectZeroesOptions.Off,
            values[0], values[3], values[6], values[9], values[12], values[15], Image(node, nested),
            Burst(0), Burst(1), Burst(2), Burst(3), Burst(4), Burst(5), Length(0), Length(1), Length(2), Length(3), Length(4), Length(5),
            values[^1] > 0 ? values[^1] : null, limited ? disks.Groups[disk] : null,
            new BlockdevCacheInfo(!isDisk || disks.WriteBack[disk], isDisk && disks.Direct[disk], isDisk && disks.NoFlush[disk]),
            WriteThreshold: 0);
    }

    private ImageInfo Image(int node, bool nested)
    {
        long[] format = nodes.Formats[(node * BlockNodes.FieldsOfFormat)..((node + 1) * BlockNodes.FieldsOfFormat)];
        bool isQcow2 = format[0] > 0;
        int backing = nodes.Backings[node];
        SnapshotInfo[] snapshots =
        [
            .. nodes.Snapshots.Chunk(BlockNodes.FieldsOfSnapshot).Index().Where(s => s.Item[0] == node).Select(s => new SnapshotInfo(
                nodes.SnapshotNames[2 * s.Index], nodes.SnapshotNames[(2 * s.Index) + 1], s.Item[1],
                s.Item[2] / Second, s.Item[2] % Second, s.Item[3] / Second, s.Item[3] % Second)),
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

    private BlockDeviceStats FiguresOfDisk(int disk)
    {
        long Of(BlockOperation operation, Figure figure) => disks.Figures[
            (disk * BlockDevices.FiguresOfDisk) + ((int)operation * BlockDevices.FiguresOfOperation) + (int)figure];
        return Figures(Of, counts: true);
    }

    // Only disks have figures; QEMU tells of a node no more than how far it was written.
    private BlockStats FiguresOfNode(int node) => new(
        null, null, nodes.Names[node], Figures((_, _) => 0, counts: false),
        nodes.Children[node] < 0 ? null : FiguresOfNode(nodes.Children[node]),
        nodes.Backings[node] < 0 ? null : FiguresOfNode(nodes.Backings[node]));

    private static BlockDeviceStats Figures(Func<BlockOperation, Figure, long> of, bool counts)
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
            WrHighestOffset: 0, 0, 0, 0, 0, failed[0], failed[1], 0, failed[2], failed[3],
            invalid[0], invalid[1], 0, invalid[2], invalid[3],
            AccountInvalid: counts, AccountFailed: counts, TimedStats: []);
    }
}

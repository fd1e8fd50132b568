using Vmm.Actors.Protocol;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;

namespace Vmm.Actors.Devices;

/// <summary>What monitors are told of the disks of a board.</summary>
internal static class DiskReport
{
    private const int Sector = 512;

    // The nodes of -blockdev are opened before the drives.
    private const int DrivesFrom = 1 << 24;

    /// <summary>The device that has a disk of this name, or whose uppermost node has it; null for none.</summary>
    public static PlacedDevice? Find(IReadOnlyList<PlacedDevice> devices, string disk) => devices.FirstOrDefault(d =>
        disk.Length > 0 && DiskOf(d) is { } blk && !blk.Disk.IsEjected
        && (blk.Disk.Name == disk || blk.Disk.NodeName == disk || blk.Config.Id == disk));

    /// <summary>The path of the device that has a disk, among QEMU's objects: on PCI it is another one behind the function's.</summary>
    public static string PathOf(PlacedDevice placed) =>
        placed.Device is VirtioPci ? $"{placed.QomPath}/virtio-backend" : placed.QomPath ?? "";

    /// <summary>The disks of a board.</summary>
    public static BlockDevices Of(IReadOnlyList<PlacedDevice> devices)
    {
        PlacedDevice[] placed = PlacedDisks(devices);
        return Of(
            [.. placed.Select(d => DiskOf(d)!.Disk)],
            [.. placed.Select(d => d.Device is VirtioMmio && DiskOf(d)!.Config.Id is { Length: > 0 } id ? id : PathOf(d))],
            [.. placed.Select(PathOf)]);
    }

    /// <summary>Disks that no device has.</summary>
    public static BlockDevices OfUnused(IReadOnlyList<BlockBackend> disks) =>
        Of(disks, [.. disks.Select(_ => "")], [.. disks.Select(_ => "")]);

    /// <summary>The nodes of the disks of a board.</summary>
    public static BlockNodes NodesOf(IReadOnlyList<PlacedDevice> devices) => NodesOf(PlacedDisks(devices).Select(d => DiskOf(d)!.Disk));

    /// <summary>The nodes of disks.</summary>
    public static BlockNodes NodesOf(IEnumerable<BlockBackend> disks)
    {
        var nodes = new List<BlockNode>();
        var owners = new List<BlockBackend>();
        var readOnly = new List<bool>();
        foreach (BlockBackend disk in disks)
        {
            // An image that is only looked at is not what it is to its device: backing files alone are always read-only.
            Collect(disk.Root, disk.IsReadOnly, nodes, readOnly);
            owners.AddRange(Enumerable.Repeat(disk, nodes.Count - owners.Count));
        }

        int IndexOf(BlockNode? node) => (node = WithoutFilters(node)) == null ? -1 : nodes.IndexOf(node);
        Qcow2Node?[] images = [.. nodes.Select(n => n as Qcow2Node)];
        (int Node, Qcow2Snapshot Snapshot)[] snapshots =
            [.. images.SelectMany((image, i) => (image?.Snapshots ?? []).Select(s => (i, s)))];
        return new BlockNodes(
            [.. nodes.Select(n => n.NodeName)], [.. nodes.Select(n => n.Driver)], [.. nodes.Select(n => n.FileName ?? "")],
            [.. readOnly], [.. nodes.Select(n => IndexOf(n.Child))], [.. nodes.Select(n => IndexOf(n.Backing))],
            [.. images.Select(i => i?.BackingFile ?? "")], [.. images.Select(i => i?.BackingFormat ?? "")],
            [.. nodes.Select(n => (n.Size + Sector - 1) / Sector * Sector)], [.. nodes.Select(n => n.Allocated)],
            [.. images.SelectMany(i => i == null ? new long[BlockNodes.FieldsOfFormat] : FormatOf(i))],
            [.. snapshots.SelectMany(s => new[] { s.Snapshot.Id, s.Snapshot.Name })],
            [.. snapshots.SelectMany(s => (long[])[s.Node, .. FieldsOf(s.Snapshot)])],
            [.. owners.Select(o => o.Cache.Direct)], [.. owners.Select(o => o.Cache.NoFlush)], [.. nodes.SelectMany(FiguresOf)],
            [.. owners.Select(o => o.Order + (o.Name.Length > 0 ? DrivesFrom : 0))]);
    }

    /// <summary>The fields of an internal snapshot, as <see cref="BlockNodes.Snapshots"/> has them behind the index of the node.</summary>
    public static long[] FieldsOf(Qcow2Snapshot snapshot) =>
    [
        snapshot.VmStateSize, (snapshot.Time - DateTimeOffset.UnixEpoch).Ticks * 100, snapshot.VmClock.Ticks * 100,
        snapshot.InstructionCount ?? -1,
    ];

    private static BlockDevices Of(IReadOnlyList<BlockBackend> disks, string[] devices, string[] paths)
    {
        BlockNode[][] chains = [.. disks.Select(d => Chain(d.Root).ToArray())];
        return new BlockDevices(
            [.. disks.Select(d => d.IsEjected ? "" : d.Name)], [.. disks.Select(d => d.IsEjected ? "" : d.NodeName)], devices, paths,
            [.. disks.Select(d => d.Error == Errno.None ? "ok" : d.Error == Errno.ENOSPC ? "nospace" : "failed")],
            [.. chains.Select(c => c.FirstOrDefault()?.Driver ?? "")], [.. chains.Select(c => c.FirstOrDefault()?.FileName ?? "")],
            [.. chains.Select(c => (c.FirstOrDefault() as Qcow2Node)?.BackingFile ?? "")],
            [.. chains.Select(c => Math.Max(c.Length - 1, 0))], [.. disks.Select(d => d.IsReadOnly)],
            [.. disks.Select(d => d.WriteCache)], [.. disks.Select(d => d.Cache.Direct)],
            [.. disks.Select(d => d.Cache.NoFlush)], [.. disks.Select(d => d.DetectZeroes)],
            [.. disks.SelectMany(d => (d.Limits?.Limits ?? ThrottleLimits.None).Values)], [.. disks.Select(d => d.Limits?.Name ?? "")],
            [.. disks.SelectMany(d => Enum.GetValues<BlockOperation>().SelectMany(o => Figures(d.Statistics, o)))],
            [.. disks.Select(d => (long?)d.Statistics.Idle?.TotalNanoseconds ?? -1)], [.. disks.Select(d => d.Order)]);
    }

    private static PlacedDevice[] PlacedDisks(IReadOnlyList<PlacedDevice> devices) =>
        [.. devices.Where(d => DiskOf(d) != null).OrderBy(d => DiskOf(d)!.Disk.Order)];

    private static VirtioBlk? DiskOf(PlacedDevice placed) => (placed.Device as IVirtioTransport)?.Device as VirtioBlk;

    private static long[] Figures(BlockStatistics statistics, BlockOperation operation) =>
    [
        statistics.Bytes(operation), statistics.Done(operation), statistics.Nanoseconds(operation), statistics.Failed(operation),
        statistics.Invalid(operation),
    ];

    private static long[] FormatOf(Qcow2Node image) =>
    [
        image.ClusterSize, image.Version, image.RefcountBits, image.IsZstd ? 1 : 0, image.HasLazyRefcounts ? 1 : 0,
        image.IsDirty ? 1 : 0, image.Damage == null ? 0 : 1,
    ];

    private static long[] FiguresOf(BlockNode node)
    {
        (long done, long failed, long bytes) = (node as FileNode)?.Discards ?? default;
        return [node.HighestWritten, done, failed, bytes];
    }

    // Those under a node, it, and those of its backing file, as they were opened; filters are none that people named.
    private static void Collect(BlockNode? node, bool isReadOnly, List<BlockNode> nodes, List<bool> readOnly)
    {
        if ((node = WithoutFilters(node)) != null)
        {
            Collect(node.Child, isReadOnly, nodes, readOnly);
            nodes.Add(node);
            readOnly.Add(isReadOnly);
            Collect(node.Backing, true, nodes, readOnly);
        }
    }

    // The nodes with formats, from the uppermost to the last backing file.
    private static IEnumerable<BlockNode> Chain(BlockNode? node)
    {
        for (node = WithoutFilters(node); node != null; node = WithoutFilters(node.Backing))
        {
            yield return node;
        }
    }

    private static BlockNode? WithoutFilters(BlockNode? node)
    {
        while (node is FilterNode filter)
        {
            node = filter.Child;
        }

        return node;
    }
}

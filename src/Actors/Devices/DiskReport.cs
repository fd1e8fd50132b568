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
    /// <summary>The device that has a disk of this name, or whose uppermost node has it; null for none.</summary>
    public static PlacedDevice? Find(IReadOnlyList<PlacedDevice> devices, string disk) => devices.FirstOrDefault(d =>
        disk.Length > 0 && DiskOf(d) is { } blk && (blk.Disk.Name == disk || blk.Disk.NodeName == disk || blk.Config.Id == disk));

    /// <summary>The path of the device that has a disk, among QEMU's objects: on PCI it is another one behind the function's.</summary>
    public static string PathOf(PlacedDevice placed) =>
        placed.Device is VirtioPci ? $"{placed.QomPath}/virtio-backend" : placed.QomPath ?? "";

    public static BlockDevices Of(IReadOnlyList<PlacedDevice> devices)
    {
        PlacedDevice[] placed = [.. devices.Where(d => DiskOf(d) != null).OrderBy(d => DiskOf(d)!.Disk.Order)];
        VirtioBlk[] disks = [.. placed.Select(d => DiskOf(d)!)];
        BlockNode[][] chains = [.. disks.Select(d => Chain(d.Disk.Root).ToArray())];
        return new BlockDevices(
            [.. disks.Select(d => d.Disk.Name)], [.. disks.Select(d => d.Disk.NodeName)], 
            [.. placed.Select(d => d.Device is VirtioMmio && DiskOf(d)!.Config.Id is { Length: > 0 } id ? id : PathOf(d))],
            [.. placed.Select(PathOf)],
            [.. disks.Select(d => d.Disk.Error == Errno.None ? "ok" : d.Disk.Error == Errno.ENOSPC ? "nospace" : "failed")],
            [.. chains.Select(c => c.FirstOrDefault()?.Driver ?? "")], [.. chains.Select(c => c.FirstOrDefault()?.FileName ?? "")],
            [.. chains.Select(c => (c.FirstOrDefault() as Qcow2Node)?.BackingFile ?? "")],
            [.. chains.Select(c => Math.Max(c.Length - 1, 0))], [.. disks.Select(d => d.Disk.IsReadOnly)],
            [.. disks.Select(d => d.Disk.WriteCache)], [.. disks.Select(d => d.Disk.Cache.Direct)],
            [.. disks.Select(d => d.Disk.Cache.NoFlush)], [.. disks.Select(d => d.Disk.DetectZeroes)],
            [.. disks.SelectMany(d => Enum.GetValues<BlockOperation>().SelectMany(o => Figures(d.Disk.Statistics, o)))]);
    }

    private static VirtioBlk? DiskOf(PlacedDevice placed) => (placed.Device as IVirtioTransport)?.Device as VirtioBlk;

    private static long[] Figures(BlockStatistics statistics, BlockOperation operation) =>
        [statistics.Bytes(operation), statistics.Done(operation), statistics.Nanoseconds(operation)];

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

using System.Globalization;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>What people are told of disks, in QEMU's layout (<c>info block</c>, <c>info blockstats</c>).</summary>
internal static class BlockText
{
    /// <param name="images">With all about their images.</param>
    public static string Of(IEnumerable<BlockInfo> disks, bool images) =>
        string.Join("\n\n", disks.Select(d => Of(d, d.Inserted, images)));

    /// <param name="images">With all about their images.</param>
    public static string Of(IEnumerable<BlockDeviceInfo> nodes, bool images) =>
        string.Join("\n\n", nodes.Select(n => Of(null, n, images)));

    public static string Of(IEnumerable<BlockStats> disks) => string.Join('\n', disks.Select(d =>
    {
        BlockDeviceStats s = d.Stats;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{d.Device}: rd_bytes={s.RdBytes} wr_bytes={s.WrBytes} rd_operations={s.RdOperations}"
            + $" wr_operations={s.WrOperations} flush_operations={s.FlushOperations} wr_total_time_ns={s.WrTotalTimeNs}"
            + $" rd_total_time_ns={s.RdTotalTimeNs} flush_total_time_ns={s.FlushTotalTimeNs} rd_merged={s.RdMerged}"
            + $" wr_merged={s.WrMerged} idle_time_ns={s.IdleTimeNs ?? 0}");
    }));

    /// <summary>What people call a disk: one whose medium was taken away has no name but its device's.</summary>
    public static string NameOf(BlockInfo disk) =>
        disk.Device.Length > 0 ? disk.Device : disk.Inserted?.NodeName ?? disk.Qdev ?? "<anonymous>";

    private static string Of(BlockInfo? disk, BlockDeviceInfo? inserted, bool images)
    {
        string name = disk == null ? inserted!.NodeName! : NameOf(disk);
        string node = disk is { Device.Length: > 0 } && inserted != null ? $" ({inserted.NodeName})" : "";
        var lines = new List<string>
        {
            inserted == null ? $"{name}: [not inserted]"
                : $"{name}{node}: {inserted.File} ({inserted.Drv}{(inserted.Ro ? ", read-only" : "")})",
        };
        if (disk?.Qdev != null)
        {
            lines.Add($"    Attached to:      {disk.Qdev}");
        }

        if (disk?.IoStatus is { } status and not BlockDeviceIoStatus.Ok)
        {
            lines.Add($"    I/O status:       {QapiJson.Write(status)}");
        }

        if (disk is { Removable: true })
        {
            lines.Add("    Removable device: not locked, tray closed");
        }

        if (inserted != null)
        {
            lines.AddRange(Of(inserted));
            lines.AddRange(images ? ["", "Images:", .. ImageText.Of(inserted.Image)] : []);
        }

        return string.Join('\n', lines);
    }

    private static IEnumerable<string> Of(BlockDeviceInfo node)
    {
        yield return $"    Cache mode:       {(node.Cache.Writeback ? "writeback" : "writethrough")}{(node.Cache.Direct ? ", direct" : "")}"
            + $"{(node.Cache.NoFlush ? ", ignore flushes" : "")}";
        if (node.BackingFile != null)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture, $"    Backing file:     {node.BackingFile} (chain depth: {node.BackingFileDepth})");
        }

        if (node.DetectZeroes != BlockdevDetectZeroesOptions.Off)
        {
            yield return $"    Detect zeroes:    {QapiJson.Write(node.DetectZeroes)}";
        }

        if (node.Group != null)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"    I/O throttling:   bps={node.Bps} bps_rd={node.BpsRd} bps_wr={node.BpsWr} bps_max={node.BpsMax ?? 0}"
                + $" bps_rd_max={node.BpsRdMax ?? 0} bps_wr_max={node.BpsWrMax ?? 0} iops={node.Iops} iops_rd={node.IopsRd}"
                + $" iops_wr={node.IopsWr} iops_max={node.IopsMax ?? 0} iops_rd_max={node.IopsRdMax ?? 0}"
                + $" iops_wr_max={node.IopsWrMax ?? 0} iops_size={node.IopsSize ?? 0} group={node.Group}");
        }
    }
}

using System.Globalization;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>What people are told of an image and those that it stands on, in QEMU's layout (<c>info block -v</c>).</summary>
internal static class ImageText
{
    public static IEnumerable<string> Of(ImageInfo image)
    {
        for (ImageInfo? each = image; each != null; each = each.BackingImage)
        {
            foreach (string line in OfOne(each))
            {
                yield return line;
            }
        }
    }

    private static IEnumerable<string> OfOne(ImageInfo image)
    {
        yield return $"image: {image.Filename}";
        yield return $"file format: {image.Format}";
        yield return string.Create(
            CultureInfo.InvariantCulture, $"virtual size: {SnapshotText.Size(image.VirtualSize)} ({image.VirtualSize} bytes)");
        yield return $"disk size: {(image.ActualSize is { } size ? SnapshotText.Size(size) : "unavailable")}";
        if (image.ClusterSize is { } cluster)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"cluster_size: {cluster}");
        }

        if (image.DirtyFlag == true)
        {
            yield return "cleanly shut down: no";
        }

        if (image.BackingFilename != null)
        {
            yield return $"backing file: {image.BackingFilename}"
                + (image.FullBackingFilename == image.BackingFilename ? "" : $" (actual path: {image.FullBackingFilename})");
            if (image.BackingFilenameFormat != null)
            {
                yield return $"backing file format: {image.BackingFilenameFormat}";
            }
        }

        if (image.Snapshots != null)
        {
            yield return "Snapshot list:";
            yield return SnapshotText.Head;
            foreach (SnapshotInfo s in image.Snapshots)
            {
                TimeSpan clock = TimeSpan.FromSeconds(s.VmClockSec) + TimeSpan.FromMilliseconds(s.VmClockNsec / 1_000_000);
                yield return SnapshotText.Row(s.Id, s.Name, s.VmStateSize, s.DateSec, clock, s.Icount);
            }
        }

        if (image.FormatSpecific is ImageInfoOfQcow2 { Data: var qcow2 })
        {
            yield return "Format specific information:";
            (string Name, object? Value)[] members =
            [
                ("compat", qcow2.Compat), ("compression type", QapiJson.Write(qcow2.CompressionType)),
                ("lazy refcounts", qcow2.LazyRefcounts), ("refcount bits", qcow2.RefcountBits), ("corrupt", qcow2.Corrupt),
                ("extended l2", qcow2.ExtendedL2),
            ];
            foreach ((string name, object? value) in members.Where(m => m.Value != null))
            {
                object? word = value is bool on ? on ? "true" : "false" : value;
                yield return string.Create(CultureInfo.InvariantCulture, $"    {name}: {word}");
            }
        }
    }
}

using System.Text.Json;

namespace Vmm.Emulation.Snapshots;

/// <content>
/// The snapshots that disks have in their images for those of the store. Before the first disk is touched a list of them is written
/// (<c>disks-N</c>, N being the generation of the save); the manifest that names the same generation makes them part of a snapshot. A list
/// of another generation is of snapshots that are to go: those of a save that was cut off, of one that was replaced, or of one that was
/// removed.
/// </content>
public sealed partial class SnapshotStore
{
    /// <summary>Deletes from disks what belongs to no snapshot of the store.</summary>
    /// <returns>A line for each image that is not among them and has such a snapshot still.</returns>
    /// <exception cref="SnapshotException">A disk or the folder cannot be written, or another program saves.</exception>
    public IReadOnlyList<string> SettleDisks(SnapshotDisks disks) => Tags().All(tag => LeftLists(tag).Length == 0) ? []
        : AsWriter($"cannot clean up '{folder}'", held =>
        {
            using (held)
            {
                return (IReadOnlyList<string>)[.. Tags().SelectMany(tag => LeftLists(tag).SelectMany(list => Settle(tag, list, disks)))];
            }
        });

    /// <summary>Writes down that disks are taken back to a snapshot, or that this is over; on return it outlives a loss of power.</summary>
    /// <exception cref="SnapshotException">It cannot be written.</exception>
    public void NoteLoading(string tag, bool begins) => AsWriter($"cannot load '{tag}'", held =>
    {
        using (held)
        {
            string path = Path.Combine(folder, tag);
            string note = Path.Combine(path, SnapshotFormat.Loading);
            if (begins)
            {
                File.WriteAllBytes(note, []);
            }
            else
            {
                File.Delete(note);
            }

            HostFiles.FlushFolder(path);
            return 0;
        }
    });

    /// <summary>The snapshots whose load was cut off while disks were taken back to them; they are told once.</summary>
    /// <exception cref="SnapshotException">The folder cannot be read or written.</exception>
    public IReadOnlyList<string> TakeCutOffLoads()
    {
        string[] tags = [.. Tags().Where(tag => File.Exists(Path.Combine(folder, tag, SnapshotFormat.Loading)))];
        Array.ForEach(tags, tag => NoteLoading(tag, begins: false));
        return tags;
    }

    private IEnumerable<string> Settle(string tag, string list, SnapshotDisks disks)
    {
        IReadOnlyList<string> left = disks.DeleteListed(tag, ReadDisks(list));
        if (left.Count == 0)
        {
            string path = Path.Combine(folder, tag);
            File.Delete(list);
            HostFiles.FlushFolder(path);
            if (!Directory.EnumerateFileSystemEntries(path).Any())
            {
                Directory.Delete(path);
                HostFiles.FlushFolder(folder);
            }
        }

        return left.Select(image => $"'{image}' has a snapshot '{tag}' that belongs to none of '{folder}' any more; it is deleted when a VM"
            + " with that disk and this folder starts");
    }

    // A list that was cut off is of disks that were not touched.
    private static SavedDisk[] ReadDisks(string path)
    {
        try
        {
            SavedDisk[] disks = JsonSerializer.Deserialize(File.ReadAllBytes(path), ManifestJson.Default.SavedDiskArray) ?? [];
            return [.. disks.Where(d => d != null)];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    // The lists that the manifest does not name; none when the manifest is damaged, for then nobody knows.
    private string[] LeftLists(string tag)
    {
        string path = Path.Combine(folder, tag);
        string[] lists;
        try
        {
            lists = [.. Directory.GetFiles(path).Where(f => SnapshotSave.IsDisks(Path.GetFileName(f)))];
            string named = lists.Length == 0 ? "" : SnapshotFormat.DisksOf(ManifestFile.Read(Snapshot.ReadManifest(path, tag)).Generation);
            return [.. lists.Where(f => Path.GetFileName(f) != named)];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
        catch (SnapshotException e)
        {
            return e.Fault == SnapshotFault.NotFound
                ? [.. Directory.GetFiles(path).Where(f => SnapshotSave.IsDisks(Path.GetFileName(f)))] : [];
        }
    }
}

namespace Vmm.Emulation.Snapshots;

/// <content>Snapshots of other stores.</content>
public sealed partial class SnapshotStore
{
    /// <summary>
    /// Takes a snapshot of another store, with its parents, under its own name. Its files become hard links where both stores are on one
    /// file system, so machines that go on from one snapshot share its pages; otherwise they are copied. One that was taken before is
    /// left as it is.
    /// </summary>
    /// <param name="path">The folder of the snapshot in its store.</param>
    /// <returns>Its tag.</returns>
    /// <exception cref="SnapshotException">
    /// There is none, or it is damaged; or it has snapshots in images of disks, which two machines cannot both write; or there is another
    /// one of its name here.
    /// </exception>
    public string Adopt(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string tag = Path.GetFileName(full);
        RequireTag(tag);
        return AsWriter($"cannot take the snapshot '{SnapshotFormat.Legible(full)}'", held =>
        {
            using (held)
            {
                Adopt(Path.GetDirectoryName(full)!, tag);
                return tag;
            }
        });
    }

    private void Adopt(string store, string tag)
    {
        string from = Path.Combine(store, tag);
        using Snapshot snapshot = Snapshot.Open(from, tag);
        if (Exists(tag))
        {
            using Snapshot own = Open(tag);
            if (own.Checksum != snapshot.Checksum)
            {
                throw new SnapshotException(
                    SnapshotFault.Exists, $"snapshot '{SnapshotFormat.Legible(from)}': there is another one '{tag}' already");
            }

            return;
        }

        if (snapshot.Manifest.Disks is { Length: > 0 } disks)
        {
            throw new SnapshotException(
                SnapshotFault.Mismatch,
                $"snapshot '{SnapshotFormat.Legible(from)}' has a part in the image of disk '{disks[0].Name}': only one of a machine "
                + "without disks that it can write can be taken");
        }

        if (snapshot.Manifest.Parent is { } parent)
        {
            Adopt(store, parent.Tag);
        }

        // The manifest is the commit: it comes when the other files are on the disk.
        string to = Path.Combine(folder, tag);
        HostFiles.MakeFolder(to);
        Array.ForEach(SnapshotSave.OwnFiles(to), File.Delete);
        int generation = snapshot.Manifest.Generation;
        string order = SnapshotFormat.WorkingSetOf(generation);
        foreach (string file in SnapshotFormat.FilesOf(generation).Concat(File.Exists(Path.Combine(from, order)) ? [order] : []))
        {
            HostFiles.LinkOrCopy(Path.Combine(from, file), Path.Combine(to, file));
        }

        HostFiles.FlushFolder(to);
        HostFiles.LinkOrCopy(Path.Combine(from, SnapshotFormat.Manifest), Path.Combine(to, SnapshotFormat.NewManifest));
        File.Move(Path.Combine(to, SnapshotFormat.NewManifest), Path.Combine(to, SnapshotFormat.Manifest));
        HostFiles.FlushFolder(to);
    }
}

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// A folder with snapshots, each a folder of its name (docs/state.md). Snapshots are whole at every moment: one is there when its manifest
/// is, and the manifest names files that are on the disk. Files that no manifest names are left over from a save that was cut off. Any
/// number of programs may read; one at a time writes.
/// </summary>
/// <param name="folder">Made by the first save; it need not be there.</param>
public sealed partial class SnapshotStore(string folder)
{
    private const string Lock = "lock";

    // EAGAIN of flock(2).
    private const int Again = 11;
    private const int Attempts = 20;
    private static readonly TimeSpan s_betweenAttempts = TimeSpan.FromMilliseconds(25);

    /// <summary>The snapshots by name: each one's manifest, or what is wrong with it.</summary>
    /// <exception cref="SnapshotException">The folder cannot be read.</exception>
    public IReadOnlyList<SnapshotEntry> List()
    {
        var entries = new List<SnapshotEntry>();
        foreach (string tag in Tags())
        {
            try
            {
                using var snapshot = Snapshot.Open(Path.Combine(folder, tag), tag);
                entries.Add(new SnapshotEntry(tag, snapshot.Manifest, null));
            }
            catch (SnapshotException e) when (e.Fault is SnapshotFault.Damaged or SnapshotFault.Mismatch or SnapshotFault.Host)
            {
                entries.Add(new SnapshotEntry(tag, null, e.Message));
            }
            catch (SnapshotException)
            {
                // Removed meanwhile.
            }
        }

        return entries;
    }

    /// <summary>Opens a snapshot to read it.</summary>
    /// <exception cref="SnapshotException">There is none, or it is damaged.</exception>
    public Snapshot Open(string tag)
    {
        RequireTag(tag);
        return Snapshot.Open(Path.Combine(folder, tag), tag);
    }

    /// <summary>Whether there is a snapshot of a name, damaged or not.</summary>
    public bool Exists(string tag) => SnapshotFormat.IsTag(tag) && File.Exists(Path.Combine(folder, tag, SnapshotFormat.Manifest));

    /// <summary>Begins a save. It is nothing before <see cref="SnapshotSave.Commit"/>.</summary>
    /// <param name="replace">Whether it may take the place of a snapshot of that name.</param>
    /// <param name="parent">The snapshot that has what is not different; null for a save of all.</param>
    /// <exception cref="SnapshotException">It cannot be.</exception>
    public SnapshotSave Save(string tag, bool replace, string? parent = null)
    {
        RequireTag(tag);
        return AsWriter($"cannot save '{tag}'", held =>
        {
            if (!replace && Exists(tag))
            {
                throw new SnapshotException(SnapshotFault.Exists, $"Snapshot '{tag}' already exists");
            }

            RequireNoChildren(tag, "replaced");
            if (parent == tag)
            {
                throw new SnapshotException(SnapshotFault.BadName, $"snapshot '{tag}' cannot be its own parent");
            }

            Snapshot? opened = parent == null ? null : Open(parent);
            try
            {
                string path = Path.Combine(folder, tag);
                HostFiles.MakeFolder(path);
                return new SnapshotSave(path, held, opened);
            }
            catch
            {
                opened?.Dispose();
                throw;
            }
        });
    }

    /// <summary>The snapshots whose parent one is; those whose manifests cannot be read are not known.</summary>
    public IReadOnlyList<string> ChildrenOf(string tag) => [.. Tags().Where(other => ParentOf(other) == tag)];

    private string? ParentOf(string tag)
    {
        try
        {
            return ManifestFile.Read(Snapshot.ReadManifest(Path.Combine(folder, tag), tag)).Parent?.Tag;
        }
        catch (SnapshotException)
        {
            return null;
        }
    }

    private void RequireNoChildren(string tag, string what)
    {
        if (ChildrenOf(tag) is { Count: > 0 } children)
        {
            throw new SnapshotException(SnapshotFault.HasChildren,
                $"snapshot '{tag}' cannot be {what}: it is the parent of {string.Join(", ", children.Select(c => $"'{c}'"))}");
        }
    }

    /// <summary>
    /// Keeps the order in which a guest has touched blocks after a load. Nothing is kept when another snapshot has taken the place.
    /// </summary>
    /// <exception cref="SnapshotException">It cannot be written.</exception>
    public void KeepWorkingSet(Snapshot snapshot, IReadOnlyList<int> blocks) => AsWriter($"cannot add to '{snapshot.Tag}'", held =>
    {
        using (held)
        using (Snapshot now = Open(snapshot.Tag))
        {
            if (now.Checksum == snapshot.Checksum)
            {
                string path = Path.Combine(folder, snapshot.Tag);
                string fresh = Path.Combine(path, SnapshotFormat.NewWorkingSet);
                File.WriteAllBytes(fresh, WorkingSet.Write(blocks));
                File.Move(fresh, Path.Combine(path, SnapshotFormat.WorkingSetOf(now.Manifest.Generation)), overwrite: true);
            }

            return 0;
        }
    });

    /// <summary>Removes a snapshot. A machine that was loaded from it is not touched.</summary>
    /// <exception cref="SnapshotException">There is none, or it cannot be removed, or it is the parent of another.</exception>
    public void Remove(string tag)
    {
        RequireTag(tag);
        string path = Path.Combine(folder, tag);
        if (!Directory.Exists(path))
        {
            throw NotFound(tag);
        }

        AsWriter($"cannot remove '{tag}'", held =>
        {
            using (held)
            {
                bool there = Exists(tag);
                RequireNoChildren(tag, "removed");
                RemoveFolder(path);
                return there ? 0 : throw NotFound(tag);
            }
        });
    }

    /// <summary>Removes what saves that were cut off have left; the names of the snapshots that they were of.</summary>
    /// <exception cref="SnapshotException">It cannot be removed, or another program saves.</exception>
    public IReadOnlyList<string> CleanUp() => !Directory.Exists(folder) ? [] : AsWriter($"cannot clean up '{folder}'", held =>
    {
        using (held)
        {
            var cleaned = new List<string>();
            foreach (string tag in Tags())
            {
                string path = Path.Combine(folder, tag);
                string[] stray = Exists(tag) ? SnapshotSave.StrayFiles(path) : SnapshotSave.OwnFiles(path);
                if (!Exists(tag))
                {
                    RemoveFolder(path);
                }
                else
                {
                    Array.ForEach(stray, File.Delete);
                }

                if (stray.Length > 0)
                {
                    cleaned.Add(tag);
                }
            }

            return cleaned;
        }
    });

    // What is known to be part of a snapshot goes, the manifest first; anything else in the folder keeps it.
    private void RemoveFolder(string path)
    {
        File.Delete(Path.Combine(path, SnapshotFormat.Manifest));
        HostFiles.FlushFolder(path);
        foreach (string file in SnapshotSave.OwnFiles(path))
        {
            File.Delete(file);
        }

        if (!Directory.EnumerateFileSystemEntries(path).Any())
        {
            Directory.Delete(path);
            HostFiles.FlushFolder(folder);
        }
    }

    private string[] Tags()
    {
        try
        {
            return !Directory.Exists(folder) ? [] : [.. Directory.GetDirectories(folder).Select(p => Path.GetFileName(p)!)
                .Where(SnapshotFormat.IsTag).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SnapshotException(SnapshotFault.Host, $"cannot read '{folder}': {SnapshotFormat.Reason(e)}", e);
        }
    }

    // `act` takes the lock, or gives it back when it throws.
    private T AsWriter<T>(string what, Func<IDisposable, T> act)
    {
        FileStream? held = null;
        try
        {
            HostFiles.MakeFolder(folder);
            held = Take();
            return act(held);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            held?.Dispose();
            string reason = held == null && e is IOException { HResult: Again } ? "another program saves or removes a snapshot there"
                : SnapshotFormat.Reason(e);
            throw new SnapshotException(SnapshotFault.Host, $"{what}: {reason}", e);
        }
        catch
        {
            held?.Dispose();
            throw;
        }
    }

    // Who only cleans up, or adds to a snapshot, has it for a moment.
    private FileStream Take()
    {
        for (int attempt = 1;; attempt++)
        {
            try
            {
                return new FileStream(Path.Combine(folder, Lock), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (e.HResult == Again && attempt < Attempts)
            {
                Thread.Sleep(s_betweenAttempts);
            }
        }
    }

    private static void RequireTag(string tag)
    {
        if (!SnapshotFormat.IsTag(tag))
        {
            throw new SnapshotException(SnapshotFault.BadName,
                $"'{SnapshotFormat.Legible(tag)}' is no name for a snapshot: use letters, digits, '-', '.' and '_', and begin with a "
                + "letter or digit");
        }
    }

    internal static SnapshotException NotFound(string tag) =>
        new(SnapshotFault.NotFound, $"Snapshot '{tag}' does not exist");
}

/// <summary>A snapshot in a list.</summary>
/// <param name="Manifest">Null for one that is damaged.</param>
/// <param name="Damage">What is wrong; null for nothing that a look at the manifest shows.</param>
public sealed record SnapshotEntry(string Tag, SnapshotManifest? Manifest, string? Damage);

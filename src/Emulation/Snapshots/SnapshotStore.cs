namespace Vmm.Emulation.Snapshots;

/// <summary>
/// A folder with snapshots, each a folder of its name (docs/state.md). Snapshots are whole at every moment: one is there when its manifest
/// is, and the manifest names files that are on the disk. Files that no manifest names are left over from a save that was cut off. Any
/// number of programs may read; one at a time writes.
/// </summary>
/// <param name="folder">Made by the first save; it need not be there.</param>
public sealed class SnapshotStore(string folder)
{
    private const string Lock = "lock";

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
    /// <exception cref="SnapshotException">It cannot be.</exception>
    public SnapshotSave Save(string tag, bool replace)
    {
        RequireTag(tag);
        return AsWriter($"cannot save '{tag}'", held =>
        {
            if (!replace && Exists(tag))
            {
                throw new SnapshotException(SnapshotFault.Exists, $"Snapshot '{tag}' already exists");
            }

            string path = Path.Combine(folder, tag);
            if (!Directory.Exists(path))
            {
                Directory.CreateDirectory(path);
                HostFiles.FlushFolder(folder);
            }

            return new SnapshotSave(path, held);
        });
    }

    /// <summary>Removes a snapshot. A machine that was loaded from it is not touched.</summary>
    /// <exception cref="SnapshotException">There is none, or it cannot be removed.</exception>
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
                string[] stray = Exists(tag) ? SnapshotSave.StrayFiles(path) : Directory.GetFiles(path);
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
            Directory.CreateDirectory(folder);
            held = new FileStream(Path.Combine(folder, Lock), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return act(held);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            held?.Dispose();
            string reason = held == null && e is IOException { HResult: 11 } ? "another program saves or removes a snapshot there"
                : SnapshotFormat.Reason(e);
            throw new SnapshotException(SnapshotFault.Host, $"{what}: {reason}", e);
        }
        catch
        {
            held?.Dispose();
            throw;
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

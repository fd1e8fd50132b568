using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// A save under way. Its files have names that no snapshot has yet; <see cref="Commit"/> makes them the snapshot, by renaming the manifest.
/// Before, a kill leaves what was there before; after, what was saved. One thread at a time.
/// </summary>
public sealed partial class SnapshotSave : IDisposable
{
    private readonly string _folder;
    private readonly IDisposable _lock;
    private readonly Snapshot? _parent;
    private readonly int _generation;
    private readonly List<SafeFileHandle> _files = [];
    private SavedFile? _state;
    private SavedDisk[]? _disks;
    private RamWriter? _ram;
    private bool _committed;

    /// <param name="held">That nobody else writes; disposed with this.</param>
    /// <param name="parent">What the snapshot is a difference from; disposed with this. Null for one of its own.</param>
    internal SnapshotSave(string folder, IDisposable held, Snapshot? parent)
    {
        _folder = folder;
        _lock = held;
        _parent = parent;
        _generation = NextGeneration(folder);
        Array.ForEach(StrayFiles(folder), File.Delete);
    }

    [GeneratedRegex(@"^(state|ram|disks)-(?<generation>\d{1,9})(\.map|\.order)?$")]
    private static partial Regex FileName();

    /// <summary>
    /// All files of a folder whose names are those of snapshots' files, but the manifest and the lists of disks: these stay until the
    /// disks have no such snapshots any more (<see cref="SnapshotStore.SettleDisks"/>).
    /// </summary>
    internal static string[] OwnFiles(string folder) => [.. Directory.GetFiles(folder)
        .Where(f => Path.GetFileName(f) is var name
            && (name is SnapshotFormat.NewManifest or SnapshotFormat.NewWorkingSet or SnapshotFormat.Loading
                || (FileName().IsMatch(name) && !IsDisks(name))))];

    /// <summary>Whether a file of a snapshot's folder is a list of disks.</summary>
    internal static bool IsDisks(string name) => name.StartsWith("disks-", StringComparison.Ordinal) && FileName().IsMatch(name);

    /// <summary>Those of them that the manifest does not name; none when the manifest cannot be read, for then nobody knows.</summary>
    internal static string[] StrayFiles(string folder)
    {
        try
        {
            using var snapshot = Snapshot.Open(folder, Path.GetFileName(folder));
            int generation = snapshot.Manifest.Generation;
            HashSet<string> named = [.. SnapshotFormat.FilesOf(generation), SnapshotFormat.WorkingSetOf(generation)];
            return [.. OwnFiles(folder).Where(f => !named.Contains(Path.GetFileName(f)))];
        }
        catch (SnapshotException e)
        {
            return e.Fault == SnapshotFault.NotFound ? OwnFiles(folder) : [];
        }
    }

    // Behind all that there is, so that a file which is mapped is never written to.
    private static int NextGeneration(string folder)
    {
        int last = 0;
        foreach (string file in Directory.GetFiles(folder))
        {
            if (FileName().Match(Path.GetFileName(file)) is { Success: true } match)
            {
                last = Math.Max(last, int.Parse(match.Groups["generation"].ValueSpan, provider: null));
            }
        }

        return checked(last + 1);
    }

    /// <summary>Writes the state units.</summary>
    /// <exception cref="SnapshotException">They cannot be written.</exception>
    public void WriteState(IReadOnlyCollection<SavedUnit> units)
    {
        using var bytes = new MemoryStream();
        Archive.Write(bytes, units);
        if (bytes.Length > SnapshotFormat.LargestState)
        {
            throw new SnapshotException(SnapshotFault.Host, $"the state is larger than {SnapshotFormat.LargestState >> 20} MiB");
        }

        Writing(() =>
        {
            ReadOnlySpan<byte> archive = bytes.GetBuffer().AsSpan(0, (int)bytes.Length);
            RandomAccess.Write(Create(SnapshotFormat.StateOf(_generation)), archive, 0);
            return _state = new SavedFile(archive.Length, SnapshotFormat.Text(Crc32C.Of(archive)));
        });
    }

    /// <summary>How RAM is kept: as that of the parent, if there is one.</summary>
    /// <param name="compress">Whether it is to be compressed.</param>
    /// <exception cref="SnapshotException">It cannot be, because the parent is not.</exception>
    public RamCompression Choose(bool compress) =>
        _parent == null ? compress ? RamCompression.Zstd : RamCompression.None
        : compress && _parent.Manifest.Ram.Compression == RamCompression.None ? throw new SnapshotException(
            SnapshotFault.Mismatch, $"snapshot '{_parent.Tag}' is not compressed, so what is saved on it is not")
        : _parent.Manifest.Ram.Compression;

    /// <summary>Writes all of RAM. What is written to it meanwhile is to be written again.</summary>
    /// <returns>How many blocks are not zero.</returns>
    /// <exception cref="SnapshotException">It cannot be written.</exception>
    public long WriteRam(GuestMemory ram, RamCompression compression) => Writing(() =>
    {
        if (_parent != null && _parent.Manifest.Machine.MemoryBytes != ram.Size)
        {
            throw new SnapshotException(SnapshotFault.Mismatch, $"snapshot '{_parent.Tag}' is of another machine: it cannot be a parent");
        }

        _ram = new RamWriter(
            ram, compression, new FilePart(Create(SnapshotFormat.RamOf(_generation))),
            new FilePart(Create(SnapshotFormat.MapOf(_generation))), _parent?.ReadRam());
        return _ram.WriteAll();
    });

    /// <summary>Writes pages of RAM again, with the blocks that they are in.</summary>
    /// <param name="pages">Their numbers from the start of RAM.</param>
    /// <returns>How many blocks of them are not zero.</returns>
    /// <exception cref="SnapshotException">They cannot be written.</exception>
    public long WriteRamAgain(IReadOnlyList<int> pages) =>
        Writing(() => RamImage.BlocksOf(pages).LongCount(block => _ram!.Write(block) > 0));

    /// <summary>
    /// Writes down which snapshots the disks are about to have; on return it outlives a loss of power. A save that is cut off after it is
    /// found by it.
    /// </summary>
    /// <exception cref="SnapshotException">It cannot be written.</exception>
    public void WriteDisks(SavedDisk[] disks) => Writing(() =>
    {
        SafeFileHandle file = Create(SnapshotFormat.DisksOf(_generation));
        RandomAccess.Write(file, JsonSerializer.SerializeToUtf8Bytes(disks, ManifestJson.Default.SavedDiskArray), 0);
        RandomAccess.FlushToDisk(file);
        HostFiles.FlushFolder(_folder);
        return _disks = disks;
    });

    /// <summary>
    /// Makes the snapshot: returns when it will outlive a kill of this process and a loss of power. State and RAM are written before.
    /// </summary>
    /// <param name="product">The version of the program.</param>
    /// <param name="clock">The guest's counter.</param>
    /// <exception cref="SnapshotException">It cannot be made; what was there before still is.</exception>
    public void Commit(string product, DateTimeOffset savedAt, ulong clock, SavedMachine machine, SavedCpu[] cpus)
    {
        if (_state == null || _ram == null)
        {
            throw new InvalidOperationException("state and RAM are written before a commit");
        }

        _committed = Writing(() =>
        {
            byte[] manifest = ManifestFile.Write(new SnapshotManifest(
                _disks == null ? SnapshotManifest.FormatWithoutDisks : SnapshotManifest.CurrentFormat, product, _generation, savedAt, clock,
                machine, cpus, _state, _ram.Finish())
            {
                Disks = _disks,
                Parent = _parent == null ? null : new SavedParent(_parent.Tag, _parent.Checksum),
            });
            string fresh = Path.Combine(_folder, SnapshotFormat.NewManifest);
            RandomAccess.Write(Create(SnapshotFormat.NewManifest), manifest, 0);
            foreach (SafeFileHandle file in _files)
            {
                RandomAccess.FlushToDisk(file);
            }

            // The names of the new files before the one that makes them a snapshot.
            HostFiles.FlushFolder(_folder);
            File.Move(fresh, Path.Combine(_folder, SnapshotFormat.Manifest), overwrite: true);
            HostFiles.FlushFolder(_folder);
            return true;
        });
        RemoveStray();
    }

    public void Dispose()
    {
        _ram?.Dispose();
        _parent?.Dispose();
        _files.ForEach(f => f.Dispose());
        if (!_committed)
        {
            RemoveStray();
            RemoveEmptyFolder();
        }

        _lock.Dispose();
    }

    private SafeFileHandle Create(string name)
    {
        SafeFileHandle file = File.OpenHandle(Path.Combine(_folder, name), FileMode.Create, FileAccess.Write, FileShare.Read);
        _files.Add(file);
        return file;
    }

    // What cannot be removed now, the next save removes.
    private void RemoveStray()
    {
        try
        {
            Array.ForEach(StrayFiles(_folder), File.Delete);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return;
        }
    }

    private void RemoveEmptyFolder()
    {
        try
        {
            if (!Directory.EnumerateFileSystemEntries(_folder).Any())
            {
                Directory.Delete(_folder);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return;
        }
    }

    private static T Writing<T>(Func<T> write)
    {
        try
        {
            return write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SnapshotException(SnapshotFault.Host, $"the snapshot cannot be written: {SnapshotFormat.Reason(e)}", e);
        }
    }
}

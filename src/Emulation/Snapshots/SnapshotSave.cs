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
    private readonly int _generation;
    private readonly List<SafeFileHandle> _files = [];
    private SavedFile? _state;
    private SavedRam? _ram;
    private bool _committed;

    /// <param name="held">That nobody else writes; disposed with this.</param>
    internal SnapshotSave(string folder, IDisposable held)
    {
        _folder = folder;
        _lock = held;
        _generation = NextGeneration(folder);
        Array.ForEach(StrayFiles(folder), File.Delete);
    }

    [GeneratedRegex(@"^(state|ram)-(?<generation>\d{1,9})(\.map)?$")]
    private static partial Regex FileName();

    /// <summary>All files of a folder whose names are those of snapshots' files, but the manifest.</summary>
    internal static string[] OwnFiles(string folder) => [.. Directory.GetFiles(folder)
        .Where(f => Path.GetFileName(f) is var name && (name == SnapshotFormat.NewManifest || FileName().IsMatch(name)))];

    /// <summary>Those of them that the manifest does not name; none when the manifest cannot be read, for then nobody knows.</summary>
    internal static string[] StrayFiles(string folder)
    {
        try
        {
            using var snapshot = Snapshot.Open(folder, Path.GetFileName(folder));
            var named = SnapshotFormat.FilesOf(snapshot.Manifest.Generation).ToHashSet(StringComparer.Ordinal);
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
            _state = new SavedFile(archive.Length, SnapshotFormat.Text(Crc32C.Of(archive)));
        });
    }

    /// <summary>Writes RAM, which nobody changes meanwhile.</summary>
    /// <exception cref="SnapshotException">It cannot be written.</exception>
    public void WriteRam(GuestMemory ram, RamCompression compression) => Writing(() => _ram = RamImage.Write(
        ram, compression, Create(SnapshotFormat.RamOf(_generation)), Create(SnapshotFormat.MapOf(_generation))));

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

        Writing(() =>
        {
            byte[] manifest = ManifestFile.Write(new SnapshotManifest(
                SnapshotManifest.CurrentFormat, product, _generation, savedAt, clock, machine, cpus, _state, _ram));
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
            _committed = true;
        });
        RemoveStray();
    }

    public void Dispose()
    {
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

    private static void Writing(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SnapshotException(SnapshotFault.Host, $"the snapshot cannot be written: {SnapshotFormat.Reason(e)}", e);
        }
    }
}

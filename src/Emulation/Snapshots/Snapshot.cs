using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// A snapshot that is read. Its manifest and the lengths of its files are right; the rest is checked when it is read. All files are open,
/// so it stays whole when another takes its place, or when it is removed. One thread at a time.
/// </summary>
public sealed class Snapshot : IDisposable
{
    private readonly string _tag;
    private readonly SafeFileHandle _state;
    private readonly SafeFileHandle _ram;
    private readonly SafeFileHandle _map;

    private Snapshot(string tag, SnapshotManifest manifest, SafeFileHandle state, SafeFileHandle ram, SafeFileHandle map)
    {
        _tag = tag;
        Manifest = manifest;
        (_state, _ram, _map) = (state, ram, map);
    }

    public SnapshotManifest Manifest { get; }

    /// <exception cref="SnapshotException">There is none, or it is damaged.</exception>
    internal static Snapshot Open(string folder, string tag)
    {
        while (true)
        {
            byte[] manifest = ReadManifest(folder, tag);
            try
            {
                return Open(folder, tag, Named(tag, () => ManifestFile.Read(manifest)));
            }
            catch (FileNotFoundException e)
            {
                // Another save has taken its place since the manifest was read; or else a file is gone.
                if (ReadManifest(folder, tag).AsSpan().SequenceEqual(manifest))
                {
                    throw new SnapshotException(
                        SnapshotFault.Damaged, $"snapshot '{tag}': its file '{Path.GetFileName(e.FileName)}' is missing", e);
                }
            }
        }
    }

    private static Snapshot Open(string folder, string tag, SnapshotManifest manifest)
    {
        var files = new List<SafeFileHandle>();
        try
        {
            long[] lengths = [manifest.State.Length, manifest.Ram.Length, manifest.Ram.Map.Length];
            foreach ((string name, long length) in SnapshotFormat.FilesOf(manifest.Generation).Zip(lengths))
            {
                SafeFileHandle file = File.OpenHandle(Path.Combine(folder, name), FileMode.Open, FileAccess.Read, FileShare.Read);
                files.Add(file);
                long found = RandomAccess.GetLength(file);
                if (found != length)
                {
                    throw new SnapshotException(
                        SnapshotFault.Damaged, $"snapshot '{tag}': its file '{name}' has {found} bytes, not {length}");
                }
            }

            bool possible = manifest.State.Length <= SnapshotFormat.LargestState
                && manifest.Ram.Map.Length == RamImage.MapLength(manifest.Machine.MemoryBytes)
                && (manifest.Ram.Compression != RamCompression.None || manifest.Ram.Length == (long)manifest.Machine.MemoryBytes);
            return possible ? new Snapshot(tag, manifest, files[0], files[1], files[2])
                : throw new SnapshotException(SnapshotFault.Damaged, $"snapshot '{tag}': the lengths of its files cannot be");
        }
        catch (Exception e)
        {
            files.ForEach(f => f.Dispose());
            if (e is IOException and not FileNotFoundException or UnauthorizedAccessException)
            {
                throw new SnapshotException(SnapshotFault.Host, $"snapshot '{tag}' cannot be read: {SnapshotFormat.Reason(e)}", e);
            }

            throw;
        }
    }

    private static byte[] ReadManifest(string folder, string tag)
    {
        try
        {
            using SafeFileHandle file = File.OpenHandle(Path.Combine(folder, SnapshotFormat.Manifest));
            long length = RandomAccess.GetLength(file);
            if (length > SnapshotFormat.LargestManifest)
            {
                throw new SnapshotException(
                    SnapshotFault.Damaged, $"snapshot '{tag}': {SnapshotFormat.Manifest} is damaged: it has {length} bytes");
            }

            byte[] bytes = new byte[length];
            return bytes[..RandomAccess.Read(file, bytes, 0)];
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw SnapshotStore.NotFound(tag);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SnapshotException(SnapshotFault.Host, $"snapshot '{tag}' cannot be read: {SnapshotFormat.Reason(e)}", e);
        }
    }

    /// <summary>Refuses a machine that cannot go on from here, and names each difference.</summary>
    /// <exception cref="SnapshotException">It differs.</exception>
    public void RequireFits(SavedMachine machine)
    {
        if (Manifest.Machine.DifferencesFrom(machine) is { Count: > 0 } differences)
        {
            throw new SnapshotException(
                SnapshotFault.Mismatch, $"snapshot '{_tag}' is of another machine: {string.Join(", ", differences)}");
        }
    }

    /// <summary>Reads the state units, and checks every bit of them.</summary>
    /// <exception cref="SnapshotException">They are damaged.</exception>
    public IReadOnlyList<SavedUnit> ReadState() => Named(_tag, () =>
    {
        // Checked first, so that nothing is made of what is not right.
        RamImage.RequireChecksum(_state, Manifest.State, "the state");
        byte[] bytes = new byte[Manifest.State.Length];
        for (int at = 0, read; at < bytes.Length; at += read)
        {
            read = RandomAccess.Read(_state, bytes.AsSpan(at), at);
            if (read == 0)
            {
                throw new SnapshotException(SnapshotFault.Damaged, "the state is cut short");
            }
        }

        try
        {
            return Archive.Read(bytes);
        }
        catch (StateException e)
        {
            throw new SnapshotException(SnapshotFault.Damaged, SnapshotFormat.Legible(e.Message), e);
        }
    });

    /// <summary>
    /// Makes RAM what was saved. An uncompressed file is mapped: the guest's first access to a page reads it, and nothing is copied before.
    /// </summary>
    /// <param name="ram">That of a machine which fits. No vCPU runs.</param>
    /// <exception cref="SnapshotException">It cannot be read, or it is damaged; RAM is then undefined.</exception>
    public void LoadRam(GuestMemory ram) => Named(_tag, () =>
    {
        RamImage.Load(ram, Manifest.Ram, _ram, _map);
        return 0;
    });

    /// <summary>Reads all files, and checks every bit of them.</summary>
    /// <returns>Bytes of RAM that are not zero, in whole blocks.</returns>
    /// <exception cref="SnapshotException">The first thing that is not as it was written.</exception>
    public long Verify()
    {
        ReadState();
        return Named(_tag, () => RamImage.Verify(Manifest.Machine.MemoryBytes, Manifest.Ram, _ram, _map));
    }

    public void Dispose()
    {
        _state.Dispose();
        _ram.Dispose();
        _map.Dispose();
    }

    // What goes wrong, goes wrong with this snapshot.
    private static T Named<T>(string tag, Func<T> act)
    {
        try
        {
            return act();
        }
        catch (SnapshotException e)
        {
            throw new SnapshotException(e.Fault, $"snapshot '{tag}': {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SnapshotException(SnapshotFault.Host, $"snapshot '{tag}' cannot be read: {SnapshotFormat.Reason(e)}", e);
        }
    }
}

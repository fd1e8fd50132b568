using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// A snapshot that is read, from its folder or from one file (<see cref="MappedFile"/>). Its manifest and the lengths of its files are
/// right; the rest is checked when it is read. All files are open, so it stays whole when another takes its place, or when it is removed.
/// One thread at a time.
/// </summary>
public sealed class Snapshot : IDisposable
{
    private readonly FilePart _state;
    private readonly FilePart _ram;
    private readonly FilePart _map;

    // Null when there is none.
    private readonly SafeFileHandle? _workingSet;
    private readonly Snapshot? _parent;

    // `files` are state, RAM and its map. The handles belong to it.
    internal Snapshot(
        string name, string tag, SnapshotManifest manifest, string checksum, FilePart[] files, SafeFileHandle? workingSet, Snapshot? parent)
    {
        Name = name;
        Tag = tag;
        Manifest = manifest;
        Checksum = checksum;
        (_state, _ram, _map, _workingSet, _parent) = (files[0], files[1], files[2], workingSet, parent);
    }

    /// <summary>What it is called in messages: <c>snapshot 'TAG'</c> or <c>file 'PATH'</c>.</summary>
    public string Name { get; }

    /// <summary>Its name in its store; empty when it is a file of its own.</summary>
    public string Tag { get; }

    public SnapshotManifest Manifest { get; }

    /// <summary>The checksum that the manifest ends with.</summary>
    public string Checksum { get; }

    /// <exception cref="SnapshotException">There is none, or it is damaged, or a parent of it is.</exception>
    internal static Snapshot Open(string folder, string tag) => Open(folder, tag, SnapshotFormat.MostParents);

    private static Snapshot Open(string folder, string tag, int parents)
    {
        while (true)
        {
            byte[] bytes = ReadManifest(folder, tag);
            SnapshotManifest manifest = Named(SnapshotFormat.NameOf(tag), () => ManifestFile.Read(bytes));
            Snapshot? parent = manifest.Parent == null ? null : OpenParent(folder, tag, manifest, parents);
            try
            {
                return Open(folder, tag, manifest, ManifestFile.ChecksumOf(bytes), parent);
            }
            catch (FileNotFoundException e)
            {
                // Another save has taken its place since the manifest was read; or else a file is gone.
                parent?.Dispose();
                if (ReadManifest(folder, tag).AsSpan().SequenceEqual(bytes))
                {
                    throw new SnapshotException(
                        SnapshotFault.Damaged, $"snapshot '{tag}': its file '{Path.GetFileName(e.FileName)}' is missing", e);
                }
            }
        }
    }

    private static Snapshot OpenParent(string folder, string tag, SnapshotManifest manifest, int parents)
    {
        string name = manifest.Parent!.Tag;
        if (parents == 0)
        {
            throw new SnapshotException(SnapshotFault.Damaged, $"snapshot '{tag}' has too many parents, one behind the other");
        }

        Snapshot parent;
        try
        {
            parent = Open(Path.Combine(Path.GetDirectoryName(folder)!, name), name, parents - 1);
        }
        catch (SnapshotException e)
        {
            throw new SnapshotException(
                e.Fault == SnapshotFault.Host ? e.Fault : SnapshotFault.Damaged, $"snapshot '{tag}' needs its parent: {e.Message}", e);
        }

        if (parent.Checksum == manifest.Parent.Crc32c && parent.Manifest.Machine.MemoryBytes == manifest.Machine.MemoryBytes
            && parent.Manifest.Ram.Compression == manifest.Ram.Compression)
        {
            return parent;
        }

        parent.Dispose();
        throw new SnapshotException(SnapshotFault.Damaged, $"snapshot '{tag}' needs its parent, but '{name}' is another snapshot now");
    }

    // The parent is what it returns, or disposed but for a file that is missing.
    private static Snapshot Open(string folder, string tag, SnapshotManifest manifest, string checksum, Snapshot? parent)
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
            return possible ? new Snapshot(
                    SnapshotFormat.NameOf(tag), tag, manifest, checksum, [.. files.Select(f => new FilePart(f))],
                    OpenWorkingSet(folder, manifest.Generation), parent)
                : throw new SnapshotException(SnapshotFault.Damaged, $"snapshot '{tag}': the lengths of its files cannot be");
        }
        catch (Exception e)
        {
            files.ForEach(f => f.Dispose());
            if (e is not FileNotFoundException)
            {
                parent?.Dispose();
            }

            if (e is IOException and not FileNotFoundException or UnauthorizedAccessException)
            {
                throw new SnapshotException(SnapshotFault.Host, $"snapshot '{tag}' cannot be read: {SnapshotFormat.Reason(e)}", e);
            }

            throw;
        }
    }

    private static SafeFileHandle? OpenWorkingSet(string folder, int generation)
    {
        string path = Path.Combine(folder, SnapshotFormat.WorkingSetOf(generation));
        return File.Exists(path) ? File.OpenHandle(path) : null;
    }

    /// <summary>The bytes of a manifest, right or not.</summary>
    /// <exception cref="SnapshotException">There is none, or the host cannot read it.</exception>
    internal static byte[] ReadManifest(string folder, string tag)
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
                SnapshotFault.Mismatch, $"{Name} is of another machine: {string.Join(", ", differences)}");
        }
    }

    /// <summary>Reads the state units, and checks every bit of them.</summary>
    /// <exception cref="SnapshotException">They are damaged.</exception>
    public IReadOnlyList<SavedUnit> ReadState() => Named(Name, () =>
    {
        // Checked first, so that nothing is made of what is not right.
        RamImage.RequireChecksum(_state, Manifest.State, "the state");
        byte[] bytes = new byte[Manifest.State.Length];
        _state.ReadExactly(bytes, 0);
        try
        {
            IReadOnlyList<SavedUnit> units = Archive.Read(bytes);
            return Manifest.Format > 1 ? units
                : [SavedUnit.Of(new PowerOnUnit(MachineConfig.MaxCpus, () => Manifest.PowerOn, _ => { })), .. units];
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
    public void LoadRam(GuestMemory ram) => Named(Name, () =>
    {
        using RamReader reader = ReadRam();
        reader.Load(ram);
        return 0;
    });

    /// <summary>Reads the map of RAM, and checks every bit of it.</summary>
    /// <exception cref="SnapshotException">It is damaged.</exception>
    public void CheckMap() => Named(Name, () =>
    {
        ReadRam().Dispose();
        return 0;
    });

    /// <summary>For reading RAM; this outlives it.</summary>
    /// <exception cref="SnapshotException">The map of RAM is damaged.</exception>
    internal RamReader ReadRam()
    {
        RamReader? parent = _parent?.ReadRam();
        try
        {
            return new RamReader(Manifest.Machine.MemoryBytes, Manifest.Ram, _ram, _map, parent);
        }
        catch
        {
            parent?.Dispose();
            throw;
        }
    }

    /// <summary>The blocks that a guest has touched first after a load; null when that is not known.</summary>
    internal int[]? TryReadWorkingSet()
    {
        try
        {
            return _workingSet == null ? null : WorkingSet.Read(_workingSet, RamImage.Blocks(Manifest.Machine.MemoryBytes));
        }
        catch (SnapshotException)
        {
            // Nothing depends on it.
            return null;
        }
    }

    /// <summary>Reads all files, and checks every bit of them.</summary>
    /// <returns>Bytes of RAM that are not zero, in whole blocks.</returns>
    /// <exception cref="SnapshotException">The first thing that is not as it was written.</exception>
    public long Verify()
    {
        ReadState();
        return Named(Name, () =>
        {
            using RamReader reader = ReadRam();
            if (_workingSet != null)
            {
                WorkingSet.Read(_workingSet, reader.Blocks);
            }

            return reader.Verify();
        });
    }

    public void Dispose()
    {
        _state.File.Dispose();
        _ram.File.Dispose();
        _map.File.Dispose();
        _workingSet?.Dispose();
        _parent?.Dispose();
    }

    // What goes wrong, goes wrong with this snapshot.
    internal static T Named<T>(string name, Func<T> act)
    {
        try
        {
            return act();
        }
        catch (SnapshotException e)
        {
            throw new SnapshotException(e.Fault, $"{name}: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SnapshotException(SnapshotFault.Host, $"{name} cannot be read: {SnapshotFormat.Reason(e)}", e);
        }
    }
}

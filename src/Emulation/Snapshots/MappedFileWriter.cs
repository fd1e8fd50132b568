using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// Saves a machine to one file (<see cref="MappedFile"/>), which is whole when <see cref="Finish"/> returns. One thread at a time.
/// </summary>
public sealed class MappedFileWriter : IDisposable
{
    private readonly FilePart _file;
    private readonly RamWriter _ram;
    private readonly long _ramAt;
    private readonly ulong _memoryBytes;

    /// <param name="file">Ends at <paramref name="start"/>; belongs to somebody else.</param>
    /// <param name="start">Where the head is to be, in bytes.</param>
    public MappedFileWriter(SafeFileHandle file, long start, GuestMemory ram)
    {
        _file = new FilePart(file, start);
        _ramAt = MappedFile.RamOffset(start);
        _memoryBytes = ram.Size;
        _ram = new RamWriter(
            ram, RamCompression.None, Part(_ramAt), Part(_ramAt + (long)ram.Size), parent: null);
    }

    /// <summary>Writes a block of RAM, as it is now, to its place.</summary>
    /// <returns>How many pages of it take room in the file.</returns>
    /// <exception cref="IOException">It cannot be written.</exception>
    internal int Write(long block) => _ram.Write(block);

    /// <summary>Writes the rest. RAM was written, and nobody has changed it since.</summary>
    /// <param name="units">The state.</param>
    /// <param name="product">The version of the program.</param>
    /// <param name="clock">The guest's counter.</param>
    /// <returns>Bytes that were written, without RAM.</returns>
    /// <exception cref="IOException">It cannot be written.</exception>
    public long Finish(
        IReadOnlyCollection<SavedUnit> units, string product, DateTimeOffset savedAt, ulong clock, SavedMachine machine, SavedCpu[] cpus,
        SavedMigration migration)
    {
        SavedRam ram = _ram.Finish();
        using var archive = new MemoryStream();
        Archive.Write(archive, units);
        ReadOnlySpan<byte> state = archive.GetBuffer().AsSpan(0, (int)archive.Length);
        long at = _ramAt + (long)_memoryBytes + ram.Map.Length;
        _file.Write(state, at);
        at += state.Length;
        byte[] manifest = ManifestFile.Write(new SnapshotManifest(
            SnapshotManifest.FormatWithoutDisks, product, 1, savedAt, clock, machine, cpus,
            new SavedFile(state.Length, SnapshotFormat.Text(Crc32C.Of(state))), ram)
        {
            Migration = migration,
        });
        _file.Write(manifest, at);
        _file.Write(MappedFile.Head(_ramAt, at, manifest.Length), 0);
        return ram.Map.Length + state.Length + manifest.Length + MappedFile.HeadSize;
    }

    public void Dispose() => _ram.Dispose();

    private FilePart Part(long offset) => _file with { Start = _file.Start + offset };
}

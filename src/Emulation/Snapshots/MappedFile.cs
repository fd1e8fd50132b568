using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// A saved machine in one file, or in the part of one behind an offset, whose RAM can be mapped (<c>migrate file:</c> with the capability
/// <c>mapped-ram</c>). It has the parts of a snapshot's folder, uncompressed and without a parent:
/// <code>
/// head → (nothing up to the next multiple of 64 KiB of the file) → RAM → map of RAM → state → manifest, with which the file ends
/// </code>
/// The head is written last; until then it is zero. It has 32 bytes, little-endian: <see cref="Magic"/>, 64 bits of offset of RAM, 64 bits
/// of offset of the manifest, both from the head on, 32 bits of length of the manifest, and the CRC-32C of the 28 bytes before.
/// <see cref="MappedFileWriter"/> writes it.
/// </summary>
public static class MappedFile
{
    internal const int HeadSize = 32;

    // Hosts map files at multiples of their own page size, of which this is the largest.
    private const int Alignment = 64 << 10;

    private const int RamAt = 8;
    private const int ManifestAt = 16;
    private const int ManifestLengthAt = 24;
    private const int ChecksumAt = 28;

    // The last byte is the version.
    internal static ReadOnlySpan<byte> Magic => "VMMMAPR\x01"u8;

    /// <summary>Whether bytes begin as such a file does, of whichever version.</summary>
    public static bool Begins(ReadOnlySpan<byte> bytes) => bytes.StartsWith(Magic[..^1]);

    /// <summary>Where RAM begins, from the head on, when the head is at an offset of the file.</summary>
    internal static long RamOffset(long head) => ((head + HeadSize + Alignment - 1) & ~(Alignment - 1L)) - head;

    internal static byte[] Head(long ram, long manifest, int manifestLength)
    {
        byte[] head = new byte[HeadSize];
        Magic.CopyTo(head);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(RamAt), ram);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(ManifestAt), manifest);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(ManifestLengthAt), manifestLength);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(ChecksumAt), Crc32C.Of(head.AsSpan(0, ChecksumAt)));
        return head;
    }

    /// <summary>Reads head and manifest, and holds what they say against the length of the file.</summary>
    /// <param name="file">Nobody changes it. It belongs to what is returned, and is closed when this throws.</param>
    /// <param name="start">Where the head is, in bytes.</param>
    /// <param name="path">For messages.</param>
    /// <exception cref="SnapshotException">It is no such file, or it is damaged.</exception>
    public static Snapshot Open(SafeFileHandle file, long start, string path)
    {
        string name = $"file '{SnapshotFormat.Legible(path)}'";
        try
        {
            return Snapshot.Named(name, () => Open(new FilePart(file, start), name));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static Snapshot Open(FilePart part, string name)
    {
        long length = RandomAccess.GetLength(part.File) - part.Start;
        (long ramAt, long manifestAt, int manifestLength) = ReadHead(part, length);
        byte[] bytes = new byte[manifestLength];
        part.ReadExactly(bytes, manifestAt);
        SnapshotManifest manifest = ManifestFile.Read(bytes);
        (SavedRam ram, long memory) = (manifest.Ram, (long)manifest.Machine.MemoryBytes);
        bool possible = manifest is { Migration: not null, Parent: null, Format: > 1 } && ram.Compression == RamCompression.None
            && ram.Length == memory && ram.Map.Length == RamImage.MapLength((ulong)memory)
            && manifest.State.Length <= SnapshotFormat.LargestState
            && manifestAt - ramAt >= memory && manifestAt - ramAt - memory == ram.Map.Length + manifest.State.Length;
        RamImage.Require(possible, SnapshotFormat.Manifest, "it does not agree with the file");
        if ((part.Start + ramAt) % Environment.SystemPageSize != 0)
        {
            throw new SnapshotException(SnapshotFault.Mismatch,
                $"RAM is at byte {part.Start + ramAt}, where this host cannot map it: the offset must be a multiple of "
                + $"{Environment.SystemPageSize} from where it was saved");
        }

        var map = new FilePart(part.File, part.Start + ramAt + memory);
        FilePart state = map with { Start = map.Start + ram.Map.Length };
        return new Snapshot(
            name, "", manifest, ManifestFile.ChecksumOf(bytes), [state, new FilePart(part.File, part.Start + ramAt), map], null, null);
    }

    private static (long Ram, long Manifest, int Length) ReadHead(FilePart part, long length)
    {
        if (length < HeadSize)
        {
            throw new SnapshotException(SnapshotFault.Mismatch,
                $"it has no machine that was saved with 'mapped-ram': it has {Math.Max(length, 0)} bytes");
        }

        byte[] head = new byte[HeadSize];
        part.ReadExactly(head, 0);
        if (!head.AsSpan().ContainsAnyExcept((byte)0))
        {
            throw new SnapshotException(SnapshotFault.Damaged, "it was not written to its end: its head is missing");
        }

        if (!Begins(head))
        {
            throw new SnapshotException(SnapshotFault.Mismatch,
                "it has no machine that was saved with 'mapped-ram': its first bytes are others");
        }

        if (head[Magic.Length - 1] != Magic[^1])
        {
            throw new SnapshotException(SnapshotFault.Mismatch,
                $"it has the version {head[Magic.Length - 1]}, but this program reads {Magic[^1]}");
        }

        RamImage.Require(
            BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(ChecksumAt)) == Crc32C.Of(head.AsSpan(0, ChecksumAt)),
            "its head", "its checksum is wrong");
        long ram = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(RamAt));
        long manifest = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(ManifestAt));
        int manifestLength = BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(ManifestLengthAt));
        RamImage.Require(
            ram >= HeadSize && manifest >= ram && manifestLength is >= 0 and <= SnapshotFormat.LargestManifest, "its head",
            "it holds an impossible value");
        if (manifest > length || length - manifest != manifestLength)
        {
            throw new SnapshotException(SnapshotFault.Damaged, $"it has {length} bytes, which are not as many as were written");
        }

        return (ram, manifest, manifestLength);
    }
}

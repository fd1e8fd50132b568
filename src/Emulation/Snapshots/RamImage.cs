using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Memory;
using ZstdSharp;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// RAM in two files. It is divided into blocks of <see cref="BlockSize"/> bytes (the last may be shorter). The map has 16 bytes for each
/// block, little-endian: 64 bits of offset in the other file, 32 bits of length there, and the 32-bit CRC-32C of what is there; all zero
/// for a block of zeros.
/// <list type="bullet">
/// <item>Uncompressed, a block is at its own offset in RAM and has its own length; pages of zeros are holes of the file, which is as long
/// as RAM, so that it can be mapped.</item>
/// <item>Compressed, the blocks follow each other, each a Zstandard frame.</item>
/// </list>
/// </summary>
internal static class RamImage
{
    public const int BlockSize = 64 << 10;

    private const int EntrySize = 16;
    private const int FastestLevel = 1;

    // Entries of the map that are read or written at once.
    private const int EntriesAtOnce = 4096;

    /// <summary>Where a block is.</summary>
    /// <param name="Offset">In the file.</param>
    /// <param name="Length">There; 0 for a block of zeros.</param>
    private readonly record struct Entry(long Offset, int Length, uint Checksum);

    public static long Blocks(ulong memoryBytes) => (long)((memoryBytes + BlockSize - 1) / BlockSize);

    public static long MapLength(ulong memoryBytes) => Blocks(memoryBytes) * EntrySize;

    private static int BlockLength(ulong memoryBytes, long block) =>
        (int)Math.Min(BlockSize, memoryBytes - ((ulong)block * BlockSize));

    /// <summary>Writes RAM that nobody changes meanwhile; both files are empty.</summary>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static SavedRam Write(GuestMemory ram, RamCompression compression, SafeFileHandle file, SafeFileHandle map)
    {
        using Compressor? compressor = compression == RamCompression.Zstd ? new Compressor(FastestLevel) : null;
        byte[] frame = compressor == null ? [] : new byte[Compressor.GetCompressBound(BlockSize)];
        byte[] entries = new byte[EntriesAtOnce * EntrySize];
        long blocks = Blocks(ram.Size);
        long end = 0;
        long mapped = 0;
        long written = 0;
        uint checksum = 0;
        for (long block = 0; block < blocks; block++)
        {
            Span<byte> entry = entries.AsSpan((int)(block % EntriesAtOnce) * EntrySize, EntrySize);
            entry.Clear();
            ulong start = (ulong)block * BlockSize;
            ReadOnlySpan<byte> bytes = ram.Span(ram.Start + start, BlockLength(ram.Size, block));
            if (bytes.ContainsAnyExcept((byte)0))
            {
                ReadOnlySpan<byte> stored = bytes;
                if (compressor == null)
                {
                    written += WritePages(file, bytes, (long)start);
                    end = (long)start;
                }
                else
                {
                    stored = frame.AsSpan(0, compressor.Wrap(bytes, frame));
                    RandomAccess.Write(file, stored, end);
                    written += stored.Length;
                }

                BinaryPrimitives.WriteInt64LittleEndian(entry, end);
                BinaryPrimitives.WriteInt32LittleEndian(entry[8..], stored.Length);
                BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], Crc32C.Of(stored));
                end += stored.Length;
            }

            if (block % EntriesAtOnce == EntriesAtOnce - 1 || block == blocks - 1)
            {
                ReadOnlySpan<byte> full = entries.AsSpan(0, ((int)(block % EntriesAtOnce) + 1) * EntrySize);
                checksum = Crc32C.Append(checksum, full);
                RandomAccess.Write(map, full, mapped);
                mapped += full.Length;
            }
        }

        long length = compressor == null ? (long)ram.Size : end;
        RandomAccess.SetLength(file, length);
        return new SavedRam(length, written, compression, new SavedFile(mapped, SnapshotFormat.Text(checksum)));
    }

    // Pages of zeros become holes. How many bytes the others have.
    private static int WritePages(SafeFileHandle file, ReadOnlySpan<byte> bytes, long offset)
    {
        int written = 0;
        for (int start = 0; start < bytes.Length;)
        {
            int end = start;
            while (end < bytes.Length && bytes.Slice(end, GuestMemory.PageSize).ContainsAnyExcept((byte)0))
            {
                end += GuestMemory.PageSize;
            }

            if (end > start)
            {
                RandomAccess.Write(file, bytes[start..end], offset + start);
                written += end - start;
            }

            start = end + GuestMemory.PageSize;
        }

        return written;
    }

    /// <summary>
    /// Makes RAM what was saved. What can be mapped is not read before the guest touches it, and so not checked: that is
    /// <see cref="Verify"/>'s. The rest is checked as it is read.
    /// </summary>
    /// <param name="ram">As large as what was saved.</param>
    /// <exception cref="SnapshotException">A file is damaged.</exception>
    public static void Load(GuestMemory ram, SavedRam saved, SafeFileHandle file, SafeFileHandle map)
    {
        if (saved.Compression == RamCompression.None)
        {
            ram.MapFile(file);
            return;
        }

        ram.Clear();
        ReadBlocks(ram.Size, saved, file, map, (block, bytes) =>
            bytes.CopyTo(ram.Span(ram.Start + ((ulong)block * BlockSize), bytes.Length)));
    }

    /// <summary>Reads all of both files.</summary>
    /// <returns>Bytes of RAM that are not in blocks of zeros.</returns>
    /// <exception cref="SnapshotException">A bit of them is not as it was written.</exception>
    public static long Verify(ulong memoryBytes, SavedRam saved, SafeFileHandle file, SafeFileHandle map)
    {
        long bytes = 0;
        ReadBlocks(memoryBytes, saved, file, map, (_, block) => bytes += block.Length);
        return bytes;
    }

    private delegate void TakeBlock(long block, ReadOnlySpan<byte> bytes);

    private static void ReadBlocks(ulong memoryBytes, SavedRam saved, SafeFileHandle file, SafeFileHandle map, TakeBlock take)
    {
        using Decompressor? decompressor = saved.Compression == RamCompression.Zstd ? new Decompressor() : null;
        byte[] stored = new byte[Compressor.GetCompressBound(BlockSize)];
        byte[] plain = new byte[BlockSize];
        long end = 0;
        long block = 0;
        foreach (Entry entry in ReadMap(memoryBytes, saved.Map, map))
        {
            int length = BlockLength(memoryBytes, block);
            string where = $"block {block} of RAM";
            if (entry.Length == 0)
            {
                Require(entry == default, where, "its place is wrong");
                if (decompressor == null)
                {
                    // A hole; whatever is there instead is not what was saved.
                    ReadExactly(file, plain.AsSpan(0, length), block * BlockSize);
                    Require(!plain.AsSpan(0, length).ContainsAnyExcept((byte)0), where, "it is not zero");
                }
            }
            else
            {
                bool right = decompressor == null ? entry.Offset == block * BlockSize && entry.Length == length
                    : entry.Offset == end && entry.Length > 0 && entry.Length <= stored.Length;
                Require(right, where, "its place is wrong");
                Span<byte> bytes = stored.AsSpan(0, entry.Length);
                ReadExactly(file, bytes, entry.Offset);
                Require(Crc32C.Of(bytes) == entry.Checksum, where, "its checksum is wrong");
                take(block, decompressor == null ? bytes : Decompress(decompressor, bytes, plain.AsSpan(0, length), where));
                end = entry.Offset + entry.Length;
            }

            block++;
        }

        Require(decompressor == null || end == saved.Length, "RAM", "its file goes on behind its end");
    }

    private static ReadOnlySpan<byte> Decompress(Decompressor decompressor, ReadOnlySpan<byte> frame, Span<byte> block, string where)
    {
        try
        {
            Require(decompressor.Unwrap(frame, block) == block.Length, where, "it is of another length");
            return block;
        }
        catch (ZstdException e)
        {
            throw new SnapshotException(SnapshotFault.Damaged, $"{where} is damaged: {SnapshotFormat.Legible(e.Message)}", e);
        }
    }

    private static IEnumerable<Entry> ReadMap(ulong memoryBytes, SavedFile saved, SafeFileHandle map)
    {
        Require(saved.Length == MapLength(memoryBytes), "the map of RAM", "its length is wrong");
        RequireChecksum(map, saved, "the map of RAM");
        byte[] bytes = new byte[EntriesAtOnce * EntrySize];
        for (long at = 0; at < saved.Length;)
        {
            int length = (int)Math.Min(bytes.Length, saved.Length - at);
            ReadExactly(map, bytes.AsSpan(0, length), at);
            at += length;
            for (int entry = 0; entry < length; entry += EntrySize)
            {
                yield return new Entry(
                    BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(entry)),
                    BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(entry + 8)),
                    BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(entry + 12)));
            }
        }
    }

    /// <summary>Reads a whole file, piece by piece, and compares its checksum.</summary>
    /// <param name="what">The file, for a message.</param>
    /// <exception cref="SnapshotException">It is another.</exception>
    public static void RequireChecksum(SafeFileHandle file, SavedFile saved, string what)
    {
        byte[] piece = new byte[BlockSize];
        uint checksum = 0;
        for (long at = 0; at < saved.Length;)
        {
            Span<byte> bytes = piece.AsSpan(0, (int)Math.Min(piece.Length, saved.Length - at));
            ReadExactly(file, bytes, at);
            checksum = Crc32C.Append(checksum, bytes);
            at += bytes.Length;
        }

        Require(SnapshotFormat.Text(checksum) == saved.Crc32c, what, "its checksum is wrong");
    }

    private static void ReadExactly(SafeFileHandle file, Span<byte> bytes, long offset)
    {
        while (bytes.Length > 0)
        {
            int read = RandomAccess.Read(file, bytes, offset);
            Require(read > 0, "a file of it", "it is cut short");
            bytes = bytes[read..];
            offset += read;
        }
    }

    private static void Require(bool right, string what, string how)
    {
        if (!right)
        {
            throw new SnapshotException(SnapshotFault.Damaged, $"{what} is damaged: {how}");
        }
    }
}

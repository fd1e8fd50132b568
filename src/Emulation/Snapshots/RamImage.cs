using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// RAM in two files. It is divided into blocks of <see cref="BlockSize"/> bytes (the last may be shorter). The map has 16 bytes for each
/// block, little-endian: 64 bits of offset in the other file, 32 bits of length there, and the 32-bit CRC-32C of what is there; all zero
/// for a block of zeros. In a snapshot with a parent, an offset of all ones is that of a block which is as in the parent: length and
/// checksum are the same there.
/// <list type="bullet">
/// <item>Uncompressed, a block is at its own offset in RAM and has its own length; pages of zeros are holes of the file, which is as long
/// as RAM, so that it can be mapped.</item>
/// <item>Compressed, each block is a Zstandard frame. They are in any order and do not overlap; what is between them is zero.</item>
/// </list>
/// <see cref="RamWriter"/> writes it, and <see cref="RamReader"/> reads it.
/// </summary>
internal static class RamImage
{
    public const int BlockSize = 64 << 10;

    internal const int EntrySize = 16;

    public static long Blocks(ulong memoryBytes) => (long)((memoryBytes + BlockSize - 1) / BlockSize);

    public static long MapLength(ulong memoryBytes) => Blocks(memoryBytes) * EntrySize;

    internal static int BlockLength(ulong memoryBytes, long block) =>
        (int)Math.Min(BlockSize, memoryBytes - ((ulong)block * BlockSize));

    /// <summary>The blocks that have some of these pages, each once.</summary>
    internal static IEnumerable<long> BlocksOf(IEnumerable<int> pages) =>
        pages.Select(BlockOf).Distinct();

    /// <summary>The block that has a page.</summary>
    internal static long BlockOf(int page) => page / (BlockSize / GuestMemory.PageSize);

    /// <summary>Reads a whole file, piece by piece, and compares its checksum.</summary>
    /// <param name="what">The file, for a message.</param>
    /// <exception cref="SnapshotException">It is another.</exception>
    internal static void RequireChecksum(FilePart file, SavedFile saved, string what)
    {
        byte[] piece = new byte[1 << 20];
        uint checksum = 0;
        for (long at = 0; at < saved.Length;)
        {
            Span<byte> bytes = piece.AsSpan(0, (int)Math.Min(piece.Length, saved.Length - at));
            file.ReadExactly(bytes, at);
            checksum = Crc32C.Append(checksum, bytes);
            at += bytes.Length;
        }

        Require(SnapshotFormat.Text(checksum) == saved.Crc32c, what, "its checksum is wrong");
    }

    /// <exception cref="SnapshotException">It is not right.</exception>
    internal static void Require(bool right, string what, string how)
    {
        if (!right)
        {
            throw new SnapshotException(SnapshotFault.Damaged, $"{what} is damaged: {how}");
        }
    }
}

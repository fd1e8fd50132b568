using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Snapshots;

/// <summary>
/// The blocks of RAM that a guest has touched first after a load, in that order: a file beside those that the manifest names, which may be
/// missing. Little-endian: of each block its number as 32 bits, and last the CRC-32C of all before.
/// </summary>
internal static class WorkingSet
{
    private const int Entry = sizeof(uint);

    public static byte[] Write(IReadOnlyList<int> blocks)
    {
        byte[] bytes = new byte[(blocks.Count + 1) * Entry];
        for (int i = 0; i < blocks.Count; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(i * Entry), blocks[i]);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(^Entry..), Crc32C.Of(bytes.AsSpan(..^Entry)));
        return bytes;
    }

    /// <param name="blocks">How many blocks there are.</param>
    /// <exception cref="SnapshotException">The file is damaged.</exception>
    public static int[] Read(SafeFileHandle file, long blocks)
    {
        long length = RandomAccess.GetLength(file);
        if (length % Entry != 0 || length < Entry || length > (blocks + 1) * Entry)
        {
            throw Damaged("its length cannot be");
        }

        byte[] bytes = new byte[length];
        new FilePart(file).ReadExactly(bytes, 0);
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(^Entry..)) != Crc32C.Of(bytes.AsSpan(..^Entry)))
        {
            throw Damaged("its checksum is wrong");
        }

        int[] order = new int[(bytes.Length / Entry) - 1];
        for (int i = 0; i < order.Length; i++)
        {
            uint block = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(i * Entry));
            order[i] = block < blocks ? (int)block : throw Damaged("it has a block that RAM has not");
        }

        return order;
    }

    private static SnapshotException Damaged(string how) => new(SnapshotFault.Damaged, $"the working set is damaged: {how}");
}

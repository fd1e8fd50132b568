using System.Buffers.Binary;
using System.Text;

namespace Vmm.Guest.Tests;

/// <summary>
/// A raw disk as an installer makes it: a GPT (UEFI 2.10, chapter 5) with one EFI system partition, whose FAT16 file system has the one
/// file that firmware boots without being told: <c>\EFI\BOOT\BOOTAA64.EFI</c>.
/// </summary>
internal static class EspImage
{
    private const int Sector = 512;
    private const int FirstSector = 2048;
    private const int Entries = 128;
    private const int EntrySize = 128;
    private const int TableSectors = Entries * EntrySize / Sector;

    // The file system: one sector of header, two tables, the root directory, and clusters.
    private const int SectorsOfCluster = 16;
    private const int ClusterSize = SectorsOfCluster * Sector;
    private const int RootEntries = 512;
    private const int DirectoryAttribute = 0x10;

    public static void Write(string path, byte[] program)
    {
        byte[] disk = Make(program, out int partition);
        WritePartitions(disk, partition);
        File.WriteAllBytes(path, disk);
    }

    /// <summary>
    /// The same file system as the boot image of an ISO image (ECMA-119; El Torito 1.0, section 2): its descriptors are in blocks 16 to 18,
    /// its boot catalogue in block 19.
    /// </summary>
    public static void WriteIso(string path, byte[] program)
    {
        const int Block = 2048;
        const int Catalogue = 19;
        const int Efi = 0xEF;
        byte[] image = Make(program, out int sectors)[(FirstSector * Sector)..((FirstSector + sectors) * Sector)];
        byte[] iso = new byte[((Catalogue + 1) * Block) + ((image.Length + Block - 1) & -Block)];
        Span<byte> Descriptor(int block, byte kind)
        {
            Span<byte> at = iso.AsSpan(block * Block, Block);
            at[0] = kind;
            Encoding.ASCII.GetBytes("CD001").CopyTo(at[1..]);
            at[6] = 1;
            return at;
        }

        Span<byte> primary = Descriptor(16, 1);
        BinaryPrimitives.WriteInt32LittleEndian(primary[80..], iso.Length / Block);
        BinaryPrimitives.WriteInt32BigEndian(primary[84..], iso.Length / Block);
        BinaryPrimitives.WriteInt16LittleEndian(primary[128..], Block);
        Span<byte> boot = Descriptor(17, 0);
        Encoding.ASCII.GetBytes("EL TORITO SPECIFICATION").CopyTo(boot[7..]);
        BinaryPrimitives.WriteInt32LittleEndian(boot[71..], Catalogue);
        Descriptor(18, 0xFF);

        // The validation entry, whose words add up to 0, and the one entry: bootable, no emulation.
        Span<byte> catalogue = iso.AsSpan(Catalogue * Block);
        (catalogue[0], catalogue[1]) = (1, Efi);
        BinaryPrimitives.WriteUInt16LittleEndian(catalogue[30..], 0xAA55);
        BinaryPrimitives.WriteUInt16LittleEndian(catalogue[28..], unchecked((ushort)-(1 + (Efi << 8) + 0xAA55)));
        catalogue[32] = 0x88;
        BinaryPrimitives.WriteInt32LittleEndian(catalogue[40..], Catalogue + 1);
        image.CopyTo(iso, (Catalogue + 1) * Block);
        File.WriteAllBytes(path, iso);
    }

    // A disk whose partition has its file system; there is no table of partitions yet.
    private static byte[] Make(byte[] program, out int partition)
    {
        int clusters = (program.Length + ClusterSize - 1) / ClusterSize;
        int count = Math.Max(clusters + 16, 5000);
        int tableSectors = ((count + 2) * 2 + Sector - 1) / Sector;
        int dataSector = 1 + (2 * tableSectors) + (RootEntries * 32 / Sector);
        partition = dataSector + (count * SectorsOfCluster);
        byte[] disk = new byte[(FirstSector + partition + TableSectors + 1) * Sector];
        Span<byte> files = disk.AsSpan(FirstSector * Sector, partition * Sector);
        WriteHeader(files, tableSectors, partition);

        // Clusters 2 and 3 are the folders, the file follows.
        byte[] table = new byte[tableSectors * Sector];
        Span<ushort> chain = [0xFFF8, 0xFFFF, 0xFFFF, 0xFFFF, .. Enumerable.Range(5, clusters - 1).Select(c => (ushort)c), 0xFFFF];
        for (int i = 0; i < chain.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(table.AsSpan(i * 2), chain[i]);
        }

        table.CopyTo(files[Sector..]);
        table.CopyTo(files[((1 + tableSectors) * Sector)..]);
        Span<byte> root = files[((1 + (2 * tableSectors)) * Sector)..];
        Span<byte> data = files[(dataSector * Sector)..];
        Entry(root, "EFI        ", DirectoryAttribute, 2, 0);
        Entry(data, ".          ", DirectoryAttribute, 2, 0);
        Entry(data[32..], "..         ", DirectoryAttribute, 0, 0);
        Entry(data[64..], "BOOT       ", DirectoryAttribute, 3, 0);
        Span<byte> boot = data[ClusterSize..];
        Entry(boot, ".          ", DirectoryAttribute, 3, 0);
        Entry(boot[32..], "..         ", DirectoryAttribute, 2, 0);
        Entry(boot[64..], "BOOTAA64EFI", 0, 4, program.Length);
        program.CopyTo(data[(2 * ClusterSize)..]);
        return disk;
    }

    private static void WriteHeader(Span<byte> header, int tableSectors, int sectors)
    {
        new byte[] { 0xEB, 0x3C, 0x90 }.CopyTo(header);
        Encoding.ASCII.GetBytes("VMM     ").CopyTo(header[3..]);
        BinaryPrimitives.WriteUInt16LittleEndian(header[11..], Sector);
        header[13] = SectorsOfCluster;
        BinaryPrimitives.WriteUInt16LittleEndian(header[14..], 1);
        header[16] = 2;
        BinaryPrimitives.WriteUInt16LittleEndian(header[17..], RootEntries);
        header[21] = 0xF8;
        BinaryPrimitives.WriteUInt16LittleEndian(header[22..], (ushort)tableSectors);
        BinaryPrimitives.WriteUInt32LittleEndian(header[28..], FirstSector);
        BinaryPrimitives.WriteUInt32LittleEndian(header[32..], (uint)sectors);
        header[36] = 0x80;
        header[38] = 0x29;
        Encoding.ASCII.GetBytes("ESP        FAT16   ").CopyTo(header[43..]);
        BinaryPrimitives.WriteUInt16LittleEndian(header[510..], 0xAA55);
    }

    private static void Entry(Span<byte> at, string name, byte attribute, int cluster, int size)
    {
        Encoding.ASCII.GetBytes(name).CopyTo(at);
        at[11] = attribute;
        BinaryPrimitives.WriteUInt16LittleEndian(at[26..], (ushort)cluster);
        BinaryPrimitives.WriteInt32LittleEndian(at[28..], size);
    }

    private static void WritePartitions(byte[] disk, int sectors)
    {
        int last = (disk.Length / Sector) - 1;
        Span<byte> protective = disk.AsSpan(446);
        protective[4] = 0xEE;
        BinaryPrimitives.WriteUInt32LittleEndian(protective[8..], 1);
        BinaryPrimitives.WriteInt32LittleEndian(protective[12..], last);
        BinaryPrimitives.WriteUInt16LittleEndian(disk.AsSpan(510), 0xAA55);

        byte[] entries = new byte[Entries * EntrySize];
        new Guid("C12A7328-F81F-11D2-BA4B-00A0C93EC93B").TryWriteBytes(entries);
        Guid.NewGuid().TryWriteBytes(entries.AsSpan(16));
        BinaryPrimitives.WriteInt64LittleEndian(entries.AsSpan(32), FirstSector);
        BinaryPrimitives.WriteInt64LittleEndian(entries.AsSpan(40), FirstSector + sectors - 1);
        entries.CopyTo(disk, 2 * Sector);
        entries.CopyTo(disk, (last - TableSectors) * Sector);
        Guid id = Guid.NewGuid();
        WriteTable(disk.AsSpan(Sector, Sector), id, 1, last, 2, last, entries);
        WriteTable(disk.AsSpan(last * Sector, Sector), id, last, 1, last - TableSectors, last, entries);
    }

    private static void WriteTable(Span<byte> header, Guid id, long self, long other, long table, long last, byte[] entries)
    {
        const int HeaderSize = 92;
        Encoding.ASCII.GetBytes("EFI PART").CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], 0x1_0000);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], HeaderSize);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], self);
        BinaryPrimitives.WriteInt64LittleEndian(header[32..], other);
        BinaryPrimitives.WriteInt64LittleEndian(header[40..], 2 + TableSectors);
        BinaryPrimitives.WriteInt64LittleEndian(header[48..], last - TableSectors - 1);
        id.TryWriteBytes(header[56..]);
        BinaryPrimitives.WriteInt64LittleEndian(header[72..], table);
        BinaryPrimitives.WriteInt32LittleEndian(header[80..], Entries);
        BinaryPrimitives.WriteInt32LittleEndian(header[84..], EntrySize);
        BinaryPrimitives.WriteUInt32LittleEndian(header[88..], Crc32(entries));
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], Crc32(header[..HeaderSize]));
    }

    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ (0xEDB8_8320 & (0 - (crc & 1)));
            }
        }

        return ~crc;
    }
}

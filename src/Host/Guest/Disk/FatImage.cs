using System.Buffers.Binary;
using System.Text;

namespace Vmm.Host.Guest.Disk;

/// <summary>
/// Makes a small FAT12 volume with files in its root directory, each with a long name (Microsoft, "FAT: General Overview of On-Disk
/// Format", version 1.03). The same files give the same bytes.
/// </summary>
internal static class FatImage
{
    private const int Sector = 512;
    private const int RootEntries = 512;
    private const int EntrySize = 32;
    private const int Fats = 2;
    private const int LettersOfEntry = 13;

    // FAT12 has fewer clusters than this ("FAT Type Determination").
    private const int ClusterLimit = 4085;
    private const int LargestClusterSectors = 64;
    private const ushort EndOfChain = 0xFFF;
    private const byte FixedDisk = 0xF8;

    // Attributes of a directory entry.
    private const byte VolumeId = 0x08;
    private const byte Archive = 0x20;
    private const byte LongName = 0x0F;
    private const byte LastLongEntry = 0x40;

    // 1 January 2026, as directories have it: years from 1980, month, day.
    private const ushort Date = (46 << 9) | (1 << 5) | 1;

    // Where the letters of a long name are in an entry.
    private static readonly int[] s_letters = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

    /// <param name="label">Of the volume: up to 11 letters, upper case.</param>
    /// <param name="files">Names and contents.</param>
    /// <exception cref="ArgumentException">They are too many or too large.</exception>
    public static byte[] Make(string label, IReadOnlyList<(string Name, byte[] Content)> files)
    {
        int clusterSectors = 1;
        int clusters;
        while ((clusters = files.Sum(file => ClustersOf(file.Content, clusterSectors)) + 1) >= ClusterLimit - 2)
        {
            clusterSectors *= 2;
            if (clusterSectors > LargestClusterSectors)
            {
                throw new ArgumentException("the files are too large for a volume of FAT12", nameof(files));
            }
        }

        int fatSectors = Sectors((((clusters + 2) * 3) + 1) / 2);
        int rootAt = 1 + (Fats * fatSectors);
        int dataAt = rootAt + Sectors(RootEntries * EntrySize);
        byte[] image = new byte[(dataAt + (clusters * clusterSectors)) * Sector];
        WriteBootSector(image, label, clusterSectors, fatSectors);
        Span<byte> fat = image.AsSpan(Sector, fatSectors * Sector);
        SetFat(fat, 0, 0xF00 | FixedDisk);
        SetFat(fat, 1, EndOfChain);
        Span<byte> root = image.AsSpan(rootAt * Sector, RootEntries * EntrySize);
        AddShort(ref root, Encoding.ASCII.GetBytes(label.PadRight(11)), VolumeId, 0, 0);
        int cluster = 2;
        for (int i = 0; i < files.Count; i++)
        {
            (string name, byte[] content) = files[i];
            int count = ClustersOf(content, clusterSectors);
            content.CopyTo(image, (dataAt + ((cluster - 2) * clusterSectors)) * Sector);
            for (int n = 0; n < count; n++)
            {
                SetFat(fat, cluster + n, n + 1 < count ? (ushort)(cluster + n + 1) : EndOfChain);
            }

            byte[] alias = Encoding.ASCII.GetBytes($"FILE{i:D4}   ");
            AddLong(ref root, name, alias);
            AddShort(ref root, alias, Archive, count == 0 ? 0 : cluster, content.Length);
            cluster += count;
        }

        fat.CopyTo(image.AsSpan((1 + fatSectors) * Sector));
        return image;
    }

    private static int Sectors(int bytes) => (bytes + Sector - 1) / Sector;

    private static int ClustersOf(byte[] content, int clusterSectors) => (Sectors(content.Length) + clusterSectors - 1) / clusterSectors;

    private static void WriteBootSector(Span<byte> image, string label, int clusterSectors, int fatSectors)
    {
        // A jump over what follows, which nobody executes.
        ((ReadOnlySpan<byte>)[0xEB, 0x3C, 0x90]).CopyTo(image);
        Encoding.ASCII.GetBytes("VMM     ", image[3..]);
        BinaryPrimitives.WriteUInt16LittleEndian(image[11..], Sector);
        image[13] = (byte)clusterSectors;
        BinaryPrimitives.WriteUInt16LittleEndian(image[14..], 1);
        image[16] = Fats;
        BinaryPrimitives.WriteUInt16LittleEndian(image[17..], RootEntries);
        int sectors = image.Length / Sector;
        BinaryPrimitives.WriteUInt16LittleEndian(image[19..], sectors <= ushort.MaxValue ? (ushort)sectors : (ushort)0);
        image[21] = FixedDisk;
        BinaryPrimitives.WriteUInt16LittleEndian(image[22..], (ushort)fatSectors);
        BinaryPrimitives.WriteUInt16LittleEndian(image[24..], 32);
        BinaryPrimitives.WriteUInt16LittleEndian(image[26..], 64);
        BinaryPrimitives.WriteUInt32LittleEndian(image[32..], sectors <= ushort.MaxValue ? 0u : (uint)sectors);
        image[36] = 0x80;
        image[38] = 0x29;
        BinaryPrimitives.WriteUInt32LittleEndian(image[39..], 0x564D_4D00);
        Encoding.ASCII.GetBytes(label.PadRight(11), image[43..]);
        Encoding.ASCII.GetBytes("FAT12   ", image[54..]);
        BinaryPrimitives.WriteUInt16LittleEndian(image[510..], 0xAA55);
    }

    private static void SetFat(Span<byte> fat, int cluster, ushort value)
    {
        Span<byte> pair = fat[(cluster * 3 / 2)..];
        ushort old = BinaryPrimitives.ReadUInt16LittleEndian(pair);
        BinaryPrimitives.WriteUInt16LittleEndian(
            pair, (cluster & 1) == 0 ? (ushort)((old & 0xF000) | value) : (ushort)((old & 0x000F) | (value << 4)));
    }

    // The entries of a long name, the last one first.
    private static void AddLong(ref Span<byte> root, string name, ReadOnlySpan<byte> alias)
    {
        byte sum = 0;
        foreach (byte letter in alias)
        {
            sum = (byte)(((sum & 1) << 7) + (sum >> 1) + letter);
        }

        int entries = (name.Length + LettersOfEntry - 1) / LettersOfEntry;
        for (int number = entries; number > 0; number--)
        {
            Span<byte> entry = Next(ref root);
            entry[0] = (byte)(number == entries ? number | LastLongEntry : number);
            entry[11] = LongName;
            entry[13] = sum;
            for (int i = 0; i < LettersOfEntry; i++)
            {
                int letter = ((number - 1) * LettersOfEntry) + i;
                BinaryPrimitives.WriteUInt16LittleEndian(
                    entry[s_letters[i]..], letter < name.Length ? name[letter] : letter == name.Length ? '\0' : (char)0xFFFF);
            }
        }
    }

    private static void AddShort(ref Span<byte> root, ReadOnlySpan<byte> name, byte attributes, int cluster, int length)
    {
        Span<byte> entry = Next(ref root);
        name.CopyTo(entry);
        entry[11] = attributes;
        BinaryPrimitives.WriteUInt16LittleEndian(entry[16..], Date);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[18..], Date);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[24..], Date);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[26..], (ushort)cluster);
        BinaryPrimitives.WriteInt32LittleEndian(entry[28..], length);
    }

    private static Span<byte> Next(ref Span<byte> root)
    {
        if (root.IsEmpty)
        {
            throw new ArgumentException("there are too many files for the root directory");
        }

        Span<byte> entry = root[..EntrySize];
        root = root[EntrySize..];
        return entry;
    }
}

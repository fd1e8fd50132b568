using System.Buffers.Binary;
using System.Text;

namespace Vmm.Emulation.Boot;

/// <summary>
/// What an EFI stub would have left behind, so that Linux takes ACPI without firmware: an EFI system table with the RSDP, SMBIOS and "no
/// runtime services" in its configuration tables, and a memory map (UEFI 2.10, 4.3, 4.6, 7.2).
/// </summary>
public static class EfiHandoff
{
    /// <summary>Bytes of a memory descriptor.</summary>
    public const int DescriptorSize = 40;

    private const int SystemTableSize = 120;
    private const int ConfigurationOffset = 128;
    private const int RuntimePropertiesOffset = 208;
    private const int ConfigurationEntrySize = 24;
    private const int VendorOffset = 256;
    private const int MemoryMapOffset = 512;
    private const ulong WriteBack = 8;

    private static readonly Guid Acpi20 = new("8868e871-e4f1-11d3-bc22-0080c73c8881");
    private static readonly Guid Smbios3 = new("f2fd1544-9794-4a2c-992e-e5bbcf20e394");
    private static readonly Guid RuntimeProperties = new("eb66918a-7eef-402a-842e-931d21c38ae9");

    /// <summary>EFI memory types used here (UEFI 2.10, 7.2.1).</summary>
    public enum MemoryType : uint
    {
        Conventional = 7,
        AcpiReclaim = 9,
    }

    public readonly record struct Range(MemoryType Type, ulong Start, ulong Length);

    /// <summary>The blob for <paramref name="address"/>: the system table at its beginning, the memory map at <c>MemoryMapAddress</c>.</summary>
    public static (byte[] Bytes, ulong MemoryMapAddress, uint MemoryMapSize) Build(ulong address, ulong rsdp, ulong smbios, IReadOnlyList<Range> memory)
    {
        byte[] blob = new byte[MemoryMapOffset + (memory.Count * DescriptorSize)];
        Span<byte> b = blob;
        void U64(int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(blob.AsSpan(offset), value);
        void U32(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(blob.AsSpan(offset), value);

        (Guid Vendor, ulong Table)[] tables = [(Acpi20, rsdp), (Smbios3, smbios), (RuntimeProperties, address + RuntimePropertiesOffset)];
        for (int i = 0; i < tables.Length; i++)
        {
            int at = ConfigurationOffset + (i * ConfigurationEntrySize);
            tables[i].Vendor.TryWriteBytes(b[at..]);
            U64(at + 16, tables[i].Table);
        }

        // Version 1, length 8, no runtime service is supported.
        U32(RuntimePropertiesOffset, 1 | (8 << 16));
        Encoding.Unicode.GetBytes("Vmm\0").CopyTo(b[VendorOffset..]);

        U64(0, 0x5453_5953_2049_4249);
        U32(8, (2 << 16) | 100);
        U32(12, SystemTableSize);
        U64(24, address + VendorOffset);
        U64(104, (ulong)tables.Length);
        U64(112, address + ConfigurationOffset);
        U32(16, Crc32(b[..SystemTableSize]));

        for (int i = 0; i < memory.Count; i++)
        {
            int at = MemoryMapOffset + (i * DescriptorSize);
            U32(at, (uint)memory[i].Type);
            U64(at + 8, memory[i].Start);
            U64(at + 24, memory[i].Length / 4096);
            U64(at + 32, WriteBack);
        }

        return (blob, address + MemoryMapOffset, (uint)(memory.Count * DescriptorSize));
    }

    // CRC-32 of UEFI 2.10, 4.2.
    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1;
            }
        }

        return ~crc;
    }
}

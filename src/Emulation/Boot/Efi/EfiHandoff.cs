using System.Buffers.Binary;
using System.Text;
using Vmm.Emulation.Boards;

namespace Vmm.Emulation.Boot.Efi;

/// <summary>
/// The state that firmware and an EFI stub leave behind, so that Linux takes ACPI without either of them: a memory map, an EFI system table
/// with ACPI and SMBIOS among its configuration tables, and runtime services for time and reset (UEFI 2.10, chapters 4, 7 and 8). Boot
/// services have ended. The virtual address map is set, and each virtual address is the physical one.
/// <code>
/// +0x0_0000  memory map                         ordinary memory, which the kernel reserves
/// +0x0_8000  root of the kernel's reservations  the same
/// +0x1_0000  system table and its parts         EfiRuntimeServicesData
/// +0x2_0000  runtime services                   EfiRuntimeServicesCode
/// </code>
/// </summary>
public static class EfiHandoff
{
    /// <summary>Bytes from the memory map to the end of the runtime services.</summary>
    public const ulong Size = 3 * Granule;

    /// <summary>The alignment of runtime regions and tables, for kernels with pages of 64 KiB (UEFI 2.10, 2.3.6.1).</summary>
    public const ulong Granule = 0x1_0000;

    // The list in which a kernel says what memory the next one, which it starts by kexec, must leave alone: the tables of LPIs, which a GIC
    // goes on to use. An EFI stub makes its empty root (Linux, drivers/firmware/efi/libstub/efi-stub.c, struct linux_efi_memreserve).
    private const ulong ReservationsOffset = 0x8000;
    private const int ReservationsSize = 16;

    private const int SystemTableSize = 120;
    private const int RuntimeServicesSize = 136;
    private const int ConfigurationEntrySize = 24;
    private const uint Revision = (2 << 16) | 100;

    // Offsets in the page of runtime data.
    private const int ConfigurationOffset = 128;
    private const int RuntimeServicesOffset = 256;
    private const int RuntimePropertiesOffset = 400;
    private const int MemoryAttributesOffset = 416;
    private const int VendorOffset = 512;
    private const int DataSize = 1024;

    private static readonly Guid s_acpi20 = new("8868e871-e4f1-11d3-bc22-0080c73c8881");
    private static readonly Guid s_smbios3 = new("f2fd1544-9794-4a2c-992e-e5bbcf20e394");
    private static readonly Guid s_runtimeProperties = new("eb66918a-7eef-402a-842e-931d21c38ae9");
    private static readonly Guid s_linuxReservations = new("888eb0c6-8ede-4ff5-a8f0-9aee5cb977c2");
    private static readonly Guid s_memoryAttributes = new("dcfa911d-26eb-469f-a220-38b7dc461220");

    // The pointers of EFI_RUNTIME_SERVICES in their order, and the bits by which EFI_RT_PROPERTIES_TABLE calls them supported (4.5, 4.6.2).
    private static readonly (ulong Procedure, uint Supported)[] s_services =
    [
        (RuntimeServicesCode.GetTime, 0x0001),
        (RuntimeServicesCode.SetTime, 0x0002),
        (RuntimeServicesCode.Unsupported, 0), // GetWakeupTime
        (RuntimeServicesCode.Unsupported, 0), // SetWakeupTime
        (RuntimeServicesCode.Unsupported, 0), // SetVirtualAddressMap
        (RuntimeServicesCode.Unsupported, 0), // ConvertPointer
        (RuntimeServicesCode.Unsupported, 0), // GetVariable
        (RuntimeServicesCode.Unsupported, 0), // GetNextVariableName
        (RuntimeServicesCode.Unsupported, 0), // SetVariable
        (RuntimeServicesCode.Unsupported, 0), // GetNextHighMonotonicCount
        (RuntimeServicesCode.ResetSystem, 0x0400),
        (RuntimeServicesCode.Unsupported, 0), // UpdateCapsule
        (RuntimeServicesCode.Unsupported, 0), // QueryCapsuleCapabilities
        (RuntimeServicesCode.Unsupported, 0), // QueryVariableInfo
    ];

    /// <summary>The hand-off for <paramref name="address"/>, a multiple of <see cref="Granule"/>.</summary>
    /// <param name="smbios">Address of the SMBIOS 3.0 entry point. The ACPI tables are directly behind the hand-off.</param>
    /// <param name="tablesEnd">Address after the ACPI and SMBIOS tables, a multiple of <see cref="Granule"/>.</param>
    /// <param name="ramEnd">Address after the last byte of RAM.</param>
    public static (IReadOnlyList<BootBlob> Blobs, EfiPointers Pointers) Build(
        BoardMap map, ulong address, ulong smbios, ulong tablesEnd, ulong ramEnd)
    {
        ulong acpi = address + Size;
        ulong data = address + Granule;
        ulong code = data + Granule;
        byte[] memory = EfiMemoryDescriptor.ToArray(
        [
            new(EfiMemoryType.MemoryMappedIo, map.Rtc.Address, Granule, EfiMemoryAttributes.Uncacheable | EfiMemoryAttributes.Runtime),
            new(EfiMemoryType.Conventional, map.Ram.Value, data - map.Ram.Value, EfiMemoryAttributes.WriteBack),
            new(EfiMemoryType.RuntimeServicesData, data, Granule, EfiMemoryAttributes.WriteBack | EfiMemoryAttributes.Runtime),
            new(EfiMemoryType.RuntimeServicesCode, code, Granule, EfiMemoryAttributes.WriteBack | EfiMemoryAttributes.Runtime),
            new(EfiMemoryType.AcpiReclaim, acpi, tablesEnd - acpi, EfiMemoryAttributes.WriteBack),
            new(EfiMemoryType.Conventional, tablesEnd, ramEnd - tablesEnd, EfiMemoryAttributes.WriteBack),
        ]);
        BootBlob[] blobs =
        [
            new("EFI memory map", address, memory),
            new("EFI memory reservations", address + ReservationsOffset, new byte[ReservationsSize]),
            new("EFI tables", data, Data(data, code, acpi, smbios, address + ReservationsOffset)),
            new("EFI runtime services", code, RuntimeServicesCode.ToArray()),
        ];
        return (blobs, new EfiPointers(data, address, (uint)memory.Length));
    }

    // The page of runtime data: the system table at its beginning, and the tables to which it points behind it.
    private static byte[] Data(ulong address, ulong code, ulong rsdp, ulong smbios, ulong reservations)
    {
        byte[] bytes = new byte[DataSize];
        (Guid Vendor, ulong Table)[] configuration =
        [
            (s_acpi20, rsdp),
            (s_smbios3, smbios),
            (s_runtimeProperties, address + RuntimePropertiesOffset),
            (s_memoryAttributes, address + MemoryAttributesOffset),
            (s_linuxReservations, reservations),
        ];
        WriteConfiguration(bytes.AsSpan(ConfigurationOffset), configuration);
        WriteRuntimeServices(bytes.AsSpan(RuntimeServicesOffset, RuntimeServicesSize), code);
        WriteRuntimeProperties(bytes.AsSpan(RuntimePropertiesOffset));
        WriteMemoryAttributes(bytes.AsSpan(MemoryAttributesOffset), address, code);
        Encoding.Unicode.GetBytes("Vmm\0").CopyTo(bytes, VendorOffset);

        Span<byte> table = bytes.AsSpan(0, SystemTableSize);
        BinaryPrimitives.WriteUInt64LittleEndian(table[24..], address + VendorOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(table[88..], address + RuntimeServicesOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(table[104..], (ulong)configuration.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(table[112..], address + ConfigurationOffset);
        WriteHeader(table, 0x5453_5953_2049_4249);
        return bytes;
    }

    private static void WriteConfiguration(Span<byte> bytes, ReadOnlySpan<(Guid Vendor, ulong Table)> tables)
    {
        foreach ((Guid vendor, ulong table) in tables)
        {
            vendor.TryWriteBytes(bytes);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[16..], table);
            bytes = bytes[ConfigurationEntrySize..];
        }
    }

    private static void WriteRuntimeServices(Span<byte> table, ulong code)
    {
        for (int i = 0; i < s_services.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(table[(24 + (i * 8))..], code + s_services[i].Procedure);
        }

        WriteHeader(table, 0x5652_4553_544E_5552);
    }

    // The table has version 1, length 8, and the bits of the supported services.
    private static void WriteRuntimeProperties(Span<byte> table)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(table, 1);
        BinaryPrimitives.WriteUInt16LittleEndian(table[2..], 8);
        BinaryPrimitives.WriteUInt32LittleEndian(table[4..], s_services.Aggregate(0u, (mask, service) => mask | service.Supported));
    }

    // The table has version 1 and two descriptors. By them the kernel maps data as not executable and code as not writable (4.6.4).
    private static void WriteMemoryAttributes(Span<byte> table, ulong data, ulong code)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(table, 1);
        BinaryPrimitives.WriteUInt32LittleEndian(table[4..], 2);
        BinaryPrimitives.WriteUInt32LittleEndian(table[8..], EfiMemoryDescriptor.Size);
        EfiMemoryDescriptor.ToArray(
        [
            new(EfiMemoryType.RuntimeServicesData, data, Granule, EfiMemoryAttributes.Runtime | EfiMemoryAttributes.ExecuteProtected),
            new(EfiMemoryType.RuntimeServicesCode, code, Granule, EfiMemoryAttributes.Runtime | EfiMemoryAttributes.ReadOnly),
        ]).CopyTo(table[16..]);
    }

    // Fills in the EFI_TABLE_HEADER of a table whose other fields are complete (4.2).
    private static void WriteHeader(Span<byte> table, ulong signature)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(table, signature);
        BinaryPrimitives.WriteUInt32LittleEndian(table[8..], Revision);
        BinaryPrimitives.WriteInt32LittleEndian(table[12..], table.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(table[16..], Crc32(table));
    }

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

/// <summary>The addresses that an EFI stub passes to the kernel in /chosen (Linux, Documentation/arch/arm/uefi.rst).</summary>
/// <param name="SystemTable">The physical address of the system table.</param>
/// <param name="MemoryMap">The physical address of the memory map.</param>
/// <param name="MemoryMapSize">The size of the memory map in bytes.</param>
public readonly record struct EfiPointers(ulong SystemTable, ulong MemoryMap, uint MemoryMapSize);

using System.Buffers.Binary;

namespace Vmm.Emulation.Boot.Efi;

/// <summary>EFI memory types used here (UEFI 2.10, 7.2.1).</summary>
public enum EfiMemoryType : uint
{
    RuntimeServicesCode = 5,
    RuntimeServicesData = 6,
    Conventional = 7,
    AcpiReclaim = 9,
    MemoryMappedIo = 11,
}

/// <summary>EFI memory attributes used here (UEFI 2.10, 7.2.3).</summary>
[Flags]
public enum EfiMemoryAttributes : ulong
{
    Uncacheable = 1,
    WriteBack = 8,
    ExecuteProtected = 0x4000,
    ReadOnly = 0x2_0000,
    Runtime = 1ul << 63,
}

/// <summary>
/// A piece of the address space in an EFI memory map. The virtual address of memory for runtime services is its physical address, so that
/// no pointer in it has to be converted.
/// </summary>
/// <param name="Start">The physical address, a multiple of 4 KiB.</param>
/// <param name="Length">The length in bytes, a multiple of 4 KiB.</param>
public readonly record struct EfiMemoryDescriptor(EfiMemoryType Type, ulong Start, ulong Length, EfiMemoryAttributes Attributes)
{
    /// <summary>The size in bytes of an EFI_MEMORY_DESCRIPTOR, version 1.</summary>
    public const int Size = 40;

    /// <summary>The bytes of all descriptors, one behind the other.</summary>
    public static byte[] ToArray(IReadOnlyList<EfiMemoryDescriptor> map)
    {
        byte[] bytes = new byte[map.Count * Size];
        for (int i = 0; i < map.Count; i++)
        {
            map[i].Write(bytes.AsSpan(i * Size));
        }

        return bytes;
    }

    private void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)Type);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], Start);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[16..], (Attributes & EfiMemoryAttributes.Runtime) != 0 ? Start : 0);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[24..], Length / 4096);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[32..], (ulong)Attributes);
    }
}

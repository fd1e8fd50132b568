using System.Buffers.Binary;
using Vmm.Emulation.Memory;
using static Vmm.Emulation.Interrupts.GicV3.ItsSpec;

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// A table in RAM that a GITS_BASER places: flat, or in two levels (IHI 0069, 5.2.1). An entry has 64 bits.
/// </summary>
/// <param name="most">The number of entries that IDs can name.</param>
internal sealed class ItsTable(IDmaMemory memory, ulong fixedBits, uint most)
{
    /// <summary>The register.</summary>
    public ulong Register { get; set; } = fixedBits | Page64K;

    private ulong PageSize => ((Register >> 8) & 3) switch { 0 => 0x1000, 1 => 0x4000, _ => 0x1_0000 };

    // Pages of 64 KiB have bits 51 to 48 of the address in bits 15 to 12 (12.19.1).
    private ulong Address => PageSize == 0x1_0000
        ? (Register & 0x0000_FFFF_FFFF_0000) | ((Register & 0xF000) << 36)
        : Register & 0x0000_FFFF_FFFF_F000 & ~(PageSize - 1);

    private ulong EntriesOfPage => PageSize / EntrySize;

    private ulong FirstLevel => ((Register & SizeMask) + 1) * EntriesOfPage;

    private bool IsIndirect => (Register & Indirect) != 0;

    /// <summary>Whether the table has room for an entry.</summary>
    public bool HasRoom(uint index) => (Register & Valid) != 0 && index < most
        && index < (IsIndirect ? FirstLevel * EntriesOfPage : FirstLevel);

    /// <summary>Reads an entry.</summary>
    /// <returns>Zero where the first level has no second; null where an address is not RAM.</returns>
    public ulong? Read(uint index) => Place(index) is not { } at ? null : at == 0 ? 0 : ReadEntry(memory, at);

    /// <summary>Writes an entry. Where the first level has no second nothing is written.</summary>
    /// <returns>False where an address is not RAM.</returns>
    public bool TryWrite(uint index, ulong value) => Place(index) is { } at && (at == 0 || TryWriteEntry(memory, at, value));

    public static ulong? ReadEntry(IDmaMemory memory, ulong address)
    {
        Span<byte> bytes = stackalloc byte[EntrySize];
        return memory.TryRead(address, bytes) ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : null;
    }

    public static bool TryWriteEntry(IDmaMemory memory, ulong address, ulong value)
    {
        Span<byte> bytes = stackalloc byte[EntrySize];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return memory.TryWrite(address, bytes);
    }

    // The address of an entry; 0 where the first level has no second, and null where an address is not RAM.
    private ulong? Place(uint index)
    {
        if (!IsIndirect)
        {
            return Address + (index * (ulong)EntrySize);
        }

        if (ReadEntry(memory, Address + (index / EntriesOfPage * EntrySize)) is not { } page)
        {
            return null;
        }

        return (page & Valid) == 0 ? 0 : (page & 0x000F_FFFF_FFFF_F000 & ~(PageSize - 1)) + (index % EntriesOfPage * EntrySize);
    }
}

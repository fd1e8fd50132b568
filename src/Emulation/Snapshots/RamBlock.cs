using System.Buffers.Binary;

namespace Vmm.Emulation.Snapshots;

/// <summary>An entry of the map of RAM: where the bytes of a block are (<see cref="RamImage"/>). All zero for a block of zeros.</summary>
/// <param name="Offset">In the file; <see cref="InParent"/> for a block that is the parent's.</param>
/// <param name="Length">There, in bytes.</param>
/// <param name="Checksum">CRC-32C of what is there.</param>
internal readonly record struct RamBlock(long Offset, int Length, uint Checksum)
{
    public const long InParent = -1;

    public bool IsZero => this == default;

    public bool IsParents => Offset == InParent;

    public static RamBlock Read(ReadOnlySpan<byte> entry) => new(
        BinaryPrimitives.ReadInt64LittleEndian(entry), BinaryPrimitives.ReadInt32LittleEndian(entry[8..]),
        BinaryPrimitives.ReadUInt32LittleEndian(entry[12..]));

    public void Write(Span<byte> entry)
    {
        BinaryPrimitives.WriteInt64LittleEndian(entry, Offset);
        BinaryPrimitives.WriteInt32LittleEndian(entry[8..], Length);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], Checksum);
    }
}

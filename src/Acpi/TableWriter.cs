namespace Vmm.Acpi;

/// <summary>Appends little-endian fields to the body of a table.</summary>
public sealed class TableWriter
{
    private readonly List<byte> _bytes = [];

    public TableWriter U8(byte value)
    {
        _bytes.Add(value);
        return this;
    }

    public TableWriter U16(ushort value) => U8((byte)value).U8((byte)(value >> 8));

    public TableWriter U32(uint value) => U16((ushort)value).U16((ushort)(value >> 16));

    public TableWriter U64(ulong value) => U32((uint)value).U32((uint)(value >> 32));

    public TableWriter Zeros(int count)
    {
        _bytes.AddRange(new byte[count]);
        return this;
    }

    /// <summary>Zeros up to an offset from the beginning of the table, header included.</summary>
    public TableWriter PadTo(int offset) => Zeros(offset - AcpiTable.HeaderSize - _bytes.Count);

    public TableWriter Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    /// <summary>A Generic Address Structure in system memory (ACPI 6.5, 5.2.3.2); access size 3 is 32 bits.</summary>
    public TableWriter MemoryAddress(ulong address, byte bits, byte accessSize) => U8(0).U8(bits).U8(0).U8(accessSize).U64(address);

    public byte[] ToArray() => [.. _bytes];
}

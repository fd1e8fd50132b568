using System.Buffers.Binary;
using static Vmm.Emulation.Devices.Virtio.NineP.NinePSpec;

namespace Vmm.Emulation.Devices.Virtio.NineP;

/// <summary>Reads the fields of a request in their order. What is not there reads as zeros and sets <see cref="IsBad"/>.</summary>
internal ref struct NinePReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _left = bytes;

    /// <summary>Whether a field was not there as a whole.</summary>
    public bool IsBad { get; private set; }

    public byte Byte() => Take(1)[0];

    public ushort Word() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public uint Dword() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong Qword() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    /// <summary>A string: bytes behind their 16-bit number.</summary>
    public ReadOnlySpan<byte> Text() => Bytes(Word());

    public ReadOnlySpan<byte> Bytes(uint count)
    {
        if (count > _left.Length)
        {
            IsBad = true;
            return [];
        }

        return Take((int)count);
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _left.Length)
        {
            IsBad = true;
            _left = [];
            return new byte[count];
        }

        ReadOnlySpan<byte> taken = _left[..count];
        _left = _left[count..];
        return taken;
    }
}

/// <summary>
/// Writes the fields of an answer in their order, behind the room for its header. What has no room sets <see cref="IsFull"/>.
/// </summary>
internal ref struct NinePWriter(Span<byte> bytes)
{
    private readonly Span<byte> _bytes = bytes;

    /// <summary>Bytes that were written, with the header.</summary>
    public int Length { get; private set; } = HeaderSize;

    public bool IsFull { get; private set; }

    /// <summary>The room behind what was written.</summary>
    public readonly Span<byte> Rest => _bytes[Length..];

    public void Byte(byte value) => Take(1)[0] = value;

    public void Word(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Take(2), value);

    public void Dword(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Take(4), value);

    public void Qword(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Take(8), value);

    public void Text(scoped ReadOnlySpan<byte> value)
    {
        Word((ushort)value.Length);
        Bytes(value);
    }

    public void Bytes(scoped ReadOnlySpan<byte> value) => value.CopyTo(Take(value.Length));

    public void Qid(FileFacts facts)
    {
        Byte(facts.QidType);
        Dword(facts.QidVersion);
        Qword(facts.QidPath);
    }

    /// <summary>Counts bytes that were written to <see cref="Rest"/>.</summary>
    public void Skip(int count) => Length += count;

    /// <summary>Drops what was written, but for the header.</summary>
    public void Clear() => (Length, IsFull) = (HeaderSize, false);

    public readonly void Header(NinePType request, ushort tag)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_bytes, Length);
        _bytes[4] = (byte)request;
        _bytes[4]++;
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes[5..], tag);
    }

    private Span<byte> Take(int count)
    {
        if (count > _bytes.Length - Length)
        {
            IsFull = true;
            return new byte[count];
        }

        Span<byte> taken = _bytes.Slice(Length, count);
        Length += count;
        return taken;
    }
}

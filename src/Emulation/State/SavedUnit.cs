using System.Buffers.Binary;
using System.Text;

namespace Vmm.Emulation.State;

/// <summary>What one unit has saved.</summary>
/// <param name="Id">The unit's <see cref="IStateUnit.Id"/>.</param>
/// <param name="Version">The unit's <see cref="IStateUnit.SchemaVersion"/>.</param>
/// <param name="Fields">
/// Its fields, little-endian: a 32-bit number of them, and of each its name, a 32-bit length and its bytes. Names are UTF-8 behind a
/// 7-bit-encoded length.
/// </param>
public sealed record SavedUnit(string Id, int Version, ReadOnlyMemory<byte> Fields)
{
    /// <summary>Saves a unit.</summary>
    public static SavedUnit Of(IStateUnit unit)
    {
        var fields = new StateWriter();
        unit.Save(fields);
        using var bytes = new MemoryStream();
        using var output = new BinaryWriter(bytes, Encoding.UTF8);
        output.Write(fields.Fields.Count);
        foreach ((string name, byte[] value) in fields.Fields)
        {
            output.Write(name);
            output.Write(value.Length);
            output.Write(value);
        }

        output.Flush();
        return new SavedUnit(unit.Id, unit.SchemaVersion, bytes.ToArray());
    }

    /// <summary>Loads the unit that this was saved of, or its like.</summary>
    /// <exception cref="StateException">The fields are damaged, or the unit refuses them.</exception>
    public void LoadInto(IStateUnit unit)
    {
        var input = new StateInput(Fields);
        var reader = new StateReader(Id, Version, input.ReadFields(Id));
        input.RequireEnd();
        unit.Load(reader);
        reader.RequireAllRead();
    }
}

/// <summary>Bytes of saved state, read in order. A length is held against what is left before anything is made of it.</summary>
internal sealed class StateInput(ReadOnlyMemory<byte> bytes)
{
    // Flash has a field for each of its sectors. A field may be small, and an entry of a table is made of each.
    private const int MostFields = 4096;
    private const int LongestName = 255;

    private int _at;

    public ReadOnlyMemory<byte> Take(int length)
    {
        if (length < 0 || length > bytes.Length - _at)
        {
            throw Cut();
        }

        ReadOnlyMemory<byte> taken = bytes.Slice(_at, length);
        _at += length;
        return taken;
    }

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)).Span);

    /// <summary>A length or a number of things, each of which takes at least a byte.</summary>
    public int ReadCount(int most = int.MaxValue)
    {
        uint count = ReadUInt32();
        return count <= (uint)Math.Min(bytes.Length - _at, most) ? (int)count : throw Cut();
    }

    /// <summary>A name, as <see cref="BinaryWriter.Write(string)"/> has written it. Names are printable characters of ASCII.</summary>
    public string ReadString()
    {
        // Behind a 7-bit-encoded length of one or two bytes.
        int length = Take(1).Span[0];
        if (length > 0x7F)
        {
            length = (length & 0x7F) | (Take(1).Span[0] << 7);
        }

        ReadOnlySpan<byte> name = Take(length <= LongestName ? length : -1).Span;
        return name.ContainsAnyExceptInRange((byte)' ', (byte)'~') ? throw Cut() : Encoding.ASCII.GetString(name);
    }

    /// <summary>The fields of a unit, by name.</summary>
    public Dictionary<string, ReadOnlyMemory<byte>> ReadFields(string unit)
    {
        var fields = new Dictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
        for (int count = ReadCount(MostFields); count > 0; count--)
        {
            string name = ReadString();
            if (!fields.TryAdd(name, Take(ReadCount())))
            {
                throw new StateException($"unit '{unit}': field '{name}' twice");
            }
        }

        return fields;
    }

    /// <summary>What <paramref name="read"/> has read.</summary>
    public ReadOnlyMemory<byte> Span(Action read)
    {
        int start = _at;
        read();
        return bytes[start.._at];
    }

    public void RequireEnd()
    {
        if (_at != bytes.Length)
        {
            throw new StateException("the archive is damaged: it goes on behind its end");
        }
    }

    private static StateException Cut() => new("the archive is cut short or damaged");
}

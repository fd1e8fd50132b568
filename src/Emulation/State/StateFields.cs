using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.State;

/// <summary>Collects the named fields of one unit.</summary>
public sealed class StateWriter
{
    private readonly Dictionary<string, byte[]> _fields = new(StringComparer.Ordinal);

    internal IReadOnlyDictionary<string, byte[]> Fields => _fields;

    /// <exception cref="ArgumentException">The unit wrote this name already.</exception>
    public void Write<T>(string name, T value)
        where T : unmanaged => Write(name, MemoryMarshal.CreateReadOnlySpan(ref value, 1));

    /// <summary>An array; its length is part of the format.</summary>
    /// <exception cref="ArgumentException">The unit wrote this name already.</exception>
    public void Write<T>(string name, ReadOnlySpan<T> values)
        where T : unmanaged => _fields.Add(name, MemoryMarshal.AsBytes(values).ToArray());
}

/// <summary>Gives the named fields of one unit back; each must be read exactly as it was written, and all must be read.</summary>
public sealed class StateReader
{
    private readonly string _unit;
    private readonly IReadOnlyDictionary<string, ReadOnlyMemory<byte>> _fields;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    internal StateReader(string unit, int version, IReadOnlyDictionary<string, ReadOnlyMemory<byte>> fields)
    {
        _unit = unit;
        Version = version;
        _fields = fields;
    }

    /// <summary>The <see cref="IStateUnit.SchemaVersion"/> of who wrote the fields: at most that of who reads them.</summary>
    public int Version { get; }

    /// <exception cref="StateException">The field is missing or of another size.</exception>
    public T Read<T>(string name)
        where T : unmanaged => MemoryMarshal.Read<T>(Field(name, Unsafe.SizeOf<T>()));

    /// <summary>Fills <paramref name="destination"/>, which must be as long as the array that was written.</summary>
    /// <exception cref="StateException">The field is missing or of another size.</exception>
    public void Read<T>(string name, Span<T> destination)
        where T : unmanaged
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(destination);
        Field(name, bytes.Length).CopyTo(bytes);
    }

    /// <summary>An array whose length is part of the state, such as a queue.</summary>
    /// <exception cref="StateException">
    /// The field is missing, longer than <paramref name="maximum"/> elements, or not a whole number of them.
    /// </exception>
    public T[] ReadArray<T>(string name, int maximum)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = Field(name, null);
        int size = Unsafe.SizeOf<T>();
        Require(bytes.Length % size == 0 && bytes.Length / size <= maximum, name);
        return MemoryMarshal.Cast<byte, T>(bytes).ToArray();
    }

    /// <summary>Refuses a field that holds what the unit can never have saved.</summary>
    /// <exception cref="StateException"><paramref name="valid"/> is false.</exception>
    public void Require(bool valid, string name)
    {
        if (!valid)
        {
            throw new StateException($"unit '{_unit}': field '{name}' holds an impossible value");
        }
    }

    internal void RequireAllRead()
    {
        if (_read.Count != _fields.Count)
        {
            throw new StateException($"unit '{_unit}': unknown field '{_fields.Keys.First(name => !_read.Contains(name))}'");
        }
    }

    private ReadOnlySpan<byte> Field(string name, int? length)
    {
        if (!_fields.TryGetValue(name, out ReadOnlyMemory<byte> bytes))
        {
            throw new StateException($"unit '{_unit}': no field '{name}'");
        }

        if (length != null && bytes.Length != length)
        {
            throw new StateException($"unit '{_unit}': field '{name}' has {bytes.Length} bytes, expected {length}");
        }

        _read.Add(name);
        return bytes.Span;
    }
}

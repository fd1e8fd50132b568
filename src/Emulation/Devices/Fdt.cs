using System.Buffers.Binary;
using System.Text;

namespace Vmm.Emulation.Devices;

/// <summary>Writes a flattened device tree (Devicetree Specification 0.4, chapter 5), version 17.</summary>
public sealed class Fdt
{
    /// <summary>
    /// The first cell of a GICv3 interrupt: shared or private. The second cell counts from the first INTID of that kind.
    /// </summary>
    public const uint Spi = 0;
    public const uint Ppi = 1;
    public const uint FirstSpi = 32;
    public const uint FirstPpi = 16;

    /// <summary>The third cell of a GICv3 interrupt: a level that is high while the interrupt is pending.</summary>
    public const uint LevelHigh = 4;

    /// <summary>The third cell of a GICv3 interrupt: an edge from low to high makes the interrupt pending.</summary>
    public const uint EdgeRising = 1;

    // Phandles of nodes to which others refer, with the numbers of QEMU's virt.
    public const uint ClockHandle = 0x8000;
    public const uint GicHandle = 0x8001;
    public const uint GpioHandle = 0x8002;
    public const uint MsiHandle = 0x8003;

    private const uint Magic = 0xD00D_FEED;
    private const uint BeginNode = 1;
    private const uint EndNode = 2;
    private const uint PropertyToken = 3;
    private const uint End = 9;
    private const int HeaderSize = 40;

    private readonly List<byte> _structure = [];
    private readonly List<byte> _strings = [];
    private readonly Dictionary<string, int> _stringOffsets = [];

    /// <summary>Adds a node with the contents that <paramref name="content"/> adds to it. The name of the root is empty.</summary>
    public Fdt Node(string name, Action<Fdt> content)
    {
        Token(BeginNode);
        _structure.AddRange(Encoding.ASCII.GetBytes(name));
        _structure.Add(0);
        Align();
        content(this);
        Token(EndNode);
        return this;
    }

    public Fdt Property(string name, ReadOnlySpan<byte> value)
    {
        if (!_stringOffsets.TryGetValue(name, out int offset))
        {
            offset = _strings.Count;
            _stringOffsets.Add(name, offset);
            _strings.AddRange(Encoding.ASCII.GetBytes(name));
            _strings.Add(0);
        }

        Token(PropertyToken);
        Token((uint)value.Length);
        Token((uint)offset);
        _structure.AddRange(value);
        Align();
        return this;
    }

    /// <summary>A property without a value.</summary>
    public Fdt Flag(string name) => Property(name, []);

    public Fdt Text(string name, params string[] values) =>
        Property(name, Encoding.UTF8.GetBytes(string.Concat(values.Select(v => v + "\0"))));

    public Fdt Cells(string name, params uint[] cells)
    {
        byte[] bytes = new byte[cells.Length * 4];
        for (int i = 0; i < cells.Length; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(i * 4), cells[i]);
        }

        return Property(name, bytes);
    }

    /// <summary>Adds a property of 64-bit values, two cells each.</summary>
    public Fdt Cells64(string name, params ulong[] values) =>
        Cells(name, [.. values.SelectMany(v => new[] { (uint)(v >> 32), (uint)v })]);

    /// <summary>The blob: header, an empty reservation map, structure, strings.</summary>
    public byte[] ToArray()
    {
        Token(End);
        int structureOffset = HeaderSize + 16;
        int stringsOffset = structureOffset + _structure.Count;
        byte[] blob = new byte[(stringsOffset + _strings.Count + 7) & ~7];
        uint[] header =
        [
            Magic, (uint)blob.Length, (uint)structureOffset, (uint)stringsOffset, HeaderSize,
            17, 16, 0, (uint)_strings.Count, (uint)_structure.Count,
        ];
        for (int i = 0; i < header.Length; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(blob.AsSpan(i * 4), header[i]);
        }

        _structure.CopyTo(blob, structureOffset);
        _strings.CopyTo(blob, stringsOffset);
        return blob;
    }

    private void Token(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        _structure.AddRange(bytes);
    }

    private void Align()
    {
        while (_structure.Count % 4 != 0)
        {
            _structure.Add(0);
        }
    }
}

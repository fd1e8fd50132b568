using System.Buffers.Binary;
using System.Text;
using static Vmm.Emulation.Devices.FwCfg.FwCfgSpec;

namespace Vmm.Emulation.Devices.FwCfg;

/// <summary>The items of <see cref="FwCfg"/>: fixed ones by selector, and files, whose selectors follow the order of their names.</summary>
public sealed class FwCfgItems
{
    /// <summary>
    /// The items of a machine that offers none: the signature, the identification of the interface, and an empty directory.
    /// </summary>
    public static readonly FwCfgItems None = new([], []);

    private readonly Dictionary<ushort, ReadOnlyMemory<byte>> _items = [];

    /// <param name="fixedItems">Items by <see cref="FwCfgKey"/>, except the signature, the identification of the interface and the
    /// directory.</param>
    /// <param name="files">Files by name, such as <c>etc/acpi/rsdp</c>.</param>
    public FwCfgItems(
        IEnumerable<KeyValuePair<ushort, ReadOnlyMemory<byte>>> fixedItems, IEnumerable<KeyValuePair<string, ReadOnlyMemory<byte>>> files)
    {
        _items[FwCfgKey.Signature] = "QEMU"u8.ToArray();
        byte[] id = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(id, Features);
        _items[FwCfgKey.Id] = id;
        foreach ((ushort key, ReadOnlyMemory<byte> bytes) in fixedItems)
        {
            _items.Add(key, bytes);
        }

        KeyValuePair<string, ReadOnlyMemory<byte>>[] sorted = [.. files.OrderBy(f => f.Key, StringComparer.Ordinal)];
        byte[] directory = new byte[4 + (sorted.Length * FileEntrySize)];
        BinaryPrimitives.WriteInt32BigEndian(directory, sorted.Length);
        for (int i = 0; i < sorted.Length; i++)
        {
            (string name, ReadOnlyMemory<byte> bytes) = sorted[i];
            ushort key = (ushort)(FwCfgKey.FirstFile + i);
            Span<byte> entry = directory.AsSpan(4 + (i * FileEntrySize), FileEntrySize);
            BinaryPrimitives.WriteInt32BigEndian(entry, bytes.Length);
            BinaryPrimitives.WriteUInt16BigEndian(entry[4..], key);

            // The last byte of the name stays 0.
            Encoding.ASCII.GetBytes(name).AsSpan().CopyTo(entry[8..(FileEntrySize - 1)]);
            _items.Add(key, bytes);
        }

        _items[FwCfgKey.FileDirectory] = directory;
    }

    /// <summary>The bytes of an item; empty if there is no such item.</summary>
    internal ReadOnlyMemory<byte> Find(ushort key) => _items.GetValueOrDefault(key);
}

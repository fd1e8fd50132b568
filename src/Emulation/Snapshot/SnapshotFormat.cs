using System.Text;

namespace Vmm.Emulation.Snapshot;

/// <summary>
/// The file of a machine's units, little-endian: eight bytes of magic, a 32-bit version, a 32-bit number of units; of each unit its name, a
/// 32-bit number of fields, and of each field its name, a 32-bit length and its bytes. Names are UTF-8 behind a 7-bit-encoded length.
/// </summary>
public static class SnapshotFormat
{
    private const uint Version = 1;
    private const int MaximumCount = 1 << 16;
    private const int MaximumFieldBytes = 1 << 24;

    private static ReadOnlySpan<byte> Magic => "VMMSNAP\n"u8;

    /// <summary>Saves all units; <paramref name="stream"/> stays open.</summary>
    public static void Save(Stream stream, IReadOnlyCollection<ISnapshotUnit> units)
    {
        using var output = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        output.Write(Magic);
        output.Write(Version);
        output.Write(units.Count);
        foreach (ISnapshotUnit unit in units)
        {
            var fields = new SnapshotWriter();
            unit.Save(fields);
            output.Write(unit.Name);
            output.Write(fields.Fields.Count);
            foreach ((string name, byte[] bytes) in fields.Fields)
            {
                output.Write(name);
                output.Write(bytes.Length);
                output.Write(bytes);
            }
        }
    }

    /// <summary>
    /// Loads all units. The file is read and its units are matched by name before any is touched; a unit that refuses its
    /// fields leaves the machine half loaded, to be reset or discarded.
    /// </summary>
    /// <exception cref="SnapshotException">The file is damaged or of another version, or its units or their fields are not those of this machine.</exception>
    public static void Load(Stream stream, IReadOnlyCollection<ISnapshotUnit> units)
    {
        Dictionary<string, Dictionary<string, byte[]>> saved = Parse(stream);
        foreach (ISnapshotUnit unit in units)
        {
            if (!saved.ContainsKey(unit.Name))
            {
                throw new SnapshotException($"the snapshot has no unit '{unit.Name}'");
            }
        }

        var known = units.Select(u => u.Name).ToHashSet(StringComparer.Ordinal);
        if (saved.Keys.FirstOrDefault(name => !known.Contains(name)) is string unknown)
        {
            throw new SnapshotException($"the snapshot has a unit '{unknown}' that this machine has not");
        }

        foreach (ISnapshotUnit unit in units)
        {
            var reader = new SnapshotReader(unit.Name, saved[unit.Name]);
            unit.Load(reader);
            reader.RequireAllRead();
        }
    }

    private static Dictionary<string, Dictionary<string, byte[]>> Parse(Stream stream)
    {
        var saved = new Dictionary<string, Dictionary<string, byte[]>>(StringComparer.Ordinal);
        using var input = new BinaryReader(stream, Encoding.UTF8, leaveOpen: true);
        try
        {
            if (!input.ReadBytes(Magic.Length).AsSpan().SequenceEqual(Magic))
            {
                throw new SnapshotException("not a snapshot");
            }

            uint version = input.ReadUInt32();
            if (version != Version)
            {
                throw new SnapshotException($"snapshot version {version}, expected {Version}");
            }

            for (int units = Bounded(input.ReadInt32(), MaximumCount); units > 0; units--)
            {
                string unit = input.ReadString();
                var fields = new Dictionary<string, byte[]>(StringComparer.Ordinal);
                for (int count = Bounded(input.ReadInt32(), MaximumCount); count > 0; count--)
                {
                    string name = input.ReadString();
                    int length = Bounded(input.ReadInt32(), MaximumFieldBytes);
                    byte[] bytes = input.ReadBytes(length);
                    if (bytes.Length != length)
                    {
                        throw new EndOfStreamException();
                    }

                    if (!fields.TryAdd(name, bytes))
                    {
                        throw new SnapshotException($"unit '{unit}': field '{name}' twice");
                    }
                }

                if (!saved.TryAdd(unit, fields))
                {
                    throw new SnapshotException($"unit '{unit}' twice");
                }
            }
        }
        catch (Exception e) when (e is EndOfStreamException or FormatException or DecoderFallbackException)
        {
            throw new SnapshotException("the snapshot is cut short or damaged", e);
        }

        return saved;
    }

    private static int Bounded(int count, int maximum) =>
        count >= 0 && count <= maximum ? count : throw new SnapshotException($"the snapshot is damaged: a length of {count}");
}

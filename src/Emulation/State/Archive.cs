using System.Text;

namespace Vmm.Emulation.State;

/// <summary>
/// Saved units, little-endian: eight bytes of magic, a 32-bit version of this format, a 32-bit number of units; of each unit its id, the
/// 32-bit version of its schema, a 32-bit number of fields, and of each field its name, a 32-bit length and its bytes. Names are UTF-8
/// behind a 7-bit-encoded length. Version 1 of the format had no schemas; those of its units are 1.
/// </summary>
public static class Archive
{
    private const uint Version = 2;
    private const uint VersionWithoutSchemas = 1;
    private const int MaximumCount = 1 << 16;
    private const int MaximumFieldBytes = 1 << 24;

    private static ReadOnlySpan<byte> Magic => "VMMSNAP\n"u8;

    /// <summary>Saves all units; <paramref name="stream"/> stays open.</summary>
    public static void Save(Stream stream, IReadOnlyCollection<IStateUnit> units)
    {
        using var output = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        output.Write(Magic);
        output.Write(Version);
        output.Write(units.Count);
        foreach (IStateUnit unit in units)
        {
            var fields = new StateWriter();
            unit.Save(fields);
            output.Write(unit.Id);
            output.Write(unit.SchemaVersion);
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
    /// <exception cref="StateException">
    /// The file is damaged or of another version, or its units or their fields are not those of this machine.
    /// </exception>
    public static void Load(Stream stream, IReadOnlyCollection<IStateUnit> units)
    {
        Dictionary<string, SavedUnit> saved = Parse(stream);
        foreach (IStateUnit unit in units)
        {
            if (!saved.TryGetValue(unit.Id, out SavedUnit? found))
            {
                throw new StateException($"the archive has no unit '{unit.Id}'");
            }

            if (found.Version < 1 || found.Version > unit.SchemaVersion)
            {
                throw new StateException($"unit '{unit.Id}': schema {found.Version}, but this program reads 1 to {unit.SchemaVersion}");
            }
        }

        var known = units.Select(u => u.Id).ToHashSet(StringComparer.Ordinal);
        if (saved.Keys.FirstOrDefault(name => !known.Contains(name)) is string unknown)
        {
            throw new StateException($"the archive has a unit '{unknown}' that this machine has not");
        }

        foreach (IStateUnit unit in units)
        {
            SavedUnit found = saved[unit.Id];
            var reader = new StateReader(unit.Id, found.Version, found.Fields);
            unit.Load(reader);
            reader.RequireAllRead();
        }
    }

    private sealed record SavedUnit(int Version, Dictionary<string, byte[]> Fields);

    private static Dictionary<string, SavedUnit> Parse(Stream stream)
    {
        var saved = new Dictionary<string, SavedUnit>(StringComparer.Ordinal);
        using var input = new BinaryReader(stream, Encoding.UTF8, leaveOpen: true);
        try
        {
            if (!input.ReadBytes(Magic.Length).AsSpan().SequenceEqual(Magic))
            {
                throw new StateException("not an archive of saved state");
            }

            uint version = input.ReadUInt32();
            if (version is not (Version or VersionWithoutSchemas))
            {
                throw new StateException($"archive version {version}, but this program reads {VersionWithoutSchemas} to {Version}");
            }

            for (int units = Bounded(input.ReadInt32(), MaximumCount); units > 0; units--)
            {
                string unit = input.ReadString();
                int schema = version == VersionWithoutSchemas ? 1 : input.ReadInt32();
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
                        throw new StateException($"unit '{unit}': field '{name}' twice");
                    }
                }

                if (!saved.TryAdd(unit, new SavedUnit(schema, fields)))
                {
                    throw new StateException($"unit '{unit}' twice");
                }
            }
        }
        catch (Exception e) when (e is EndOfStreamException or FormatException or DecoderFallbackException)
        {
            throw new StateException("the archive is cut short or damaged", e);
        }

        return saved;
    }

    private static int Bounded(int count, int maximum) =>
        count >= 0 && count <= maximum ? count : throw new StateException($"the archive is damaged: a length of {count}");
}

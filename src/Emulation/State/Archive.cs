using System.Text;

namespace Vmm.Emulation.State;

/// <summary>
/// Saved units, little-endian: eight bytes of magic, a 32-bit version of this format, a 32-bit number of units; of each unit its id, the
/// 32-bit version of its schema, the 32-bit length and CRC-32C of its fields, and these (<see cref="SavedUnit.Fields"/>). Names are UTF-8
/// behind a 7-bit-encoded length.
/// <list type="bullet">
/// <item>Version 1 had neither schemas (those of its units are 1) nor lengths and checksums.</item>
/// <item>Version 2 had neither lengths nor checksums.</item>
/// </list>
/// </summary>
public static class Archive
{
    private const uint Version = 3;
    private const uint VersionWithoutLengths = 2;
    private const uint VersionWithoutSchemas = 1;

    // More than every machine has. A unit may be small, and an object is made of each.
    private const int MostUnits = 4096;

    private static ReadOnlySpan<byte> Magic => "VMMSNAP\n"u8;

    /// <summary>Saves all units; <paramref name="stream"/> stays open.</summary>
    public static void Save(Stream stream, IReadOnlyCollection<IStateUnit> units) => Write(stream, [.. units.Select(SavedUnit.Of)]);

    /// <summary>
    /// Loads all units. The file is read and its units are matched by name before any is touched; a unit that refuses its
    /// fields leaves the machine half loaded, to be reset or discarded.
    /// </summary>
    /// <exception cref="StateException">
    /// The file is damaged or of another version, or its units or their fields are not those of this machine.
    /// </exception>
    public static void Load(Stream stream, IReadOnlyCollection<IStateUnit> units)
    {
        byte[] bytes = new byte[stream.Length - stream.Position];
        stream.ReadExactly(bytes);
        Load(Read(bytes), units);
    }

    /// <summary>Loads units in the order in which they are given.</summary>
    /// <inheritdoc cref="Load(Stream, IReadOnlyCollection{IStateUnit})"/>
    public static void Load(IReadOnlyCollection<SavedUnit> saved, IReadOnlyCollection<IStateUnit> units)
    {
        Check(saved, units);
        var byId = saved.ToDictionary(u => u.Id, StringComparer.Ordinal);
        foreach (IStateUnit unit in units)
        {
            byId[unit.Id].LoadInto(unit);
        }
    }

    /// <summary>Whether what was saved are these units, in versions that this program reads.</summary>
    /// <exception cref="StateException">It is not: one line.</exception>
    public static void Check(IReadOnlyCollection<SavedUnit> saved, IReadOnlyCollection<IStateUnit> units)
    {
        var byId = saved.ToDictionary(u => u.Id, StringComparer.Ordinal);
        foreach (IStateUnit unit in units)
        {
            if (!byId.Remove(unit.Id, out SavedUnit? found))
            {
                throw new StateException($"the archive has no unit '{unit.Id}'");
            }

            if (found.Version < 1 || found.Version > unit.SchemaVersion)
            {
                throw new StateException($"unit '{unit.Id}': schema {found.Version}, but this program reads 1 to {unit.SchemaVersion}");
            }
        }

        if (byId.Keys.FirstOrDefault() is { } unknown)
        {
            throw new StateException($"the archive has a unit '{unknown}' that this machine has not");
        }
    }

    /// <summary>Writes an archive; <paramref name="stream"/> stays open.</summary>
    public static void Write(Stream stream, IReadOnlyCollection<SavedUnit> units)
    {
        using var output = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        output.Write(Magic);
        output.Write(Version);
        output.Write(units.Count);
        foreach (SavedUnit unit in units)
        {
            output.Write(unit.Id);
            output.Write(unit.Version);
            output.Write(unit.Fields.Length);
            output.Write(Crc32C.Of(unit.Fields.Span));
            output.Write(unit.Fields.Span);
        }
    }

    /// <summary>The units of an archive, whose fields are parts of <paramref name="bytes"/>.</summary>
    /// <exception cref="StateException">It is damaged or of another version: one line.</exception>
    public static IReadOnlyList<SavedUnit> Read(ReadOnlyMemory<byte> bytes)
    {
        var input = new StateInput(bytes);
        if (bytes.Length < Magic.Length || !input.Take(Magic.Length).Span.SequenceEqual(Magic))
        {
            throw new StateException("not an archive of saved state");
        }

        uint version = input.ReadUInt32();
        if (version is not (Version or VersionWithoutLengths or VersionWithoutSchemas))
        {
            throw new StateException($"archive version {version}, but this program reads {VersionWithoutSchemas} to {Version}");
        }

        var units = new List<SavedUnit>();
        var ids = new HashSet<string>(StringComparer.Ordinal);
        for (int count = input.ReadCount(MostUnits); count > 0; count--)
        {
            string id = input.ReadString();
            int schema = version == VersionWithoutSchemas ? 1 : (int)input.ReadUInt32();
            units.Add(new SavedUnit(id, schema, version == Version ? ReadChecked(input, id) : input.Span(() => input.ReadFields(id))));
            if (!ids.Add(id))
            {
                throw new StateException($"unit '{id}' twice");
            }
        }

        input.RequireEnd();
        return units;
    }

    private static ReadOnlyMemory<byte> ReadChecked(StateInput input, string id)
    {
        uint length = input.ReadUInt32();
        uint checksum = input.ReadUInt32();
        ReadOnlyMemory<byte> fields = input.Take(length <= int.MaxValue ? (int)length : -1);
        return Crc32C.Of(fields.Span) == checksum ? fields : throw new StateException($"unit '{id}' is damaged: its checksum is wrong");
    }
}

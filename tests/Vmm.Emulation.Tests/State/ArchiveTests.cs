using Vmm.Emulation.Devices.Pl061;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Tests.State;

public sealed class ArchiveTests
{
    private sealed class Unit(string name, Action<StateWriter>? save, Action<StateReader>? load, int version = 1) : IStateUnit
    {
        public string Id => name;

        public int SchemaVersion => version;

        public void Save(StateWriter writer) => save?.Invoke(writer);

        public void Load(StateReader reader) => load?.Invoke(reader);
    }

    private static byte[] Saved(string name = "a", int version = 1)
    {
        using var stream = new MemoryStream();
        Archive.Save(stream, [new Unit(name, w => w.Write("x", 42u), null, version)]);
        return stream.ToArray();
    }

    private static string Failure(byte[] snapshot, params IStateUnit[] units) =>
        Assert.Throws<StateException>(() => Archive.Load(new MemoryStream(snapshot), units)).Message;

    [Fact]
    public void Archive_field_comes_back_as_written()
    {
        uint value = 0;
        Archive.Load(new MemoryStream(Saved()), [new Unit("a", null, r => value = r.Read<uint>("x"))]);
        Assert.Equal(42u, value);
    }

    [Fact]
    public void Archive_missing_and_unknown_units_are_refused_before_any_is_loaded()
    {
        bool loaded = false;
        var a = new Unit("a", null, _ => loaded = true);
        Assert.Contains("no unit 'b'", Failure(Saved(), a, new Unit("b", null, null)));
        Assert.Contains("unit 'z'", Failure(Saved("z")));
        Assert.False(loaded);
    }

    [Fact]
    public void Archive_missing_unread_and_missized_fields_are_refused()
    {
        Assert.Contains("no field 'y'", Failure(Saved(), new Unit("a", null, r => r.Read<uint>("y"))));
        Assert.Contains("unknown field 'x'", Failure(Saved(), new Unit("a", null, null)));
        Assert.Contains("has 4 bytes, expected 8", Failure(Saved(), new Unit("a", null, r => r.Read<ulong>("x"))));
    }

    [Fact]
    public void Archive_any_truncation_is_refused()
    {
        byte[] whole = Saved();
        for (int length = 0; length < whole.Length; length++)
        {
            Failure(whole[..length], new Unit("a", null, r => r.Read<uint>("x")));
        }
    }

    [Fact]
    public void Archive_of_an_older_schema_is_read_as_such_and_one_of_a_newer_schema_refused()
    {
        int read = 0;
        void Load(StateReader reader)
        {
            read = reader.Version;
            reader.Read<uint>("x");
        }

        Archive.Load(new MemoryStream(Saved(version: 2)), [new Unit("a", null, Load, version: 3)]);
        Assert.Equal(2, read);
        Assert.Contains("schema 3, but this program reads 1 to 2", Failure(Saved(version: 3), new Unit("a", null, Load, version: 2)));
    }

    [Fact]
    public void Archive_of_the_format_without_schemas_is_read_as_schema_1()
    {
        byte[] whole = Saved();
        int afterId = 16 + 2;
        byte[] old = [.. whole[..8], 1, 0, 0, 0, .. whole[12..afterId], .. whole[(afterId + 12)..]];
        int read = 0;
        Archive.Load(new MemoryStream(old), [new Unit("a", null, r => { read = r.Version; r.Read<uint>("x"); }, version: 5)]);
        Assert.Equal(1, read);
    }

    [Fact]
    public void Archive_of_the_format_without_lengths_is_read()
    {
        byte[] whole = Saved(version: 3);
        int afterSchema = 16 + 2 + 4;
        byte[] old = [.. whole[..8], 2, 0, 0, 0, .. whole[12..afterSchema], .. whole[(afterSchema + 8)..]];
        int read = 0;
        Archive.Load(new MemoryStream(old), [new Unit("a", null, r => { read = r.Version; r.Read<uint>("x"); }, version: 5)]);
        Assert.Equal(3, read);
    }

    [Fact]
    public void Archive_any_flipped_bit_of_the_fields_is_found()
    {
        byte[] whole = Saved();
        int fields = 16 + 2 + 4 + 4;
        for (int bit = fields * 8; bit < whole.Length * 8; bit++)
        {
            byte[] damaged = [.. whole];
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            Failure(damaged, new Unit("a", null, r => r.Read<uint>("x")));
        }
    }

    /// <summary>What a file claims is held against its length before room is made for it.</summary>
    [Theory]
    [InlineData(12)]
    [InlineData(22)]
    [InlineData(30)]
    public void Archive_hostile_lengths_take_no_memory(int at)
    {
        byte[] hostile = Saved();
        new byte[] { 0xFF, 0xFF, 0xFF, 0x7F }.CopyTo(hostile, at);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Failure(hostile, new Unit("a", null, r => r.Read<uint>("x")));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
    }

    [Fact]
    public void Pl061_of_schema_1_is_read_by_this_program()
    {
        var port = new Pl061(UnconnectedLine.New());
        string[] fields = ["inputs", "outputs", "direction", "sense", "bothEdges", "event", "enabled", "alternate", "edges"];
        using var stream = new MemoryStream();
        Archive.Save(stream,
            [new Unit("pl061", w => Array.ForEach(fields, f => w.Write(f, f == "direction" ? (byte)0x5A : (byte)0)), null)]);
        stream.Position = 0;
        Archive.Load(stream, [port]);
        Assert.Equal(0x5Au, port.Read(0x400, 4));
    }
}

using Vmm.Emulation.Snapshot;

namespace Vmm.Emulation.Tests.Snapshot;

public sealed class SnapshotFormatTests
{
    private sealed class Unit(string name, Action<SnapshotWriter>? save, Action<SnapshotReader>? load) : ISnapshotUnit
    {
        public string Name => name;

        public void Save(SnapshotWriter writer) => save?.Invoke(writer);

        public void Load(SnapshotReader reader) => load?.Invoke(reader);
    }

    private static byte[] Saved(string name = "a")
    {
        using var stream = new MemoryStream();
        SnapshotFormat.Save(stream, [new Unit(name, w => w.Write("x", 42u), null)]);
        return stream.ToArray();
    }

    private static string Failure(byte[] snapshot, params ISnapshotUnit[] units) =>
        Assert.Throws<SnapshotException>(() => SnapshotFormat.Load(new MemoryStream(snapshot), units)).Message;

    [Fact]
    public void SnapshotFormat_field_comes_back_as_written()
    {
        uint value = 0;
        SnapshotFormat.Load(new MemoryStream(Saved()), [new Unit("a", null, r => value = r.Read<uint>("x"))]);
        Assert.Equal(42u, value);
    }

    [Fact]
    public void SnapshotFormat_missing_and_unknown_units_are_refused_before_any_is_loaded()
    {
        bool loaded = false;
        var a = new Unit("a", null, _ => loaded = true);
        Assert.Contains("no unit 'b'", Failure(Saved(), a, new Unit("b", null, null)));
        Assert.Contains("unit 'z'", Failure(Saved("z")));
        Assert.False(loaded);
    }

    [Fact]
    public void SnapshotFormat_missing_unread_and_missized_fields_are_refused()
    {
        Assert.Contains("no field 'y'", Failure(Saved(), new Unit("a", null, r => r.Read<uint>("y"))));
        Assert.Contains("unknown field 'x'", Failure(Saved(), new Unit("a", null, null)));
        Assert.Contains("has 4 bytes, expected 8", Failure(Saved(), new Unit("a", null, r => r.Read<ulong>("x"))));
    }

    [Fact]
    public void SnapshotFormat_any_truncation_is_refused()
    {
        byte[] whole = Saved();
        for (int length = 0; length < whole.Length; length++)
        {
            Failure(whole[..length], new Unit("a", null, r => r.Read<uint>("x")));
        }
    }
}

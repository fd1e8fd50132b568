using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Tests.Snapshots;

/// <summary>A store in a folder of its own, and a machine of three blocks and a bit of RAM.</summary>
public abstract class SnapshotFixture : IDisposable
{
    protected const ulong MemoryBytes = (4 * RamImage.BlockSize) - (3 * GuestMemory.PageSize);
    protected static readonly GuestPhysicalAddress s_start = new(0x4000_0000);

    private readonly List<GuestMemory> _memories = [];

    protected string Folder { get; } = Path.Combine(Path.GetTempPath(), $"vmm-snapshots-{Guid.NewGuid():N}");

    internal SnapshotStore Store => new(Folder);

    internal static SavedMachine Machine { get; } = new(
        "virt", MemoryBytes, s_start.Value, true, false, null, null, "max", 0xF0510, 48, ["Lse", "Rng"], 2, 0, 1, 1, 4, 1);

    internal static SavedCpu[] Cpus { get; } =
        [new(0, "cpu-0", true), new(1, "cpu-1", true), new(2, "", false), new(3, "extra", true)];

    /// <summary>RAM with a block of zeros, a block with a page that is not zero, and full blocks; the seed decides what is there.</summary>
    internal GuestMemory Ram(int seed)
    {
        GuestMemory ram = Empty();
        var random = new Random(seed);
        random.NextBytes(ram.Span(s_start + (RamImage.BlockSize + (5 * GuestMemory.PageSize)), GuestMemory.PageSize));
        Span<byte> text = ram.Span(s_start + (2 * RamImage.BlockSize), (int)(MemoryBytes - (2 * RamImage.BlockSize)));
        for (int i = 0; i < text.Length; i++)
        {
            text[i] = (byte)('a' + random.Next(26));
        }

        return ram;
    }

    internal GuestMemory Empty()
    {
        var ram = new GuestMemory(s_start, MemoryBytes);
        _memories.Add(ram);
        return ram;
    }

    internal static byte[] BytesOf(GuestMemory ram) => ram.Span(ram.Start, (int)ram.Size).ToArray();

    internal static IReadOnlyList<SavedUnit> Units(int seed) =>
    [
        SavedUnit.Of(new Unit("psci", seed)), SavedUnit.Of(new Unit("uart/pl011", seed + 1)),
    ];

    internal void Save(
        string tag, int seed, RamCompression compression = RamCompression.None, bool replace = true, string? parent = null) =>
        Save(tag, seed, Ram(seed), compression, replace, parent);

    internal void Save(
        string tag, int seed, GuestMemory ram, RamCompression compression = RamCompression.None, bool replace = true, string? parent = null)
    {
        using SnapshotSave save = Store.Save(tag, replace, parent);
        save.WriteState(Units(seed));
        save.WriteRam(ram, compression);
        save.Commit("test", DateTimeOffset.UnixEpoch, 12345, Machine, Cpus);
    }

    /// <summary>Whether the snapshot is whole and that of a seed, in all its parts.</summary>
    internal void RequireIs(string tag, int seed, SnapshotStore? store = null)
    {
        using Snapshot snapshot = (store ?? Store).Open(tag);
        snapshot.Verify();
        IReadOnlyList<SavedUnit> units = snapshot.ReadState();
        Assert.Equal(Units(seed).Select(u => (u.Id, u.Version, Convert.ToHexString(u.Fields.Span))),
            units.Select(u => (u.Id, u.Version, Convert.ToHexString(u.Fields.Span))));
        GuestMemory ram = Ram(seed + 1);
        snapshot.LoadRam(ram);
        Assert.Equal(BytesOf(Ram(seed)), BytesOf(ram));
    }

    internal SnapshotException Failure(string tag) => Assert.Throws<SnapshotException>(() =>
    {
        using Snapshot snapshot = Store.Open(tag);
        snapshot.Verify();
    });

    internal string[] FilesOf(string tag) => [.. Directory.GetFiles(Path.Combine(Folder, tag)).Order(StringComparer.Ordinal)];

    public void Dispose()
    {
        _memories.ForEach(m => m.Dispose());
        if (Directory.Exists(Folder))
        {
            Directory.Delete(Folder, recursive: true);
        }

        GC.SuppressFinalize(this);
    }

    private sealed class Unit(string id, int value) : IStateUnit
    {
        public string Id => id;

        public int SchemaVersion => 2;

        public void Save(StateWriter writer) => writer.Write("value", value);

        public void Load(StateReader reader) => reader.Read<int>("value");
    }
}

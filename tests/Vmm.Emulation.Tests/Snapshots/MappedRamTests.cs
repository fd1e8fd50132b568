using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Emulation.Tests.Snapshots;

/// <summary>What is done with mapped RAM in the background.</summary>
public sealed class MappedRamTests : SnapshotFixture
{
    private Snapshot Load(GuestMemory ram)
    {
        Snapshot snapshot = Store.Open("one");
        snapshot.LoadRam(ram);
        return snapshot;
    }

    [Fact]
    public void Blocks_are_recorded_as_they_are_touched_and_kept_with_the_snapshot()
    {
        Save("one", 1);
        GuestMemory ram = Empty();
        using Snapshot snapshot = Load(ram);
        int looks = 0;
        var mapped = new MappedRam(snapshot, ram, () =>
        {
            // It asks before each look. A block is touched between the first one and the second.
            if (++looks == 2)
            {
                ram.Span(s_start + RamImage.BlockSize, 1)[0] = 1;
            }

            return false;
        });
        Assert.False(mapped.HasOrder);
        ram.Span(s_start + (2 * RamImage.BlockSize), 1)[0] = 1;
        IReadOnlyList<int> order = mapped.Record();
        Assert.Equal([2, 1], order);

        Store.KeepWorkingSet(snapshot, order);
        using Snapshot again = Load(ram);
        again.Verify();
        var second = new MappedRam(again, ram, () => false);
        Assert.True(second.HasOrder);
        second.Read();
        Assert.Superset(
            Enumerable.Range(RamImage.BlockSize / GuestMemory.PageSize, 2 * RamImage.BlockSize / GuestMemory.PageSize).ToHashSet(),
            ram.PagesInUse().ToHashSet());
        RequireIs("one", 1);

        // It goes with the snapshot, and is not one that took its place.
        Save("one", 2);
        Store.KeepWorkingSet(again, order);
        using Snapshot replaced = Store.Open("one");
        Assert.False(new MappedRam(replaced, ram, () => false).HasOrder);
        Assert.Equal(4, FilesOf("one").Length);
        Store.Remove("one");
        Assert.False(Directory.Exists(Path.Combine(Folder, "one")));
    }

    [Fact]
    public void Block_that_is_damaged_is_noticed_in_whichever_order()
    {
        Save("one", 1);
        string file = FilesOf("one").Single(f => f.EndsWith("ram-1", StringComparison.Ordinal));
        byte[] bytes = File.ReadAllBytes(file);
        bytes[^1] ^= 4;
        File.WriteAllBytes(file, bytes);
        GuestMemory ram = Empty();
        using Snapshot snapshot = Load(ram);
        Assert.Equal("snapshot 'one': block 3 of RAM is damaged: its checksum is wrong",
            Assert.Throws<SnapshotException>(new MappedRam(snapshot, ram, () => false).Read).Message);
        new MappedRam(snapshot, ram, () => true).Read();
        Assert.Empty(new MappedRam(snapshot, ram, () => true).Record());
        Store.KeepWorkingSet(snapshot, [3]);
        using Snapshot again = Load(ram);
        Assert.Throws<SnapshotException>(new MappedRam(again, ram, () => false).Read);
    }

    /// <summary>Nothing depends on a working set: one that is damaged is none, and verify tells.</summary>
    [Fact]
    public void Working_set_that_is_damaged_is_none()
    {
        Save("one", 1);
        using (Snapshot snapshot = Store.Open("one"))
        {
            Store.KeepWorkingSet(snapshot, [2, 1, 0]);
        }

        string file = FilesOf("one").Single(f => f.EndsWith(".order", StringComparison.Ordinal));
        byte[] whole = File.ReadAllBytes(file);
        Assert.Equal(16, whole.Length);
        foreach (byte[] bad in (byte[][])[[], whole[..^1], whole[..^4], [.. whole, 0, 0, 0, 0], [9, .. whole[1..]]])
        {
            File.WriteAllBytes(file, bad);
            Assert.Contains("the working set is damaged", Failure("one").Message);
            using Snapshot snapshot = Store.Open("one");
            Assert.False(new MappedRam(snapshot, Empty(), () => false).HasOrder);
        }
    }
}

using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Emulation.Tests.Snapshots;

/// <summary>Snapshots that have only what differs from their parents.</summary>
public sealed class DiffSnapshotTests : SnapshotFixture
{
    private void RequireHolds(string tag, byte[] expected)
    {
        using Snapshot snapshot = Store.Open(tag);
        snapshot.Verify();
        GuestMemory loaded = Ram(99);
        snapshot.LoadRam(loaded);
        Assert.Equal(expected, BytesOf(loaded));
    }

    private byte[] SaveWith(GuestMemory ram, string tag, string? parent, RamCompression compression)
    {
        Save(tag, 1, ram, compression, parent: parent);
        return BytesOf(ram);
    }

    private long Stored(string tag) => Store.List().Single(e => e.Tag == tag).Manifest!.Ram.Stored;

    [Theory]
    [InlineData(RamCompression.None)]
    [InlineData(RamCompression.Zstd)]
    public void Difference_has_what_was_written_and_all_of_the_chain_comes_back(RamCompression compression)
    {
        GuestMemory ram = Ram(1);
        byte[] one = SaveWith(ram, "one", null, compression);
        ram.Span(s_start + (2 * RamImage.BlockSize) + 5, 1)[0] ^= 1;
        ram.Span(s_start + RamImage.BlockSize, RamImage.BlockSize).Clear();
        byte[] two = SaveWith(ram, "two", "one", compression);
        ram.Span(s_start + 5, 1)[0] = 7;
        byte[] three = SaveWith(ram, "three", "two", compression);
        byte[] same = SaveWith(ram, "four", "three", compression);
        Assert.Equal(three, same);
        RequireHolds("one", one);
        RequireHolds("two", two);
        RequireHolds("three", three);
        RequireHolds("four", three);
        Assert.Equal(0, Stored("four"));
        Assert.InRange(Stored("two"), 1, RamImage.BlockSize);
        Assert.InRange(Stored("three"), 1, GuestMemory.PageSize);
        Assert.Equal(["two"], Store.ChildrenOf("one"));
        using Snapshot snapshot = Store.Open("two");
        Assert.Equal("one", snapshot.Manifest.Parent!.Tag);
    }

    /// <summary>Runs that are long are mapped; this memory has none, so one of its own has.</summary>
    [Fact]
    public void Long_runs_that_differ_are_mapped_over_the_parent()
    {
        const int Blocks = 64;
        using var ram = new GuestMemory(s_start, Blocks * RamImage.BlockSize);
        var random = new Random(5);
        random.NextBytes(ram.Span(s_start, (int)ram.Size));
        SavedMachine machine = Machine with { MemoryBytes = ram.Size };
        void SaveLarge(string tag, string? parent)
        {
            using SnapshotSave save = Store.Save(tag, replace: false, parent);
            save.WriteState(Units(1));
            save.WriteRam(ram, RamCompression.None);
            save.Commit("test", DateTimeOffset.UnixEpoch, 1, machine, Cpus);
        }

        SaveLarge("one", null);
        random.NextBytes(ram.Span(s_start + (8 * RamImage.BlockSize), 20 * RamImage.BlockSize));
        ram.Span(s_start + (10 * RamImage.BlockSize), RamImage.BlockSize).Clear();
        random.NextBytes(ram.Span(s_start + (40 * RamImage.BlockSize), 3 * RamImage.BlockSize));
        random.NextBytes(ram.Span(s_start + ((Blocks - 17) * RamImage.BlockSize), 17 * RamImage.BlockSize));
        SaveLarge("two", "one");
        using Snapshot two = Store.Open("two");
        two.Verify();
        using var loaded = new GuestMemory(s_start, ram.Size);
        two.LoadRam(loaded);
        Assert.True(ram.Span(s_start, (int)ram.Size).SequenceEqual(loaded.Span(s_start, (int)ram.Size)));
        loaded.Span(s_start, (int)ram.Size).Clear();
        two.Verify();
    }

    [Fact]
    public void Parent_is_kept_as_long_as_there_are_children()
    {
        Save("one", 1);
        Save("two", 2, parent: "one");
        Save("three", 3, parent: "one");
        foreach (Action refused in (Action[])[() => Store.Remove("one"), () => Save("one", 5)])
        {
            SnapshotException e = Assert.Throws<SnapshotException>(refused);
            Assert.Equal(SnapshotFault.HasChildren, e.Fault);
            Assert.Contains("'one'", e.Message);
            Assert.Contains("it is the parent of 'three', 'two'", e.Message);
        }

        RequireIs("one", 1);
        RequireIs("two", 2);
        Store.Remove("two");
        Store.Remove("three");
        Store.Remove("one");
        Assert.Empty(Store.List());
    }

    [Fact]
    public void What_can_be_no_parent_is_refused()
    {
        Save("plain", 1);
        Assert.Equal(SnapshotFault.NotFound, Assert.Throws<SnapshotException>(() => Save("two", 2, parent: "none")).Fault);
        Assert.Equal(SnapshotFault.BadName, Assert.Throws<SnapshotException>(() => Save("plain", 2, parent: "plain")).Fault);
        using (SnapshotSave save = Store.Save("two", replace: false, "plain"))
        {
            Assert.Contains("'plain' is not compressed", Assert.Throws<SnapshotException>(() => save.Choose(compress: true)).Message);
            Assert.Equal(RamCompression.None, save.Choose(compress: false));
            using var smaller = new GuestMemory(s_start, GuestMemory.PageSize);
            Assert.Contains("another machine", Assert.Throws<SnapshotException>(() => save.WriteRam(smaller, RamCompression.None)).Message);
        }

        Assert.Equal(["plain"], Store.List().Select(e => e.Tag));
    }

    [Fact]
    public void Snapshot_whose_parent_is_damaged_gone_or_another_is_damaged()
    {
        Save("one", 1);
        Save("two", 1, parent: "one");
        RequireIs("two", 1);
        string ram = Path.Combine(Folder, "one", "ram-1");
        byte[] whole = File.ReadAllBytes(ram);
        whole[2 * RamImage.BlockSize] ^= 1;
        File.WriteAllBytes(ram, whole);
        Assert.Contains("block 2 of RAM is damaged", Failure("two").Message);
        whole[2 * RamImage.BlockSize] ^= 1;
        File.WriteAllBytes(ram, whole);
        RequireIs("two", 1);

        string parent = Path.Combine(Folder, "one");
        Directory.Move(parent, parent + "-away");
        Assert.Contains("needs its parent: Snapshot 'one' does not exist", Failure("two").Message);
        Save("other", 2);
        Directory.Move(Path.Combine(Folder, "other"), parent);
        Assert.Contains("'one' is another snapshot now", Failure("two").Message);
        Assert.Equal(SnapshotFault.Damaged, Failure("two").Fault);
        Assert.Contains("another snapshot", Store.List().Single(e => e.Tag == "two").Damage);
    }
}

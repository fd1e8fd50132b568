using System.Diagnostics;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Snapshots;

namespace Vmm.Emulation.Tests.Snapshots;

public sealed class SnapshotStoreTests : SnapshotFixture
{
    [Theory]
    [InlineData(RamCompression.None)]
    [InlineData(RamCompression.Zstd)]
    public void Snapshot_comes_back_as_it_was_saved(RamCompression compression)
    {
        Save("one", 1, compression);
        RequireIs("one", 1);
        using Snapshot snapshot = Store.Open("one");
        Assert.Equal((1, "test", 12345ul), (snapshot.Manifest.Generation, snapshot.Manifest.Product, snapshot.Manifest.Clock));
        Assert.Equal(Cpus, snapshot.Manifest.Cpus);
        snapshot.RequireFits(Machine);
    }

    /// <summary>Machines of one snapshot share its pages: RAM is one file. What is taken outlives its source.</summary>
    [Fact]
    public void Snapshot_of_another_store_is_taken_with_its_parents()
    {
        Save("base", 1);
        Save("one", 2, parent: "base");
        var other = new SnapshotStore(Path.Combine(Folder, "other"));
        Assert.Equal("one", other.Adopt(Path.Combine(Folder, "one") + "/"));
        Assert.Equal("one", other.Adopt(Path.Combine(Folder, "one")));
        string ram = Path.Combine(Folder, "other", "base", "ram-1");
        using (Process stat = Process.Start(new ProcessStartInfo("stat", ["-c", "%h", ram]) { RedirectStandardOutput = true })!)
        {
            Assert.Equal("2", stat.StandardOutput.ReadToEnd().Trim());
        }

        Store.Remove("one");
        Store.Remove("base");
        RequireIs("one", 2, other);
        Save("one", 3);
        Assert.Equal(SnapshotFault.Exists, Assert.Throws<SnapshotException>(() => other.Adopt(Path.Combine(Folder, "one"))).Fault);
        Assert.Equal(SnapshotFault.NotFound, Assert.Throws<SnapshotException>(() => other.Adopt(Path.Combine(Folder, "two"))).Fault);
    }

    [Fact]
    public void Snapshot_of_the_same_name_takes_the_place_and_leaves_no_file_of_the_old_one()
    {
        Save("one", 1);
        int files = FilesOf("one").Length;
        Save("one", 2, RamCompression.Zstd);
        RequireIs("one", 2);
        Assert.Equal(files, FilesOf("one").Length);
        Assert.Equal(SnapshotFault.Exists, Assert.Throws<SnapshotException>(() => Save("one", 3, replace: false)).Fault);
        RequireIs("one", 2);
    }

    [Fact]
    public void Save_that_is_not_committed_leaves_what_was_there()
    {
        Save("one", 1);
        string[] before = FilesOf("one");
        foreach (string tag in (string[])["one", "new"])
        {
            using SnapshotSave save = Store.Save(tag, replace: true);
            save.WriteState(Units(2));
            save.WriteRam(Ram(2), RamCompression.None);
        }

        RequireIs("one", 1);
        Assert.Equal(before, FilesOf("one"));
        Assert.Equal(["one"], Store.List().Select(e => e.Tag));
        Assert.False(Directory.Exists(Path.Combine(Folder, "new")));
    }

    /// <summary>What a kill leaves: files without a manifest, files beside a snapshot, a manifest that has not become one.</summary>
    [Fact]
    public void Leftovers_of_a_killed_save_are_no_snapshot_and_the_next_start_removes_them()
    {
        Save("one", 1);
        Directory.CreateDirectory(Path.Combine(Folder, "new"));
        foreach (string file in (string[])["one/state-2", "one/ram-2", "one/ram-2.map", "one/manifest.new", "new/ram-1"])
        {
            File.WriteAllText(Path.Combine(Folder, file), "half");
        }

        Assert.Equal(SnapshotFault.NotFound, Failure("new").Fault);
        RequireIs("one", 1);
        Assert.Equal(["new", "one"], Store.CleanUp());
        Assert.Empty(Store.CleanUp());
        Assert.False(Directory.Exists(Path.Combine(Folder, "new")));
        Assert.Equal(4, FilesOf("one").Length);
        RequireIs("one", 1);
    }

    [Fact]
    public void One_program_at_a_time_writes()
    {
        using (Store.Save("one", replace: true))
        {
            Assert.Contains("another program saves", Assert.Throws<SnapshotException>(() => Save("two", 2)).Message);
            Assert.Contains("another program saves", Assert.Throws<SnapshotException>(() => Store.CleanUp()).Message);
        }

        Save("two", 2);
        RequireIs("two", 2);
    }

    [Fact]
    public void Removed_snapshot_is_gone_and_another_file_in_its_folder_stays()
    {
        Save("one", 1);
        Save("two", 2);
        string other = Path.Combine(Folder, "two", "notes.txt");
        File.WriteAllText(other, "mine");
        Store.Remove("one");
        Store.Remove("two");
        Assert.Empty(Store.List());
        Assert.False(Directory.Exists(Path.Combine(Folder, "one")));
        Assert.Equal([other], FilesOf("two"));
        Assert.Equal(SnapshotFault.NotFound, Assert.Throws<SnapshotException>(() => Store.Remove("one")).Fault);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("../one")]
    [InlineData("a/b")]
    [InlineData("-rf")]
    [InlineData("a\nb")]
    [InlineData("ä")]
    public void Names_that_are_no_folder_of_the_store_are_refused(string tag)
    {
        Assert.Equal(SnapshotFault.BadName, Assert.Throws<SnapshotException>(() => Store.Open(tag)).Fault);
        Assert.Equal(SnapshotFault.BadName, Assert.Throws<SnapshotException>(() => Store.Remove(tag)).Fault);
        Assert.Equal(SnapshotFault.BadName, Assert.Throws<SnapshotException>(() => Save(tag, 1)).Fault);
    }

    [Fact]
    public void Store_without_a_folder_is_empty()
    {
        Assert.Empty(Store.List());
        Assert.Empty(Store.CleanUp());
        Assert.Equal("Snapshot 'one' does not exist", Assert.Throws<SnapshotException>(() => Store.Open("one")).Message);
        Assert.False(Directory.Exists(Folder));
    }

    [Fact]
    public void Differences_between_machines_are_all_named()
    {
        Save("one", 1);
        using Snapshot snapshot = Store.Open("one");
        SavedMachine other = Machine with { MemoryBytes = 512 << 20, Acpi = false, Features = ["Lse", "Sha1"], Cores = 2, Sockets = 2 };
        Assert.Equal(
            "snapshot 'one' is of another machine: RAM 244 KiB (here 512 MiB), acpi on (here off), CPUs with Rng, CPUs without Sha1, "
            + "sockets 1 (here 2), cores 4 (here 2)",
            Assert.Throws<SnapshotException>(() => snapshot.RequireFits(other)).Message);
    }

    [Fact]
    public void Pages_of_zeros_take_no_room()
    {
        Save("one", 1);
        long blocks = Blocks(FilesOf("one").Single(f => f.EndsWith("ram-1", StringComparison.Ordinal)));
        long data = (long)MemoryBytes - (2 * RamImage.BlockSize) + GuestMemory.PageSize;
        Assert.InRange(blocks * 512, data, data + GuestMemory.PageSize);
        Assert.Equal(data, Assert.Single(Store.List()).Manifest!.Ram.Stored);
    }

    // Of 512 bytes each, that the file has on the disk (stat(1)).
    private static long Blocks(string file)
    {
        using var stat = System.Diagnostics.Process.Start(
            new System.Diagnostics.ProcessStartInfo("stat", ["-c", "%b", file]) { RedirectStandardOutput = true })!;
        return long.Parse(stat.StandardOutput.ReadToEnd(), System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void Loaded_memory_keeps_its_bytes_when_the_snapshot_is_replaced_removed_or_written_by_the_guest()
    {
        Save("one", 1);
        GuestMemory ram = Empty();
        using (Snapshot snapshot = Store.Open("one"))
        {
            snapshot.LoadRam(ram);
        }

        ram.Span(s_start + (2 * RamImage.BlockSize), 1)[0] = (byte)'!';
        RequireIs("one", 1);
        Save("one", 2);
        Store.Remove("one");
        byte[] expected = BytesOf(Ram(1));
        expected[2 * RamImage.BlockSize] = (byte)'!';
        Assert.Equal(expected, BytesOf(ram));
    }

    [Fact]
    public void Loaded_memory_that_is_cleared_or_zeroed_reads_zero()
    {
        Save("one", 1);
        using Snapshot snapshot = Store.Open("one");
        GuestMemory ram = Empty();
        snapshot.LoadRam(ram);
        byte[] expected = BytesOf(Ram(1));
        ulong from = (2 * RamImage.BlockSize) + 100;
        ram.Zero(s_start + from, 3 * GuestMemory.PageSize);
        expected.AsSpan((int)from, 3 * GuestMemory.PageSize).Clear();
        Assert.Equal(expected, BytesOf(ram));
        ram.Clear();
        Assert.False(BytesOf(ram).AsSpan().ContainsAnyExcept((byte)0));
        ram.Span(s_start, 1)[0] = 1;
        ram.Clear();
        Assert.Equal(0, ram.Span(s_start, 1)[0]);
    }
}

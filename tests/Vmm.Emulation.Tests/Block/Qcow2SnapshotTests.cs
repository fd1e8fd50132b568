using System.Diagnostics;
using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Tests.Block;

/// <summary>
/// Internal snapshots that are made, gone back to and deleted, by us and by QEMU in turns: each side finds what the other one left, and
/// nothing in the image is lost or in use twice.
/// </summary>
public sealed class Qcow2SnapshotTests : IDisposable
{
    private const int Size = 1 << 20;

    private static readonly ImageOptions s_options = new() { Unmap = true, L2CacheSize = 1, RefcountCacheSize = 1 };
    private static readonly DateTimeOffset s_time = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly QemuImages _images = new();

    public void Dispose() => _images.Dispose();

    private string Path => _images.Path("s.qcow2");

    private Qcow2Node Open() => (Qcow2Node)BlockImage.Open(Path, "qcow2", true, s_options);

    private static void Do(Qcow2Change change)
    {
        using (change)
        {
            change.Commit();
        }
    }

    private static Qcow2Snapshot Find(Qcow2Node node, string name) => node.Snapshots.Single(s => s.Name == name);

    [Theory]
    [InlineData("cluster_size=512", "")]
    [InlineData("cluster_size=4k", "")]
    [InlineData("", "")]
    [InlineData("cluster_size=512,refcount_bits=64", "")]
    [InlineData("cluster_size=1k,refcount_bits=4", "")]
    [InlineData("cluster_size=4k,refcount_bits=8,lazy_refcounts=on", "")]
    [InlineData("compat=0.10,cluster_size=512", "fixed")]
    [InlineData("cluster_size=4k", "backing")]
    [InlineData("compat=0.10", "fixed backing")]
    [InlineData("cluster_size=4k", "compressed")]
    [InlineData("cluster_size=64k,compression_type=zstd", "compressed")]
    [InlineData("preallocation=metadata,cluster_size=4k", "")]
    public void Snapshots_of_both_sides_hold_what_the_disk_was(string options, string kind)
    {
        var random = new Random(options.Length + kind.Length);
        byte[] start = Make(options, kind, random);
        var kept = new Dictionary<string, byte[]>();
        Qcow2Node node = Open();
        var model = new DiskModel(node, start, random);
        for (int round = 0; round < 16; round++)
        {
            for (int i = 0; i < 12; i++)
            {
                model.Step(30 << 10);
            }

            if (round % 7 == 3 && !kind.Contains("fixed", StringComparison.Ordinal))
            {
                model.Grow(512 * random.Next(1, 900));
            }

            bool byQemu = random.Next(3) == 0;
            if (byQemu)
            {
                node.Dispose();
            }

            string? chosen = kept.Count == 0 ? null : kept.Keys.Order(StringComparer.Ordinal).ElementAt(random.Next(kept.Count));
            switch (random.Next(5))
            {
                case < 2 when kept.Count < 6:
                    Create(byQemu ? null : node, $"s{round}", round);
                    kept[$"s{round}"] = [.. model.Bytes];
                    break;
                case < 4 when chosen != null:
                    Apply(byQemu ? null : node, chosen);
                    model = new DiskModel(node, [.. kept[chosen]], random);
                    break;
                case 4 when chosen != null:
                    Delete(byQemu ? null : node, chosen);
                    kept.Remove(chosen);
                    break;
            }

            if (!byQemu)
            {
                model.Compare();
                node.Dispose();
            }

            _images.Check("s.qcow2");
            DiskModel.Equal(model.Bytes, _images.Read("s.qcow2"), 0);
            Listed(kept.Keys);
            model.Node = node = Open();
            model.Compare();
        }

        node.Dispose();
        foreach ((string name, byte[] bytes) in kept)
        {
            // QEMU reads as many bytes as the disk has now.
            byte[] read = _images.Read("s.qcow2", "-l", name);
            int both = Math.Min(bytes.Length, read.Length);
            DiskModel.Equal(bytes.AsSpan(0, both), read.AsSpan(0, both), 0);
            using BlockNode snapshot = BlockImage.Open(Path, "qcow2", false, new ImageOptions { Snapshot = name });
            DiskModel.Equal(bytes, DiskModel.ReadAll(snapshot), 0);
        }

        Assert.NotEmpty(kept);
        using (node = Open())
        {
            Do(node.DeleteSnapshots(node.Snapshots));
        }

        _images.Check("s.qcow2");
        DiskModel.Equal(model.Bytes, _images.Read("s.qcow2"), 0);
    }

    private byte[] Make(string options, string kind, Random random)
    {
        byte[] bytes = new byte[Size];
        if (kind.Contains("compressed", StringComparison.Ordinal))
        {
            for (int i = 0; i < Size; i++)
            {
                bytes[i] = (i >> 17) % 3 == 0 ? (byte)random.Next(256) : (byte)((i / 7) ^ (i >> 11));
            }

            File.WriteAllBytes(_images.Path("text.raw"), bytes);
            _images.Image("convert", "-f", "raw", "-O", "qcow2", "-c", "-o", options, "text.raw", "s.qcow2");
        }
        else if (kind.Contains("backing", StringComparison.Ordinal))
        {
            random.NextBytes(bytes);
            File.WriteAllBytes(_images.Path("base.raw"), bytes);
            _images.Create("s.qcow2", options, "-b", "base.raw", "-F", "raw");
        }
        else
        {
            _images.Create("s.qcow2", options, $"{Size}");
        }

        return bytes;
    }

    private void Create(Qcow2Node? node, string name, int round)
    {
        if (node == null)
        {
            _images.Image("snapshot", "-c", name, "s.qcow2");
            return;
        }

        Do(node.CreateSnapshot(name, s_time.AddTicks(round), TimeSpan.FromTicks(round)));
        Qcow2Snapshot made = Find(node, name);
        Assert.Equal((s_time.AddTicks(round), TimeSpan.FromTicks(round), node.Size), (made.Time, made.VmClock, made.DiskSize));
    }

    private void Apply(Qcow2Node? node, string name)
    {
        if (node == null)
        {
            _images.Image("snapshot", "-a", name, "s.qcow2");
            return;
        }

        Do(node.ApplySnapshot(Find(node, name)));
    }

    private void Delete(Qcow2Node? node, string name)
    {
        if (node == null)
        {
            _images.Image("snapshot", "-d", name, "s.qcow2");
            return;
        }

        Do(node.DeleteSnapshots([Find(node, name)]));
    }

    private void Listed(IEnumerable<string> names)
    {
        string list = _images.Image("snapshot", "-l", "s.qcow2");
        string[] rows = [.. list.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(2).Select(r => r.Split(' ',
            StringSplitOptions.RemoveEmptyEntries)[1])];
        Assert.Equal(names.Order(StringComparer.Ordinal), rows.Order(StringComparer.Ordinal));
    }

    /// <summary>Two disks that change together: the second one fails, and the first one is as it was.</summary>
    [Fact]
    public void Commit_that_is_taken_back_leaves_the_disk_as_it_was()
    {
        _images.Create("s.qcow2", "cluster_size=4k", $"{Size}");
        byte[] first = [.. Enumerable.Repeat((byte)1, Size)];
        byte[] second = [.. Enumerable.Repeat((byte)2, Size)];
        using (Qcow2Node node = Open())
        {
            Assert.Equal(Errno.None, node.Write(0, first));
            Do(node.CreateSnapshot("s", s_time, TimeSpan.Zero));
            Assert.Equal(Errno.None, node.Write(0, second));
            using (Qcow2Change change = node.ApplySnapshot(Find(node, "s")))
            {
                change.Commit();
                change.Undo();
            }

            Assert.Equal(second, DiskModel.ReadAll(node));
            using (node.DeleteSnapshots(node.Snapshots))
            {
                // Not committed.
            }

            Assert.Equal(Errno.None, node.Write(0, second));
            Assert.Single(node.Snapshots);
        }

        _images.Check("s.qcow2");
        Assert.Equal(second, _images.Read("s.qcow2"));
        Assert.Equal(first, _images.Read("s.qcow2", "-l", "s"));
    }

    [Theory]
    [InlineData(Errno.ENOSPC)]
    [InlineData(Errno.EIO)]
    public void File_that_cannot_be_written_keeps_what_it_has(Errno failure)
    {
        _images.Create("s.qcow2", "cluster_size=1k", "256k");
        var file = new RecordedFile(File.ReadAllBytes(Path));
        Qcow2Node node = Qcow2Image.Open(file, true, s_options, (_, _) => throw new InvalidOperationException());
        byte[] data = new byte[64 << 10];
        Array.Fill(data, (byte)7);
        Assert.Equal(Errno.None, node.Write(0, data));
        file.Failure = failure;
        Assert.Contains("cannot be written", Assert.Throws<BlockException>(
            () => node.CreateSnapshot("s", s_time, TimeSpan.Zero)).Message, StringComparison.Ordinal);
        file.Failure = Errno.None;
        Assert.Empty(node.Snapshots);
        Assert.Equal(Errno.None, node.Write(4096, data));
        Do(node.CreateSnapshot("s", s_time, TimeSpan.Zero));
        node.Dispose();
        Assert.Empty(Qcow2Checker.Check(file.After(file.Count, () => true), out int leaks));
        Assert.Equal(0, leaks);
    }

    [Fact]
    public void Refcounts_of_one_bit_are_refused_and_those_of_two_end_at_three_references()
    {
        _images.Create("s.qcow2", "refcount_bits=1", $"{Size}");
        using (Qcow2Node node = Open())
        {
            Assert.Equal(Errno.None, node.Write(0, new byte[512]));
            Assert.Contains("refcounts of 1 bits", Assert.Throws<BlockException>(
                () => node.CreateSnapshot("s", s_time, TimeSpan.Zero)).Message, StringComparison.Ordinal);
            Assert.Equal(Errno.None, node.Write(0, new byte[512]));
        }

        _images.Check("s.qcow2");
        _images.Create("s.qcow2", "refcount_bits=2", $"{Size}");
        using (Qcow2Node node = Open())
        {
            Assert.Equal(Errno.None, node.Write(0, new byte[512]));
            Do(node.CreateSnapshot("a", s_time, TimeSpan.Zero));
            Do(node.CreateSnapshot("b", s_time, TimeSpan.Zero));
            Assert.Throws<BlockException>(() => node.CreateSnapshot("c", s_time, TimeSpan.Zero));
        }

        _images.Check("s.qcow2");
    }

    /// <summary>QEMU keeps a machine's state behind the end of the disk, in the same tables.</summary>
    [Fact]
    public void Machine_that_QEMU_saved_stays_in_its_snapshot_and_is_none_of_the_disk()
    {
        _images.Create("s.qcow2", "cluster_size=4k", $"{Size}");
        _images.Io("s.qcow2", $"write -P 1 0 {Size}");
        Monitor("savevm q");
        using (Qcow2Node node = Open())
        {
            Qcow2Snapshot saved = Find(node, "q");
            Assert.True(saved.VmStateSize > 0);
            Assert.Equal(Errno.None, node.Write(0, new byte[Size]));
            Do(node.CreateSnapshot("o", s_time, TimeSpan.Zero));
            Do(node.ApplySnapshot(Find(node, "q")));
            Assert.Equal(Errno.None, node.Resize(64 * Size));
            byte[] all = DiskModel.ReadAll(node);
            Assert.True(all.AsSpan(0, Size).IndexOfAnyExcept((byte)1) < 0 && all.AsSpan(Size).IndexOfAnyExcept((byte)0) < 0);
            Assert.Equal(Errno.None, node.Write(0, new byte[Size]));
            Do(node.DeleteSnapshots([Find(node, "o")]));
            Qcow2Snapshot kept = Find(node, "q");
            Assert.Equal((saved.Id, saved.Time, saved.VmStateSize), (kept.Id, kept.Time, kept.VmStateSize));
        }

        _images.Check("s.qcow2");
        Monitor("loadvm q");
        _images.Check("s.qcow2");
        Assert.Equal([.. Enumerable.Repeat((byte)1, Size)], _images.Read("s.qcow2"));
    }

    // QEMU says nothing when it has done so.
    private void Monitor(string command)
    {
        using Process qemu = _images.Start(
            "qemu-system-aarch64",
            [
                "-M", "none", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio", "-drive",
                "if=none,id=d,format=qcow2,file=s.qcow2",
            ],
            out Task<string> output);
        qemu.StandardInput.Write($"{command}\nquit\n");
        qemu.StandardInput.Close();
        qemu.WaitForExit();
        Assert.True(qemu.ExitCode == 0 && !output.Result.Contains("Error", StringComparison.Ordinal), output.Result);
    }

    [Fact]
    public void Snapshot_deleted_gives_its_room_back_to_the_host()
    {
        BlockImage.CreateQcow2(Path, new Qcow2Options { Size = 64 << 20 });
        byte[] data = new byte[8 << 20];
        new Random(6).NextBytes(data);
        using (Qcow2Node node = Open())
        {
            for (int i = 0; i < 8; i++)
            {
                Assert.Equal(Errno.None, node.Write(0, data));
                Do(node.CreateSnapshot("s", s_time, TimeSpan.Zero));
                Assert.Equal(Errno.None, node.Write(0, data));
                Do(node.DeleteSnapshots(node.Snapshots));
            }

            Assert.InRange(node.Allocated, 0, 10 << 20);
        }

        _images.Check("s.qcow2");
        Assert.InRange(new FileInfo(Path).Length, 0, 28 << 20);
    }
}

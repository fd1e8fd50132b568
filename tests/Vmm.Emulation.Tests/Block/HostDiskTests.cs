using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Tests.Block;

/// <summary>Raw disks, cache modes, locks and limits.</summary>
public sealed class HostDiskTests : IDisposable
{
    private readonly QemuImages _images = new();

    public void Dispose() => _images.Dispose();

    public static TheoryData<string> CacheModes => [.. CacheMode.Names];

    [Fact]
    public void Cache_modes_are_those_of_QEMU()
    {
        Assert.Equal(new CacheMode(true, false, false), CacheMode.Parse("writeback"));
        Assert.Equal(new CacheMode(true, true, false), CacheMode.Parse("none"));
        Assert.Equal(new CacheMode(false, false, false), CacheMode.Parse("writethrough"));
        Assert.Equal(new CacheMode(false, true, false), CacheMode.Parse("directsync"));
        Assert.Equal(new CacheMode(true, false, true), CacheMode.Parse("unsafe"));
        Assert.Null(CacheMode.Parse("off"));
    }

    /// <summary>QEMU's wr_highest_offset: of the disk where the guest wrote, of the file where the image has it.</summary>
    [Fact]
    public void Nodes_know_how_far_they_were_written_and_files_what_was_discarded()
    {
        BlockImage.CreateQcow2(_images.Path("h.qcow2"), new Qcow2Options { Size = 1 << 20, ClusterSize = 4096 });
        using BlockNode node = BlockImage.Open(_images.Path("h.qcow2"), "qcow2", true, new ImageOptions { Unmap = true });
        var file = (FileNode)node.Child!;
        Assert.Equal((0, 0), (node.HighestWritten, file.HighestWritten));
        Assert.Equal(Errno.None, node.Write((1 << 20) - 512, new byte[512]));
        Assert.Equal(Errno.None, node.Write(512, new byte[512]));
        Assert.Equal(Errno.EINVAL, node.Write(1 << 20, new byte[512]));
        Assert.Equal(1 << 20, node.HighestWritten);
        Assert.InRange(file.HighestWritten, 4096 + 512, 256 << 10);
        Assert.Equal((0, 0, 0), file.Discards);
        Assert.Equal(Errno.None, node.Discard(0, 1 << 20));
        Assert.Equal(Errno.None, node.Flush());
        Assert.InRange(file.Discards.Bytes, 4096 + 1024, 2 * 4096);
        Assert.InRange(file.Discards.Done, 1, 2);
        Assert.Equal(0, file.Discards.Failed);
    }

    [Theory]
    [MemberData(nameof(CacheModes))]
    public void Raw_disk_equals_a_plain_array_in_each_cache_mode(string cache)
    {
        // The last sector of the file is not whole.
        byte[] bytes = new byte[(1 << 20) + 512];
        new Random(1).NextBytes(bytes);
        bytes.AsSpan((1 << 20) + 100).Clear();
        File.WriteAllBytes(_images.Path("r.raw"), bytes[..((1 << 20) + 100)]);
        var options = new ImageOptions { Cache = CacheMode.Parse(cache)!.Value, Unmap = true };
        using (BlockNode node = BlockImage.Open(_images.Path("r.raw"), "raw", true, options))
        {
            Assert.Equal(!options.Cache.WriteBack, node is WriteThroughNode);
            var model = new DiskModel(node, bytes, new Random(2));
            model.Compare();
            for (int i = 0; i < 300; i++)
            {
                model.Step(40 << 10);
            }

            model.Grow(1 << 20);
            model.Compare();
            Assert.Equal(Errno.EINVAL, node.Read(model.Bytes.Length - 512, new byte[1024]));
            Assert.Equal(Errno.EINVAL, node.Write(-512, new byte[512]));
            bytes = model.Bytes;
        }

        DiskModel.Equal(bytes, File.ReadAllBytes(_images.Path("r.raw")), 0);
    }

    [Theory]
    [MemberData(nameof(CacheModes))]
    public void Qcow2_disk_equals_a_plain_array_in_each_cache_mode(string cache)
    {
        BlockImage.CreateQcow2(_images.Path("q.qcow2"), new Qcow2Options { Size = 1 << 20, ClusterSize = 512 });
        var options = new ImageOptions { Cache = CacheMode.Parse(cache)!.Value, Unmap = true };
        byte[] bytes = new byte[1 << 20];
        using (BlockNode node = BlockImage.Open(_images.Path("q.qcow2"), "qcow2", true, options))
        {
            var model = new DiskModel(node, bytes, new Random(2));
            for (int i = 0; i < 100; i++)
            {
                model.Step(10 << 10);
            }

            model.Compare();
        }

        _images.Check("q.qcow2");
        DiskModel.Equal(bytes, _images.Read("q.qcow2"), 0);
    }

    [Fact]
    public void Discard_gives_room_back_and_holes_are_told_as_zeros()
    {
        File.WriteAllBytes(_images.Path("h.raw"), [.. Enumerable.Repeat((byte)1, 4 << 20)]);
        using BlockNode node = BlockImage.Open(_images.Path("h.raw"), "raw", true, new ImageOptions { Unmap = true });
        Assert.Equal(Errno.None, node.Discard(1 << 20, 2 << 20));
        Assert.Equal(Errno.None, node.Flush());
        Assert.Equal(Errno.None, node.Status(0, 4 << 20, out BlockStatus data));
        Assert.Equal(Errno.None, node.Status(1 << 20, 3 << 20, out BlockStatus hole));
        Assert.Equal((new BlockStatus(BlockStatusKind.Data, 1 << 20), new BlockStatus(BlockStatusKind.Zero, 2 << 20)), (data, hole));
    }

    [Fact]
    public void Discard_does_nothing_unless_it_is_asked_for()
    {
        File.WriteAllBytes(_images.Path("k.raw"), [.. Enumerable.Repeat((byte)1, 1 << 20)]);
        using BlockNode node = BlockImage.Open(_images.Path("k.raw"), "raw", true, new ImageOptions());
        Assert.Equal(Errno.None, node.Discard(0, 1 << 20));
        byte[] read = new byte[1 << 20];
        Assert.Equal(Errno.None, node.Read(0, read));
        Assert.Equal(-1, read.AsSpan().IndexOfAnyExcept((byte)1));
    }

    [Theory]
    [InlineData(true, true, false)]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(false, false, true)]
    public void Writer_excludes_all_others_of_ours(bool first, bool second, bool both)
    {
        string path = _images.Create("l.qcow2", "", "1M");
        using BlockNode node = BlockImage.Open(path, "qcow2", first, new ImageOptions());
        if (both)
        {
            BlockImage.Open(path, "qcow2", second, new ImageOptions()).Dispose();
            return;
        }

        string message = Assert.Throws<BlockException>(() => BlockImage.Open(path, "qcow2", second, new ImageOptions())).Message;
        Assert.Contains("l.qcow2' is in use: this program ", message, StringComparison.Ordinal);
        BlockImage.Open(path, "qcow2", second, new ImageOptions { Locking = false }).Dispose();
    }

    [Fact]
    public async Task QEMU_and_we_exclude_each_other()
    {
        string path = _images.Create("x.qcow2", "", "1M");
        BlockImage.CreateQcow2(_images.Path("over.qcow2"), new Qcow2Options { BackingFile = "x.qcow2", BackingFormat = "qcow2" });
        using (BlockImage.Open(path, "qcow2", true, new ImageOptions()))
        {
            Assert.NotEqual(0, _images.CheckCode("x.qcow2", out string refusal));
            Assert.Contains("lock", refusal, StringComparison.Ordinal);
        }

        using (BlockImage.Open(_images.Path("over.qcow2"), "qcow2", true, new ImageOptions()))
        {
            // Who stands on an image excludes its writers, not its readers.
            using var reader = _images.Start("qemu-io", ["-r", "-f", "qcow2", "-c", "read 0 1k", "x.qcow2"], out Task<string> read);
            await reader.WaitForExitAsync();
            Assert.Contains("read 1024/1024", await read, StringComparison.Ordinal);
            using var writer = _images.Start("qemu-io", ["-f", "qcow2", "-c", "write 0 1k", "x.qcow2"], out Task<string> text);
            await writer.WaitForExitAsync();
            Assert.Contains("lock", await text, StringComparison.Ordinal);
        }

        // The file has grown when QEMU has all its locks: whoever looks earlier by opening it may keep QEMU out.
        long size = new FileInfo(path).Length;
        using var process = _images.Start("qemu-io", ["-f", "qcow2", "x.qcow2"], out _);
        await process.StandardInput.WriteLineAsync("write 0 512");
        await process.StandardInput.FlushAsync();
        Patience.Until(() => new FileInfo(path).Length > size, "qemu-io has written");
        string message = Assert.Throws<BlockException>(() => BlockImage.Open(path, "qcow2", true, new ImageOptions())).Message;
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        Assert.Contains($"in use: process {process.Id} (qemu-io) ", message, StringComparison.Ordinal);
        BlockImage.Open(path, "qcow2", true, new ImageOptions()).Dispose();
    }

    [Fact]
    public void What_cannot_be_opened_is_told_in_a_line()
    {
        File.WriteAllBytes(_images.Path("z.raw"), new byte[1024]);
        foreach ((string name, string format, string why) in new[]
        {
            ("none", "raw", "cannot be opened: No such file"),
            (".", "raw", "neither a file nor a block device"),
            ("z.raw", "qcow2", "is no qcow2 image"),
            ("z.raw", "vmdk", "the format 'vmdk' is not supported"),
        })
        {
            var refused = Assert.Throws<BlockException>(() => BlockImage.Open(_images.Path(name), format, false, new ImageOptions()));
            Assert.Contains(why, refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', refused.Message);
        }
    }

    [Fact]
    public void Limits_let_bursts_pass_and_then_hold_the_average()
    {
        var clock = new TestClock();
        var group = new ThrottleGroup("g", Limits(("iops-total", 100), ("iops-total-max", 500), ("iops-total-max-length", 2)), clock);
        Assert.Equal(500 * 2, Passed(group, clock, 2000, 1), 60d);

        // The bucket holds 1000 and has lost 200 of them; it is filled, and then loses 100 a second.
        Assert.Equal(200 + (100 * 10), Passed(group, clock, 10_000, 1), 60d);

        // What was not used comes back, up to the burst.
        clock.Pass(TimeSpan.FromSeconds(100));
        Assert.Equal(1000, Passed(group, clock, 2000, 1), 60d);
    }

    [Fact]
    public void Bytes_and_directions_have_limits_of_their_own()
    {
        var clock = new TestClock();
        var group = new ThrottleGroup("g", Limits(("bps-write", 1 << 20), ("iops-read", 10), ("iops-size", 4096)), clock);
        Assert.Equal(10 * 256, Passed(group, clock, 10_000, 4096, isWrite: true), 40d);
        Assert.Equal(50, Passed(group, clock, 10_000, 8192, isWrite: false), 3d);
        group.Limits = ThrottleLimits.None;
        Assert.Equal(TimeSpan.Zero, group.WaitOf(true));
    }

    [Fact]
    public void Change_of_the_limits_lets_requests_go_that_wait()
    {
        File.WriteAllBytes(_images.Path("t.raw"), new byte[1 << 20]);
        var group = new ThrottleGroup("g", Limits(("bps-total", 1)), TimeProvider.System);
        using var node = new ThrottleNode(BlockImage.Open(_images.Path("t.raw"), "raw", true, new ImageOptions()), group);
        Assert.Equal(Errno.None, node.Read(0, new byte[1 << 20]));
        var waiting = new Thread(() => node.Write(0, new byte[512]));
        waiting.Start();
        Assert.NotEqual(TimeSpan.Zero, group.WaitOf(true));
        group.Limits = ThrottleLimits.None;
        Assert.True(waiting.Join(Patience.Limit));
    }

    [Fact]
    public void Lifted_limits_let_a_disk_pass_and_not_its_neighbour()
    {
        File.WriteAllBytes(_images.Path("a.raw"), new byte[1 << 20]);
        File.WriteAllBytes(_images.Path("b.raw"), new byte[1 << 20]);
        var group = new ThrottleGroup("g", Limits(("bps-total", 1)), TimeProvider.System);
        using var one = new ThrottleNode(BlockImage.Open(_images.Path("a.raw"), "raw", true, new ImageOptions()), group);
        using var other = new ThrottleNode(BlockImage.Open(_images.Path("b.raw"), "raw", true, new ImageOptions()), group);
        Assert.Equal(Errno.None, one.Read(0, new byte[1 << 20]));
        var first = new Thread(() => other.Read(0, new byte[512]));
        var second = new Thread(() => one.Read(0, new byte[512]));
        first.Start();
        second.Start();
        one.Lift(true);
        Assert.True(second.Join(Patience.Limit));
        Assert.Equal(Errno.None, one.Write(0, new byte[512]));
        Assert.True(first.IsAlive);
        one.Lift(false);
        Assert.NotEqual(TimeSpan.Zero, group.WaitOf(true));
        other.Lift(true);
        Assert.True(first.Join(Patience.Limit));
    }

    [Theory]
    [InlineData("iops-total-max", 5, "needs throttling.iops-total")]
    [InlineData("iops", 5, "there is no limit 'throttling.iops'")]
    [InlineData("bps-read", -1, "0 to 1000000000000000 is valid")]
    [InlineData("bps-read-max-length", 2, "needs throttling.bps-read-max")]
    public void Limits_that_make_no_sense_are_refused(string name, long value, string why) =>
        Assert.Contains(why, Assert.Throws<BlockException>(() => Limits((name, value))).Message, StringComparison.Ordinal);

    private static ThrottleLimits Limits(params (string Name, long Value)[] values) =>
        ThrottleLimits.Parse(values.ToDictionary(v => v.Name, v => v.Value));

    // How many requests pass in a time, one after another.
    private static double Passed(ThrottleGroup group, TestClock clock, int milliseconds, int bytes, bool isWrite = false)
    {
        int passed = 0;
        using var disk = new ThrottleNode(new RawNode(new RecordedFile([])), group);
        for (int i = 0; i < milliseconds; i++)
        {
            while (group.WaitOf(isWrite) == TimeSpan.Zero)
            {
                group.Enter(disk, isWrite, bytes);
                passed++;
            }

            clock.Pass(TimeSpan.FromMilliseconds(1));
        }

        return passed;
    }

    private sealed class TestClock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan time) => _now += time.Ticks;

        public override long GetTimestamp() => _now;
    }
}

using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Tests.Block;

/// <summary>Images that we made and wrote are whole, and QEMU reads in them what was written.</summary>
public sealed class Qcow2OfOursTests : IDisposable
{
    private readonly QemuImages _images = new();

    public void Dispose() => _images.Dispose();

    [Theory]
    [InlineData(512, 16, 3, false)]
    [InlineData(512, 64, 3, false)]
    [InlineData(512, 1, 3, true)]
    [InlineData(1024, 2, 3, false)]
    [InlineData(4096, 16, 2, false)]
    [InlineData(4096, 4, 3, true)]
    [InlineData(65536, 16, 3, false)]
    [InlineData(65536, 8, 3, true)]
    [InlineData(2097152, 32, 3, false)]
    public void Random_requests_with_resizes_and_reopenings_equal_a_plain_array(int cluster, int bits, int version, bool lazy)
    {
        var random = new Random(cluster + bits);
        string path = _images.Path("o.qcow2");
        BlockImage.CreateQcow2(path, new Qcow2Options
        {
            Size = 1 << 20,
            ClusterSize = cluster,
            RefcountBits = bits,
            Version = version,
            LazyRefcounts = lazy,
        });
        _images.Check("o.qcow2");

        // Caches so small that they are full all the time.
        var options = new ImageOptions { Unmap = true, L2CacheSize = 1, RefcountCacheSize = 1 };
        var model = new DiskModel(BlockImage.Open(path, "qcow2", true, options), new byte[1 << 20], random);
        for (int round = 0; round < 6; round++)
        {
            for (int i = 0; i < 80; i++)
            {
                model.Step(3 * Math.Min(cluster, 100 << 10));
            }

            model.Grow(512 * random.Next(1, 2000));
            model.Compare();
            model.Node.Dispose();
            _images.Check("o.qcow2");
            model.Node = BlockImage.Open(path, "qcow2", true, options);
            model.Compare();
        }

        model.Node.Dispose();
        DiskModel.Equal(model.Bytes, _images.Read("o.qcow2"), 0);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Overlay_hides_what_its_backing_file_has_behind_its_end(int version)
    {
        byte[] below = new byte[1 << 20];
        new Random(1).NextBytes(below);
        File.WriteAllBytes(_images.Path("base.raw"), below);
        BlockImage.CreateQcow2(_images.Path("v.qcow2"), new Qcow2Options
        {
            Size = 100 << 10,
            Version = version,
            BackingFile = "base.raw",
            BackingFormat = "raw",
        });
        byte[] bytes = below[..(100 << 10)];
        using (BlockNode node = BlockImage.Open(_images.Path("v.qcow2"), "qcow2", true, new ImageOptions()))
        {
            var model = new DiskModel(node, bytes, new Random(2));
            model.Compare();
            for (int i = 0; i < 30; i++)
            {
                model.Step(8 << 10);
            }

            model.Grow(2 << 20);
            model.Compare();
            bytes = model.Bytes;
        }

        _images.Check("v.qcow2");
        DiskModel.Equal(bytes, _images.Read("v.qcow2"), 0);
        Assert.Equal(below, File.ReadAllBytes(_images.Path("base.raw")));
    }

    /// <summary>An L1 table of many clusters, and a refcount table that has to grow for the blocks.</summary>
    [Fact]
    public void Disk_grows_over_the_room_of_its_tables()
    {
        string path = _images.Path("g.qcow2");
        BlockImage.CreateQcow2(path, new Qcow2Options { Size = 0, ClusterSize = 512, RefcountBits = 64 });
        byte[] data = new byte[4 << 20];
        new Random(4).NextBytes(data);
        using (BlockNode node = BlockImage.Open(path, "qcow2", true, new ImageOptions()))
        {
            Assert.Equal(Errno.None, node.Resize(1L << 30));
            Assert.Equal(Errno.None, node.Write(512 << 20, data));
            Assert.Equal(Errno.None, node.Resize(2L << 30));
            Assert.Equal(Errno.EFBIG, node.Resize(1L << 38));
            Assert.Equal(Errno.EOPNOTSUPP, node.Resize(1L << 20));
            Assert.Equal(Errno.EINVAL, node.Resize((2L << 30) + 1));
        }

        _images.Check("g.qcow2");
        using BlockNode again = BlockImage.Open(path, "qcow2", false, new ImageOptions());
        Assert.Equal(2L << 30, again.Size);
        byte[] read = new byte[data.Length];
        Assert.Equal(Errno.None, again.Read(512 << 20, read));
        Assert.Equal(data, read);
        Assert.Equal(Errno.EROFS, again.Write(0, data));
    }

    [Fact]
    public void Discarded_clusters_are_used_again_and_given_back_to_the_host()
    {
        string path = _images.Path("f.qcow2");
        BlockImage.CreateQcow2(path, new Qcow2Options { Size = 64 << 20 });
        byte[] data = new byte[8 << 20];
        new Random(6).NextBytes(data);
        using (BlockNode node = BlockImage.Open(path, "qcow2", true, new ImageOptions { Unmap = true }))
        {
            for (int i = 0; i < 8; i++)
            {
                Assert.Equal(Errno.None, node.Write(i * data.Length, data));
                Assert.Equal(Errno.None, node.Discard(i * data.Length, data.Length));
                Assert.Equal(Errno.None, node.Flush());
            }
        }

        _images.Check("f.qcow2");
        Assert.InRange(new FileInfo(path).Length, 0, 10 << 20);
        Assert.Contains("\"actual-size\": ", _images.Image("info", "--output=json", "f.qcow2"), StringComparison.Ordinal);
        string size = _images.Image("info", "--output=json", "f.qcow2").Split("\"actual-size\": ")[1].Split(',', '\n')[0];
        Assert.InRange(long.Parse(size), 0, 2 << 20);
    }

    [Fact]
    public void Requests_of_many_threads_are_all_done()
    {
        const int Threads = 8;
        const int PerThread = 1 << 20;
        string path = _images.Path("t.qcow2");
        BlockImage.CreateQcow2(path, new Qcow2Options { Size = Threads * PerThread, ClusterSize = 8192 });
        byte[] expected = new byte[Threads * PerThread];
        using (BlockNode node = BlockImage.Open(path, "qcow2", true, new ImageOptions { L2CacheSize = 1, RefcountCacheSize = 1 }))
        {
            // Sectors of all threads lie in each cluster, and each thread writes and reads its own.
            var threads = new Thread[Threads];
            var failures = new List<Exception>();
            for (int t = 0; t < Threads; t++)
            {
                int own = t;
                threads[t] = new Thread(() =>
                {
                    try
                    {
                        Work(node, expected, own, Threads);
                    }
                    catch (Exception e)
                    {
                        lock (failures)
                        {
                            failures.Add(e);
                        }
                    }
                });
                threads[t].Start();
            }

            // Snapshots come and go beside them.
            var image = (Qcow2Node)node;
            for (int i = 0; i < 20; i++)
            {
                using Qcow2Change change = i % 2 == 0 ? image.CreateSnapshot("s", DateTimeOffset.UnixEpoch, TimeSpan.Zero)
                    : image.DeleteSnapshots(image.Snapshots);
                change.Commit();
            }

            Assert.All(threads, thread => Assert.True(thread.Join(Patience.Limit)));
            Assert.Empty(failures);
        }

        _images.Check("t.qcow2");
        DiskModel.Equal(expected, _images.Read("t.qcow2"), 0);
    }

    private static void Work(BlockNode node, byte[] expected, int own, int threads)
    {
        var random = new Random(own);
        byte[] data = new byte[512];
        byte[] read = new byte[512];
        int sectors = expected.Length / 512 / threads;
        for (int i = 0; i < 1500; i++)
        {
            int at = ((random.Next(sectors) * threads) + own) * 512;
            Span<byte> mine = expected.AsSpan(at, 512);
            switch (random.Next(8))
            {
                case < 4:
                    random.NextBytes(data);
                    Assert.Equal(Errno.None, node.Write(at, data));
                    data.CopyTo(mine);
                    break;
                case < 6:
                    Assert.Equal(Errno.None, node.Read(at, read));
                    Assert.True(mine.SequenceEqual(read));
                    break;
                case 6:
                    Assert.Equal(Errno.None, node.WriteZeroes(at, 512, true));
                    mine.Clear();
                    break;
                default:
                    Assert.Equal(Errno.None, random.Next(10) == 0 ? node.Flush() : node.Discard(at, 512));
                    break;
            }
        }
    }

    [Fact]
    public void Image_that_cannot_be_is_refused_and_leaves_no_file()
    {
        string path = _images.Path("n.qcow2");
        foreach ((Qcow2Options options, string why) in new[]
        {
            (new Qcow2Options { Size = 1 << 20, ClusterSize = 3000 }, "clusters of 3000 bytes"),
            (new Qcow2Options { Size = 1 << 20, RefcountBits = 128 }, "refcounts of 128 bits"),
            (new Qcow2Options { Size = 1000 }, "a disk of 1000 bytes"),
            (new Qcow2Options { Size = 1L << 40, ClusterSize = 512 }, "larger clusters are needed"),
            (new Qcow2Options { Size = 512, BackingFile = "b" }, "without its format"),
            (new Qcow2Options { BackingFile = "b", BackingFormat = "raw" }, "/b' cannot be opened"),
            (new Qcow2Options { BackingFile = "nbd:x", BackingFormat = "raw" }, "protocols are not supported"),
            (new Qcow2Options(), "needs a size"),
            (new Qcow2Options { Size = 512, Version = 2, LazyRefcounts = true }, "version 2 with lazy refcounts"),
        })
        {
            string message = Assert.Throws<BlockException>(() => BlockImage.CreateQcow2(path, options)).Message;
            Assert.Contains(why, message, StringComparison.Ordinal);
            Assert.False(File.Exists(path));
        }
    }

    [Fact]
    public void Temporary_overlay_leaves_the_disk_as_it_was_and_no_file()
    {
        File.WriteAllBytes(_images.Path("d.raw"), new byte[1 << 20]);
        BlockNode disk = BlockImage.Open(_images.Path("d.raw"), "raw", false, new ImageOptions());
        using (BlockNode overlay = BlockImage.OpenTemporaryOverlay(disk, _images.Folder))
        {
            var model = new DiskModel(overlay, new byte[1 << 20], new Random(8));
            for (int i = 0; i < 50; i++)
            {
                model.Step(64 << 10);
            }

            model.Compare();
            Assert.Single(Directory.GetFiles(_images.Folder));
        }

        Assert.Equal(new byte[1 << 20], File.ReadAllBytes(_images.Path("d.raw")));
    }
}

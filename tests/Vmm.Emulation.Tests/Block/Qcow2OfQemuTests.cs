using Vmm.Emulation.Block;
using Vmm.Emulation.Block.Qcow2;

namespace Vmm.Emulation.Tests.Block;

/// <summary>Images that QEMU wrote are read as QEMU reads them.</summary>
public sealed class Qcow2OfQemuTests : IDisposable
{
    private static readonly string[] s_writes =
    [
        "write -P 1 0 70k", "write -P 2 200k 3k", "write -z 1M 100k", "write -z -u 1200k 512", "write -P 3 2047k 2k", "discard 8k 4k",
        "write -P 4 3000k 72k", "write -P 5 4095k 1k",
    ];

    private readonly QemuImages _images = new();

    public void Dispose() => _images.Dispose();

    [Theory]
    [InlineData("cluster_size=512")]
    [InlineData("cluster_size=4k")]
    [InlineData("")]
    [InlineData("cluster_size=2M")]
    [InlineData("compat=0.10")]
    [InlineData("compat=0.10,cluster_size=512")]
    [InlineData("refcount_bits=1")]
    [InlineData("refcount_bits=2")]
    [InlineData("refcount_bits=4,cluster_size=512")]
    [InlineData("refcount_bits=8")]
    [InlineData("refcount_bits=32")]
    [InlineData("refcount_bits=64,cluster_size=512")]
    [InlineData("preallocation=metadata")]
    [InlineData("preallocation=falloc,cluster_size=4k")]
    [InlineData("preallocation=full")]
    [InlineData("lazy_refcounts=on")]
    public void Disk_is_read_and_then_written_in_turns_with_QEMU(string options)
    {
        string path = _images.Create("a.qcow2", options, "4M");
        _images.Io("a.qcow2", s_writes);
        byte[] expected = _images.Read("a.qcow2");
        var random = new Random(options.Length);
        using (BlockNode node = BlockImage.Open(path, "qcow2", true, new ImageOptions { Unmap = true }))
        {
            var model = new DiskModel(node, expected, random);
            model.Compare();
            for (int i = 0; i < 60; i++)
            {
                model.Step(100 << 10);
            }

            model.Compare();
        }

        _images.Check("a.qcow2");
        DiskModel.Equal(expected, _images.Read("a.qcow2"), 0);
        _images.Io("a.qcow2", s_writes);
        expected = _images.Read("a.qcow2");
        using BlockNode again = BlockImage.Open(path, "qcow2", false, new ImageOptions());
        new DiskModel(again, expected, random).Compare();
    }

    [Theory]
    [InlineData("zlib", "512")]
    [InlineData("zlib", "64k")]
    [InlineData("zlib", "2M")]
    [InlineData("zstd", "4k")]
    [InlineData("zstd", "64k")]
    [InlineData("zstd", "2M")]
    public void Compressed_clusters_are_read_and_replaced(string type, string cluster)
    {
        byte[] text = new byte[4 << 20];
        var random = new Random(7);
        for (int i = 0; i < text.Length; i++)
        {
            // Some that can be compressed, some that cannot.
            text[i] = (i >> 18) % 3 == 0 ? (byte)random.Next(256) : (byte)((i / 7) ^ (i >> 11));
        }

        File.WriteAllBytes(_images.Path("text.raw"), text);
        string options = $"compression_type={type},cluster_size={cluster}";
        _images.Image("convert", "-f", "raw", "-O", "qcow2", "-c", "-o", options, "text.raw", "c.qcow2");
        using (BlockNode node = BlockImage.Open(_images.Path("c.qcow2"), "qcow2", true, new ImageOptions()))
        {
            var model = new DiskModel(node, text, random);
            model.Compare();
            for (int i = 0; i < 40; i++)
            {
                model.Step(50 << 10);
            }

            model.Compare();
        }

        _images.Check("c.qcow2");
        DiskModel.Equal(text, _images.Read("c.qcow2"), 0);
    }

    [Fact]
    public void Chain_of_backing_files_is_read_from_whichever_has_the_bytes()
    {
        Directory.CreateDirectory(_images.Path("sub"));
        File.WriteAllBytes(_images.Path("sub/base.raw"), [.. Enumerable.Range(0, 3000 * 512).Select(i => (byte)(i / 512))]);
        _images.Image("create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "sub/middle.qcow2");
        _images.Image("create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", "-b", "sub/middle.qcow2", "-F", "qcow2", "top.qcow2", "3M");
        _images.Io("sub/middle.qcow2", "write -P 7 100k 1k", "write -z 300k 64k");
        _images.Io("top.qcow2", "write -P 8 101k 512", "write -z 2M 8k");
        byte[] expected = _images.Read("top.qcow2");
        byte[] below = File.ReadAllBytes(_images.Path("sub/middle.qcow2"));
        using (BlockNode node = BlockImage.Open(_images.Path("top.qcow2"), "qcow2", true, new ImageOptions()))
        {
            Assert.Equal("qcow2", node.Backing!.Driver);
            Assert.Equal("raw", node.Backing.Backing!.Driver);
            var model = new DiskModel(node, expected, new Random(3));
            model.Compare();
            for (int i = 0; i < 100; i++)
            {
                model.Step(20 << 10);
            }

            model.Compare();
        }

        _images.Check("top.qcow2");
        DiskModel.Equal(expected, _images.Read("top.qcow2"), 0);
        Assert.Equal(below, File.ReadAllBytes(_images.Path("sub/middle.qcow2")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("compat=0.10,cluster_size=512")]
    [InlineData("refcount_bits=2,cluster_size=4k")]
    public void Snapshots_are_listed_and_read_and_stay_as_they_are(string options)
    {
        string path = _images.Create("s.qcow2", options, "1M");
        _images.Io("s.qcow2", "write -P 1 0 300k");
        _images.Image("snapshot", "-c", "first", "s.qcow2");
        _images.Io("s.qcow2", "write -P 2 100k 300k");
        byte[] first = _images.Read("s.qcow2", "-l", "first");
        byte[] expected = _images.Read("s.qcow2");
        using (BlockNode node = BlockImage.Open(path, "qcow2", true, new ImageOptions()))
        {
            Qcow2Snapshot snapshot = Assert.Single(((Qcow2Node)node).Snapshots);
            Assert.Equal(("1", "first", 1L << 20), (snapshot.Id, snapshot.Name, snapshot.DiskSize));
            Assert.InRange(snapshot.Time, DateTimeOffset.UtcNow.AddHours(-2), DateTimeOffset.UtcNow.AddMinutes(1));
            var model = new DiskModel(node, expected, new Random(5));
            for (int i = 0; i < 80; i++)
            {
                model.Step(40 << 10);
            }

            model.Compare();
        }

        _images.Check("s.qcow2");
        DiskModel.Equal(expected, _images.Read("s.qcow2"), 0);
        DiskModel.Equal(first, _images.Read("s.qcow2", "-l", "first"), 0);
        foreach (string name in new[] { "1", "first" })
        {
            using BlockNode node = BlockImage.Open(path, "qcow2", false, new ImageOptions { Snapshot = name });
            DiskModel.Equal(first, DiskModel.ReadAll(node), 0);
        }
    }

    [Fact]
    public void Image_that_was_not_closed_is_repaired()
    {
        string path = _images.Create("d.qcow2", "lazy_refcounts=on,cluster_size=4k", "2M");
        using (var process = _images.Start("qemu-io", ["-f", "qcow2", "d.qcow2"], out _))
        {
            process.StandardInput.WriteLine("write -P 9 0 1M");
            process.StandardInput.WriteLine("write -P 8 1M 100k");
            process.StandardInput.WriteLine("flush");
            process.StandardInput.WriteLine("sleep 100");
            process.StandardInput.WriteLine("abort");
            process.StandardInput.Close();
            process.WaitForExit();
        }

        Assert.NotEqual(0, _images.CheckCode("d.qcow2", out _));
        using (BlockNode node = BlockImage.Open(path, "qcow2", true, new ImageOptions()))
        {
            byte[] all = DiskModel.ReadAll(node);
            Assert.Equal((9, 8, 0), ((int)all[0], (int)all[1 << 20], (int)all[^1]));
        }

        _images.Check("d.qcow2");
    }

    [Theory]
    [InlineData("data_file=x.data", "external data file")]
    [InlineData("extended_l2=on", "extended L2 entries")]
    [InlineData("encryption=on", "encrypted (AES)")]
    public void What_is_not_supported_is_refused_by_name(string options, string name)
    {
        string[] secret = options.StartsWith("enc", StringComparison.Ordinal)
            ? ["--object", "secret,id=k,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=k"] : ["-o", options];
        _images.Image(["create", "-q", "-f", "qcow2", .. secret, "n.qcow2", "1M"]);
        var refused = Assert.Throws<BlockException>(() => BlockImage.Open(_images.Path("n.qcow2"), "qcow2", false, new ImageOptions()));
        Assert.Contains(name, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_feature_is_refused_with_the_word_that_the_image_has_for_it()
    {
        string path = _images.Create("u.qcow2", "", "1M");
        byte[] image = File.ReadAllBytes(path);
        int name = image.AsSpan().IndexOf("extended L2 entries"u8);
        image[name - 1] = 9;
        "time travel\0"u8.CopyTo(image.AsSpan(name));
        image[Qcow2Spec.IncompatibleFeatures + 6] = 2;
        File.WriteAllBytes(path, image);
        var refused = Assert.Throws<BlockException>(() => BlockImage.Open(path, "qcow2", false, new ImageOptions()));
        Assert.EndsWith("needs what is not supported: time travel", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Autoclear_bits_are_cleared_by_a_writer_only()
    {
        string path = _images.Create("b.qcow2", "", "1M");
        _images.Image("bitmap", "--add", "b.qcow2", "bits");
        byte[] was = File.ReadAllBytes(path);
        Assert.NotEqual(0, was[Qcow2Spec.AutoclearFeatures + 7]);
        BlockImage.Open(path, "qcow2", false, new ImageOptions()).Dispose();
        Assert.Equal(was, File.ReadAllBytes(path));
        BlockImage.Open(path, "qcow2", true, new ImageOptions()).Dispose();
        Assert.Equal(0, File.ReadAllBytes(path)[Qcow2Spec.AutoclearFeatures + 7]);
    }

    [Fact]
    public void Backing_file_without_a_format_is_not_probed()
    {
        File.WriteAllBytes(_images.Path("base.raw"), new byte[1 << 20]);
        _images.Image("create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "t.qcow2");
        byte[] image = File.ReadAllBytes(_images.Path("t.qcow2"));
        int extension = image.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xE2, 0x79, 0x2A, 0xCA]);
        image[extension] = 0x11;
        File.WriteAllBytes(_images.Path("t.qcow2"), image);
        var refused = Assert.Throws<BlockException>(() => BlockImage.Open(_images.Path("t.qcow2"), "qcow2", false, new ImageOptions()));
        Assert.Contains("does not say which format its backing file 'base.raw' has", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Image_marked_as_corrupt_is_read_and_not_written()
    {
        string path = _images.Create("c.qcow2", "", "1M");
        byte[] image = File.ReadAllBytes(path);
        image[Qcow2Spec.IncompatibleFeatures + 7] |= 2;
        File.WriteAllBytes(path, image);
        Assert.Contains("marked as damaged", Assert.Throws<BlockException>(
            () => BlockImage.Open(path, "qcow2", true, new ImageOptions())).Message, StringComparison.Ordinal);
        using BlockNode node = BlockImage.Open(path, "qcow2", false, new ImageOptions());
        Assert.Equal(1 << 20, node.Size);
    }
}

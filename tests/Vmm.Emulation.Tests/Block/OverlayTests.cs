using Vmm.Emulation.Block;

namespace Vmm.Emulation.Tests.Block;

/// <summary>A disk that gets overlays while it is open.</summary>
public sealed class OverlayTests : IDisposable
{
    private const int Size = 1 << 20;

    private readonly QemuImages _images = new();

    public void Dispose() => _images.Dispose();

    [Theory]
    [InlineData("raw")]
    [InlineData("qcow2")]
    public void Overlay_takes_what_is_written_and_the_image_stays_as_it_was(string format)
    {
        _images.Image("create", "-q", "-f", format, "base", $"{Size}");
        using BlockBackend disk = Open("base", format);
        Write(disk, 0, 1);
        disk.PutOverlay(_images.Path("first"), "", exists: false);
        string name = disk.NodeName;
        Write(disk, 4096, 2);
        disk.PutOverlay(_images.Path("second"), "named", exists: false);
        Assert.NotEqual(name, disk.NodeName);
        Assert.Equal("named", disk.Root!.NodeName);
        Write(disk, 8192, 3);
        byte[] all = new byte[Size];
        Assert.Equal(Errno.None, disk.Root.Read(0, all));
        Assert.Equal([1, 2, 3, 0], new[] { all[0], all[4096], all[8192], all[12288] });

        // The images below may be read and not written by others.
        Assert.Throws<BlockException>(() => BlockImage.Open(_images.Path("base"), format, true, new ImageOptions()));
        BlockImage.Open(_images.Path("base"), format, false, new ImageOptions()).Dispose();
        disk.Close();
        _images.Check("first");
        _images.Check("second");
        Assert.Equal(all, _images.Read("second"));
        Assert.Equal(0, _images.Read("first")[8192]);
        _images.Image("convert", "-f", format, "-O", "raw", "base", "base.bytes");
        byte[] first = File.ReadAllBytes(_images.Path("base.bytes"));
        Assert.Equal([1, 0, 0], new[] { first[0], first[4096], first[8192] });

        // It is opened again by the overlay.
        disk.Open();
        Assert.Equal(("named", _images.Path("second")), (disk.Root!.NodeName, disk.Root.FileName));
    }

    [Fact]
    public void Overlay_that_cannot_be_leaves_the_disk_as_it_was()
    {
        _images.Image("create", "-q", "-f", "raw", "base", $"{Size}");
        using BlockBackend disk = Open("base", "raw");
        File.WriteAllText(_images.Path("there"), "of somebody");
        Assert.Contains("File exists", Refusal("there", exists: false), StringComparison.Ordinal);
        Assert.Equal("of somebody", File.ReadAllText(_images.Path("there")));
        Assert.Contains("is no qcow2 image", Refusal("there", exists: true), StringComparison.Ordinal);
        Assert.Contains("No such file", Refusal("nowhere/x", exists: false), StringComparison.Ordinal);
        Write(disk, 0, 5);
        Assert.Equal(Errno.None, disk.Root!.Flush());
        Assert.Equal(5, File.ReadAllBytes(_images.Path("base"))[0]);

        string Refusal(string name, bool exists) =>
            Assert.Throws<BlockException>(() => disk.PutOverlay(_images.Path(name), "", exists)).Message;
    }

    private BlockBackend Open(string name, string format)
    {
        BlockNode Image(string path, string kind) => BlockImage.Open(path, kind, true, new ImageOptions());
        var disk = new BlockBackend("disk", isReadOnly: false, () => Image(_images.Path(name), format))
        {
            NodeName = "node",
            OpenOverlay = path => Image(path, "qcow2"),
        };
        disk.Open();
        return disk;
    }

    private static void Write(BlockBackend disk, long offset, byte value)
    {
        byte[] data = new byte[4096];
        data.AsSpan().Fill(value);
        Assert.Equal(Errno.None, disk.Root!.Write(offset, data));
    }
}

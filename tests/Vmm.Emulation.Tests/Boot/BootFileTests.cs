using System.Text;
using Microsoft.Win32.SafeHandles;
using Vmm.Emulation.Boot;

namespace Vmm.Emulation.Tests.Boot;

public sealed class BootFileTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void A_file_is_read_anew_each_time()
    {
        File.WriteAllText(_path, "first kernel");
        using SafeFileHandle handle = File.OpenHandle(_path);
        BootFile file = BootFile.Of(handle, "kernel");
        Assert.Equal("first kernel", Text(file));
        using (FileStream writer = new(_path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            writer.Write("a longer second kernel"u8);
        }

        Assert.Equal("a longer second kernel", Text(file));
        Assert.Equal(22, file.Length);
    }

    [Fact]
    public void A_file_that_another_replaces_stays_the_one_that_was_opened()
    {
        File.WriteAllText(_path, "old");
        using SafeFileHandle handle = File.OpenHandle(_path);
        BootFile file = BootFile.Of(handle, "kernel");
        File.WriteAllText(_path + ".new", "new");
        File.Move(_path + ".new", _path, overwrite: true);
        Assert.Equal("old", Text(file));
    }

    [Fact]
    public void A_file_that_ends_too_early_is_said_in_one_line()
    {
        File.WriteAllText(_path, "short");
        using SafeFileHandle handle = File.OpenHandle(_path);
        var e = Assert.Throws<InvalidDataException>(() => BootFile.Of(handle, "kernel 'k'").Read(0, new byte[6]));
        Assert.Equal("the kernel 'k' has become shorter while it was read", e.Message);
    }

    [Fact]
    public void The_head_is_at_most_64_KiB()
    {
        byte[] bytes = new byte[100_000];
        bytes[65_535] = 1;
        bytes[65_536] = 2;
        BootFile file = bytes;
        Assert.Equal(bytes[..65_536], file.ReadHead().ToArray());
        Assert.Equal(bytes, file.ReadAll().ToArray());
        Assert.True(BootFile.Empty.IsEmpty);
    }

    private static string Text(BootFile file) => Encoding.UTF8.GetString(file.ReadAll().Span);
}

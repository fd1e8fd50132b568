using System.Diagnostics;
using System.Text;
using Vmm.Host.Guest.Disk;

namespace Vmm.Host.Tests.Guest;

/// <summary>The disks for cloud-init, as dosfstools and mtools read them.</summary>
public sealed class SeedImageTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-seed-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(512)]
    [InlineData(513)]
    [InlineData(2_100_000)]
    [InlineData(9_000_000)]
    public void Files_of_any_size_are_read_as_they_were(int length)
    {
        byte[] userData = new byte[length];
        new Random(length).NextBytes(userData);
        byte[] metaData = Encoding.UTF8.GetBytes("instance-id: one\n");
        string image = Write(SeedImage.Make(userData, metaData, [1, 2, 3]));
        Run("/usr/sbin/fsck.fat", "-n", image);
        Assert.Contains("CIDATA", Run("mlabel", "-s", "-i", image, "::"), StringComparison.Ordinal);
        Assert.Equal(userData, Copy(image, "user-data"));
        Assert.Equal(metaData, Copy(image, "meta-data"));
        Assert.Equal([1, 2, 3], Copy(image, "network-config"));
    }

    [Fact]
    public void Identity_follows_from_the_user_data()
    {
        string Id(string text) => Encoding.UTF8.GetString(Copy(Write(SeedImage.Make(Encoding.UTF8.GetBytes(text))), "meta-data"));
        Assert.Equal(Id("a"), Id("a"));
        Assert.NotEqual(Id("a"), Id("b"));
        Assert.StartsWith("instance-id: ", Id("a"), StringComparison.Ordinal);
    }

    [Fact]
    public void Names_of_any_length_and_many_files_are_found()
    {
        (string Name, byte[] Content)[] files =
            [.. Enumerable.Range(1, 60).Select(i => (new string('n', i) + ".x", Encoding.UTF8.GetBytes($"file {i}")))];
        string image = Write(FatImage.Make("LABEL", files));
        Run("/usr/sbin/fsck.fat", "-n", image);
        Assert.All(files, file => Assert.Equal(file.Content, Copy(image, file.Name)));
    }

    [Fact]
    public void Too_much_is_refused()
    {
        Assert.Throws<ArgumentException>(() => FatImage.Make("LABEL", [("big", new byte[140 << 20])]));
        (string, byte[])[] many = [.. Enumerable.Range(0, 512).Select(i => ($"{i}", Array.Empty<byte>()))];
        Assert.Throws<ArgumentException>(() => FatImage.Make("LABEL", many));
    }

    private string Write(byte[] image)
    {
        string path = Path.Combine(_folder.FullName, "image");
        File.WriteAllBytes(path, image);
        return path;
    }

    private byte[] Copy(string image, string name)
    {
        string copy = Path.Combine(_folder.FullName, "copy");
        Run("mcopy", "-n", "-o", "-i", image, $"::/{name}", copy);
        return File.ReadAllBytes(copy);
    }

    private static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        string said = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {said}");
        return said;
    }
}

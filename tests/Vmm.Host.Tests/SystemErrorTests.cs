using Vmm.Host.Options;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Text;

namespace Vmm.Host.Tests;

/// <summary>What the system refuses is said in its own words, whatever .NET makes of it.</summary>
public sealed class SystemErrorTests
{
    [Theory]
    [InlineData("", "No such file or directory")]
    [InlineData("/nonexistent", "No such file or directory")]
    [InlineData("/nonexistent/x", "No such file or directory")]
    [InlineData("/etc/passwd/x", "Not a directory")]
    [InlineData("/etc", "Is a directory")]
    [InlineData("LONG", "File name too long")]
    public void Files(string path, string words)
    {
        path = path == "LONG" ? $"/tmp/{new string('x', 300)}" : path;
        Exception error = Assert.ThrowsAny<Exception>(() => new FileStream(path, FileMode.Open, FileAccess.Read));
        Assert.Equal(words, SystemError.Describe(error, path));
    }

    [Fact]
    public void Full_disk_and_file_in_use()
    {
        Assert.Equal("No space left on device",
            SystemError.Describe(Assert.ThrowsAny<Exception>(() => File.WriteAllText("/dev/full", "x")), "/dev/full"));
        string path = Path.GetTempFileName();
        using (new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
        {
            Assert.Equal("another process uses it", SystemError.Describe(
                Assert.ThrowsAny<Exception>(() => new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None)), path));
        }

        File.Delete(path);
    }

    [Theory]
    [InlineData("unix:/nonexistent/s", true, "cannot listen at unix:/nonexistent/s: No such file or directory")]
    [InlineData("unix:/nonexistent/s", false, "cannot connect to unix:/nonexistent/s: No such file or directory")]
    [InlineData("unix:/etc/passwd/s", true, "cannot listen at unix:/etc/passwd/s: Not a directory")]
    [InlineData("unix:/etc/passwd", true, "cannot listen at unix:/etc/passwd: Address already in use")]
    [InlineData("tcp:127.0.0.1:1", false, "cannot connect to tcp:127.0.0.1:1: Connection refused")]
    [InlineData("tcp:192.0.2.1:4000", true, "cannot listen at tcp:192.0.2.1:4000: Cannot assign requested address")]
    [InlineData("tcp:nohost.invalid:4000", true, "cannot listen at tcp:nohost.invalid:4000: Name or service not known")]
    public void Sockets(string address, bool server, string message)
    {
        SocketTarget target = CharacterDeviceOption.Parse($"{address},server={(server ? "on" : "off")},wait=off").Target!;
        Assert.Equal(message, Assert.Throws<CharacterDeviceException>(() => new SocketDevice("s", target)).Message);
    }

    [Fact]
    public void Words_of_a_parameter_are_left_out() =>
        Assert.Equal("wrong", SystemError.Describe(new ArgumentException("wrong", "path")));
}

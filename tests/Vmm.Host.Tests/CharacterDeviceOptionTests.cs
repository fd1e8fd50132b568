using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Console;
using Vmm.Host.Options;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Commands;

namespace Vmm.Host.Tests;

public sealed class CharacterDeviceOptionTests
{
    [Theory]
    [InlineData("unix:/tmp/q,server,wait=off", "/tmp/q", "", 0, true, false)]
    [InlineData("unix:/tmp/q,server,nowait", "/tmp/q", "", 0, true, false)]
    [InlineData("unix:/tmp/q,server=on,wait=on", "/tmp/q", "", 0, true, true)]
    [InlineData("unix:/tmp/q,server=on", "/tmp/q", "", 0, true, true)]
    [InlineData("unix:/tmp/q", "/tmp/q", "", 0, false, false)]
    [InlineData("tcp:127.0.0.1:4444,server=on,wait=off", null, "127.0.0.1", 4444, true, false)]
    [InlineData("tcp:localhost:4444,server=on,wait=off,nodelay=on", null, "127.0.0.1", 4444, true, false)]
    [InlineData("tcp::4444,server,nowait", null, "", 4444, true, false)]
    [InlineData("tcp:example:1", null, "example", 1, false, false)]
    public void Socket_is_read_as_QEMU_reads_it(string text, string? path, string host, int port, bool server, bool wait) =>
        Assert.Equal(new SocketTarget(path, host, port, server, wait), CharacterDeviceOption.Parse(text).Target);

    [Theory]
    [InlineData("stdio", CharacterDeviceKind.Stdio, false)]
    [InlineData("mon:stdio", CharacterDeviceKind.Stdio, true)]
    [InlineData("none", CharacterDeviceKind.Null, false)]
    [InlineData("null", CharacterDeviceKind.Null, false)]
    [InlineData("file:/tmp/a,b", CharacterDeviceKind.File, false)]
    [InlineData("chardev:c0", CharacterDeviceKind.Reference, false)]
    public void Others_are_read_by_their_names(string text, CharacterDeviceKind kind, bool multiplexed)
    {
        CharacterDeviceOption option = CharacterDeviceOption.Parse(text);
        Assert.Equal((kind, multiplexed), (option.Kind, option.Multiplexed));
    }

    [Theory]
    [InlineData("telnet:127.0.0.1:1,server", "not supported: a character device of type 'telnet'")]
    [InlineData("pty", "not supported: a character device of type 'pty'")]
    [InlineData("vc", "not supported: a character device of type 'vc'")]
    [InlineData("frobnicate", "'frobnicate' is not a valid char driver name")]
    [InlineData("", "'' is not a valid char driver name")]
    [InlineData("unix:", "'unix' is not a valid char driver name")]
    [InlineData("unix:,server", "a socket has either a path or a port")]
    [InlineData("unix:/tmp/q,server,frob=1", "Invalid parameter 'frob'")]
    [InlineData("unix:/tmp/q,server=maybe", "Parameter 'server' expects 'on' or 'off'")]
    [InlineData("tcp:127.0.0.1:99999,server", "'99999' is no port")]
    [InlineData("tcp:127.0.0.1:0", "'0' is no port")]
    [InlineData("tcp:4444", "'tcp' is not a valid char driver name")]
    public void Wrong_is_said_in_one_line(string text, string message)
    {
        string said = Assert.Throws<OptionException>(() => CharacterDeviceOption.Parse(text)).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    [Theory]
    [InlineData("socket,path=/tmp/q", "Parameter 'id' is missing")]
    [InlineData("socket,id=c", "a socket has either a path or a port")]
    [InlineData("socket,id=c,path=/tmp/q,port=1", "a socket has either a path or a port")]
    [InlineData("file,id=c", "Parameter 'path' is missing")]
    [InlineData("null,id=c,path=x", "Invalid parameter 'path'")]
    [InlineData("ringbuf,id=c", "not supported")]
    public void Chardev_wrong_is_said_in_one_line(string text, string message) =>
        Assert.Contains(message, Assert.Throws<OptionException>(() => CharacterDeviceOption.ParseChardev(text)).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("c0,mode=control,pretty=on", true, true)]
    [InlineData("chardev=c0,mode=readline", false, false)]
    [InlineData("mode=control,chardev=c0", true, false)]
    public void Mon_names_a_device_and_a_mode(string text, bool control, bool pretty) =>
        Assert.Equal(new MonitorOption("c0", control, pretty), MonitorOption.Parse(text));

    [Theory]
    [InlineData("-serial stdio -monitor stdio", "cannot use stdio by multiple character devices")]
    [InlineData("-mon chardev=nosuch", "chardev \"nosuch\" not found")]
    [InlineData("-chardev null,id=a -chardev null,id=a", "Duplicate ID 'a' for chardev")]
    [InlineData("-chardev file,id=a,path=/dev/null -serial chardev:a -mon a", "Device 'a' is in use")]
    [InlineData("-serial file:/nonexistent/serial", "cannot write '/nonexistent/serial'")]
    [InlineData("-qmp unix:/nonexistent/socket,server,wait=off", "cannot listen at unix:/nonexistent/socket")]
    [InlineData("-qmp unix:/nonexistent/socket", "cannot connect to unix:/nonexistent/socket")]
    public void What_does_not_go_together_is_said_in_one_line(string arguments, string message)
    {
        var machine = new MachineConfig(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 1, 1), 64 << 20, new BootConfig(default, null, ""));
        string said = Assert.Throws<OptionException>(
            () => MonitorHost.Open(CommandLine.Parse(arguments.Split(' ')), machine, () => { })).Message;
        Assert.Contains(message, said, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', said);
    }

    [Fact]
    public async Task Socket_file_that_nobody_listens_at_is_replaced_and_others_are_kept()
    {
        string path = Path.Combine(Path.GetTempPath(), $"vmm-socket-{Guid.NewGuid():N}");
        var target = new SocketTarget(path, "", 0, Server: true, Wait: false);
        using (var left = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream,
            System.Net.Sockets.ProtocolType.Unspecified))
        {
            left.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint(path));
            left.Listen();
            Assert.Throws<CharacterDeviceException>(() => new SocketDevice("a", target));
        }

        await using (var device = new SocketDevice("a", target))
        {
            Assert.True(File.Exists(path));
        }

        Assert.False(File.Exists(path));
        await File.WriteAllTextAsync(path, "no socket");
        Assert.Throws<CharacterDeviceException>(() => new SocketDevice("a", target));
        File.Delete(path);
    }
}

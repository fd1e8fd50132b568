using System.Net.Sockets;
using System.Text;
using Vmm.Actors.Protocol;
using Vmm.Management.Tests.Qmp;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Hmp;

namespace Vmm.Management.Tests.Hmp;

/// <summary>A monitor for people at a socket.</summary>
public sealed class HmpServerTests : IDisposable
{
    private readonly FakeVm _vm = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"vmm-hmp-{Guid.NewGuid():N}");
    private readonly SocketDevice _device;
    private readonly HmpServer _server;
    private readonly Task _serving;

    public HmpServerTests()
    {
        _device = new SocketDevice("monitor", new SocketTarget(_path, "", 0, Server: true, Wait: false));
        _server = new HmpServer(_vm.Commands);
        _serving = _server.RunAsync(_device, _stop.Token);
    }

    public void Dispose()
    {
        _stop.Cancel();
        Assert.True(_serving.Wait(Patience.Limit));
        _device.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _vm.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _stop.Dispose();
    }

    [Fact]
    public async Task Commands_are_echoed_completed_and_answered()
    {
        using Socket person = await Connect();
        Assert.EndsWith("monitor - type 'help' for more information\r\n(vmm) ", await Until(person, "(vmm) "), StringComparison.Ordinal);
        person.Send("info na\t\r"u8);
        Assert.Equal("info name \r\nguest\r\n(vmm) ", await Until(person, "(vmm) "));
        person.Send("device_del cpu9\n"u8);
        Assert.Equal("device_del cpu9\r\nError: Device 'cpu9' not found\r\n(vmm) ", await Until(person, "(vmm) "));
        person.Send("info history\r"u8);
        Assert.Equal("info history\r\n0: 'info name '\r\n1: 'device_del cpu9'\r\n2: 'info history'\r\n(vmm) ",
            await Until(person, "(vmm) "));
    }

    [Fact]
    public async Task Outcome_is_told_to_everybody()
    {
        using Socket first = await Connect();
        using Socket second = await Connect();
        await Until(first, "(vmm) ");
        await Until(second, "(vmm) ");
        _server.Report(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        Assert.Contains("plug of core4 (CPU 4): done", await Until(first, "(vmm) "), StringComparison.Ordinal);
        Assert.Contains("plug of core4 (CPU 4): done", await Until(second, "(vmm) "), StringComparison.Ordinal);
    }

    private async Task<Socket> Connect()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_path));
        return socket;
    }

    private static async Task<string> Until(Socket socket, string end)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[1];
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (!text.ToString().EndsWith(end, StringComparison.Ordinal) && await socket.ReceiveAsync(buffer, patience.Token) == 1)
        {
            text.Append((char)buffer[0]);
        }

        return text.ToString();
    }
}

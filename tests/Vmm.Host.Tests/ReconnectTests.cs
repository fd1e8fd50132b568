using System.Diagnostics;
using System.Net.Sockets;
using Vmm.Host.Options;

namespace Vmm.Host.Tests;

/// <summary>A socket that the program connects to is one that comes, goes and comes again (<c>reconnect-ms=</c>).</summary>
public sealed class ReconnectTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-reconnect-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Monitor_connects_whenever_somebody_listens()
    {
        string image = Path.Combine(_folder, "Image");
        string path = Path.Combine(_folder, "socket");
        await File.WriteAllBytesAsync(image, EmptyMachine.Program.ToArray());
        using Process vm = VmmProcess.Start(["-m", "128M", "-kernel", image, "-serial", "none", "-monitor", "stdio",
            "-chardev", $"socket,id=c,path={path},reconnect-ms=50", "-mon", "chardev=c,mode=control"]);
        await StdioMonitor.AwaitRunningAsync(vm);
        for (int round = 0; round < 3; round++)
        {
            await StdioMonitor.AwaitAsync(vm, "info chardev", "c: filename=", $"c: filename=disconnected:unix:{path}");
            using (var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
            {
                using var patience = new CancellationTokenSource(Patience.Limit);
                listener.Bind(new UnixDomainSocketEndPoint(path));
                listener.Listen();
                using Socket client = await listener.AcceptAsync(patience.Token);
                await using var stream = new NetworkStream(client);
                using var reader = new StreamReader(stream);
                Assert.StartsWith("{\"QMP\":", await reader.ReadLineAsync(patience.Token), StringComparison.Ordinal);
                await stream.WriteAsync("{\"execute\":\"qmp_capabilities\"}\n"u8.ToArray(), patience.Token);
                Assert.Equal("{\"return\": {}}", await reader.ReadLineAsync(patience.Token));
                await StdioMonitor.AwaitAsync(vm, "info chardev", "c: filename=", $"c: filename=unix:{path}");
            }

            File.Delete(path);
        }

        Assert.Contains("running", await StdioMonitor.AskAsync(vm, "info status", "VM status:"), StringComparison.Ordinal);
        vm.Kill();
        await vm.WaitForExitAsync().WaitAsync(Patience.Limit);
    }
}

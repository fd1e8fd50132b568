using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>Debian's kernel with sockets to the host: connections from either side, over stops, a move and a reset.</summary>
public sealed class VsockTests : IDisposable
{
    private const string Start =
        "for m in virtio_mmio vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport; do insmod /$m.ko; done";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-vsock-");

    public void Dispose() => _folder.Delete(recursive: true);

    private string SocketPath => Path.Combine(_folder.FullName, "v");

    [Theory]
    [InlineData("virtio-vsock-pci,packed=on")]
    [InlineData("virtio-vsock-device,event_idx=off,indirect_desc=off")]
    public async Task Guest_and_host_connect_to_each_other(string device)
    {
        using Socket server = Listen(52);
        await using ShellVm vm = await ShellVm.StartAsync(await ConfigAsync(device));
        await vm.AwaitShellAsync();
        await vm.Shell.RunAsync(Start);
        Assert.Equal("", (await vm.Shell.RunAsync("dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null")).Trim());
        string sum = (await vm.Shell.RunAsync("sha256sum < /tmp/data")).Split(' ')[0];

        // The guest connects, and gets back what it sends; the VM stops and goes on meanwhile.
        Task<string> echo = EchoAsync(server);
        vm.Shell.Type("/vsock connect 52 < /tmp/data > /tmp/got");
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("", await vm.MonitorAsync("stop"));
            Assert.Equal("", await vm.MonitorAsync("cont"));
        }

        Assert.Equal(sum, await echo.WaitAsync(Patience.Limit));
        await vm.Shell.PromptAsync();
        Assert.Contains(sum, await vm.Shell.RunAsync("sha256sum < /tmp/got"), StringComparison.Ordinal);

        // The host connects.
        await CallAsync(vm, sum);

        // Ports at which nobody listens.
        Assert.Contains("connect: Connection reset", await vm.Shell.RunAsync("/vsock connect 53"), StringComparison.Ordinal);
        using (Socket refused = await ConnectAsync("CONNECT 8\n"))
        {
            Assert.Equal(0, await refused.ReceiveAsync(new byte[1]).WaitAsync(Patience.Limit));
        }

        Assert.Equal("", await vm.MonitorAsync("system_reset"));
        await vm.AwaitShellAsync();
        await vm.Shell.RunAsync(Start);
        await vm.Shell.RunAsync("echo again > /tmp/data");
        await CallAsync(vm, Convert.ToHexStringLower(SHA256.HashData("again\n"u8)));
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Connection_ends_with_a_move_and_the_next_one_is_with_the_new_process()
    {
        using Socket server = Listen(52);
        await using ShellVm vm = await ShellVm.StartAsync(await ConfigAsync("virtio-vsock-pci"));
        await vm.AwaitShellAsync();
        await vm.Shell.RunAsync(Start);
        await vm.Shell.RunAsync("sleep 1000 | (/vsock connect 52; echo > /tmp/ended) 2> /dev/null &");
        using Socket host = await server.AcceptAsync().WaitAsync(Patience.Limit);
        await using ShellVm moved = await vm.MoveAsync(await ConfigAsync("virtio-vsock-pci"));
        Assert.Equal(0, await host.ReceiveAsync(new byte[1]).WaitAsync(Patience.Limit));
        await moved.Shell.RunAsync("until [ -e /tmp/ended ]; do sleep 0.1; done; echo moved > /tmp/data");
        await CallAsync(moved, Convert.ToHexStringLower(SHA256.HashData("moved\n"u8)));
        await moved.PowerOffAsync();
    }

    // The host connects to the guest, takes what it sends and sends it back.
    private async Task CallAsync(ShellVm vm, string sum)
    {
        await vm.Shell.RunAsync(
            "/vsock listen 7 < /tmp/data > /tmp/back 2> /tmp/said & until grep -q listens /tmp/said; do sleep 0.1; done");
        using Socket host = await ConnectAsync("CONNECT 7\n");
        var answer = new StringBuilder();
        byte[] one = new byte[1];
        while (!answer.ToString().EndsWith('\n'))
        {
            Assert.Equal(1, await host.ReceiveAsync(one).WaitAsync(Patience.Limit));
            answer.Append((char)one[0]);
        }

        Assert.Matches("^OK [0-9]+\n$", answer.ToString());
        Assert.Equal(sum, await EchoAllAsync(host).WaitAsync(Patience.Limit));
        Assert.Contains(sum, await vm.Shell.RunAsync("wait $!; sha256sum < /tmp/back"), StringComparison.Ordinal);
    }

    private static async Task<string> EchoAsync(Socket server)
    {
        using Socket host = await server.AcceptAsync();
        return await EchoAllAsync(host);
    }

    // Sends all back until the other side sends no more; the checksum.
    private static async Task<string> EchoAllAsync(Socket host)
    {
        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[65536];
        int count;
        while ((count = await host.ReceiveAsync(buffer)) > 0)
        {
            sum.AppendData(buffer.AsSpan(0, count));
            for (int sent = 0; sent < count;)
            {
                sent += await host.SendAsync(buffer.AsMemory(sent, count - sent));
            }
        }

        host.Shutdown(SocketShutdown.Send);
        return Convert.ToHexStringLower(sum.GetHashAndReset());
    }

    private Socket Listen(uint port)
    {
        var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        server.Bind(new UnixDomainSocketEndPoint($"{SocketPath}_{port}"));
        server.Listen(4);
        return server;
    }

    private async Task<Socket> ConnectAsync(string call)
    {
        var host = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await host.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath));
        await host.SendAsync(Encoding.ASCII.GetBytes(call));
        return host;
    }

    private async Task<MachineConfig> ConfigAsync(string device)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs =
            [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.VsockModules, .. TestGuest.BuildGuestProgram("vsock")];
        MachineConfig parsed = CommandLine.Parse(
            ["-kernel", files.Kernel, "-device", $"{device},guest-cid=3,uds_path={SocketPath}"]).Machine.ToConfig();
        return new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 512 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            VirtioMmio = parsed.VirtioMmio,
            PciDevices = parsed.PciDevices,
        };
    }
}

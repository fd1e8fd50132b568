using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Virtio.Vsock;
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

    /// <summary>Connections of messages (SOCK_SEQPACKET) from either side: each arrives as a whole, whatever its length.</summary>
    [Theory]
    [InlineData("virtio-vsock-pci")]
    [InlineData("virtio-vsock-device,packed=on,event_idx=off")]
    public async Task Messages_keep_their_lengths_both_ways(string device)
    {
        using Socket server = Listen(52, SocketType.Seqpacket);
        await using ShellVm vm = await ShellVm.StartAsync(await ConfigAsync(device));
        await vm.AwaitShellAsync();
        await vm.Shell.RunAsync(Start);

        // Ten times messages of 1 to 65,536 bytes.
        string sum = (await vm.Shell.RunAsync("head -c 1310710 /dev/urandom > /tmp/data; sha256sum < /tmp/data")).Split(' ')[0];
        Task<(string Sum, List<int> Lengths)> echo = EchoMessagesAsync(server.AcceptAsync());
        Assert.Contains(sum, await vm.Shell.RunAsync("/vsock connect 52 messages < /tmp/data | sha256sum"), StringComparison.Ordinal);
        AssertLengths(sum, await echo.WaitAsync(Patience.Limit));

        await vm.Shell.RunAsync(
            "/vsock listen 7 messages < /tmp/data > /tmp/back 2> /tmp/said & until grep -q listens /tmp/said; do sleep 0.1; done");
        Socket host = await ConnectAsync("CONNECT 7", SocketType.Seqpacket);
        byte[] answer = new byte[100];
        int count = await host.ReceiveAsync(answer).WaitAsync(Patience.Limit);
        Assert.Matches("^OK [0-9]+\n$", Encoding.ASCII.GetString(answer, 0, count));
        AssertLengths(sum, await EchoMessagesAsync(Task.FromResult(host)).WaitAsync(Patience.Limit));
        Assert.Contains(sum, await vm.Shell.RunAsync("wait $!; sha256sum < /tmp/back"), StringComparison.Ordinal);

        // Where somebody listens for bytes there is nobody for messages.
        using Socket stream = Listen(53);
        Assert.Contains("connect: Connection reset", await vm.Shell.RunAsync("/vsock connect 53 messages"), StringComparison.Ordinal);
        await vm.PowerOffAsync();
    }

    private static void AssertLengths(string sum, (string Sum, List<int> Lengths) got)
    {
        Assert.Equal(Enumerable.Range(0, 170).Select(i => 1 << (i % 17)), got.Lengths);
        Assert.Equal(sum, got.Sum);
    }

    // Sends each message back until the other side sends no more.
    private static async Task<(string Sum, List<int> Lengths)> EchoMessagesAsync(Task<Socket> connection)
    {
        using Socket host = await connection;
        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 17];
        var lengths = new List<int>();
        int count;
        while ((count = await host.ReceiveAsync(buffer)) > 0)
        {
            lengths.Add(count);
            sum.AppendData(buffer.AsSpan(0, count));
            Assert.Equal(count, await host.SendAsync(buffer.AsMemory(0, count)));
        }

        host.Shutdown(SocketShutdown.Send);
        return (Convert.ToHexStringLower(sum.GetHashAndReset()), lengths);
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

    private Socket Listen(uint port, SocketType type = SocketType.Stream)
    {
        var server = new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified);
        server.Bind(new UnixDomainSocketEndPoint($"{SocketPath}_{port}"));
        server.Listen(4);
        return server;
    }

    private async Task<Socket> ConnectAsync(string call, SocketType type = SocketType.Stream)
    {
        var host = new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified);
        string suffix = type == SocketType.Stream ? "" : VirtioVsockConfig.MessageSuffix;
        await host.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath + suffix));
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

using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>Debian's kernel on a network: DHCP, DNS, TFTP, connections both ways, over stops, a lost link, a reset and a move.</summary>
public sealed class NetTests : IDisposable
{
    private const int Megabytes = 100;

    private const string Script =
        """
        #!/bin/sh
        [ "$1" = bound ] || [ "$1" = renew ] || exit 0
        ip addr add $ip/24 dev $interface 2>/dev/null
        ip route add default via $router 2>/dev/null
        for d in $dns; do echo nameserver $d; done > /etc/resolv.conf
        """;

    private const string Start =
        "for m in failover net_failover virtio_mmio virtio_net; do insmod /$m.ko; done; ip link set lo up; ip link set eth0 up; "
        + "udhcpc -i eth0 -s /dhcp.sh -q -n 2>/dev/null >/dev/null; ip -4 addr show eth0 | grep -o 'inet [0-9./]*'";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-net-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("virtio-net-pci,packed=on", true)]
    [InlineData(
        "virtio-net-device,event_idx=off,indirect_desc=off,mrg_rxbuf=off,csum=off,gso=off,host_tso4=off,guest_tso4=off,guest_csum=off",
        false)]
    public async Task Guest_gets_an_address_and_moves_100_MiB_both_ways(string device, bool acpi)
    {
        byte[] data = new byte[Megabytes << 20];
        new Random(1).NextBytes(data);
        string sum = Convert.ToHexStringLower(SHA256.HashData(data));
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "hello"), "a file by TFTP\n");
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        int port = ((IPEndPoint)server.LocalEndpoint).Port;
        int forwarded = NetShell.FreePort();
        string dump = Path.Combine(_folder.FullName, "frames.pcap");
        MachineConfig config = await ConfigAsync(acpi,
            "-netdev", $"user,id=n0,tftp={_folder.FullName},hostfwd=tcp:127.0.0.1:{forwarded}-:7",
            "-device", $"{device},netdev=n0", "-object", $"filter-dump,id=f0,netdev=n0,file={dump},maxlen=100");
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await vm.AwaitShellAsync();
            Assert.Equal("inet 10.0.2.15/24", (await vm.Shell.RunAsync(Start)).Trim());
            Assert.Contains(" 0% packet loss", await vm.Shell.RunAsync("ping -c 3 10.0.2.2"), StringComparison.Ordinal);
            Assert.Equal("nameserver 10.0.2.3", (await vm.Shell.RunAsync("cat /etc/resolv.conf")).Trim());
            Assert.Equal(
                "a file by TFTP", (await vm.Shell.RunAsync("tftp -g -r hello -l /tmp/hello 10.0.2.2 2>/dev/null; cat /tmp/hello")).Trim());

            // From a server of the host's loopback, and to one of the guest's.
            Task sent = SendAsync(server, data);
            Assert.Equal(sum, (await vm.Shell.RunAsync($"nc 10.0.2.2 {port} < /dev/null | sha256sum")).Split(' ')[0]);
            await sent;
            Assert.Equal(sum, await ReachAsync(vm, forwarded, data));

            // And from the guest, over stops.
            Task<string> received = ReceiveAsync(server);
            vm.Shell.Type($"dd if=/dev/zero bs=1M count=64 2>/dev/null | nc 10.0.2.2 {port}");
            for (int i = 0; i < 5; i++)
            {
                Assert.Equal("", await vm.MonitorAsync("stop"));
                Assert.Equal("", await vm.MonitorAsync("cont"));
            }

            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(new byte[64 << 20])), await received.WaitAsync(Patience.Limit));
            await vm.Shell.PromptAsync();

            // vCPUs' threads have told of frames, and moved none.
            string queues = await vm.MonitorAsync("info virtio");
            Assert.Matches("queue 0: [1-9][0-9]* notifications, [1-9][0-9]* chains, 0 of them on", queues);
            Assert.Matches("queue 1: [1-9][0-9]* notifications, [1-9][0-9]* chains, 0 of them on", queues);

            string model = device.Split(',')[0];
            Assert.Equal(
                $"{model}.0: index=0,type=nic,model={model},macaddr=52:54:00:12:34:56\n \\ n0: index=0,type=user,net=10.0.2.0,restrict=off",
                await vm.MonitorAsync("info network"));
            Assert.Contains("TCP[HOST_FORWARD]", await vm.MonitorAsync("info usernet"), StringComparison.Ordinal);
            Assert.Equal("", await vm.MonitorAsync("set_link n0 off"));
            Assert.Equal("down", (await vm.Shell.RunAsync("sleep 1; cat /sys/class/net/eth0/operstate")).Trim());
            Assert.Equal("", await vm.MonitorAsync("set_link n0 on"));
            Assert.Equal("up", (await vm.Shell.RunAsync("sleep 1; cat /sys/class/net/eth0/operstate")).Trim());
            Assert.Contains(" 0% packet loss", await vm.Shell.RunAsync("ping -c 1 10.0.2.2"), StringComparison.Ordinal);
            Assert.Equal("", await vm.MonitorAsync("system_reset"));
            await vm.AwaitShellAsync();
            Assert.Equal("inet 10.0.2.15/24", (await vm.Shell.RunAsync(Start)).Trim());
            await vm.PowerOffAsync();
        }

        config.Netdevs.Dispose();
        byte[] head = await File.ReadAllBytesAsync(dump);
        Assert.Equal([0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0], head[..8]);
        Assert.True(head.Length > 10_000);
    }

    [Fact]
    public async Task Guest_reaches_nothing_with_restrict_and_what_is_forwarded_reaches_it()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        int port = ((IPEndPoint)server.LocalEndpoint).Port;
        int forwarded = NetShell.FreePort();
        MachineConfig config = await ConfigAsync(acpi: true, "-nic", $"user,restrict=on,hostfwd=tcp:127.0.0.1:{forwarded}-:7,"
            + $"guestfwd=tcp:10.0.2.100:80-tcp:127.0.0.1:{port},guestfwd=:10.0.2.100:81-cmd:sed s/hear/heard/");
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await vm.AwaitShellAsync();
            Assert.Equal("inet 10.0.2.15/24", (await vm.Shell.RunAsync(Start)).Trim());
            Assert.Equal("no", (await vm.Shell.RunAsync(
                $"nc -w 2 10.0.2.2 {port} < /dev/null > /dev/null 2>&1 && echo yes || echo no")).Trim());
            Assert.False(server.Pending());
            byte[] data = Encoding.ASCII.GetBytes("let in");
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(data)), await ReachAsync(vm, forwarded, data));

            // What leads to the host does so for each connection: a server of the host, and a program of which each has one.
            for (int i = 0; i < 2; i++)
            {
                Task<string> received = ReceiveAsync(server);
                await vm.Shell.RunAsync("echo let out | nc 10.0.2.100 80");
                Assert.Equal(Convert.ToHexStringLower(SHA256.HashData("let out\n"u8)), await received.WaitAsync(Patience.Limit));
                Assert.Equal($"heard {i}", (await vm.Shell.RunAsync($"echo hear {i} | nc 10.0.2.100 81")).Trim());
            }

            await vm.PowerOffAsync();
        }

        config.Netdevs.Dispose();
    }

    /// <summary>Two devices and a network behind one hub: each has an address, and frames of any size pass.</summary>
    [Fact]
    public async Task Devices_share_a_network_by_a_hub()
    {
        byte[] data = new byte[8 << 20];
        new Random(2).NextBytes(data);
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        int port = ((IPEndPoint)server.LocalEndpoint).Port;
        MachineConfig config = await ConfigAsync(acpi: true, "-netdev", "user,id=n0", "-netdev", "hubport,id=h0,hubid=0,netdev=n0",
            "-netdev", "hubport,id=h1,hubid=0", "-netdev", "hubport,id=h2,hubid=0",
            "-device", "virtio-net-pci,netdev=h1,addr=3", "-device", "virtio-net-pci,netdev=h2,addr=4");
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await vm.AwaitShellAsync();
            Assert.Equal("inet 10.0.2.15/24", (await vm.Shell.RunAsync(Start)).Trim());
            Task sent = SendAsync(server, data);
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(data)),
                (await vm.Shell.RunAsync($"nc 10.0.2.2 {port} < /dev/null | sha256sum")).Split(' ')[0]);
            await sent;
            Task<string> received = ReceiveAsync(server);
            await vm.Shell.RunAsync($"dd if=/dev/zero bs=1M count=8 2>/dev/null | nc 10.0.2.2 {port}");
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(new byte[8 << 20])), await received.WaitAsync(Patience.Limit));
            Assert.Equal("inet 10.0.2.16/24", (await vm.Shell.RunAsync(
                "ip addr flush dev eth0; ip link set eth1 up; udhcpc -i eth1 -s /dhcp.sh -q -n 2>/dev/null >/dev/null; "
                + "ip -4 addr show eth1 | grep -o 'inet [0-9./]*'")).Trim());
            Assert.Contains(" 0% packet loss", await vm.Shell.RunAsync("ping -c 3 10.0.2.2"), StringComparison.Ordinal);
            Assert.Contains("h0: index=0,type=hubport,hubid=0,peer=n0", await vm.MonitorAsync("info network"), StringComparison.Ordinal);
            await vm.PowerOffAsync();
        }

        config.Netdevs.Dispose();
    }

    /// <summary>
    /// Debian's passt is the network, over a Unix socket. It goes and comes back while the guest runs. That of Debian 12 loses what the
    /// host says to a guest that has ended its own side, under QEMU as well, so nothing here does that.
    /// </summary>
    [Fact]
    [UnsupportedOSPlatform("windows")]
    public async Task Guest_is_on_a_network_of_passt()
    {
        byte[] data = new byte[32 << 20];
        new Random(3).NextBytes(data);
        string sum = Convert.ToHexStringLower(SHA256.HashData(data));
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        int port = ((IPEndPoint)server.LocalEndpoint).Port;
        int forwarded = NetShell.FreePort();

        // Started by root, passt becomes nobody before it makes its socket.
        File.SetUnixFileMode(_folder.FullName, (UnixFileMode)0x1FF);
        string socket = Path.Combine(_folder.FullName, "passt");
        string[] passt =
        [
            "-f", "-q", "-s", socket, "-a", "192.168.7.2", "-n", "255.255.255.0", "-g", "192.168.7.1", "-t", $"127.0.0.1/{forwarded}:7",
        ];
        MachineConfig config = await ConfigAsync(acpi: true,
            "-netdev", $"stream,id=n0,server=off,addr.type=unix,addr.path={socket},reconnect-ms=200",
            "-device", "virtio-net-pci,netdev=n0");
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            Process process = Process.Start("passt", passt);
            try
            {
                await vm.AwaitShellAsync();
                Assert.Equal("inet 192.168.7.2/24", (await vm.Shell.RunAsync(Start)).Trim());
                await MoveAsync(vm);
                process.Kill();
                await process.WaitForExitAsync();
                process.Dispose();
                await vm.Shell.RunAsync("while [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.1; done");
                process = Process.Start("passt", passt);
                await vm.Shell.RunAsync("while [ $(cat /sys/class/net/eth0/carrier) = 0 ]; do sleep 0.1; done");
                await MoveAsync(vm);
                await vm.PowerOffAsync();
            }
            finally
            {
                process.Kill();
                process.Dispose();
            }
        }

        config.Netdevs.Dispose();

        // From a server of the host's loopback, to it, and to one of the guest's.
        async Task MoveAsync(ShellVm vm)
        {
            Task sent = SendAsync(server, data);
            Assert.Equal(sum, (await vm.Shell.RunAsync($"{NetShell.Hear($"192.168.7.1 {port}")} | sha256sum")).Split(' ')[0]);
            await sent;
            Task<string> received = ReceiveAsync(server);
            await vm.Shell.RunAsync($"dd if=/dev/zero bs=1M count=8 2>/dev/null | nc 192.168.7.1 {port}");
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(new byte[8 << 20])), await received.WaitAsync(Patience.Limit));
            await NetShell.TakeAsync(vm.Shell);
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, forwarded).WaitAsync(Patience.Limit);
            await client.GetStream().WriteAsync(data);
            client.Client.Shutdown(SocketShutdown.Send);
            Assert.Contains(sum, await vm.Shell.RunAsync("wait; sha256sum < /tmp/got"), StringComparison.Ordinal);
        }
    }

    /// <summary>
    /// Both machines are on one host with the same forwarded port, which one of them has at a time. Connections end with the move, as with
    /// QEMU: libslirp's state has none.
    /// </summary>
    [Fact]
    public async Task Guest_moves_with_its_lease_and_its_port()
    {
        int forwarded = NetShell.FreePort();
        string[] nic = ["-nic", $"user,hostfwd=tcp:127.0.0.1:{forwarded}-:7"];
        MachineConfig here = await ConfigAsync(acpi: true, nic);
        MachineConfig there = await ConfigAsync(acpi: true, [.. nic, "-incoming", "defer"]);
        await using (ShellVm vm = await ShellVm.StartAsync(here))
        {
            await vm.AwaitShellAsync();
            Assert.Equal("inet 10.0.2.15/24", (await vm.Shell.RunAsync(Start)).Trim());
            await using ShellVm moved = await vm.MoveAsync(there);
            Assert.Contains(" 0% packet loss", await moved.Shell.RunAsync("ping -c 2 10.0.2.2"), StringComparison.Ordinal);
            byte[] data = Encoding.ASCII.GetBytes("after the move");
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(data)), await ReachAsync(moved, forwarded, data));
            await moved.PowerOffAsync();
        }

        here.Netdevs.Dispose();
        there.Netdevs.Dispose();
    }

    private static async Task<MachineConfig> ConfigAsync(bool acpi, params string[] network)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        var script = new CpioArchive();
        script.AddFile("dhcp.sh", Encoding.ASCII.GetBytes(Script.ReplaceLineEndings("\n")), 0x1ED);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.NetModules, .. script.ToArray()];
        RunOptions options = CommandLine.Parse(["-kernel", files.Kernel, .. network]);
        MachineConfig given = options.Machine.ToConfig();
        return new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 512 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            Acpi = acpi,
            VirtioMmio = given.VirtioMmio,
            PciDevices = given.PciDevices,
            Netdevs = given.Netdevs,
        };
    }

    private static async Task SendAsync(TcpListener server, byte[] data)
    {
        using TcpClient client = await server.AcceptTcpClientAsync();
        await client.GetStream().WriteAsync(data);
    }

    private static async Task<string> ReceiveAsync(TcpListener server)
    {
        using TcpClient client = await server.AcceptTcpClientAsync();
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(client.GetStream()));
    }

    // Sends to a port of the host that leads to one of the guest; the checksum of what came.
    private static async Task<string> ReachAsync(ShellVm vm, int port, byte[] data)
    {
        await vm.Shell.RunAsync("(nc -l -p 7 < /dev/null | sha256sum > /tmp/got) & until netstat -ltn | grep -q ':7 '; do sleep 0.1; done");
        using var patience = new CancellationTokenSource(Patience.Limit);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, patience.Token);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(data, patience.Token);
        client.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await stream.ReadAsync(new byte[1], patience.Token));

        // The shell may say that its job has ended, in a line before or behind it.
        string said = await vm.Shell.RunAsync("wait; cut -d' ' -f1 /tmp/got");
        return said.Split('\n').Select(line => line.Trim()).First(line => line.Length == 64 && line.All(char.IsAsciiHexDigit));
    }
}

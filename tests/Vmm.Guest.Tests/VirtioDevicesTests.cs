using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Host.Guest;
using Vmm.Host.Options;
using Vmm.Management.CharacterDevices;

namespace Vmm.Guest.Tests;

/// <summary>Debian's kernel on a console with ports and on a balloon.</summary>
public sealed class VirtioDevicesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-port-");
    private readonly CancellationTokenSource _stop = new();

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("virtio-serial-pci")]
    [InlineData("virtio-serial-device,packed=on")]
    public async Task Guest_has_a_terminal_and_a_named_port(string device)
    {
        MachineConfig config = await ConfigAsync(
            "-device", device, "-device", "virtconsole,chardev=c", "-device", "virtserialport,chardev=p,name=org.example.0,id=port0");
        SerialPortConfig[] ports = [.. config.VirtioDevices.OfType<VirtioSerialConfig>().Single().Ports];
        (SocketDevice console, string consolePath) = Serve("console", ports[0]);
        (SocketDevice port, string portPath) = Serve("port", ports[1]);
        await using (console)
        await using (port)
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            var changes = new List<SerialPortChanged>();
            vm.Published += message =>
            {
                if (message is SerialPortChanged changed)
                {
                    lock (changes)
                    {
                        changes.Add(changed);
                    }
                }
            };
            await vm.AwaitShellAsync();
            await vm.Shell.RunAsync("insmod /virtio_mmio.ko");

            // The driver makes its ports after insmod has ended.
            Assert.Equal("org.example.0", (await vm.Shell.RunAsync(
                "until cat /sys/class/virtio-ports/vport*p1/name 2>/dev/null; do sleep 0.1; done")).Trim());

            // The named port, both ways.
            using Socket host = await ConnectAsync(portPath, ports[1].Link);

            // Until the driver was told that somebody is at the host's end, it says that there is nothing to read.
            vm.Shell.Type("P=$(ls /dev/vport*p1); exec 3<>$P; until read -r line <&3; do sleep 0.1; done; "
                + "echo \"got $line\"; echo answer >&3");
            await host.SendAsync("question\n"u8.ToArray());
            await vm.Shell.UntilAsync("got question");
            await vm.Shell.PromptAsync();
            Assert.Equal("answer\n", await ReadAsync(host, "answer\n"));
            Assert.Equal("", await vm.Shell.RunAsync("(dd if=/dev/zero bs=64k count=64 2>/dev/null | tr '\\0' x >&3 &)"));
            byte[] much = new byte[4 << 20];
            int read = 0;
            while (read < much.Length)
            {
                int count = await host.ReceiveAsync(much.AsMemory(read)).AsTask().WaitAsync(Patience.Limit);
                Assert.True(count > 0, $"the port was closed after {read} bytes");
                read += count;
            }

            Assert.True(Array.TrueForAll(much, b => b == 'x'));
            await vm.Shell.RunAsync("exec 3>&-");

            // A login on the console.
            using Socket terminal = await ConnectAsync(consolePath, ports[0].Link);
            Assert.Equal("", await vm.Shell.RunAsync("(setsid sh -c 'exec sh -i </dev/hvc0 >/dev/hvc0 2>&1' &)"));
            await ReadAsync(terminal, "# ");
            await terminal.SendAsync("echo $((6*7))-on-$(tty)\n"u8.ToArray());
            await ReadAsync(terminal, "42-on-/dev/hvc0");
            lock (changes)
            {
                Assert.Equal([new SerialPortChanged("port0", true), new SerialPortChanged("port0", false)], changes);
            }

            await vm.PowerOffAsync();
        }
    }

    /// <summary>The console of a kernel that knows no other is on a terminal, with the monitor behind Ctrl-A c.</summary>
    [Fact]
    public async Task Console_shares_a_terminal_with_a_monitor()
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        await using ProcessGuest vm = await ProcessGuest.StartAsync(
        [
            "dotnet", VmmProcess.Program, "-m", "300M", "-cpu", "max", "-kernel", files.Kernel, "-initrd", files.Initramfs,
            "-append", $"console=hvc0 {TestGuest.Patient}", "-serial", "none", "-chardev", "stdio,id=c,mux=on",
            "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=c", "-mon", "chardev=c,mode=readline",
        ]);
        Assert.Contains("hvc0", await vm.Shell.RunAsync("cat /sys/class/tty/console/active"), StringComparison.Ordinal);
        for (int i = 0; i < 3; i++)
        {
            vm.Shell.Send("\u0001c");
            vm.Shell.Type("info chardev");
            await vm.Shell.UntilAsync("c: filename=");
            vm.Shell.Type("\u0001c");
            await vm.Shell.PromptAsync();
            Assert.Equal("42", (await vm.Shell.RunAsync("echo $((6 * 7))")).Trim());
        }

        // More than a port holds, in either direction.
        Assert.Equal("300000", (await vm.Shell.RunAsync("dd if=/dev/zero bs=1000 count=300 2>/dev/null | tr '\\0' x; echo")).Trim().Length
            .ToString(System.Globalization.CultureInfo.InvariantCulture));
        vm.Shell.Send("\u0001x");
        await vm.EndAsync();
    }

    [Theory]
    [InlineData("virtio-balloon-pci,free-page-reporting=on")]
    [InlineData("virtio-balloon-device,deflate-on-oom=on,packed=on")]
    public async Task Guest_gives_ram_up_and_takes_it_again(string device)
    {
        MachineConfig config = await ConfigAsync("-device", device);
        await using ShellVm vm = await ShellVm.StartAsync(config);
        await vm.AwaitShellAsync();
        Assert.Equal("", await vm.Shell.RunAsync("insmod /virtio_mmio.ko; insmod /virtio_balloon.ko"));
        Assert.Equal("balloon: actual=512", await vm.MonitorAsync("info balloon"));
        async Task<long> TotalAsync() => long.Parse(
            (await vm.Shell.RunAsync("awk '/MemTotal/{print $2}' /proc/meminfo")).Trim(),
            System.Globalization.CultureInfo.InvariantCulture);
        async Task SizedAsync(int mebibytes)
        {
            Assert.Equal("", await vm.MonitorAsync($"balloon {mebibytes}"));
            using var patience = new CancellationTokenSource(Patience.Limit);
            while (await vm.MonitorAsync("info balloon") != $"balloon: actual={mebibytes}")
            {
                await Task.Delay(20, patience.Token);
            }
        }

        // What was written goes back to the host.
        Assert.Equal("", await vm.Shell.RunAsync(
            "mkdir -p /t; mount -t tmpfs -o size=200m t /t; dd if=/dev/urandom of=/t/f bs=1M count=150 2>/dev/null"));
        int InUse() => vm.Machine.Ram.PresentPages().Count(p => p);
        int before = InUse();
        Assert.Equal("", await vm.Shell.RunAsync("rm /t/f"));
        long total = await TotalAsync();
        await SizedAsync(256);
        Assert.True(before - InUse() > 20_000, $"{before} pages, then {InUse()}");
        if (!device.Contains("deflate", StringComparison.Ordinal))
        {
            Assert.InRange(total - await TotalAsync(), 200 << 10, 300 << 10);
        }

        await SizedAsync(512);
        Assert.Equal(total, await TotalAsync());
        await StatisticsAsync(vm, total);
        string sum = await vm.Shell.RunAsync("dd if=/dev/urandom of=/t/f bs=1M count=150 2>/dev/null; md5sum < /t/f");
        await SizedAsync(300);
        await SizedAsync(480);
        Assert.Equal(sum, await vm.Shell.RunAsync("md5sum < /t/f"));
        await vm.PowerOffAsync();
    }

    private static async Task<MachineConfig> ConfigAsync(params string[] options)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.VirtioModules];
        MachineConfig parsed = CommandLine.Parse(["-kernel", files.Kernel, .. options]).Machine.ToConfig();
        return new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 512 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            VirtioMmio = parsed.VirtioMmio,
            PciDevices = parsed.PciDevices,
        };
    }

    private (SocketDevice Device, string Path) Serve(string name, SerialPortConfig port)
    {
        string path = Path.Combine(_folder.FullName, name);
        var device = new SocketDevice(name, new SocketTarget(path, "", 0, Server: true, Wait: false));
        _ = PortServer.RunAsync(device, port.Link, _stop.Token);
        return (device, path);
    }

    // A console drops what it prints while nobody was accepted.
    private static async Task<Socket> ConnectAsync(string path, PortLink link)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (!link.IsHostOpen)
        {
            await Task.Delay(1, patience.Token);
        }

        return socket;
    }

    private static async Task<string> ReadAsync(Socket socket, string until)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[1000];
        while (!text.ToString().Contains(until, StringComparison.Ordinal))
        {
            int count = await socket.ReceiveAsync(buffer).WaitAsync(Patience.Limit);
            Assert.True(count > 0, $"the port was closed behind '{text}'");
            text.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }

        return text.ToString();
    }

    // The guest tells of its memory as often as it is asked to, and of what it knows nothing the largest number stands.
    private static async Task StatisticsAsync(ShellVm vm, long totalKibibytes)
    {
        const string Balloon = "/machine/peripheral-anon/device[0]";
        async Task<JsonNode> GetAsync(string property) => JsonNode.Parse(await vm.MonitorAsync($"qom-get {Balloon} {property}"))!;
        Assert.Equal(0, (int)await GetAsync("guest-stats-polling-interval"));
        Assert.Equal("", await vm.MonitorAsync($"qom-set {Balloon} guest-stats-polling-interval 1"));
        Assert.Equal(1, (int)await GetAsync("guest-stats-polling-interval"));
        using var patience = new CancellationTokenSource(Patience.Limit);
        JsonNode told;
        long first = 0;
        do
        {
            await Task.Delay(50, patience.Token);
            told = await GetAsync("guest-stats");
            first = first == 0 ? (long)told["last-update"]! : first;
        }
        while ((long)told["last-update"]! == first);

        JsonNode stats = told["stats"]!;
        Assert.Equal(16, stats.AsObject().Count);
        Assert.Equal((ulong)totalKibibytes << 10, (ulong)stats["stat-total-memory"]!);
        Assert.InRange((ulong)stats["stat-free-memory"]!, 1ul << 20, (ulong)totalKibibytes << 10);
        Assert.InRange((ulong)stats["stat-minor-faults"]!, 1000ul, ulong.MaxValue - 1);
        Assert.Equal("", await vm.MonitorAsync($"qom-set {Balloon} guest-stats-polling-interval 0"));
        Assert.Contains("timer value must be greater than zero",
            await vm.MonitorAsync($"qom-set {Balloon} guest-stats-polling-interval -1"), StringComparison.Ordinal);
        Assert.Contains("'virtio-balloon-device.guest-stats' is not writable",
            await vm.MonitorAsync($"qom-set {Balloon} guest-stats 1"), StringComparison.Ordinal);
        Assert.Matches("dev: virtio-balloon-device, id \"\"\n +deflate-on-oom = (true|false)\n", await vm.MonitorAsync("info qtree"));
    }
}

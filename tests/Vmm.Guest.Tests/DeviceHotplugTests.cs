using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Threading.Channels;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Host.Guest;
using Vmm.Host.Options;
using Vmm.Management.CharacterDevices;

namespace Vmm.Guest.Tests;

/// <summary>Debian's kernel takes PCI devices that come while it runs, by its driver of PCI Express hotplug, and lets them go.</summary>
public sealed class DeviceHotplugTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-plug-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Disk_and_random_numbers_come_and_go_under_load(bool acpi)
    {
        string image = Path.Combine(_folder.FullName, "disk.raw");
        await File.WriteAllBytesAsync(image, new byte[8 << 20]);
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.DiskModules];
        MachineOptions options = CommandLine.Parse([
            "-smp", "2", "-kernel", files.Kernel, "-blockdev", $"driver=raw,node-name=n,file.driver=file,file.filename={image}",
            "-device", "pcie-root-port,id=rp1,chassis=1", "-device", "pcie-root-port,id=rp2,chassis=2,slot=7",
            "-device", "pcie-root-port,id=rp3,chassis=3,hotplug=off"]).Machine;
        MachineConfig made = options.ToConfig();
        var config = new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 300 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            Acpi = acpi,
            PciDevices = made.PciDevices,
        };
        using var devices = new DeviceMaker(options, config);
        await using ShellVm vm = await ShellVm.StartAsync(config, devices: devices);
        await vm.AwaitShellAsync();
        Assert.Equal("", await vm.Shell.RunAsync("insmod /virtio_blk.ko"));
        Assert.Contains("Bus 'pcie.0' does not support hotplugging", await vm.MonitorAsync("device_add virtio-rng-pci,id=r"));
        Assert.Contains("Hot-plug failed: unsupported by the port device 'rp3'",
            await vm.MonitorAsync("device_add virtio-rng-pci,id=r,bus=rp3"), StringComparison.Ordinal);
        Assert.Equal("done", await vm.HotplugAsync("device_add virtio-rng-pci,id=r,bus=rp2"));
        for (int round = 0; round < 2; round++)
        {
            Assert.Equal("done", await vm.HotplugAsync("device_add virtio-blk-pci,drive=n,id=d,bus=rp1,serial=plugged"));
            Assert.Contains("PCI: no slot/function available for virtio-rng-pci, all in use or reserved",
                await vm.MonitorAsync("device_add virtio-rng-pci,id=other,bus=rp1"), StringComparison.Ordinal);
            Assert.Contains("/machine/peripheral/d/virtio-backend", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
            Assert.Equal("plugged", (await vm.Shell.RunAsync(
                "while [ ! -e /sys/block/vda/serial ]; do sleep 0.1; done; cat /sys/block/vda/serial; echo")).Trim());
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/dev/vda bs=64k count=100 2>/dev/null; sync"));
            Assert.Contains("SCSI controller: PCI device 1af4:1042", await vm.MonitorAsync("info pci"), StringComparison.Ordinal);
            Assert.Equal("done", await vm.HotplugAsync("device_del d"));
            Assert.DoesNotContain("1af4:1042", await vm.MonitorAsync("info pci"), StringComparison.Ordinal);
            Assert.Equal("0", await vm.Shell.RunAsync("ls /sys/block | grep -c vda"));
            Assert.DoesNotContain("/machine/peripheral/d/", await vm.MonitorAsync("info block"), StringComparison.Ordinal);
        }

        // The guest itself takes power away: the device has left, though nobody asked.
        var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        vm.Published += m =>
        {
            if (m is HotplugOutcome { Id: "r", Operation: HotplugOperation.Unplug, Kind: HotplugOutcomeKind.Done })
            {
                left.TrySetResult();
            }
        };
        Assert.Equal("", await vm.Shell.RunAsync("for s in /sys/bus/pci/slots/7*/power; do echo 0 > $s; done"));
        await left.Task.WaitAsync(Vmm.Tests.Patience.Limit);
        Assert.Equal("done", await vm.HotplugAsync("device_add virtio-blk-pci,drive=n,id=d2,bus=rp2"));

        // Over a reset the device stays, and is one that can leave.
        Assert.Equal("", await vm.MonitorAsync("system_reset"));
        await vm.AwaitShellAsync();
        Assert.Equal("", await vm.Shell.RunAsync("insmod /virtio_blk.ko; while [ ! -e /sys/block/vda ]; do sleep 0.1; done"));
        Assert.Equal("done", await vm.HotplugAsync("device_del d2"));
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Network_console_and_balloon_come_and_go()
    {
        (MachineOptions options, MachineConfig config) = await MachineAsync(
            "-device", "pcie-root-port,id=rp1,chassis=1", "-device", "pcie-root-port,id=rp2,chassis=2",
            "-device", "pcie-root-port,id=rp3,chassis=3");
        using var backends = new Backends(_folder.FullName);
        using var devices = new DeviceMaker(options, config, backends);
        await using ShellVm vm = await ShellVm.StartAsync(config, devices: devices);
        await vm.AwaitShellAsync();
        Assert.Equal("", await vm.Shell.RunAsync("for m in failover net_failover virtio_net virtio_balloon; do insmod /$m.ko; done"));
        await NetworkAsync(vm);
        await ConsoleAsync(vm, backends);
        await BalloonAsync(vm);
        await vm.PowerOffAsync();
        config.Netdevs.Dispose();
    }

    /// <summary>Sockets come while the guest runs: whoever connects is there with the device, and gone with it.</summary>
    [Fact]
    public async Task Sockets_come_and_go()
    {
        string path = Path.Combine(_folder.FullName, "v");
        using var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        server.Bind(new UnixDomainSocketEndPoint($"{path}_52"));
        server.Listen(1);
        (MachineOptions options, MachineConfig config) = await MachineAsync("-device", "pcie-root-port,id=rp1,chassis=1");
        using var devices = new DeviceMaker(options, config);
        await using ShellVm vm = await ShellVm.StartAsync(config, devices: devices);
        await vm.AwaitShellAsync();
        await vm.Shell.RunAsync("for m in vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport; do insmod /$m.ko; done");
        for (int round = 0; round < 2; round++)
        {
            Assert.Equal("done", await vm.HotplugAsync($"device_add virtio-vsock-pci,guest-cid=5,uds_path={path},id=s,bus=rp1"));
            Assert.True(File.Exists(path));
            vm.Shell.Type("until echo hello | /vsock connect 52 2>/dev/null; do sleep 0.1; done");
            using (Socket host = await server.AcceptAsync().WaitAsync(Vmm.Tests.Patience.Limit))
            {
                byte[] got = new byte[100];
                Assert.Equal(6, await host.ReceiveAsync(got).WaitAsync(Vmm.Tests.Patience.Limit));
            }

            await vm.Shell.PromptAsync();
            await vm.Shell.RunAsync("sleep 1000 | /vsock connect 52 2> /dev/null &");
            using Socket held = await server.AcceptAsync().WaitAsync(Vmm.Tests.Patience.Limit);
            Assert.Equal("done", await vm.HotplugAsync("device_del s"));
            Assert.Equal(0, await held.ReceiveAsync(new byte[1]).WaitAsync(Vmm.Tests.Patience.Limit));
            Assert.False(File.Exists(path));
            Assert.False(File.Exists($"{path}_seqpacket"));
        }

        await vm.PowerOffAsync();
    }

    /// <summary>A machine goes on from a state only with the devices that were plugged; they can then leave as before.</summary>
    [Fact]
    public async Task Saved_and_moved_guest_has_what_was_plugged()
    {
        const string Count = "cat /sys/bus/pci/devices/*/device | grep -c 0x1044";
        string[] ports = ["-device", "pcie-root-port,id=rp1,chassis=1", "-device", "pcie-root-port,id=rp2,chassis=2"];
        (MachineOptions options, MachineConfig config) = await MachineAsync(ports);
        using var devices = new DeviceMaker(options, config);
        StateFolder state = StateFolder.Open(Path.Combine(_folder.FullName, "state"));
        await using ShellVm vm = await ShellVm.StartAsync(config, state, devices);
        await vm.AwaitShellAsync();
        Assert.Equal("", await vm.MonitorAsync("savevm without"));
        Assert.Equal("done", await vm.HotplugAsync("device_add virtio-rng-pci,id=r,bus=rp1"));
        Assert.Equal("1", (await vm.Shell.RunAsync(Count)).Trim());
        Assert.Equal("", await vm.MonitorAsync("savevm with"));
        Assert.Contains("this machine has a device 'pci-r@rp1-00.0' that it has not", await vm.MonitorAsync("loadvm without"),
            StringComparison.Ordinal);
        Assert.Equal("done", await vm.HotplugAsync("device_del r"));
        Assert.Contains("it has a device 'pci-r@rp1-00.0' that this machine has not", await vm.MonitorAsync("loadvm with"),
            StringComparison.Ordinal);
        Assert.Equal("done", await vm.HotplugAsync("device_add virtio-rng-pci,id=r,bus=rp1"));
        Assert.Equal("", await vm.MonitorAsync("loadvm with"));
        Assert.Equal("1", (await vm.Shell.RunAsync(Count)).Trim());
        Assert.Equal("done", await vm.HotplugAsync("device_del r"));
        Assert.Equal("0", (await vm.Shell.RunAsync(Count)).Trim());
        Assert.Equal("done", await vm.HotplugAsync("device_add virtio-rng-pci,id=r,bus=rp2"));

        // The other machine has it by its command line.
        (_, MachineConfig there) = await MachineAsync([.. ports, "-device", "virtio-rng-pci,id=r,bus=rp2"]);
        await using ShellVm moved = await vm.MoveAsync(there);
        Assert.Equal("1", (await moved.Shell.RunAsync(Count)).Trim());
        Assert.Equal("done", await moved.HotplugAsync("device_del r"));
        Assert.Equal("0", (await moved.Shell.RunAsync(Count)).Trim());
        await moved.PowerOffAsync();
    }

    /// <summary>A guest that moves before it has taken a device takes it where it runs, and there alone the plug ends, once.</summary>
    [Fact]
    public async Task Plug_under_way_moves_along()
    {
        string[] ports = ["-device", "pcie-root-port,id=rp1,chassis=1"];
        (MachineOptions options, MachineConfig config) = await MachineAsync(ports);
        using var devices = new DeviceMaker(options, config);
        await using ShellVm vm = await ShellVm.StartAsync(config, devices: devices);
        await vm.AwaitShellAsync();
        var here = new ConcurrentQueue<HotplugOutcome>();
        var there = Channel.CreateUnbounded<HotplugOutcome>();
        vm.Published += m =>
        {
            if (m is HotplugOutcome outcome)
            {
                here.Enqueue(outcome);
            }
        };

        // A guest that stands still takes nothing.
        Assert.Equal("", await vm.MonitorAsync("stop"));
        Assert.Equal("", await vm.MonitorAsync("device_add virtio-rng-pci,id=r,bus=rp1"));
        (_, MachineConfig target) = await MachineAsync([.. ports, "-device", "virtio-rng-pci,id=r,bus=rp1"]);
        await using ShellVm moved = await vm.MoveAsync(target, m =>
        {
            if (m is HotplugOutcome outcome)
            {
                there.Writer.TryWrite(outcome);
            }
        });
        Assert.Equal("", await moved.MonitorAsync("cont"));
        HotplugOutcome end = await there.Reader.ReadAsync().AsTask().WaitAsync(Vmm.Tests.Patience.Limit);
        Assert.Equal(("r", HotplugOperation.Plug, HotplugOutcomeKind.Done), (end.Id, end.Operation, end.Kind));
        Assert.Equal("1", (await moved.Shell.RunAsync("cat /sys/bus/pci/devices/*/device | grep -c 0x1044")).Trim());
        Assert.Equal("done", await moved.HotplugAsync("device_del r"));
        Assert.Equal(HotplugOperation.Unplug, (await there.Reader.ReadAsync()).Operation);
        Assert.False(there.Reader.TryRead(out _));
        Assert.Empty(here);
        await moved.PowerOffAsync();
    }

    private static async Task<(MachineOptions Options, MachineConfig Config)> MachineAsync(params string[] devices)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs =
        [
            .. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.NetModules, .. TestPackages.VirtioModules,
            .. TestPackages.VsockModules, .. TestGuest.BuildGuestProgram("vsock"),
        ];
        MachineOptions options = CommandLine.Parse(["-smp", "2", "-kernel", files.Kernel, .. devices]).Machine;
        MachineConfig made = options.ToConfig();
        return (options, new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 2, 1), 300 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            PciDevices = made.PciDevices,
            Netdevs = made.Netdevs,
        });
    }

    private static async Task NetworkAsync(ShellVm vm)
    {
        Assert.Contains("Property 'virtio-net-pci.netdev' can't find value 'n0'",
            await vm.MonitorAsync("device_add virtio-net-pci,netdev=n0,id=nic,bus=rp1"), StringComparison.Ordinal);
        Assert.Equal("", await vm.MonitorAsync("netdev_add user,id=n0"));
        Assert.Contains("Duplicate ID 'n0' for netdev", await vm.MonitorAsync("netdev_add user,id=n0"), StringComparison.Ordinal);
        for (int round = 0; round < 2; round++)
        {
            Assert.Equal("done", await vm.HotplugAsync("device_add virtio-net-pci,netdev=n0,id=nic,bus=rp1"));
            Assert.Contains("it's in use", await vm.MonitorAsync("device_add virtio-net-pci,netdev=n0,id=two,bus=rp2"),
                StringComparison.Ordinal);
            Assert.Equal("", await vm.Shell.RunAsync("while [ ! -e /sys/class/net/eth0 ]; do sleep 0.1; done; ip link set eth0 up; "
                + "ip addr add 10.0.2.15/24 dev eth0"));
            Assert.Contains(" 0% packet loss", await vm.Shell.RunAsync("ping -c 3 10.0.2.2"), StringComparison.Ordinal);
            Assert.Contains("nic: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56", await vm.MonitorAsync("info network"),
                StringComparison.Ordinal);
            Assert.Contains("in use by 'nic'", await vm.MonitorAsync("netdev_del n0"), StringComparison.Ordinal);
            Assert.Equal("done", await vm.HotplugAsync("device_del nic"));
            Assert.Equal("lo", (await vm.Shell.RunAsync("ls /sys/class/net")).Trim());
        }

        Assert.Equal("", await vm.MonitorAsync("netdev_del n0"));
        Assert.Equal("", await vm.MonitorAsync("info network"));
        Assert.Contains("Device 'n0' not found", await vm.MonitorAsync("netdev_del n0"), StringComparison.Ordinal);
    }

    private static async Task ConsoleAsync(ShellVm vm, Backends backends)
    {
        Assert.Contains("No 'virtio-serial-bus' bus found for device 'virtserialport'",
            await vm.MonitorAsync("device_add virtserialport,chardev=c,id=p"), StringComparison.Ordinal);
        for (int round = 0; round < 2; round++)
        {
            Assert.Equal("done", await vm.HotplugAsync("device_add virtio-serial-pci,id=vs,bus=rp2"));
            Assert.Equal("done", await vm.HotplugAsync("device_add virtserialport,bus=vs.0,chardev=c,name=org.example.0,id=p"));
            await EchoAsync(vm, backends);

            // The port alone goes and comes.
            Assert.Equal("done", await vm.HotplugAsync("device_del p"));
            Assert.Equal("", await vm.Shell.RunAsync("while ls /dev/vport*p1 2>/dev/null; do sleep 0.1; done"));
            Assert.Equal("done", await vm.HotplugAsync("device_add virtserialport,bus=vs.0,chardev=c,name=org.example.0,id=p"));
            await EchoAsync(vm, backends);
            Assert.Equal("done", await vm.HotplugAsync("device_del vs"));
            Assert.Equal("0", (await vm.Shell.RunAsync("ls /sys/class/virtio-ports | wc -l")).Trim());
            Assert.Contains("Device 'p' not found", await vm.MonitorAsync("device_del p"), StringComparison.Ordinal);
            Assert.Empty(backends.Open);
        }
    }

    private static async Task EchoAsync(ShellVm vm, Backends backends)
    {
        using var host = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await host.ConnectAsync(new UnixDomainSocketEndPoint(backends.Open["p"]));
        await vm.Shell.RunAsync("while ! grep -q example /sys/class/virtio-ports/vport*p1/name; do sleep 0.1; done 2>/dev/null");
        vm.Shell.Type("P=$(ls /dev/vport*p1); exec 3<>$P; read -r line <&3; echo \"got $line\"; echo \"back $line\" >&3");
        await host.SendAsync("question\n"u8.ToArray());
        await vm.Shell.UntilAsync("got question");
        await vm.Shell.PromptAsync();
        byte[] buffer = new byte[100];
        int count = 0;
        while (count < "back question\n".Length)
        {
            int read = await host.ReceiveAsync(buffer.AsMemory(count)).AsTask().WaitAsync(Vmm.Tests.Patience.Limit);
            Assert.True(read > 0);
            count += read;
        }

        Assert.Equal("back question\n"u8.ToArray(), buffer[..count]);
        await vm.Shell.RunAsync("exec 3>&-");
    }

    private static async Task BalloonAsync(ShellVm vm)
    {
        Assert.Contains("No balloon device has been activated", await vm.MonitorAsync("info balloon"), StringComparison.Ordinal);
        for (int round = 0; round < 2; round++)
        {
            Assert.Equal("done", await vm.HotplugAsync("device_add virtio-balloon-pci,id=b,bus=rp3"));
            Assert.Contains("Only one balloon device is supported", await vm.MonitorAsync("device_add virtio-balloon-pci,id=b2,bus=rp1"),
                StringComparison.Ordinal);
            Assert.Equal("", await vm.MonitorAsync("balloon 250"));
            using var patience = new CancellationTokenSource(Vmm.Tests.Patience.Limit);
            while (await vm.MonitorAsync("info balloon") != "balloon: actual=250")
            {
                await Task.Delay(20, patience.Token);
            }

            Assert.Equal("done", await vm.HotplugAsync("device_del b"));
            Assert.Contains("No balloon device has been activated", await vm.MonitorAsync("info balloon"), StringComparison.Ordinal);
        }
    }

    /// <summary>Sockets for ports that come and go, each with the name of its port.</summary>
    private sealed class Backends(string folder) : IPortBackends, IDisposable
    {
        private readonly Dictionary<string, (SocketDevice Device, CancellationTokenSource Stop)> _open = [];
        private int _count;

        public ConcurrentDictionary<string, string> Open { get; } = [];

        public void Attach(SerialPortConfig port)
        {
            string path = Path.Combine(folder, $"port{_count++}");
            var device = new SocketDevice(port.Id, new SocketTarget(path, "", 0, Server: true, Wait: false));
            var stop = new CancellationTokenSource();
            _ = PortServer.RunAsync(device, port.Link, stop.Token);
            _open.Add(port.Id, (device, stop));
            Open[port.Id] = path;
        }

        public void Detach(SerialPortConfig port)
        {
            Open.TryRemove(port.Id, out _);
            if (_open.Remove(port.Id, out (SocketDevice Device, CancellationTokenSource Stop) open))
            {
                open.Stop.Cancel();
                open.Device.DisposeAsync().AsTask().GetAwaiter().GetResult();
                open.Stop.Dispose();
            }
        }

        public void Dispose()
        {
            foreach ((_, CancellationTokenSource stop) in _open.Values)
            {
                stop.Dispose();
            }
        }
    }
}

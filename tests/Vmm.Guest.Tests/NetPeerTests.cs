using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>A guest of ours and one of QEMU's on one link: what QEMU's backends say to each other, ours say and understand.</summary>
public sealed class NetPeerTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-peer-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("stream,server=off,addr.type=unix,addr.path={0}", "stream,server=on,addr.type=unix,addr.path={0}", false)]
    [InlineData("stream,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port={1}", "socket,connect=127.0.0.1:{1}", true)]
    [InlineData("socket,connect=127.0.0.1:{1}", "socket,listen=127.0.0.1:{1}", false)]
    [InlineData(
        "dgram,local.type=inet,local.host=127.0.0.1,local.port={1},remote.type=inet,remote.host=127.0.0.1,remote.port={2}",
        "socket,udp=127.0.0.1:{1},localaddr=127.0.0.1:{2}", true)]
    public async Task Frames_go_both_ways(string ours, string theirs, bool oursFirst)
    {
        object[] places = [Path.Combine(_folder.FullName, "socket"), FreePort(), FreePort()];
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.NetModules];
        string initrd = Path.Combine(_folder.FullName, "initrd");
        await File.WriteAllBytesAsync(initrd, initramfs);
        string backend = string.Format(CultureInfo.InvariantCulture, theirs, places);
        QemuGuest? qemu = oursFirst ? null : await QemuGuest.StartAsync(files.Kernel, initrd, backend);
        MachineConfig given = CommandLine.Parse(
        [
            "-kernel", files.Kernel, "-netdev", $"{string.Format(CultureInfo.InvariantCulture, ours, places)},id=n0",
            "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:12:34:57",
        ]).Machine.ToConfig();
        var config = new MachineConfig(CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 1, 1), 300 << 20,
            new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient))
        {
            PciDevices = given.PciDevices,
            Netdevs = given.Netdevs,
        };
        await using (ShellVm vm = await ShellVm.StartAsync(config))
        {
            await vm.AwaitShellAsync();
            qemu ??= await QemuGuest.StartAsync(files.Kernel, initrd, backend);
            await using (qemu)
            {
                await vm.Shell.RunAsync(Start(1));
                await qemu.Shell.RunAsync(Start(2));
                Assert.Contains(" 0% packet loss", await vm.Shell.RunAsync("ping -c 3 192.168.7.2"), StringComparison.Ordinal);
                Assert.Contains(" 0% packet loss", await qemu.Shell.RunAsync("ping -c 3 192.168.7.1"), StringComparison.Ordinal);
                await CopyAsync(vm.Shell, qemu.Shell, "192.168.7.2");
                await CopyAsync(qemu.Shell, vm.Shell, "192.168.7.1");
                await vm.PowerOffAsync();
            }
        }

        config.Netdevs.Dispose();
    }

    private static string Start(int host) =>
        "for m in failover net_failover virtio_mmio virtio_net; do insmod /$m.ko; done; ip link set eth0 up; "
        + $"ip addr add 192.168.7.{host}/24 dev eth0";

    private static async Task CopyAsync(GuestShell from, GuestShell to, string address)
    {
        // Busybox's nc ends when the other side has said all, so the one that takes the file never does.
        await to.RunAsync("rm -f /tmp/got /tmp/nothing; mkfifo /tmp/nothing; nc -l -p 7 > /tmp/got 0<> /tmp/nothing &");
        await to.RunAsync("until netstat -ltn | grep -q ':7 '; do sleep 0.1; done");
        await from.RunAsync($"dd if=/dev/urandom of=/tmp/sent bs=1M count=8 2>/dev/null; nc {address} 7 < /tmp/sent");
        string sent = (await from.RunAsync("sha256sum < /tmp/sent")).Trim();
        Assert.Contains(sent, await to.RunAsync("wait; sha256sum < /tmp/got"), StringComparison.Ordinal);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>A guest of QEMU's, with the shell of <see cref="Initramfs"/>.</summary>
    private sealed class QemuGuest : IAsyncDisposable
    {
        private readonly Process _process;

        private QemuGuest(Process process)
        {
            _process = process;
            Shell = new GuestShell(bytes =>
            {
                process.StandardInput.BaseStream.Write(bytes);
                process.StandardInput.BaseStream.Flush();
            }) { Patience = Patience.Limit };
        }

        public GuestShell Shell { get; }

        public static async Task<QemuGuest> StartAsync(string kernel, string initrd, string backend)
        {
            var guest = new QemuGuest(Process.Start(new ProcessStartInfo("qemu-system-aarch64",
            [
                "-machine", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", "300", "-kernel", kernel, "-initrd", initrd,
                "-append", TestGuest.Patient, "-nodefaults", "-display", "none", "-serial", "stdio", "-netdev", $"{backend},id=n0",
                "-device", "virtio-net-pci,netdev=n0,romfile=,mac=52:54:00:12:34:58",
            ])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            })!);
            _ = guest.ReadAsync();
            await guest.Shell.PromptAsync();
            return guest;
        }

        public async ValueTask DisposeAsync()
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        private async Task ReadAsync()
        {
            byte[] buffer = new byte[4096];
            int count;
            while ((count = await _process.StandardOutput.BaseStream.ReadAsync(buffer)) > 0)
            {
                Shell.Receive(buffer.AsMemory(0, count));
            }

            Shell.End("QEMU has ended");
        }
    }
}

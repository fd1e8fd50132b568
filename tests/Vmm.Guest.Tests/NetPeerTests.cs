using System.Globalization;
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
        object[] places = [Path.Combine(_folder.FullName, "socket"), NetShell.FreePort(), NetShell.FreePort()];
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. TestPackages.NetModules];
        string initrd = Path.Combine(_folder.FullName, "initrd");
        await File.WriteAllBytesAsync(initrd, initramfs);
        string backend = string.Format(CultureInfo.InvariantCulture, theirs, places);
        ProcessGuest? qemu = oursFirst ? null : await StartQemuAsync(files.Kernel, initrd, backend);
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
            qemu ??= await StartQemuAsync(files.Kernel, initrd, backend);
            await using (qemu)
            {
                await vm.Shell.RunAsync(NetShell.Start(1));
                await qemu.Shell.RunAsync(NetShell.Start(2));
                Assert.Contains(" 0% packet loss", await vm.Shell.RunAsync("ping -c 3 192.168.7.2"), StringComparison.Ordinal);
                Assert.Contains(" 0% packet loss", await qemu.Shell.RunAsync("ping -c 3 192.168.7.1"), StringComparison.Ordinal);
                await NetShell.CopyAsync(vm.Shell, qemu.Shell, "192.168.7.2");
                await NetShell.CopyAsync(qemu.Shell, vm.Shell, "192.168.7.1");
                await vm.PowerOffAsync();
            }
        }

        config.Netdevs.Dispose();
    }

    private static Task<ProcessGuest> StartQemuAsync(string kernel, string initrd, string backend) => ProcessGuest.StartAsync(
    [
        "qemu-system-aarch64", "-machine", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", "300", "-kernel", kernel, "-initrd", initrd,
        "-append", TestGuest.Patient, "-nodefaults", "-display", "none", "-serial", "stdio", "-netdev", $"{backend},id=n0",
        "-device", "virtio-net-pci,netdev=n0,romfile=,mac=52:54:00:12:34:58",
    ]);
}

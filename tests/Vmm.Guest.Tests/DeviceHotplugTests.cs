using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Pci;
using Vmm.Host.Guest;
using Vmm.Host.Options;

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
}

using Vmm.Emulation.Boards;

namespace Vmm.Guest.Tests;

/// <summary>Linux takes the messages of PCI devices from each controller that <c>-machine msi=</c> offers.</summary>
public sealed class MessageTests : IDisposable
{
    private readonly DiskFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <param name="chip">What Linux calls the controller of the device's interrupts.</param>
    [Theory]
    [InlineData("msi=its", true, "ITS-PCI-MSIX")]
    [InlineData("msi=gicv2m", true, "GICv2m-PCI-MSIX")]
    [InlineData("msi=gicv2m", false, "GICv2m-PCI-MSIX")]
    [InlineData("msi=none", true, "GICv3")]
    public async Task Disk_interrupts_by_the_controller_of_the_command_line(string msi, bool acpi, string chip)
    {
        string image = _folder.MakeImage("raw");
        string[] options = ["-machine", msi, "-drive", $"if=none,id=d0,file={image},format=raw", "-device", "virtio-blk-pci,drive=d0"];
        MachineConfig here = await DiskFolder.ConfigAsync(acpi, options);
        MachineConfig there = await DiskFolder.ConfigAsync(acpi, [.. options, "-incoming", "defer"]);
        await using (ShellVm vm = await ShellVm.StartAsync(here))
        {
            await DiskFolder.MountAsync(vm);
            Assert.Equal("", await vm.Shell.RunAsync("dd if=/dev/urandom of=/m/file bs=64k count=50 2>/dev/null; sync"));
            string sum = await vm.Shell.RunAsync("md5sum < /m/file");
            string interrupts = await vm.Shell.RunAsync("grep virtio /proc/interrupts");
            Assert.All(
                interrupts.Trim().Split('\n'),
                line => Assert.Contains($" {chip}", line, StringComparison.Ordinal));
            Assert.Equal("", await vm.Shell.RunAsync("dmesg | grep -iE 'gicv2m.*(fail|invalid)|its:.*fail'"));
            await using ShellVm moved = await vm.MoveAsync(there);
            Assert.Equal(sum, await DiskFolder.ReadSumAsync(moved));
            Assert.Equal("", await moved.Shell.RunAsync("umount /m"));
            await moved.PowerOffAsync();
        }
    }
}

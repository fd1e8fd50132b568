using Vmm.Emulation.Boards;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>EDK2 boots from the network: DHCP names a file, which comes by TFTP.</summary>
public sealed class NetbootTests : IDisposable
{
    private const string Bios = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";
    private const string Installer = "debian-installer-13-netboot-arm64";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-netboot-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("virtio-net-pci")]
    [InlineData("virtio-net-device")]
    public async Task Firmware_boots_a_kernel_that_comes_by_TFTP(string device)
    {
        await File.WriteAllBytesAsync(Path.Combine(_folder.FullName, "kernel.efi"), TestGuest.CloudKernel);
        await using ShellVm vm = await ShellVm.StartAsync(Machine(_folder.FullName, "kernel.efi", device));
        await vm.Shell.UntilAsync("NBP file downloaded successfully");
        await vm.Shell.UntilAsync("EFI stub: Booting Linux Kernel...");
        await vm.Shell.UntilAsync("Unable to mount root fs");
    }

    [LongFact]
    public async Task Installer_of_Debian_comes_by_TFTP_to_its_first_question()
    {
        string tree = "";
        await GuestAssets.FetchAsync(GuestKernel.DefaultSuite, async (apt, _) =>
            tree = await apt.FetchAsync(Installer, _folder.FullName, null, CancellationToken.None), CancellationToken.None);

        // The other one is for a display.
        string root = Directory.EnumerateDirectories(tree, "text", SearchOption.AllDirectories).Single();
        await using ShellVm vm = await ShellVm.StartAsync(Machine(root, "debian-installer/arm64/bootnetaa64.efi", "virtio-net-pci"));
        await vm.Shell.UntilAsync("Press enter to boot");
        vm.Shell.Type("\r");
        await vm.Shell.UntilAsync("Select a language");
    }

    private static MachineConfig Machine(string folder, string file, string device) => CommandLine.Parse([
        "-cpu", "max", "-m", "1G", "-bios", Bios, "-boot", "menu=on,splash-time=0",
        "-netdev", $"user,id=n0,tftp={folder},bootfile={file}", "-device", $"{device},netdev=n0,bootindex=0"]).Machine.ToConfig();
}

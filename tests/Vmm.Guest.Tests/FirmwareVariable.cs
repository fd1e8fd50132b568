using Vmm.Emulation.Boards;

namespace Vmm.Guest.Tests;

/// <summary>Variables of the firmware, as a guest's efivarfs has them: 32 bits of attributes, and the value.</summary>
internal static class FirmwareVariable
{
    /// <summary>The same machine with the modules that <see cref="MountAsync"/> needs in its initial RAM disk.</summary>
    public static async Task<MachineConfig> WithModulesAsync(MachineConfig config)
    {
        byte[] initramfs = [
            .. await File.ReadAllBytesAsync(TestGuest.Files(Host.Guest.GuestFlavour.Cloud).Initramfs), .. TestPackages.FirmwareModules];
        return config with { Boot = new BootConfig(config.Boot.Kernel, initramfs, config.Boot.CommandLine) };
    }

    /// <summary>Makes variables visible in the guest; once after each boot.</summary>
    public static async Task MountAsync(ShellVm vm) =>
        Assert.Equal("", await vm.Shell.RunAsync("insmod /efivarfs.ko && mount -t efivarfs efivarfs /tmp"));

    /// <summary>Writes a variable that stays over boots and is there at boot and at run time.</summary>
    public static async Task WriteAsync(ShellVm vm, int number, string value) =>
        Assert.Equal("", await vm.Shell.RunAsync($"printf '\\007\\000\\000\\000{value}' > {Name(number)}"));

    public static Task<string> ReadAsync(ShellVm vm, int number) => vm.Shell.RunAsync($"tail -c +5 {Name(number)}; echo");

    private static string Name(int number) => $"/tmp/VmmTest{number}-12345678-1234-1234-1234-123456789abc";
}

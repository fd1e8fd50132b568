using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>A Debian guest that moves to a VM which was started with other CPUs, and what it can do there.</summary>
public sealed class MigrationTests
{
    private const string Sets = "cd /sys/devices/system/cpu; echo $(cat possible present enabled online)";

    private static async Task<MachineConfig> ConfigAsync(
        int enabled, int disabled = 0, bool onlineCapable = false, ulong mebibytes = 300, byte[]? more = null)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        byte[] initramfs = [.. await File.ReadAllBytesAsync(files.Initramfs), .. more ?? []];
        var boot = new BootConfig(await File.ReadAllBytesAsync(files.Kernel), initramfs, TestGuest.Patient);
        return new MachineConfig(CpuModel.Find("max")!, enabled, new CpuTopology(1, 1, 5, 1), mebibytes << 20, boot)
        {
            DisabledCpus = disabled,
            ColdPluggedCpusOnlineCapable = onlineCapable,
        };
    }

    private static async Task<ShellVm> BootAsync(MachineConfig config)
    {
        ShellVm vm = await ShellVm.StartAsync(config);
        await vm.AwaitShellAsync();
        return vm;
    }

    private static async Task PlugAsync(ShellVm vm, int cpu)
    {
        Assert.Equal("done", await vm.HotplugAsync($"device_add max-arm-cpu,id=c{cpu},core-id={cpu}"));
        await vm.Shell.RunAsync($"echo 1 > /sys/devices/system/cpu/cpu{cpu}/online");
    }

    /// <summary>There and back between VMs whose command lines differ in the CPUs of power-on; the guest keeps its own.</summary>
    [Theory]
    [InlineData(1, 3)]
    [InlineData(3, 1)]
    public async Task Guest_moves_there_and_back_between_different_enabled_sets(int here, int there)
    {
        MachineConfig first = await ConfigAsync(here);
        MachineConfig second = await ConfigAsync(there);
        await using ShellVm vm = await BootAsync(first);
        await PlugAsync(vm, 3);
        await PlugAsync(vm, 4);
        await vm.Shell.RunAsync("X=remembered");
        string online = here == 1 ? "0,3-4" : "0-4";
        Assert.Equal($"0-4 0-4 {online} {online}", await vm.Shell.RunAsync(Sets));

        string notices = "";
        await using ShellVm other = await vm.MoveAsync(second, message => notices += (message as VmNotice)?.Text);
        Assert.Equal(
            $"the VM takes over the CPUs at power-on of the saved one, {new PowerOnSet(here, 0, false)}, in place of "
            + $"{new PowerOnSet(there, 0, false)}", notices);
        Assert.Equal(here, other.Machine.Config.EnabledCpus);
        Assert.Equal("remembered", await other.Shell.RunAsync("echo $X"));
        Assert.Equal($"0-4 0-4 {online} {online}", await other.Shell.RunAsync(Sets));

        // The ids are those that the source gave. CPU 3 leaves, and comes with another name.
        Assert.Equal("done", await other.HotplugAsync("device_del c3"));
        Assert.Equal("done", await other.HotplugAsync("device_add max-arm-cpu,id=again,core-id=3"));
        await other.Shell.RunAsync("echo 1 > cpu3/online");
        Assert.Equal($"0-4 0-4 {online} {online}", await other.Shell.RunAsync(Sets));
        other.Shell.Type("reboot -f");
        await other.AwaitShellAsync();
        Assert.Equal($"0-4 0-4 {online} {online}", await other.Shell.RunAsync(Sets));

        await using ShellVm back = await other.MoveAsync(second);
        Assert.Equal(here, back.Machine.Config.EnabledCpus);
        Assert.Equal("done", await back.HotplugAsync("device_del again"));
        Assert.Equal("done", await back.HotplugAsync("device_del c4"));
        online = here == 1 ? "0" : "0-2";
        Assert.Equal($"0-4 0-4 {online} {online}", await back.Shell.RunAsync(Sets));
        await back.PowerOffAsync();
    }

    /// <summary>CPUs of power-on leave and come back at the target too, where its command line has them as CPUs that never leave.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Cpus_that_the_guest_has_from_power_on_leave_at_the_target_as_they_would_at_the_source(bool onlineCapable)
    {
        MachineConfig here = await ConfigAsync(3, onlineCapable: onlineCapable);
        MachineConfig there = await ConfigAsync(2, onlineCapable: !onlineCapable);
        await using ShellVm vm = await BootAsync(here);
        await PlugAsync(vm, 4);
        await using ShellVm other = await vm.MoveAsync(there);
        Assert.Equal(onlineCapable, other.Machine.Config.ColdPluggedCpusOnlineCapable);
        string left = await other.HotplugAsync("device_del cpu-1");
        string online = "0-2,4";
        if (onlineCapable)
        {
            Assert.Equal("done", left);
            online = "0,2,4";
        }
        else
        {
            Assert.StartsWith("Error: ", left, StringComparison.Ordinal);
        }

        Assert.Equal($"0-4 0-4 {online} {online}", await other.Shell.RunAsync(Sets));
        other.Shell.Type("reboot -f");
        await other.AwaitShellAsync();
        Assert.Equal($"0-4 0-4 {online} {online}", await other.Shell.RunAsync(Sets));
        if (onlineCapable)
        {
            await PlugAsync(other, 1);
        }

        Assert.Equal("done", await other.HotplugAsync("device_del c4"));
        Assert.Equal("0-4 0-4 0-2 0-2", await other.Shell.RunAsync(Sets));
        await other.PowerOffAsync();
    }

    [Fact]
    public async Task Disabled_cpus_are_so_at_the_target_and_can_be_enabled_there()
    {
        MachineConfig here = await ConfigAsync(2, disabled: 2, onlineCapable: true);
        MachineConfig there = await ConfigAsync(4);
        await using ShellVm vm = await BootAsync(here);
        Assert.Equal("done", await vm.SetAdminAsync(2, true));
        Assert.Equal("done", await vm.SetAdminAsync(1, false));
        await vm.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu2/online");
        Assert.Equal("0-4 0-4 0,2 0,2", await vm.Shell.RunAsync(Sets));

        await using ShellVm other = await vm.MoveAsync(there);
        Assert.Equal("Enabled/On Disabled/Off Enabled/On Disabled/Off Removed/Off", await other.PowerStateAsync());
        Assert.Equal("0-4 0-4 0,2 0,2", await other.Shell.RunAsync(Sets));
        Assert.Equal("done", await other.SetAdminAsync(1, true));
        Assert.Equal("done", await other.SetAdminAsync(3, true));
        Assert.Equal("done", await other.SetAdminAsync(2, false));
        await other.Shell.RunAsync("echo 1 > cpu1/online; echo 1 > cpu3/online");
        Assert.Equal("0-4 0-4 0-1,3 0-1,3", await other.Shell.RunAsync(Sets));
        other.Shell.Type("reboot -f");
        await other.AwaitShellAsync();
        Assert.Equal("0-4 0-4 0-1,3 0-1,3", await other.Shell.RunAsync(Sets));
        Assert.Equal("Enabled/On Enabled/On Disabled/Off Enabled/On Removed/Off", await other.PowerStateAsync());
        await other.PowerOffAsync();
    }

    [Fact]
    public async Task Kexec_at_the_target_boots_with_the_plugged_cpus()
    {
        var archive = new CpioArchive();
        archive.AddFile("vmlinuz", TestGuest.CloudKernel);
        archive.AddFile("initramfs.cpio", await File.ReadAllBytesAsync(TestGuest.Files(GuestFlavour.Cloud).Initramfs));
        byte[] more = [.. TestPackages.Kexec, .. archive.ToArray()];

        // While its own addresses have 52 bits, Linux 6.12 faults when it is to load a kernel (trans_pgd_create_copy), under QEMU as well.
        CpuModel model = CpuProperties.With(CpuModel.Find("max")!, [("lpa2", false)]);
        await using ShellVm vm = await BootAsync(await ConfigAsync(2, mebibytes: 768, more: more) with { Cpu = model });
        await PlugAsync(vm, 3);
        await using ShellVm other = await vm.MoveAsync(await ConfigAsync(1, mebibytes: 768, more: more) with { Cpu = model });
        Assert.Equal("0", await other.Shell.RunAsync(
            "/sbin/kexec -c -l /vmlinuz --initrd=/initramfs.cpio --append='console=ttyAMA0 kexeced' >/tmp/log 2>&1; echo $?"));
        other.Shell.Type("/sbin/kexec -e");
        await other.AwaitShellAsync();
        Assert.Equal("1", await other.Shell.RunAsync("grep -c kexeced /proc/cmdline"));
        Assert.Equal("0-4 0-4 0-1,3 0-1,3", await other.Shell.RunAsync(Sets));
        Assert.Equal("done", await other.HotplugAsync("device_del c3"));
        await PlugAsync(other, 2);
        Assert.Equal("0-4 0-4 0-2 0-2", await other.Shell.RunAsync(Sets));
        await other.PowerOffAsync();
    }

    /// <summary>Each side has a file of its own for the firmware's variables; the guest's come with it.</summary>
    [Fact]
    public async Task Variables_of_the_firmware_move_and_are_in_the_file_of_the_target()
    {
        string folder = Directory.CreateTempSubdirectory("vmm-variables-").FullName;
        string there = Path.Combine(folder, "there");
        try
        {
            MachineConfig config = await FirmwareVariable.WithModulesAsync(await ConfigAsync(2));
            using (var from = new VariableFile(Path.Combine(folder, "here")))
            using (var to = new VariableFile(there))
            {
                await using ShellVm vm = await BootAsync(config with { Firmware = from.Firmware });
                await FirmwareVariable.MountAsync(vm);
                await FirmwareVariable.WriteAsync(vm, 1, "here");
                await using ShellVm other = await vm.MoveAsync(config with { Firmware = to.Firmware });
                Assert.Equal("here", await FirmwareVariable.ReadAsync(other, 1));

                // Firmware and kernel read it anew, from the target's flash.
                other.Shell.Type("reboot -f");
                await other.Shell.UntilAsync("UEFI firmware");
                await other.AwaitShellAsync();
                await FirmwareVariable.MountAsync(other);
                Assert.Equal("here", await FirmwareVariable.ReadAsync(other, 1));
                await FirmwareVariable.WriteAsync(other, 2, "there");
                await other.PowerOffAsync();
            }

            using var later = new VariableFile(there);
            await using ShellVm next = await BootAsync(config with { Firmware = later.Firmware });
            await FirmwareVariable.MountAsync(next);
            Assert.Equal("here", await FirmwareVariable.ReadAsync(next, 1));
            Assert.Equal("there", await FirmwareVariable.ReadAsync(next, 2));
            await next.PowerOffAsync();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}

namespace Vmm.Guest.Tests;

/// <summary>CPUs that the administrator disables and enables, as the later drafts of the series have it.</summary>
public sealed class StandbyTests
{
    private const string Sets = "cd /sys/devices/system/cpu; echo $(cat possible present enabled online)";

    [Fact]
    public async Task Cpus_are_enabled_and_disabled_and_stay_so_over_resets()
    {
        await using ShellVm vm = await ShellVm.BootStandbyAsync(enabled: 3, disabled: 1, possible: 5);
        Assert.Equal("0-4 0-4 0-2 0-2", await vm.Shell.RunAsync(Sets));
        Assert.Equal("Enabled/On Enabled/On Enabled/On Disabled/Off Removed/Off", await vm.PowerStateAsync());

        await vm.AwaitStandbyAsync(1);

        // PSCI has answered DENIED when the kernel tried all that are present.
        Assert.Equal("", await vm.Shell.RunAsync("ls -d cpu3 2>/dev/null"));

        Assert.Equal("done", await vm.SetAdminAsync(3, true));
        Assert.Equal("", await vm.Shell.RunAsync("echo 1 > cpu3/online"));
        Assert.Equal("3", await vm.Shell.RunAsync("taskset 8 awk '{print $39}' /proc/self/stat"));
        Assert.Equal("done", await vm.SetAdminAsync(1, false));
        Assert.Equal("0-4 0-4 0,2-3 0,2-3", await vm.Shell.RunAsync(Sets));
        Assert.Equal("can't power-off boot CPU (id0=0:0:0:0)", await vm.SetAdminAsync(0, false));
        Assert.Equal("No device found for driver 'max-arm-cpu'", await vm.SetAdminAsync(4, true));

        Assert.Equal("", await vm.MonitorAsync("system_reset"));
        await vm.AwaitShellAsync();
        Assert.Equal("0-4 0-4 0,2-3 0,2-3", await vm.Shell.RunAsync(Sets));
        vm.Shell.Type("reboot -f");
        await vm.AwaitShellAsync();
        Assert.Equal("0-4 0-4 0,2-3 0,2-3", await vm.Shell.RunAsync(Sets));
        Assert.Equal("Enabled/On Disabled/Off Enabled/On Enabled/On Removed/Off", await vm.PowerStateAsync());

        Assert.Equal("done", await vm.SetAdminAsync(1, true));
        Assert.Equal("done", await vm.SetAdminAsync(3, false));
        Assert.Equal("", await vm.Shell.RunAsync("echo 1 > cpu1/online"));
        Assert.Equal("0-4 0-4 0-2 0-2", await vm.Shell.RunAsync(Sets));
        await vm.PowerOffAsync();
    }
}

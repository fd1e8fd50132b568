using System.Diagnostics;
using System.Globalization;
using Vmm.Emulation.Boards;
using Vmm.Host.Demo;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>A Debian kernel with a shell, on the machine as users have it: actors, serial line, monitor.</summary>
public sealed class ShellTests
{
    private const string Sets = "cd /sys/devices/system/cpu; grep . enabled online offline";

    [Theory]
    [InlineData("cortex-a72", 1, Accelerator.Interpreter)]
    [InlineData("cortex-a72", 1, Accelerator.Jit)]
    [InlineData("cortex-a53", 1, Accelerator.Jit)]
    [InlineData("cortex-a710", 1, Accelerator.Jit)]
    [InlineData("neoverse-v1", 1, Accelerator.Jit)]
    [InlineData("max", 6, Accelerator.Interpreter)]
    [InlineData("max", 6, Accelerator.Jit)]
    public async Task Kernel_boots_to_a_shell(string cpu, int cpus, Accelerator accelerator)
    {
        await using ShellVm vm = await ShellVm.BootAsync(cpu, cpus, cpus, accelerator: accelerator);
        Assert.Equal(cpus.ToString(CultureInfo.InvariantCulture), await vm.Shell.RunAsync("nproc"));
        Assert.Equal("aarch64", await vm.Shell.RunAsync("uname -m"));

        // Floating point, processes and pipes of a real user space.
        Assert.Equal("3.14159", await vm.Shell.RunAsync("awk 'BEGIN { printf \"%.5f\", 355 / 113 }'; echo"));
        Assert.Equal("500500", await vm.Shell.RunAsync("seq 1000 | awk '{ s += $1 } END { print s }'"));
        await vm.PowerOffAsync();
    }

    [Theory]
    [InlineData(Accelerator.Interpreter)]
    [InlineData(Accelerator.Jit)]
    public async Task Hotplug_scenario_holds_in_every_finding(Accelerator accelerator)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        IReadOnlyList<string> line =
            CoverLetter.LaunchLine(files.Kernel, files.Initramfs, accelerator == Accelerator.Jit ? "jit" : "interp", firmware: null);
        IReadOnlyList<Finding> findings = await HotplugScenario.RunAsync(CommandLine.Parse(line).Machine.ToConfig(), rounds: 5, _ => { });
        Assert.True(findings.Count > 30);
        Assert.All(findings, f => Assert.Equal(f.Expected, f.Seen));
    }

    [Fact]
    public async Task Reboot_and_reset_keep_the_enabled_set()
    {
        await using ShellVm vm = await ShellVm.BootAsync("cortex-a57", 2, 4);
        Assert.Equal("done", await vm.HotplugAsync("device_add cortex-a57-arm-cpu,id=third,core-id=3"));
        Assert.Equal("enabled:0-1,3\nonline:0-1\noffline:2-3", await vm.Shell.RunAsync(Sets));

        vm.Shell.Type("reboot -f");
        await vm.AwaitShellAsync();
        Assert.Equal("enabled:0-1,3\nonline:0-1,3\noffline:2", await vm.Shell.RunAsync(Sets));

        Assert.Equal("", await vm.MonitorAsync("system_reset"));
        await vm.AwaitShellAsync();
        Assert.Equal("enabled:0-1,3\nonline:0-1,3\noffline:2", await vm.Shell.RunAsync(Sets));

        // It still is a hot-plugged CPU.
        Assert.Equal("done", await vm.HotplugAsync("device_del third"));
        Assert.Equal("enabled:0-1\nonline:0-1\noffline:2-3", await vm.Shell.RunAsync(Sets));
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Kernel_with_16K_pages_boots_to_a_shell()
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 2, 2, flavour: GuestFlavour.Pages16K, mebibytes: 512);
        Assert.Contains("16 kB", await vm.Shell.RunAsync("grep -m1 KernelPageSize /proc/self/smaps"), StringComparison.Ordinal);
        Assert.Equal("2", await vm.Shell.RunAsync("nproc"));
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Device_tree_boot_comes_to_a_shell_and_has_no_hotplug()
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 2, 4, acpi: false);
        Assert.Equal("linux,dummy-virt", (await vm.Shell.RunAsync("cat /sys/firmware/devicetree/base/model; echo")).TrimEnd('\0'));
        Assert.Equal("2", await vm.Shell.RunAsync("nproc"));
        Assert.Equal(
            "Error: CPU hotplug is not supported without ACPI", await vm.MonitorAsync("device_add max-arm-cpu,id=core3,core-id=3"));
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Stopped_machine_stands_still_and_goes_on()
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 2, 2);
        long start = Stopwatch.GetTimestamp();
        double before = await Uptime(vm);
        Assert.Equal("", await vm.MonitorAsync("stop"));
        Assert.Equal("VM status: paused", await vm.MonitorAsync("info status"));
        long stop = Stopwatch.GetTimestamp();
        await Task.Delay(3000);
        TimeSpan stopped = Stopwatch.GetElapsedTime(stop);
        Assert.Equal("", await vm.MonitorAsync("cont"));
        double after = await Uptime(vm);

        // The guest's clock has two decimals.
        Assert.InRange(after - before, 0, (Stopwatch.GetElapsedTime(start) - stopped).TotalSeconds + 0.02);
        await vm.PowerOffAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Input_from_before_the_guest_listens_is_not_lost(bool acpi)
    {
        await using ShellVm vm = await ShellVm.StartAsync("max", 1, 1, acpi: acpi);
        vm.Shell.Type("poweroff -f");
        await vm.EndAsync();
    }

    [Fact]
    public async Task Little_room_for_translated_code_is_used_again_and_again()
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 3, 3, accelerator: Accelerator.Jit, translationBytes: 1 << 20);
        Assert.Equal("500500", await vm.Shell.RunAsync("(seq 1000; seq 10 >/dev/null) | awk '{ s += $1 } END { print s }'"));
        Assert.True(vm.Machine.DescribeJit().CodeGivenUp() > 10, vm.Machine.DescribeJit());
        await vm.PowerOffAsync();
    }

    [Fact]
    public async Task Power_button_reaches_the_guest()
    {
        const string Events = "awk '/ACPI:Ged/ { print $2 }' /proc/interrupts";
        await using ShellVm vm = await ShellVm.BootAsync("max", 1, 1);
        Assert.Equal("0", await vm.Shell.RunAsync(Events));
        Assert.Equal("", await vm.MonitorAsync("system_powerdown"));
        Assert.Equal("1", await vm.Shell.RunAsync(Events));
        await vm.PowerOffAsync();
    }

    private static async Task<double> Uptime(ShellVm vm) =>
        double.Parse((await vm.Shell.RunAsync("cat /proc/uptime")).Split(' ')[0], CultureInfo.InvariantCulture);
}

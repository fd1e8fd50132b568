using System.Diagnostics;
using System.Globalization;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Snapshots;
using Vmm.Host.Guest;
using Vmm.Host.Options;
using Xunit.Abstractions;

namespace Vmm.Guest.Tests;

/// <summary>A Debian guest that is saved and goes on: in the same VM, and in another one.</summary>
public sealed class SnapshotTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"vmm-state-{Guid.NewGuid():N}");

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private static async Task<MachineConfig> ConfigAsync(bool acpi = true, bool firmware = false)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        var boot = new BootConfig(
            await File.ReadAllBytesAsync(files.Kernel), await File.ReadAllBytesAsync(files.Initramfs), TestGuest.Patient);
        return new MachineConfig(CpuModel.Find("max")!, 2, new CpuTopology(1, 1, 4, 1), 300 << 20, boot)
        {
            Acpi = acpi,
            Firmware = firmware ? FirmwareOption.Open("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", []) : null,
        };
    }

    private static async Task<double> UptimeAsync(ShellVm vm) =>
        double.Parse((await vm.Shell.RunAsync("cut -d' ' -f1 /proc/uptime")).Trim(), CultureInfo.InvariantCulture);

    [Theory]
    [InlineData("")]
    [InlineData("-z ")]
    public async Task Guest_goes_on_in_another_vm_with_its_plugged_cpu_and_hotplug_works_there(string compress)
    {
        MachineConfig config = await ConfigAsync();
        double uptime;
        ulong clock;
        using (StateFolder state = StateFolder.Open(_folder))
        await using (ShellVm vm = await ShellVm.StartAsync(config, state))
        {
            await vm.AwaitShellAsync();
            Assert.Equal("done", await vm.HotplugAsync("device_add max-arm-cpu,id=extra,core-id=2"));
            await vm.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu2/online; X=remembered; echo kept > /tmp/file");
            await vm.Shell.RunAsync("(while :; do :; done) & (sleep 5; echo slept > /tmp/slept) &");
            uptime = await UptimeAsync(vm);
            long start = Stopwatch.GetTimestamp();
            Assert.Equal("", await vm.MonitorAsync($"savevm {compress}one"));
            output.WriteLine($"saved in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:F0} ms");

            // The VM goes on, and what it does then is not in the snapshot.
            Assert.Equal("remembered", (await vm.Shell.RunAsync("echo $X")).Trim());
            await vm.Shell.RunAsync("X=forgotten; rm /tmp/file");
            Assert.Equal("done", await vm.HotplugAsync("device_del extra"));
            using Snapshot snapshot = state.Snapshots.Open("one");
            snapshot.Verify();
            clock = snapshot.Manifest.Clock;
        }

        using StateFolder other = StateFolder.Open(_folder);
        long began = Stopwatch.GetTimestamp();
        await using ShellVm second = await ShellVm.LoadAsync(config, other, "one", vm => Assert.Equal(clock, vm.Machine.Clock.Count));
        Assert.Equal("remembered kept", (await second.Shell.RunAsync("echo $X $(cat /tmp/file)")).Trim());
        output.WriteLine($"loaded and answered in {Stopwatch.GetElapsedTime(began).TotalMilliseconds:F0} ms");
        Assert.Equal("0-2", (await second.Shell.RunAsync("cat /sys/devices/system/cpu/online")).Trim());
        Assert.InRange(await UptimeAsync(second), uptime, uptime + Stopwatch.GetElapsedTime(began).TotalSeconds + 5);

        // Timers run on, and each CPU takes interrupts.
        await second.Shell.RunAsync("while [ ! -e /tmp/slept ]; do sleep 1; done");
        for (int cpu = 0; cpu < 3; cpu++)
        {
            Assert.Equal($"on {cpu}", (await second.Shell.RunAsync($"taskset {1 << cpu} sh -c 'sleep 0.1; echo on {cpu}'")).Trim());
        }

        await second.Shell.RunAsync("kill %1; wait %1");
        await second.Shell.RunAsync("true");
        Assert.Contains("extra", await second.MonitorAsync("info hotpluggable-cpus"), StringComparison.Ordinal);
        Assert.Equal("done", await second.HotplugAsync("device_del extra"));
        Assert.Equal("0-1", (await second.Shell.RunAsync("cat /sys/devices/system/cpu/online")).Trim());
        Assert.Equal("done", await second.HotplugAsync("device_add max-arm-cpu,id=third,core-id=3"));
        await second.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu3/online");
        Assert.Equal("0-1,3", (await second.Shell.RunAsync("cat /sys/devices/system/cpu/online")).Trim());
        await second.PowerOffAsync();
    }

    [Fact]
    public async Task Guest_is_loaded_again_and_again_in_the_vm_that_runs_and_a_reset_boots_it()
    {
        MachineConfig config = await ConfigAsync();
        using StateFolder state = StateFolder.Open(_folder);
        await using ShellVm vm = await ShellVm.StartAsync(config, state);
        await vm.AwaitShellAsync();
        await vm.Shell.RunAsync("X=0");
        Assert.Equal("", await vm.MonitorAsync("savevm start"));
        Assert.Contains("start", await vm.MonitorAsync("info snapshots"), StringComparison.Ordinal);
        for (int i = 1; i <= 5; i++)
        {
            await vm.Shell.RunAsync($"X={i}");
            Assert.Equal("done", await vm.HotplugAsync($"device_add max-arm-cpu,id=c{i},core-id={2 + (i % 2)}"));
            Assert.Equal("", await vm.MonitorAsync("loadvm start"));
            Assert.Equal("0", (await vm.Shell.RunAsync("echo $X")).Trim());
            Assert.DoesNotContain($"c{i}", await vm.MonitorAsync("info hotpluggable-cpus"), StringComparison.Ordinal);
        }

        Assert.Equal("", await vm.Shell.RunAsync("dmesg | grep -E 'WARNING|BUG|Oops|Call trace|rcu: INFO|lockup'"));
        Assert.Equal("", await vm.MonitorAsync("delvm start"));
        Assert.Equal("", await vm.MonitorAsync("system_reset"));
        await vm.AwaitShellAsync();
        await vm.PowerOffAsync();
    }

    /// <summary>Firmware is in flash, which is a device; a guest with a device tree has no hotplug to freeze.</summary>
    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task Guest_of_another_kind_goes_on_in_another_vm_and_reboots_there(bool acpi, bool firmware)
    {
        MachineConfig config = await ConfigAsync(acpi, firmware);
        using (StateFolder state = StateFolder.Open(_folder))
        await using (ShellVm vm = await ShellVm.StartAsync(config, state))
        {
            await vm.AwaitShellAsync();
            await vm.Shell.RunAsync("X=remembered");
            Assert.Equal("", await vm.MonitorAsync("savevm one"));
        }

        using StateFolder other = StateFolder.Open(_folder);
        await using ShellVm second = await ShellVm.LoadAsync(await ConfigAsync(acpi, firmware), other, "one");
        Assert.Equal("remembered", (await second.Shell.RunAsync("echo $X")).Trim());
        if (firmware)
        {
            // A runtime service of the firmware's.
            Assert.Matches(@"^\d\d:\d\d:\d\d$", (await second.Shell.RunAsync("cat /sys/class/rtc/rtc0/time")).Trim());
        }

        second.Shell.Type("reboot -f");
        await second.AwaitShellAsync();
        await second.PowerOffAsync();
    }
}

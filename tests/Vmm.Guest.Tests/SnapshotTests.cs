using System.Diagnostics;
using System.Globalization;
using Vmm.Actors.Protocol;
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

    /// <summary>Files are written and summed while the guest is saved, again and again. What was saved last goes on, and they are right.
    /// </summary>
    [Theory]
    [InlineData("")]
    [InlineData("-z ")]
    public async Task Guest_that_works_is_saved_while_it_runs(string compress)
    {
        MachineConfig config = await ConfigAsync();
        var held = new Stopwatch();
        using (StateFolder state = StateFolder.Open(_folder))
        await using (ShellVm vm = await ShellVm.StartAsync(config, state))
        {
            vm.Published += message =>
            {
                if (message is VmStatus status)
                {
                    (status.RunState == VmRunState.SaveVm ? (Action)held.Start : held.Stop)();
                }
            };
            await vm.AwaitShellAsync();
            await vm.Shell.RunAsync("work() { while [ ! -e /tmp/stop ]; do dd if=/dev/urandom of=/tmp/f$1 bs=64k count=40 2>/dev/null; "
                + "md5sum /tmp/f$1 > /tmp/s$1; md5sum -cs /tmp/s$1 || echo torn >> /tmp/wrong; echo >> /tmp/rounds$1; done; }");
            await vm.Shell.RunAsync("work 1 & work 2 &");
            for (int i = 0; i < 5; i++)
            {
                held.Reset();
                long start = Stopwatch.GetTimestamp();
                Assert.Equal("", await vm.MonitorAsync($"savevm {compress}one"));
                output.WriteLine(
                    $"saved in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:F0} ms, held for {held.ElapsedMilliseconds} ms");
                using Snapshot snapshot = state.Snapshots.Open("one");
                snapshot.Verify();
            }
        }

        using StateFolder other = StateFolder.Open(_folder);
        await using ShellVm second = await ShellVm.LoadAsync(config, other, "one");
        await second.Shell.RunAsync("n=$(wc -l < /tmp/rounds1); while [ $(wc -l < /tmp/rounds1) -lt $((n + 3)) ]; do sleep 0.2; done");
        await second.Shell.RunAsync("touch /tmp/stop; wait");
        Assert.Equal("ok", (await second.Shell.RunAsync("md5sum -cs /tmp/s1 /tmp/s2 && [ ! -e /tmp/wrong ] && echo ok")).Trim());
        await second.PowerOffAsync();
    }

    /// <summary>The CPUs at power-on are those of the machine that was saved, also when the guest boots again.</summary>
    [Fact]
    public async Task Guest_goes_on_in_a_vm_that_was_started_with_other_cpus()
    {
        MachineConfig config = await ConfigAsync() with { EnabledCpus = 1 };
        using (StateFolder state = StateFolder.Open(_folder))
        await using (ShellVm vm = await ShellVm.StartAsync(config, state))
        {
            await vm.AwaitShellAsync();
            foreach (int cpu in (int[])[1, 2])
            {
                Assert.Equal("done", await vm.HotplugAsync($"device_add max-arm-cpu,id=c{cpu},core-id={cpu}"));
                await vm.Shell.RunAsync($"echo 1 > /sys/devices/system/cpu/cpu{cpu}/online");
            }

            Assert.Equal("", await vm.MonitorAsync("savevm one"));
        }

        using StateFolder other = StateFolder.Open(_folder);
        await using ShellVm second = await ShellVm.LoadAsync(config with { EnabledCpus = 2 }, other, "one",
            vm => Assert.Equal(1, vm.Machine.Config.EnabledCpus));
        Assert.Equal("0-2", await OnlineAsync(second));

        // Where it was started, CPU 1 would be one that never leaves.
        Assert.Equal("done", await second.HotplugAsync("device_del c1"));
        Assert.Equal("0,2", await OnlineAsync(second));
        Assert.Equal("done", await second.HotplugAsync("device_add max-arm-cpu,id=c3,core-id=3"));
        await second.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu3/online");
        Assert.Equal("0,2-3", await OnlineAsync(second));

        second.Shell.Type("reboot -f");
        await second.AwaitShellAsync();
        Assert.Equal("0,2-3", (await second.Shell.RunAsync("cat /sys/devices/system/cpu/enabled")).Trim());
        Assert.Equal("done", await second.HotplugAsync("device_add max-arm-cpu,id=c1,core-id=1"));
        Assert.Equal("done", await second.HotplugAsync("device_del c2"));
        Assert.Equal("0-1,3", (await second.Shell.RunAsync("cat /sys/devices/system/cpu/enabled")).Trim());
        Assert.Contains("Boot CPU", await second.MonitorAsync("device_del cpu-0"), StringComparison.Ordinal);
        await second.PowerOffAsync();
    }

    private static async Task<string> OnlineAsync(ShellVm vm) => (await vm.Shell.RunAsync("cat /sys/devices/system/cpu/online")).Trim();

    /// <summary>Each VM that goes on from a snapshot is told that it is another one, and its random numbers are others.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Guest_that_is_loaded_makes_its_random_numbers_anew(bool firmware)
    {
        MachineConfig config = await ConfigAsync(firmware: firmware) with { GenerationId = new GenerationIdConfig(null) };
        var ids = new HashSet<string>();
        var numbers = new HashSet<string>();
        using StateFolder state = StateFolder.Open(_folder);
        await using (ShellVm vm = await ShellVm.StartAsync(config, state))
        {
            await vm.AwaitShellAsync();
            ids.Add(await vm.MonitorAsync("info vm-generation-id"));
            await vm.Shell.RunAsync("while ! dmesg | grep -q 'crng init done'; do sleep 0.2; done");
            Assert.Equal("", await vm.MonitorAsync("savevm one"));
            for (int i = 0; i < 2; i++)
            {
                Assert.Equal("", await vm.MonitorAsync("loadvm one"));
                await vm.Shell.RunAsync(
                    "while ! dmesg | grep -q 'crng reseeded due to virtual machine fork'; do sleep 0.2; done");
                numbers.Add(await vm.Shell.RunAsync("od -An -N16 -tx1 /dev/urandom"));
                ids.Add(await vm.MonitorAsync("info vm-generation-id"));
            }

            Assert.Equal("1", (await vm.Shell.RunAsync("dmesg | grep -c 'virtual machine fork'")).Trim());
            Assert.Equal("", await vm.Shell.RunAsync("dmesg | grep -iE 'ACPI (BIOS )?(Error|Exception)'"));
        }

        Assert.Equal((3, 2), (ids.Count, numbers.Count));
        Assert.All(ids, id => Assert.True(Guid.TryParseExact(id, "D", out _), id));
    }

    /// <summary>A chain of three: what each adds is there, what was deleted is not, and the parents still are as they were.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("-z ")]
    public async Task Guest_is_saved_as_what_differs_from_a_parent_and_goes_on_in_another_vm(string compress)
    {
        MachineConfig config = await ConfigAsync();
        long whole;
        using (StateFolder state = StateFolder.Open(_folder))
        await using (ShellVm vm = await ShellVm.StartAsync(config, state))
        {
            await vm.AwaitShellAsync();
            await vm.Shell.RunAsync("dd if=/dev/urandom of=/tmp/one bs=1M count=20 2>/dev/null; md5sum /tmp/one > /tmp/sums");
            Assert.Equal("", await vm.MonitorAsync($"savevm {compress}one"));
            Assert.Equal("done", await vm.HotplugAsync("device_add max-arm-cpu,id=extra,core-id=3"));
            await vm.Shell.RunAsync("echo 1 > /sys/devices/system/cpu/cpu3/online");
            await vm.Shell.RunAsync("dd if=/dev/urandom of=/tmp/two bs=1M count=5 2>/dev/null; md5sum /tmp/two >> /tmp/sums");
            Assert.Equal("", await vm.MonitorAsync("savevm -d one two"));
            await vm.Shell.RunAsync("sed -i 1d /tmp/sums; rm /tmp/one; echo kept > /tmp/three; md5sum /tmp/three >> /tmp/sums");
            Assert.Equal("", await vm.MonitorAsync("savevm -d two three"));
            Assert.StartsWith("Error: ", await vm.MonitorAsync("delvm one"), StringComparison.Ordinal);
            whole = StoredBytes(state, "one");
            output.WriteLine($"stored: {whole}, {StoredBytes(state, "two")}, {StoredBytes(state, "three")} bytes");
            Assert.InRange(StoredBytes(state, "two"), 5 << 20, whole / 2);
            Assert.InRange(StoredBytes(state, "three"), 4096, whole / 2);
        }

        foreach ((string tag, string files, string online) in ((string, string, string)[])
            [("three", "/tmp/sums /tmp/three /tmp/two", "0-1,3"), ("two", "/tmp/one /tmp/sums /tmp/two", "0-1,3"),
                ("one", "/tmp/one /tmp/sums", "0-1")])
        {
            using StateFolder other = StateFolder.Open(_folder);
            using (Snapshot snapshot = other.Snapshots.Open(tag))
            {
                snapshot.Verify();
            }

            await using ShellVm second = await ShellVm.LoadAsync(config, other, tag);
            Assert.Equal(files, await second.Shell.RunAsync("echo $(ls /tmp/one /tmp/two /tmp/three /tmp/sums 2>/dev/null)"));
            Assert.Equal("right", await second.Shell.RunAsync("md5sum -cs /tmp/sums && echo right"));
            Assert.Equal(online, await OnlineAsync(second));
            if (tag != "one")
            {
                Assert.Equal("done", await second.HotplugAsync("device_del extra"));
            }

            await second.PowerOffAsync();
        }
    }

    private static long StoredBytes(StateFolder state, string tag)
    {
        using Snapshot snapshot = state.Snapshots.Open(tag);
        return snapshot.Manifest.Ram.Stored;
    }

    /// <summary>The variables of a snapshot are those of its time, in the flash and in the file.</summary>
    [Fact]
    public async Task Variables_of_the_firmware_are_saved_and_loaded()
    {
        Directory.CreateDirectory(_folder);
        string file = Path.Combine(_folder, "variables");
        MachineConfig config = await FirmwareVariable.WithModulesAsync(await ConfigAsync());
        using (var variables = new VariableFile(file))
        using (StateFolder state = StateFolder.Open(_folder))
        await using (ShellVm vm = await ShellVm.StartAsync(config with { Firmware = variables.Firmware }, state))
        {
            await vm.AwaitShellAsync();
            await FirmwareVariable.MountAsync(vm);
            await FirmwareVariable.WriteAsync(vm, 1, "saved");
            Assert.Equal("", await vm.MonitorAsync("savevm one"));
            await FirmwareVariable.WriteAsync(vm, 2, "later");
        }

        using (var variables = new VariableFile(file))
        using (StateFolder state = StateFolder.Open(_folder))
        {
            await using ShellVm vm = await ShellVm.LoadAsync(config with { Firmware = variables.Firmware }, state, "one");
            Assert.Equal("saved", await FirmwareVariable.ReadAsync(vm, 1));
            vm.Shell.Type("reboot -f");
            await vm.Shell.UntilAsync("UEFI firmware");
            await vm.AwaitShellAsync();
            await FirmwareVariable.MountAsync(vm);
            Assert.Equal("saved", await FirmwareVariable.ReadAsync(vm, 1));
            Assert.NotEqual("later", await FirmwareVariable.ReadAsync(vm, 2));
            await FirmwareVariable.WriteAsync(vm, 2, "after");
            await vm.PowerOffAsync();
        }

        using (var variables = new VariableFile(file))
        {
            await using ShellVm vm = await ShellVm.StartAsync(config with { Firmware = variables.Firmware });
            await vm.AwaitShellAsync();
            await FirmwareVariable.MountAsync(vm);
            Assert.Equal("saved", await FirmwareVariable.ReadAsync(vm, 1));
            Assert.Equal("after", await FirmwareVariable.ReadAsync(vm, 2));
            await vm.PowerOffAsync();
        }
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

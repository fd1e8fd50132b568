using System.Globalization;
using System.Text.RegularExpressions;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Cpu;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Guest.Tests;

/// <summary>Debian's kernel counts with the performance monitors, on CPUs that come and go, and after a move.</summary>
public sealed partial class PmuTests
{
    // The loop of tests/payloads/perf.c, and what surrounds it between two system calls.
    private const int Loop = 2_000_000, Around = 200;

    private const string Enabled = "dmesg | grep -c 'hw perfevents: enabled with armv8_'";

    [GeneratedRegex(@"instructions (\d+) exceptions (\d+) cycles (\d+) branches (?<branches>\d+)\s+overflows (\d+)\s+all (\d+)")]
    private static partial Regex Figures();

    [GeneratedRegex(@"first (\d+)\s+last (\d+)")]
    private static partial Regex Kept();

    [Theory]
    [InlineData("cortex-a57", Accelerator.Interpreter, true)]
    [InlineData("neoverse-n1", Accelerator.Jit, false)]
    public async Task Counts_are_exact(string cpu, Accelerator accelerator, bool acpi)
    {
        await using ShellVm vm = await ShellVm.BootAsync(
            cpu, 2, 2, acpi: acpi, accelerator: accelerator, moreInitramfs: TestGuest.BuildGuestProgram("perf"));
        Assert.Equal("1", (await vm.Shell.RunAsync(Enabled)).Trim());
        await CountAsync(vm, 0);
        await CountAsync(vm, 1);
        await vm.PowerOffAsync();
    }

    /// <summary>
    /// The CPU that comes back remembers nothing, and counts as the others do. What was counted on it before stays known to who asked.
    /// </summary>
    [Fact]
    public async Task Plugged_cpu_counts_too_and_goes_on_after_a_move()
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 2, 3, moreInitramfs: TestGuest.BuildGuestProgram("perf"));
        Func<ShellVm, Task<string>>? goOn = null;
        await vm.PlugTwiceAsync(2, async () =>
        {
            await CountAsync(vm, 2);
            if (goOn != null)
            {
                // The event ended with its CPU, and has what it had counted.
                AssertKept(await goOn(vm), 0);
            }

            goOn = await vm.BeginAsync("/perf 2", "first");
        });

        await using ShellVm moved = await vm.MoveAsync(vm.Machine.Config);
        AssertKept(await goOn!(moved), Loop);
        await CountAsync(moved, 2);
        await CountAsync(moved, 0);
        await moved.PowerOffAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Machine_without_says_so(bool acpi)
    {
        GuestFiles files = TestGuest.Files(GuestFlavour.Cloud);
        var boot = new BootConfig(await File.ReadAllBytesAsync(files.Kernel), await File.ReadAllBytesAsync(files.Initramfs),
            TestGuest.Patient);
        await using ShellVm vm = await ShellVm.StartAsync(
            new MachineConfig(CpuOption.Parse("max,pmu=off"), 1, new CpuTopology(1, 1, 1, 1), 300 << 20, boot) { Acpi = acpi });
        await vm.AwaitShellAsync();
        Assert.Equal("0", (await vm.Shell.RunAsync(Enabled)).Trim());
        await vm.PowerOffAsync();
    }

    private static void AssertKept(string text, int more)
    {
        Match figures = Kept().Match(text);
        Assert.True(figures.Success, text);
        long first = long.Parse(figures.Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.True(first > Loop, text);
        Assert.True(long.Parse(figures.Groups[2].Value, CultureInfo.InvariantCulture) >= first + more, text);
    }

    private static async Task CountAsync(ShellVm vm, int cpu)
    {
        // Else Linux allows fewer overflows where a busy host makes their interrupts long.
        await vm.Shell.RunAsync("echo 0 > /proc/sys/kernel/perf_cpu_time_max_percent");
        string text = await vm.Shell.RunAsync($"/perf {cpu}");
        Match figures = Figures().Match(text);
        Assert.True(figures.Success, text);
        long Figure(int i) => long.Parse(figures.Groups[i].Value, CultureInfo.InvariantCulture);
        Assert.InRange(Figure(1), Loop, Loop + Around);

        Assert.InRange(long.Parse(figures.Groups["branches"].Value, CultureInfo.InvariantCulture), Loop / 2, (Loop / 2) + Around);

        // The system call that ends it is one, and interrupts are the others.
        Assert.InRange(Figure(2), 1, 2000);
        Assert.InRange(Figure(3), 1000, 60_000_000_000);

        // Ten loops with a period of 200,000. Linux leaves some out where they come too fast for it.
        Assert.InRange(Figure(4), 50, 101);
        Assert.True(Figure(5) > Loop, text);
    }
}

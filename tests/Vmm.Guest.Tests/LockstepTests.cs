using System.Diagnostics;
using System.Globalization;
using Vmm.Emulation.Boards;
using Vmm.Host.Guest;
using Xunit.Abstractions;

namespace Vmm.Guest.Tests;

/// <summary>Both engines side by side over a whole boot; a difference would stop the VM, and the guest not answer.</summary>
public sealed class LockstepTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("cortex-a72", 1)]
    [InlineData("max", 2)]
    public async Task Kernel_boots_to_a_shell_in_lockstep(string cpu, int cpus)
    {
        long start = Stopwatch.GetTimestamp();
        await using ShellVm vm = await ShellVm.BootAsync(cpu, cpus, cpus, accelerator: Accelerator.Lockstep);
        double boot = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Assert.Equal(cpus.ToString(CultureInfo.InvariantCulture), await vm.Shell.RunAsync("nproc"));
        Assert.Equal("3.14159", await vm.Shell.RunAsync("awk 'BEGIN { printf \"%.5f\", 355 / 113 }'; echo"));
        Assert.Equal("500500", await vm.Shell.RunAsync("seq 1000 | awk '{ s += $1 } END { print s }'"));
        await vm.PowerOffAsync();

        long compared = vm.Machine.Cpus.Sum(c => c.LockstepInstructions);
        long runs = vm.Machine.Cpus.Sum(c => c.LockstepRuns);
        output.WriteLine(
            string.Create(CultureInfo.InvariantCulture,
                $"[figure] lockstep, {cpus} vCPUs of {cpu}: {compared / 1e6:F0} million instructions in {runs / 1e6:F1} million runs "
                    + $"compared, boot in {boot:F1} s"));
        Assert.True(compared > 100_000_000);
    }
}

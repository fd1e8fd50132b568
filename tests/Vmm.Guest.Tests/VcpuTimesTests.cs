using System.Globalization;
using Vmm.Actors.Protocol;

namespace Vmm.Guest.Tests;

/// <summary>How busy vCPUs are, seen from outside and by the guest.</summary>
public sealed class VcpuTimesTests
{
    /// <summary>
    /// No process, one, or two keep two CPUs busy for a while. How long each CPU was idle meanwhile, for the guest (proc_stat(5)) and for
    /// the actors, agrees within three hundredths of that while. Idle time is compared because the guest takes it from its clock; its busy
    /// time it counts in ticks, of which it misses some when a busy host lets it wait.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Idle_times_are_what_the_guest_sees(int processes)
    {
        await using ShellVm vm = await ShellVm.BootAsync("max", 2, 2);
        (VcpuTimes Before, double[] Guest, VcpuTimes After) first = await ReadAsync(vm);
        string load = string.Concat(Enumerable.Repeat("timeout 20 sh -c 'while :; do :; done' & ", processes));
        await vm.Shell.RunAsync($"{load}sleep 20; wait");
        (VcpuTimes Before, double[] Guest, VcpuTimes After) last = await ReadAsync(vm);

        Assert.Equal(first.Before.Meter, last.After.Meter);
        double tolerance = 0.03 * (last.Before.RunNs - first.After.RunNs) / 1e9;
        for (int cpu = 0; cpu < 2; cpu++)
        {
            double guest = last.Guest[cpu] - first.Guest[cpu];
            double least = Idle(last.Before, cpu) - Idle(first.After, cpu), most = Idle(last.After, cpu) - Idle(first.Before, cpu);
            Assert.True(
                guest > least - tolerance && guest < most + tolerance,
                $"cpu{cpu}: idle for {guest:0.00} s, seen from outside {least:0.00} to {most:0.00} s; {tolerance:0.00} s are tolerated");
        }

        await vm.PowerOffAsync();
    }

    private static double Idle(VcpuTimes times, int cpu) => (times.EnabledNs[cpu] - times.BusyNs[cpu]) / 1e9;

    // What each CPU was idle for the guest, in seconds, and the times before and after that was read.
    private static async Task<(VcpuTimes Before, double[] Guest, VcpuTimes After)> ReadAsync(ShellVm vm)
    {
        VcpuTimes before = await vm.TimesAsync();
        string stat = await vm.Shell.RunAsync("grep '^cpu[0-9]' /proc/stat");
        double[] idle =
        [
            .. stat.Split('\n').Select(line => line.Split(' ')[4..6].Sum(t => double.Parse(t, CultureInfo.InvariantCulture)) / 100),
        ];
        return (before, idle, await vm.TimesAsync());
    }
}

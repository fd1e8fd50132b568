using System.Diagnostics;
using System.Globalization;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Host.Commands;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary>
/// Many VMs that REST makes of one snapshot of a booted Debian kernel, two a second. Then all are idle: what each process uses of a core,
/// and the memory that it has for itself. At the end each guest says of which boot it is.
/// </summary>
internal sealed class IdleVms(IReadOnlyList<string> program, TextWriter output, CancellationToken cancellation)
{
    private const string Golden = "golden";
    private const string Tag = "booted";
    private const string BootId = "cat /proc/sys/kernel/random/boot_id";

    // What issue 15 promises.
    private const double MostPercent = 1;
    private const double MostMebibytes = 80;
    private static readonly TimeSpan s_between = TimeSpan.FromSeconds(0.5);

    // A VM that takes longer has not come at two a second.
    private static readonly TimeSpan s_start = TimeSpan.FromSeconds(5);

    // The processes prepare themselves after their start, one after the other (Vmm.Host.AfterStart), and guests settle: that has ended when
    // all VMs together used as little for so long as they may, or is said not to have.
    private static readonly TimeSpan s_settled = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_settle = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(60);

    /// <returns>0, or 1 if a goal is missed.</returns>
    public async Task<int> RunAsync(int count, int mebibytes)
    {
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(), null, cancellation).ConfigureAwait(false);
        using LoneNode node = await LoneNode.StartAsync(program, null, cancellation).ConfigureAwait(false);
        var spec = new VmSpec(
            1, 4, (long)mebibytes << 20, "max", files.Kernel, files.Initramfs, "console=ttyAMA0 quiet", "", []);
        string boot = await SaveAsync(node, spec).ConfigureAwait(false);
        string[] names = [.. Enumerable.Range(1, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"vm{i}"))];
        VmSpec clone = spec with { Snapshot = node.PathOf(Golden, Path.Combine("state", "snapshots", Tag)) };
        Rows starts = await CreateAsync(node, names, clone).ConfigureAwait(false);
        int[] processes = [.. names.Select(node.ProcessOf)];
        TimeSpan settling = await SettleAsync(processes).ConfigureAwait(false);

        var clock = Stopwatch.StartNew();
        TimeSpan[] before = [.. processes.Select(TimeOf)];
        TimeSpan nodeBefore = TimeOf(node.ProcessId);
        await Task.Delay(s_idle, cancellation).ConfigureAwait(false);
        double PercentOf(TimeSpan used) => 100 * used / clock.Elapsed;
        Rows cpu = new([.. processes.Select((process, i) => PercentOf(TimeOf(process) - before[i]))]);
        double ofNode = PercentOf(TimeOf(node.ProcessId) - nodeBefore);
        Rows memory = new([.. processes.Select(OwnMebibytes)]);

        int others = 0;
        foreach (string name in names)
        {
            await using ConsoleShell shell = await OpenAsync(node, name).ConfigureAwait(false);
            others += await shell.RunAsync(BootId).WaitAsync(cancellation).ConfigureAwait(false) == boot ? 0 : 1;
        }

        await output.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"{count} VMs of {mebibytes} MiB of one snapshot, made and started by REST every {s_between.TotalSeconds:0.0} s\n"
            + $"| | least | median | most | goal |\n|---|--:|--:|--:|--:|\n"
            + $"| ms from the request to a running VM | {starts:0} | {s_start.TotalMilliseconds:0} |\n"
            + $"| % of a core, idle for {s_idle.TotalSeconds:0} s | {cpu:0.00} | {MostPercent} |\n"
            + $"| MiB of private memory | {memory:0.0} | {MostMebibytes} |\n"
            + $"settled after {settling.TotalSeconds:0} s; node: {ofNode:0.0} % of a core, {OwnMebibytes(node.ProcessId):0} MiB; "
            + $"guests of another boot: {others}"))
            .ConfigureAwait(false);
        return starts.Most <= s_start.TotalMilliseconds && cpu.Most <= MostPercent && memory.Most <= MostMebibytes && others == 0 ? 0 : 1;
    }

    private async Task<TimeSpan> SettleAsync(int[] processes)
    {
        var clock = Stopwatch.StartNew();
        TimeSpan most = s_settled * processes.Length * MostPercent / 100;
        TimeSpan used;
        do
        {
            TimeSpan before = processes.Aggregate(TimeSpan.Zero, (sum, process) => sum + TimeOf(process));
            await Task.Delay(s_settled, cancellation).ConfigureAwait(false);
            used = processes.Aggregate(TimeSpan.Zero, (sum, process) => sum + TimeOf(process)) - before;
        }
        while (used > most && clock.Elapsed < s_settle);

        return clock.Elapsed;
    }

    // Boots the VM that the others are made of, and saves it when its shell waits.
    private async Task<string> SaveAsync(LoneNode node, VmSpec spec)
    {
        await node.CreateAsync(Golden, spec, cancellation).ConfigureAwait(false);
        await node.DoAsync(Golden, new NewOperation(VmAction.Start), cancellation).ConfigureAwait(false);
        string boot;
        await using (ConsoleShell shell = await OpenAsync(node, Golden).ConfigureAwait(false))
        {
            boot = await shell.RunAsync(BootId).WaitAsync(cancellation).ConfigureAwait(false);
        }

        await node.DoAsync(Golden, new NewOperation(VmAction.Save, 0, Tag), cancellation).ConfigureAwait(false);
        await node.DoAsync(Golden, new NewOperation(VmAction.Stop), cancellation).ConfigureAwait(false);
        return boot;
    }

    // Each in its own time, whatever becomes of the one before: how many ms after its time it runs.
    private async Task<Rows> CreateAsync(LoneNode node, string[] names, VmSpec spec)
    {
        var clock = Stopwatch.StartNew();
        async Task<double> MakeAsync(string name, TimeSpan due)
        {
            if (due > clock.Elapsed)
            {
                await Task.Delay(due - clock.Elapsed, cancellation).ConfigureAwait(false);
            }

            await node.CreateAsync(name, spec, cancellation).ConfigureAwait(false);
            await node.DoAsync(name, new NewOperation(VmAction.Start), cancellation).ConfigureAwait(false);
            return (clock.Elapsed - due).TotalMilliseconds;
        }

        return new Rows(await Task.WhenAll(names.Select((name, i) => MakeAsync(name, s_between * i))).ConfigureAwait(false));
    }

    private Task<ConsoleShell> OpenAsync(LoneNode node, string vm) => ConsoleShell.OpenAsync(node.PathOf(vm, "console"), cancellation);

    private static TimeSpan TimeOf(int process)
    {
        using var running = Process.GetProcessById(process);
        return running.TotalProcessorTime;
    }

    // Private_Clean and Private_Dirty of proc_pid_smaps(5).
    private static double OwnMebibytes(int process) => File.ReadLines($"/proc/{process}/smaps_rollup")
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(words => words[0] is "Private_Clean:" or "Private_Dirty:")
        .Sum(words => long.Parse(words[1], CultureInfo.InvariantCulture)) / 1024.0;

    /// <summary>What was measured of each VM: least, median and most.</summary>
    private sealed class Rows(double[] values) : IFormattable
    {
        private readonly double[] _sorted = [.. values.Order()];

        public double Most => _sorted[^1];

        public string ToString(string? format, IFormatProvider? provider) => string.Join(
            " | ", ((double[])[_sorted[0], _sorted[_sorted.Length / 2], _sorted[^1]]).Select(value => value.ToString(format, provider)));
    }
}

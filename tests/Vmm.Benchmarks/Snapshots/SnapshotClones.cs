using System.Diagnostics;
using System.Globalization;
using Vmm.Benchmarks.Hotplug;

namespace Vmm.Benchmarks.Snapshots;

/// <summary>
/// Many VMs that go on from one snapshot, each in a process of its own, one started when the one before has answered. Then all are idle,
/// and each has memory of its own: how much, and of what.
/// </summary>
internal sealed class SnapshotClones(IReadOnlyList<string> vmm, TextWriter output)
{
    private const string Tag = "clones";

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan s_idle = TimeSpan.FromSeconds(30);

    public async Task<int> RunAsync(int count, int mebibytes)
    {
        using SnapshotGuest guest = await SnapshotGuest.PrepareAsync(vmm, mebibytes, idle: true).ConfigureAwait(false);
        await guest.BootAndSaveAsync($"savevm {Tag}").ConfigureAwait(false);
        var runs = new List<VmRun>();
        try
        {
            var answered = new List<double>();
            for (int i = 0; i < count; i++)
            {
                answered.Add(await StartAsync(guest, i, runs).ConfigureAwait(false));
                await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                    $"clone {i} answers {answered[^1]:F0} ms after its start")).ConfigureAwait(false);
            }

            await Task.Delay(s_idle).ConfigureAwait(false);
            answered.Sort();
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                $"{count} clones of a {mebibytes} MiB guest, each answers: {answered[0]:F0} ms after its start at least, "
                + $"{answered[answered.Count / 2]:F0} in the median, {answered[^1]:F0} at most")).ConfigureAwait(false);
            await ReportAsync([.. runs.Select(r => PrivateMemory.Of(r.ProcessId))]).ConfigureAwait(false);
            return runs.Exists(r => r.HasExited) ? 1 : 0;
        }
        finally
        {
            runs.ForEach(r => r.Dispose());
        }
    }

    private static async Task<double> StartAsync(SnapshotGuest guest, int number, List<VmRun> runs)
    {
        var answered = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        VmRun run = guest.StartClone(number, Tag, line =>
        {
            if (line.Contains($"{SoakGuest.Answer}now", StringComparison.Ordinal))
            {
                answered.TrySetResult(Stopwatch.GetTimestamp());
            }
        });
        runs.Add(run);
        run.Type("now cpus");
        Task first = await Task.WhenAny(answered.Task, run.ConsoleEnded, Task.Delay(s_patience)).ConfigureAwait(false);
        if (first != answered.Task)
        {
            string what = first == run.ConsoleEnded ? "the process ended" : $"no answer in {s_patience.TotalMinutes} minutes";
            throw new IOException($"clone {number}: {what}: {run.Errors}");
        }

        return Stopwatch.GetElapsedTime(run.StartedAt, await answered.Task.ConfigureAwait(false)).TotalMilliseconds;
    }

    private async Task ReportAsync(Dictionary<string, long>[] clones)
    {
        await output.WriteLineAsync("| MiB of private memory (Private_Dirty), idle | least | median | most |\n|---|--:|--:|--:|")
            .ConfigureAwait(false);
        string[] kinds =
            [.. clones.SelectMany(c => c.Keys).Distinct().OrderByDescending(kind => clones.Sum(c => c.GetValueOrDefault(kind)))];
        await RowAsync("all", clones.Select(c => c.Values.Sum())).ConfigureAwait(false);
        foreach (string kind in kinds)
        {
            await RowAsync(kind, clones.Select(c => c.GetValueOrDefault(kind))).ConfigureAwait(false);
        }
    }

    private Task RowAsync(string what, IEnumerable<long> kibibytes)
    {
        double[] sorted = [.. kibibytes.Order().Select(k => k / 1024.0)];
        return output.WriteLineAsync(string.Create(
            CultureInfo.InvariantCulture, $"| {what} | {sorted[0]:F1} | {sorted[sorted.Length / 2]:F1} | {sorted[^1]:F1} |"));
    }
}

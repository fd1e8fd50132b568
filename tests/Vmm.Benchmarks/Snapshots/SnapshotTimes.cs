using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Vmm.Benchmarks.Hotplug;
using Vmm.Emulation.Snapshots;

namespace Vmm.Benchmarks.Snapshots;

/// <summary>
/// How long it takes to save a booted guest and to go on from it: from the start of the process until the guest's shell has answered what
/// was typed before.
/// </summary>
internal sealed class SnapshotTimes(IReadOnlyList<string> vmm, TextWriter output)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(20);

    public async Task<int> RunAsync(int runs, int mebibytes)
    {
        using SnapshotGuest guest = await SnapshotGuest.PrepareAsync(vmm, mebibytes, idle: false).ConfigureAwait(false);
        var saved = new List<double>();
        var compressed = new List<double>();
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using (VmRun run = guest.Start(null, line =>
        {
            if (line.Contains(SoakGuest.Ready, StringComparison.Ordinal))
            {
                ready.TrySetResult();
            }
        }))
        {
            QmpConnection qmp = await run.ConnectAsync().ConfigureAwait(false);
            await ready.Task.WaitAsync(s_patience).ConfigureAwait(false);
            for (int i = 0; i < runs; i++)
            {
                saved.Add(await SaveAsync(qmp, "savevm plain").ConfigureAwait(false));
                compressed.Add(await SaveAsync(qmp, "savevm -z small").ConfigureAwait(false));
            }

            await run.KillAsync().ConfigureAwait(false);
        }

        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"| milliseconds, {mebibytes} MiB guest, {runs} runs | least | median | worst | MiB |\n|---|--:|--:|--:|--:|"))
            .ConfigureAwait(false);
        await ReportAsync("savevm", saved, guest.Store, "plain").ConfigureAwait(false);
        await ReportAsync("savevm -z", compressed, guest.Store, "small").ConfigureAwait(false);
        foreach (string tag in (string[])["plain", "small"])
        {
            await RecordAsync(guest, tag).ConfigureAwait(false);
            var answered = new List<double>();
            var sinceResume = new List<double>();
            for (int i = 0; i < runs; i++)
            {
                answered.Add((await LoadAsync(guest, tag, awaitsQmp: false).ConfigureAwait(false)).SinceStart);
                if ((await LoadAsync(guest, tag, awaitsQmp: true).ConfigureAwait(false)).SinceResume is { } resumed)
                {
                    sinceResume.Add(resumed);
                }
            }

            await ReportAsync($"start with -loadvm {tag} to the shell's answer", answered, guest.Store, tag).ConfigureAwait(false);
            await ReportAsync($"first instruction after -loadvm {tag} to the shell's answer", sinceResume, guest.Store, tag)
                .ConfigureAwait(false);
        }

        return 0;
    }

    private static async Task<double> SaveAsync(QmpConnection qmp, string command)
    {
        QmpAnswer answer = await qmp.ExecuteAsync("human-monitor-command", new JsonObject { ["command-line"] = command })
            .WaitAsync(s_patience).ConfigureAwait(false);
        string said = answer.Error ?? answer.Return!.ToString();
        return said.Length == 0 ? Stopwatch.GetElapsedTime(answer.SentAt, answer.AnsweredAt).TotalMilliseconds
            : throw new IOException(said);
    }

    // A first load, which lives long enough to leave its working set.
    private static async Task RecordAsync(SnapshotGuest guest, string tag)
    {
        using VmRun run = guest.Start(tag, _ => { });
        run.Type("now cpus");
        await Task.Delay(TimeSpan.FromSeconds(4)).ConfigureAwait(false);
        await run.KillAsync().ConfigureAwait(false);
    }

    // Milliseconds; those since the guest's first instruction are known when somebody listens to it by QMP, which takes time itself.
    private static async Task<(double SinceStart, double? SinceResume)> LoadAsync(SnapshotGuest guest, string tag, bool awaitsQmp)
    {
        long resumedAt = 0;
        var answered = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        using VmRun run = guest.Start(tag, line =>
        {
            if (line.Contains($"{SoakGuest.Answer}now", StringComparison.Ordinal))
            {
                answered.TrySetResult(Stopwatch.GetTimestamp());
            }
        }, awaitsQmp);
        run.Type("now cpus");
        if (awaitsQmp)
        {
            await run.ConnectAsync(e =>
            {
                if (e.Name == "RESUME")
                {
                    Volatile.Write(ref resumedAt, e.HeardAt);
                }
            }).ConfigureAwait(false);
        }

        if (await Task.WhenAny(answered.Task, run.ConsoleEnded).WaitAsync(s_patience).ConfigureAwait(false) != answered.Task)
        {
            throw new IOException($"the process ended: {run.Errors}");
        }

        long answeredAt = await answered.Task.ConfigureAwait(false);
        await run.KillAsync().ConfigureAwait(false);
        long resumed = Volatile.Read(ref resumedAt);
        return (Stopwatch.GetElapsedTime(run.StartedAt, answeredAt).TotalMilliseconds,
            resumed == 0 ? null : Stopwatch.GetElapsedTime(resumed, answeredAt).TotalMilliseconds);
    }

    private async Task ReportAsync(string what, List<double> milliseconds, SnapshotStore store, string tag)
    {
        if (milliseconds.Count == 0)
        {
            return;
        }

        milliseconds.Sort();
        using Snapshot snapshot = store.Open(tag);
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"| {what} | {milliseconds[0]:F0} | {milliseconds[milliseconds.Count / 2]:F0} | {milliseconds[^1]:F0} "
            + $"| {snapshot.Manifest.StoredBytes / (double)(1 << 20):F0} |")).ConfigureAwait(false);
    }
}

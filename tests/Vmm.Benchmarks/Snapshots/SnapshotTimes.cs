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
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(4);

    public async Task<int> RunAsync(int runs, int mebibytes)
    {
        using SnapshotGuest guest = await SnapshotGuest.PrepareAsync(vmm, mebibytes).ConfigureAwait(false);
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
            var answered = new List<double>();
            for (int i = 0; i < runs; i++)
            {
                answered.Add(await LoadAsync(guest, tag).ConfigureAwait(false));
            }

            await ReportAsync($"start with -loadvm {tag} to the shell's answer", answered, guest.Store, tag).ConfigureAwait(false);
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

    private static async Task<double> LoadAsync(SnapshotGuest guest, string tag)
    {
        var answered = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        using VmRun run = guest.Start(tag, line =>
        {
            if (line.Contains($"{SoakGuest.Answer}now", StringComparison.Ordinal))
            {
                answered.TrySetResult(Stopwatch.GetTimestamp());
            }
        });
        run.Type("now cpus");
        if (await Task.WhenAny(answered.Task, run.ConsoleEnded).WaitAsync(s_patience).ConfigureAwait(false) != answered.Task)
        {
            throw new IOException($"the process ended: {run.Errors}");
        }

        double milliseconds =
            Stopwatch.GetElapsedTime(run.StartedAt, await answered.Task.ConfigureAwait(false)).TotalMilliseconds;
        await run.KillAsync().ConfigureAwait(false);
        return milliseconds;
    }

    private async Task ReportAsync(string what, List<double> milliseconds, SnapshotStore store, string tag)
    {
        milliseconds.Sort();
        using Snapshot snapshot = store.Open(tag);
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"| {what} | {milliseconds[0]:F0} | {milliseconds[milliseconds.Count / 2]:F0} | {milliseconds[^1]:F0} "
            + $"| {snapshot.Manifest.StoredBytes / (double)(1 << 20):F0} |")).ConfigureAwait(false);
    }
}

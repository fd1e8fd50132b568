using System.Text.Json.Nodes;
using Vmm.Benchmarks.Hotplug;
using Vmm.Emulation.Snapshots;

namespace Vmm.Benchmarks.Snapshots;

/// <summary>
/// Kills a VM by SIGKILL at random moments of a save that is to take the place of the snapshot it was started from. After each kill there
/// is the old snapshot or the new one, whole, and the next run goes on from it: its guest answers.
/// </summary>
internal sealed class SnapshotKills(IReadOnlyList<string> vmm, int seed, TextWriter output)
{
    private const int Mebibytes = 300;
    private const string Tag = "only";

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(20);

    /// <summary>How often something was wrong.</summary>
    public async Task<int> RunAsync(int kills)
    {
        var random = new Random(seed);
        await output.WriteLineAsync($"snapshot-kill: seed {seed}, {kills} kills").ConfigureAwait(false);
        using SnapshotGuest guest = await SnapshotGuest.PrepareAsync(vmm, Mebibytes, idle: false).ConfigureAwait(false);
        TimeSpan save = await guest.BootAndSaveAsync($"savevm {Tag}").ConfigureAwait(false);
        int generation = 1, old = 0, fresh = 0, failed = 0;
        for (int kill = 0; kill < kills; kill++)
        {
            string? wrong = null;
            try
            {
                await KillOnceAsync(guest, save * 1.3 * random.NextDouble()).ConfigureAwait(false);
                using Snapshot snapshot = guest.Store.Open(Tag);
                snapshot.Verify();
                int found = snapshot.Manifest.Generation;
                wrong = found == generation || found == generation + 1 ? null : $"generation {found} after {generation}";
                (old, fresh) = found == generation ? (old + 1, fresh) : (old, fresh + 1);
                generation = found;
            }
            catch (Exception e) when (e is SnapshotException or IOException or TimeoutException)
            {
                wrong = e.Message;
            }

            if (wrong != null)
            {
                failed++;
                await output.WriteLineAsync($"FAILED kill {kill} of seed {seed}: {wrong}").ConfigureAwait(false);
            }

            if (kill % 20 == 19)
            {
                await output.WriteLineAsync($"{kill + 1} kills: {old} old, {fresh} new, {failed} wrong").ConfigureAwait(false);
            }
        }

        return failed;
    }

    private static Task<QmpAnswer> Save(QmpConnection qmp) =>
        qmp.ExecuteAsync("human-monitor-command", new JsonObject { ["command-line"] = $"savevm {Tag}" });

    // The guest answers before it is saved again.
    private static async Task KillOnceAsync(SnapshotGuest guest, TimeSpan delay)
    {
        var answered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using VmRun run = guest.Start(Tag, line =>
        {
            if (line.Contains($"{SoakGuest.Answer}now", StringComparison.Ordinal))
            {
                answered.TrySetResult();
            }
        });
        run.Type("now cpus");
        QmpConnection qmp = await run.ConnectAsync().ConfigureAwait(false);
        await answered.Task.WaitAsync(s_patience).ConfigureAwait(false);
        Task<QmpAnswer> saving = Save(qmp);
        await Task.Delay(delay).ConfigureAwait(false);
        await run.KillAsync().ConfigureAwait(false);
        await Task.WhenAny(saving).ConfigureAwait(false);
    }
}

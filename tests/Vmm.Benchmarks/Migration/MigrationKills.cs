using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Migration;

/// <summary>
/// Kills the sender, the receiver or both by SIGKILL at random moments of a migration, and cuts the link at random bytes. Both have a
/// <c>-state</c> folder. After each there are never two that run, no guest is lost that had not been handed over, and each side says what
/// became of it; where neither runs, a person's <c>cont</c> makes one of them run.
/// </summary>
internal sealed class MigrationKills(IReadOnlyList<string> vmm, int seed, TextWriter output)
{
    private readonly SortedDictionary<string, int> _outcomes = [];
    private string[] _guest = [];
    private TimeSpan _whole;
    private long _forward;
    private long _reverse;

    /// <summary>The two ends of one migration, and what is to be judged.</summary>
    private sealed class Pair(string folder) : IDisposable
    {
        public string SourceState => Path.Combine(folder, "source");

        public string TargetState => Path.Combine(folder, "target");

        public MigrationPeer? Source { get; set; }

        public MigrationPeer? Target { get; set; }

        public void Dispose()
        {
            Source?.Dispose();
            Target?.Dispose();
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Runs so many kills and cuts; how many ended wrong.</summary>
    public async Task<int> RunAsync(int kills, int cuts)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-migrate-kill-").FullName;
        var random = new Random(seed);
        int failed = 0;
        try
        {
            _guest = await MigrationGuest.PrepareAsync(folder).ConfigureAwait(false);
            await output.WriteLineAsync($"migrate kill: seed {seed}, {kills} kills, {cuts} cuts").ConfigureAwait(false);
            await MeasureAsync(folder, random).ConfigureAwait(false);
            for (int i = 0; i < kills + cuts; i++)
            {
                string? wrong;
                using (var pair = new Pair(Path.Combine(folder, $"pair{i}")))
                {
                    Directory.CreateDirectory(Path.Combine(folder, $"pair{i}"));
                    try
                    {
                        wrong = i < kills
                            ? await KillAsync(pair, random).ConfigureAwait(false)
                            : await CutAsync(pair, random).ConfigureAwait(false);
                    }
                    catch (Exception e) when (e is IOException or TimeoutException)
                    {
                        wrong = e.Message;
                    }

                    wrong = wrong == null ? null
                        : $"{wrong}\n    source: {await SayAsync(pair.Source).ConfigureAwait(false)}\n    "
                            + $"target: {await SayAsync(pair.Target).ConfigureAwait(false)}";
                }

                if (wrong != null)
                {
                    failed++;
                    await output.WriteLineAsync($"FAILED {(i < kills ? "kill" : "cut")} {i} of seed {seed}: {wrong}").ConfigureAwait(false);
                }

                if (i % 10 == 9)
                {
                    await output.WriteLineAsync($"{i + 1} done, {failed} wrong").ConfigureAwait(false);
                }
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        foreach ((string outcome, int count) in _outcomes)
        {
            await output.WriteLineAsync($"{count,5}  {outcome}").ConfigureAwait(false);
        }

        await output.WriteLineAsync($"{kills} kills and {cuts} cuts: {failed} wrong").ConfigureAwait(false);
        return failed;
    }

    // How long a whole migration takes, and how many bytes go each way.
    private async Task MeasureAsync(string folder, Random random)
    {
        using var pair = new Pair(Path.Combine(folder, "whole"));
        Directory.CreateDirectory(Path.Combine(folder, "whole"));
        await PrepareAsync(pair, random).ConfigureAwait(false);
        var clock = Stopwatch.StartNew();
        using CuttingProxy proxy = await BeginAsync(pair, new Cut()).ConfigureAwait(false);
        await Move.CompletionAsync(pair.Source!).ConfigureAwait(false);
        await pair.Target!.AwaitEventAsync("RESUME").ConfigureAwait(false);
        (_whole, _forward, _reverse) = (clock.Elapsed, proxy.Forward, proxy.Reverse);
        await output.WriteLineAsync($"a whole migration: {_whole.TotalMilliseconds:f0} ms, {_forward} bytes forward, {_reverse} back")
            .ConfigureAwait(false);
    }

    // Both processes; the guest is somewhere in its boot.
    private async Task PrepareAsync(Pair pair, Random random)
    {
        pair.Source = await MigrationPeer.StartAsync([.. Command(pair.SourceState)]).ConfigureAwait(false);
        pair.Target = await MigrationPeer.StartAsync([.. Command(pair.TargetState), "-incoming", "defer"]).ConfigureAwait(false);
        await Task.Delay(random.Next(1500)).ConfigureAwait(false);
    }

    private static async Task<CuttingProxy> BeginAsync(Pair pair, Cut cut)
    {
        int port = MigrationPeer.FreePort();
        await pair.Target!.ExecuteAsync("migrate-incoming", new JsonObject { ["uri"] = $"tcp:127.0.0.1:{port}" }).ConfigureAwait(false);
        await pair.Source!.ExecuteAsync("migrate-set-parameters", new JsonObject { ["max-bandwidth"] = 1L << 30 }).ConfigureAwait(false);
        var proxy = new CuttingProxy(port, cut);
        await pair.Source.ExecuteAsync("migrate", new JsonObject { ["uri"] = $"tcp:127.0.0.1:{proxy.Port}" }).ConfigureAwait(false);
        return proxy;
    }

    private async Task<string?> CutAsync(Pair pair, Random random)
    {
        await PrepareAsync(pair, random).ConfigureAwait(false);
        Cut cut = random.Next(10) switch
        {
            < 4 => new Cut(Forward: random.NextInt64(_forward)),
            < 7 => new Cut(Reverse: random.NextInt64(_reverse)),
            _ => new Cut(Forward: random.Next(2048), AfterReverse: random.NextInt64(_reverse)),
        };
        using CuttingProxy proxy = await BeginAsync(pair, cut).ConfigureAwait(false);
        (string source, string target) = await SettleAsync(pair).ConfigureAwait(false);
        if (source == "running" && target == "running")
        {
            return $"two run after {cut}";
        }

        MigrationPeer? runs = source == "running" ? pair.Source : target == "running" ? pair.Target : null;
        string outcome = $"link cut: source {source}, target {target}";
        if (runs == null)
        {
            string? silent = await SilentAsync(pair.Source!).ConfigureAwait(false) ?? await SilentAsync(pair.Target!).ConfigureAwait(false);
            if (silent != null)
            {
                return $"neither runs after {cut}, and one says nothing of it: {silent}";
            }

            runs = random.Next(2) == 0 ? pair.Source! : pair.Target!;
            outcome += $", cont at the {(runs == pair.Source ? "source" : "target")}";
            await runs.ExecuteAsync("cont").ConfigureAwait(false);
        }

        return await GoesOnAsync(runs, outcome).ConfigureAwait(false);
    }

    private async Task<string?> KillAsync(Pair pair, Random random)
    {
        await PrepareAsync(pair, random).ConfigureAwait(false);
        string who = random.Next(3) switch { 0 => "source", 1 => "target", _ => "both" };
        using CuttingProxy proxy = await BeginAsync(pair, new Cut()).ConfigureAwait(false);
        await Task.Delay(_whole * 1.2 * random.NextDouble()).ConfigureAwait(false);
        if (who != "target")
        {
            await pair.Source!.Run.KillAsync().ConfigureAwait(false);
        }

        if (who != "source")
        {
            await pair.Target!.Run.KillAsync().ConfigureAwait(false);
        }

        (string source, string target) = await SettleAsync(pair).ConfigureAwait(false);
        string outcome = $"{who} killed: source {source}, target {target}";
        if (who == "target")
        {
            // Handed over, the guest has ended with its owner.
            string? wrong = null;
            bool over = source == "postmigrate"
                && (await pair.Source!.MigrationAsync().ConfigureAwait(false))["status"]!.ToString() == "completed";
            if (over)
            {
                Count(outcome + ", handed over");
            }
            else
            {
                if (source != "running")
                {
                    wrong = await SilentAsync(pair.Source!).ConfigureAwait(false);
                    outcome += ", cont";
                    await pair.Source!.ExecuteAsync("cont").ConfigureAwait(false);
                }

                wrong ??= await GoesOnAsync(pair.Source!, outcome).ConfigureAwait(false);
            }

            return wrong ?? await ComesUpAsync(pair.TargetState, mayRun: false, "-incoming", "defer").ConfigureAwait(false);
        }

        // The next start of the sender must not run a guest that another process has.
        string? again = await ComesUpAsync(pair.SourceState, mayRun: target != "running").ConfigureAwait(false);
        if (again != null || who == "both")
        {
            Count(outcome);
            return again ?? await ComesUpAsync(pair.TargetState, mayRun: false, "-incoming", "defer").ConfigureAwait(false);
        }

        if (target == "running")
        {
            return await GoesOnAsync(pair.Target!, outcome).ConfigureAwait(false);
        }

        // What is whole waits for a person; what is not has failed, or its process has ended.
        if (target == "paused")
        {
            if (await SilentAsync(pair.Target!).ConfigureAwait(false) is { } silent)
            {
                return silent;
            }

            await pair.Target!.ExecuteAsync("cont").ConfigureAwait(false);
            return await GoesOnAsync(pair.Target!, outcome + ", cont").ConfigureAwait(false);
        }

        Count(outcome);
        return null;
    }

    // A process of its own for a state folder: whether it comes up, and does not run what it must not.
    private async Task<string?> ComesUpAsync(string state, bool mayRun, params string[] more)
    {
        using MigrationPeer peer = await MigrationPeer.StartAsync([.. Command(state), .. more]).ConfigureAwait(false);
        string status = await peer.StatusAsync().ConfigureAwait(false);
        return status == "running" && !mayRun ? $"started again with {Path.GetFileName(state)}'s state, it runs: two run" : null;
    }

    // The run states when both have come to an end of the migration; "gone" for a process that has ended.
    private static async Task<(string Source, string Target)> SettleAsync(Pair pair)
    {
        var clock = Stopwatch.StartNew();
        (string, string) last = ("", "");
        int same = 0;
        while (clock.Elapsed < MigrationPeer.Patience)
        {
            (string Status, bool Ended, string Migration) source = await StateAsync(pair.Source!).ConfigureAwait(false);
            (string Status, bool Ended, string Migration) target = await StateAsync(pair.Target!).ConfigureAwait(false);

            // A receiver whose sender was killed before it connected waits on for another.
            bool over = target.Ended || (source.Status == "gone" && target.Migration == "setup");
            same = source.Ended && over && last == (source.Status, target.Status) ? same + 1 : 0;
            last = (source.Status, target.Status);
            if (same == 3)
            {
                return last;
            }

            await Task.Delay(150).ConfigureAwait(false);
        }

        throw new TimeoutException("the migration does not come to an end");
    }

    private static async Task<(string Status, bool Ended, string Migration)> StateAsync(MigrationPeer peer)
    {
        try
        {
            string migration = (await peer.MigrationAsync().ConfigureAwait(false))["status"]?.ToString() ?? "none";
            return (await peer.StatusAsync().ConfigureAwait(false),
                migration is "completed" or "failed" or "cancelled" or "none", migration);
        }
        catch (IOException)
        {
            return ("gone", true, "none");
        }
    }

    // What is wrong with a side that does not say why it stands still; null when it says so.
    private static async Task<string?> SilentAsync(MigrationPeer peer) =>
        (await peer.MigrationAsync().ConfigureAwait(false))["error-desc"]?.ToString() is { Length: > 0 }
            ? null
            : $"{await peer.StatusAsync().ConfigureAwait(false)} without a reason";

    // The guest must answer at its console; what is typed in the middle of its boot may be lost.
    private async Task<string?> GoesOnAsync(MigrationPeer peer, string outcome)
    {
        Count(outcome);
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < MigrationPeer.Patience)
        {
            Task<string> answer = peer.AskAsync("cpus");
            if (await Task.WhenAny(answer, Task.Delay(2000)).ConfigureAwait(false) == answer)
            {
                return peer.Faults.Length == 0 ? null : string.Join("; ", peer.Faults);
            }

            if (peer.HasExited)
            {
                break;
            }
        }

        return $"{outcome}: the guest does not go on";
    }

    private static async Task<string> SayAsync(MigrationPeer? peer)
    {
        if (peer == null || peer.HasExited)
        {
            return $"gone; {peer?.Errors.Trim()}";
        }

        try
        {
            return $"{await peer.StatusAsync().ConfigureAwait(false)}; "
                + $"{(await peer.MigrationAsync().ConfigureAwait(false)).ToJsonString()}; " + peer.Errors.Trim();
        }
        catch (IOException e)
        {
            return e.Message;
        }
    }

    private string[] Command(string state) => [.. vmm, "-cpu", "max", "-smp", "2", "-m", "300M", "-state", state, .. _guest];

    private void Count(string outcome) => _outcomes[outcome] = _outcomes.GetValueOrDefault(outcome) + 1;
}

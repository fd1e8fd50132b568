using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>
/// Kills <c>vmm run --state DIR</c> by SIGKILL at random moments after the first write of its journal: while it starts, while it is asked
/// for CPUs, while its guest boots and gives CPUs back. After each kill the next run must come up with every CPU that was acknowledged, and
/// without every CPU that was said to have left.
/// </summary>
internal sealed class KillSoak(IReadOnlyList<string> vmm, int seed, TextWriter output)
{
    private const int BootCpus = 2;
    private const int PossibleCpus = 8;

    // What may be true of a CPU after a kill: the name it has, or null where it is absent.
    private readonly HashSet<string?>[] _possible = [.. Enumerable.Range(0, PossibleCpus).Select(_ => new HashSet<string?> { null })];

    private readonly object _gate = new();
    private readonly List<string> _log = [];
    private int _names;

    private enum Way
    {
        /// <summary>Killed while it starts, before anything is asked of it.</summary>
        Starting,

        /// <summary>The machine is powered on but executes nothing.</summary>
        Paused,

        /// <summary>The guest boots meanwhile.</summary>
        Booting,

        /// <summary>The guest is up, and gives CPUs back when asked.</summary>
        Up,
    }

    /// <summary>Kills it so many times; how many restarts were wrong.</summary>
    public async Task<int> RunAsync(int kills)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-kill-").FullName;
        string state = Path.Combine(folder, "state");
        var random = new Random(seed);
        var counts = new SortedDictionary<string, int>();
        int failed = 0, acknowledged = 0;
        try
        {
            string[] arguments =
            [
                "-cpu", "max", "-smp", $"cpus={BootCpus},maxcpus={PossibleCpus}", "--state", state,
                .. await SoakGuest.PrepareAsync(folder, 0, bringOnline: true).ConfigureAwait(false),
            ];
            await output.WriteLineAsync($"hotplug-kill: seed {seed}, {kills} kills").ConfigureAwait(false);

            // Writes the journal for the first time.
            await ComeUpAsync(arguments, folder, mustBeEmpty: true).ConfigureAwait(false);
            for (int kill = 0; kill < kills; kill++)
            {
                _log.Clear();
                Way way = random.Next(10) switch { < 2 => Way.Starting, < 6 => Way.Paused, < 8 => Way.Booting, _ => Way.Up };
                counts[way.ToString()] = counts.GetValueOrDefault(way.ToString()) + 1;
                string? wrong = null;
                try
                {
                    acknowledged += await KillOnceAsync(arguments, way, random).ConfigureAwait(false);
                    wrong = await ComeUpAsync(arguments, folder, mustBeEmpty: false).ConfigureAwait(false);
                }
                catch (Exception e) when (e is IOException or TimeoutException)
                {
                    wrong = e.Message;
                }

                if (wrong != null)
                {
                    failed++;
                    await output.WriteLineAsync($"FAILED kill {kill} ({way}) of seed {seed}: {wrong}").ConfigureAwait(false);
                    foreach (string line in _log)
                    {
                        await output.WriteLineAsync("    " + line).ConfigureAwait(false);
                    }

                    await KeepAsync(state, kill).ConfigureAwait(false);
                    for (int cpu = 0; cpu < PossibleCpus; cpu++)
                    {
                        _possible[cpu].Clear();
                        _possible[cpu].Add(null);
                    }

                    await ComeUpAsync(arguments, folder, mustBeEmpty: true).ConfigureAwait(false);
                }

                if (kill % 10 == 9)
                {
                    await output.WriteLineAsync($"{kill + 1} kills, {acknowledged} acknowledged requests, {failed} wrong restarts")
                        .ConfigureAwait(false);
                }
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        await output.WriteLineAsync(
            $"{kills} kills ({string.Join(", ", counts.Select(c => $"{c.Key} {c.Value}"))}), "
            + $"{acknowledged} acknowledged requests: {failed} wrong restarts").ConfigureAwait(false);
        return failed;
    }

    // One run that ends by a kill; how many requests were acknowledged.
    private async Task<int> KillOnceAsync(string[] arguments, Way way, Random random)
    {
        int delay = random.Next(way == Way.Starting ? 1200 : way == Way.Up ? 1500 : 400);
        int toggles = random.Next();
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var run = new VmRun([.. vmm, .. arguments, .. way == Way.Paused ? (string[])["-S"] : []], line =>
        {
            if (line.Contains(SoakGuest.Ready, StringComparison.Ordinal))
            {
                ready.TrySetResult();
            }
        });
        Log($"a run that is killed: {way}, after {delay} ms");
        if (way == Way.Starting)
        {
            await Task.Delay(delay).ConfigureAwait(false);
            await run.KillAsync().ConfigureAwait(false);
            return 0;
        }

        QmpConnection listener = await run.ConnectAsync(HearEvent).ConfigureAwait(false);
        await listener.ExecuteAsync("query-status").ConfigureAwait(false);
        if (way == Way.Up)
        {
            await ready.Task.WaitAsync(TimeSpan.FromMinutes(4)).ConfigureAwait(false);
        }

        // Each CPU at a connection of its own, again and again until the end.
        int acknowledged = 0;
        using var stop = new CancellationTokenSource();
        var work = new List<Task>();
        for (int cpu = BootCpus; cpu < PossibleCpus; cpu++)
        {
            int which = cpu;
            QmpConnection connection = await run.ConnectAsync().ConfigureAwait(false);
            var own = new Random(unchecked(toggles + cpu));
            work.Add(Task.Run(async () =>
            {
                while (!stop.IsCancellationRequested && await ToggleAsync(connection, which, own.Next(60)).ConfigureAwait(false))
                {
                    Interlocked.Increment(ref acknowledged);
                }
            }));
        }

        await Task.Delay(delay).ConfigureAwait(false);
        await run.KillAsync().ConfigureAwait(false);
        await stop.CancelAsync().ConfigureAwait(false);
        Log("killed");
        await Task.WhenAll(work).ConfigureAwait(false);
        return acknowledged;
    }

    // One request; false when the process was killed before it answered.
    private async Task<bool> ToggleAsync(QmpConnection connection, int cpu, int pause)
    {
        string? id;
        bool plug;
        lock (_gate)
        {
            // A CPU of which it is open whether it has left is asked for again: an error then changes nothing.
            id = _possible[cpu].FirstOrDefault(name => name != null);
            plug = id == null;
            id ??= $"c{cpu}n{++_names}";
            _possible[cpu].Add(plug ? id : null);
        }

        try
        {
            QmpAnswer answer = plug
                ? await connection.ExecuteAsync("device_add", new JsonObject { ["driver"] = "max-arm-cpu", ["id"] = id, ["core-id"] = cpu })
                    .ConfigureAwait(false)
                : await connection.ExecuteAsync("device_del", new JsonObject { ["id"] = id }).ConfigureAwait(false);
            lock (_gate)
            {
                Log($"{(plug ? "device_add" : "device_del")} {id}: {answer.Error ?? "acknowledged"}");
                if (plug)
                {
                    _possible[cpu].Remove(answer.Error == null ? null : id);
                }
            }

            await Task.Delay(pause).ConfigureAwait(false);
            return true;
        }
        catch (IOException)
        {
            Log($"{(plug ? "device_add" : "device_del")} {id}: not answered");
            return false;
        }
    }

    private void HearEvent(QmpEvent heard)
    {
        if (heard.Name != "__org.vmm_HOTPLUG_OUTCOME")
        {
            return;
        }

        string id = heard.Data!["device"]!.ToString();
        string result = heard.Data["result"]!.ToString();
        bool plug = heard.Data["operation"]!.ToString() == "plug";
        int cpu = heard.Data["cpu-index"]!.GetValue<int>();
        lock (_gate)
        {
            Log($"{(plug ? "plug" : "unplug")} of {id}: {result}");
            if (!plug && result == "done")
            {
                _possible[cpu].Remove(id);
                _possible[cpu].Add(null);
            }
            else if (!plug && result is "refused" or "cancelled")
            {
                _possible[cpu].Remove(null);
            }
        }
    }

    // A run that is asked which CPUs it has; what is wrong with that, or null.
    private async Task<string?> ComeUpAsync(string[] arguments, string folder, bool mustBeEmpty)
    {
        if (mustBeEmpty && Directory.Exists(Path.Combine(folder, "state")))
        {
            Directory.Delete(Path.Combine(folder, "state"), recursive: true);
        }

        using var run = new VmRun([.. vmm, .. arguments, "-S"], _ => { });
        QmpConnection connection = await run.ConnectAsync().ConfigureAwait(false);
        QmpAnswer answer = await connection.ExecuteAsync("query-hotpluggable-cpus")
            .WaitAsync(TimeSpan.FromMinutes(2)).ConfigureAwait(false);
        if (answer.Error != null)
        {
            return answer.Error;
        }

        var wrong = new List<string>();
        foreach (JsonNode? slot in answer.Return!.AsArray())
        {
            int cpu = slot!["props"]!["core-id"]!.GetValue<int>();
            string? path = slot["qom-path"]?.ToString();
            string? id = path != null && path.StartsWith("/machine/peripheral/", StringComparison.Ordinal)
                ? path["/machine/peripheral/".Length..]
                : null;
            if (cpu < BootCpus)
            {
                continue;
            }

            if (!_possible[cpu].Contains(id))
            {
                wrong.Add(string.Create(CultureInfo.InvariantCulture,
                    $"CPU {cpu} is '{id}', not {string.Join(" or ", _possible[cpu].Select(p => $"'{p}'"))}"));
            }

            // From here on it is known.
            _possible[cpu].Clear();
            _possible[cpu].Add(id);
        }

        await run.KillAsync().ConfigureAwait(false);
        return wrong.Count == 0 ? null : string.Join("; ", wrong);
    }

    private async Task KeepAsync(string state, int kill)
    {
        string kept = Path.Combine(Path.GetTempPath(), $"vmm-kill-{seed}-{kill}");
        if (Directory.Exists(state) && !Directory.Exists(kept))
        {
            Directory.Move(state, kept);
            await output.WriteLineAsync($"    its state folder is kept: {kept}").ConfigureAwait(false);
        }
    }

    private void Log(string line)
    {
        lock (_gate)
        {
            _log.Add($"{Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency:f3} {line}");
        }
    }
}

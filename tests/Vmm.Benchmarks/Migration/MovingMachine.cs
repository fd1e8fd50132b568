using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Vmm.Benchmarks.Hotplug;

namespace Vmm.Benchmarks.Migration;

/// <summary>
/// A VM that goes from process to process while CPUs of it come and go: what was asked of it at either end, what was heard of it, and what
/// that says of its CPUs. One lock guards all of it.
/// </summary>
internal sealed class MovingMachine : IDisposable
{
    private const string CpuModel = "max";

    private readonly object _gate = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly IReadOnlyList<string> _command;
    private readonly Action<string> _log;
    private readonly List<SoakRequest> _requests = [];
    private readonly List<string> _faults = [];
    private readonly Dictionary<int, string> _present = [];
    private MigrationPeer _peer = null!;
    private MigrationPeer? _target;
    private bool _moving;
    private int _names;

    private MovingMachine(IReadOnlyList<string> command, Action<string> log)
    {
        _command = command;
        _log = log;
    }

    /// <summary>The process that has the guest.</summary>
    public MigrationPeer Peer => _peer;

    /// <summary>How many hotplug requests ended as they should.</summary>
    public int Ended { get; private set; }

    /// <summary>What went wrong so far, a line each.</summary>
    public string[] Faults
    {
        get
        {
            lock (_gate)
            {
                return [.. _faults, .. _peer?.Faults ?? [], .. _target?.Faults ?? []];
            }
        }
    }

    /// <summary>Boots the guest and starts its load.</summary>
    public static async Task<MovingMachine> BootAsync(IReadOnlyList<string> command, GuestLoad load, Action<string> log)
    {
        var machine = new MovingMachine(command, log);
        machine._peer = await MigrationPeer.StartAsync(command, machine.HearEvent, machine.HearConsole).ConfigureAwait(false);
        try
        {
            await machine._peer.BootAsync().ConfigureAwait(false);
            await machine._peer.AskAsync(load.ToString().ToLowerInvariant()).ConfigureAwait(false);
            return machine;
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Moves the guest to a new process; the old one ends when all requests have been answered (<see cref="SettleAsync"/>).
    /// </summary>
    public async Task MoveAsync(int downtimeLimit, long bandwidth, bool postcopy)
    {
        lock (_gate)
        {
            _moving = true;
        }

        _target = await MigrationPeer.StartAsync([.. _command, "-incoming", "defer"], HearEvent, HearConsole)
            .ConfigureAwait(false);
        Log(postcopy ? "migrate with postcopy" : "migrate");
        Move move = await Move.MakeAsync(_peer, _target, downtimeLimit, bandwidth, postcopy).ConfigureAwait(false);
        Log(string.Create(CultureInfo.InvariantCulture, $"moved: {move}"));
        lock (_gate)
        {
            (_peer, _target) = (_target, _peer);
        }
    }

    /// <summary>Asks whoever has the guest for what the CPU is not: a plug where it is absent, an unplug where it is present.</summary>
    public async Task ToggleAsync(int cpu)
    {
        SoakRequest request;
        JsonObject arguments;
        MigrationPeer peer;
        lock (_gate)
        {
            bool plug = !_present.TryGetValue(cpu, out string? id);
            id ??= $"c{cpu}n{++_names}";
            request = new SoakRequest(id, cpu, plug, _clock.Elapsed);
            arguments = plug
                ? new JsonObject { ["driver"] = $"{CpuModel}-arm-cpu", ["id"] = id, ["core-id"] = cpu }
                : new JsonObject { ["id"] = id };
            if (plug)
            {
                // Its outcome may come before its answer is read.
                _present[cpu] = id;
            }
            else
            {
                foreach (SoakRequest pending in _requests.Where(r => r.Cpu == cpu && r.Plug && r.End == null))
                {
                    pending.Superseded = true;
                }
            }

            _requests.Add(request);
            peer = _peer;
            Log($"{(plug ? "device_add" : "device_del")} {id}");
        }

        string? error = null;
        try
        {
            await peer.ExecuteAsync(request.Plug ? "device_add" : "device_del", arguments).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            error = e.Message;
        }

        lock (_gate)
        {
            request.Accepted = error == null;
            request.Error = error;
            Log($"{request.Id}: {error ?? "accepted"}");
            if (error == null)
            {
                return;
            }

            if (request.Plug)
            {
                _present.Remove(cpu);
            }

            // A process that has given its guest away refuses; so does one that is asked for an unplug that is under way.
            if (!_moving && !(!request.Plug && _requests.Any(r => r != request && r.Id == request.Id && !r.Plug && r.Error == null)))
            {
                _faults.Add($"a false error: {request}");
            }
        }
    }

    /// <summary>Waits until every request has ended, and compares what the ends say with what the monitor and the guest say.</summary>
    public async Task SettleAsync(int bootCpus, TimeSpan patience)
    {
        TimeSpan began = _clock.Elapsed;
        while (true)
        {
            lock (_gate)
            {
                SoakRequest[] open = [.. _requests.Where(r => r.Accepted && r.End == null)];
                if (open.Length == 0)
                {
                    break;
                }

                if (_clock.Elapsed - began > patience)
                {
                    throw new TimeoutException($"no end within {patience.TotalSeconds:f0} s of the move: {open[0]}");
                }
            }

            await Task.Delay(10).ConfigureAwait(false);
        }

        // An outcome too many would come soon after the first.
        await Task.Delay(50).ConfigureAwait(false);
        SortedDictionary<int, string> expected;
        lock (_gate)
        {
            expected = new SortedDictionary<int, string>(_present);
            foreach (SoakRequest request in _requests)
            {
                if (request.Ends > 1 || (request.Error != null && request.Outcomes.Count != 0))
                {
                    _faults.Add($"it ended more than once: {request}");
                }

                if (request.Plug && (request.End == "refused" || (request.End == "cancelled" && !request.Superseded)))
                {
                    _faults.Add($"a plug failed: {request}");
                }

                Ended += request.Ends == 1 ? 1 : 0;
            }

            _requests.Clear();
            _moving = false;
            _faults.AddRange(_target?.Faults ?? []);
            _target?.Dispose();
            _target = null;
        }

        var present = new SortedDictionary<int, string>();
        foreach (JsonNode? slot in (await _peer.ExecuteAsync("query-hotpluggable-cpus").ConfigureAwait(false)).AsArray())
        {
            if (slot!["qom-path"]?.ToString() is { } path && path.StartsWith("/machine/peripheral/", StringComparison.Ordinal))
            {
                present[slot["props"]!["core-id"]!.GetValue<int>()] = path["/machine/peripheral/".Length..];
            }
        }

        Check(present.SequenceEqual(expected),
            $"query-hotpluggable-cpus has [{string.Join(' ', present)}], the requests' ends say [{string.Join(' ', expected)}]");
        string list = (await _peer.AskAsync("cpus").ConfigureAwait(false)).Split(' ')[^1];
        HashSet<int> enabled = [.. list.Split(',').Select(r => r.Split('-')).SelectMany(r => Range(r[0], r[^1]))];
        Check(enabled.SetEquals(Enumerable.Range(0, bootCpus).Concat(expected.Keys)),
            $"the guest has enabled {list}, the requests' ends say 0-{bootCpus - 1} and [{string.Join(' ', expected)}]");
        string wrong = (await _peer.AskAsync("report").ConfigureAwait(false)).Split(' ')[4];
        Check(wrong == "0", $"the guest found {wrong} pages wrong");
    }

    public void Dispose()
    {
        _target?.Dispose();
        _peer?.Dispose();
    }

    private static IEnumerable<int> Range(string first, string last)
    {
        int from = int.Parse(first, CultureInfo.InvariantCulture);
        return Enumerable.Range(from, int.Parse(last, CultureInfo.InvariantCulture) - from + 1);
    }

    private void HearConsole(string line) => Log($"console: {line}");

    private void HearEvent(QmpEvent heard)
    {
        lock (_gate)
        {
            Log($"event {heard.Name} {heard.Data?.ToJsonString()}");
            if (heard.Name != "__org.vmm_HOTPLUG_OUTCOME")
            {
                return;
            }

            JsonNode data = heard.Data!;
            string id = data["device"]!.ToString();
            string result = data["result"]!.ToString();
            bool plug = data["operation"]!.ToString() == "plug";

            // The oldest that is open, since requests for one CPU end in order. What was asked for again after a time-out ends with it.
            List<SoakRequest> open = _requests.FindAll(r => r.Id == id && r.Plug == plug && r.End == null && r.Error == null);
            SoakRequest? last = _requests.FindLast(r => r.Id == id && r.Plug == plug);
            if (last == null)
            {
                _faults.Add($"an outcome that nobody asked for: {data.ToJsonString()}");
                return;
            }

            int ends = result == "timed-out" ? 1 : 1 + open.TakeWhile(r => r.Outcomes.Contains("timed-out")).Count();
            foreach (SoakRequest request in open.Count == 0 ? [last] : open.Take(ends))
            {
                request.Hear(result, _clock.Elapsed);
            }

            if (!plug && result == "done")
            {
                _present.Remove(last.Cpu);
            }
        }
    }

    private void Check(bool right, string fault)
    {
        lock (_gate)
        {
            if (!right)
            {
                _faults.Add(fault);
            }
        }
    }

    private void Log(string text) => _log($"{_clock.Elapsed.TotalSeconds:f3} {text}");
}

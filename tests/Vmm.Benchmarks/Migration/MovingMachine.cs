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
    private readonly object _gate = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly IReadOnlyList<string> _command;
    private readonly Action<string> _log;
    private readonly SoakRequests _requests;
    private readonly List<string> _faults = [];
    private MigrationPeer _peer = null!;
    private MigrationPeer? _target;
    private bool _moving;

    private MovingMachine(IReadOnlyList<string> command, Action<string> log)
    {
        _command = command;
        _log = log;
        _requests = new SoakRequests(_clock);
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
        string command;
        MigrationPeer peer;
        lock (_gate)
        {
            request = _requests.Toggle(cpu);
            command = request.Plug ? "device_add" : "device_del";
            peer = _peer;
            Log($"{command} {request.Id}");
        }

        string? error = null;
        try
        {
            await peer.ExecuteAsync(command, SoakRequests.ArgumentsOf(request)).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            error = e.Message;
        }

        lock (_gate)
        {
            Log($"{request.Id}: {error ?? "accepted"}");

            // A process that has given its guest away refuses.
            if (!_requests.Answer(request, error) && !_moving)
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
                SoakRequest[] open = _requests.Open;
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
            _faults.AddRange(_requests.Close(out int ended));
            Ended += ended;
            expected = _requests.Present;
            _moving = false;
            _faults.AddRange(_target?.Faults ?? []);
            _target?.Dispose();
            _target = null;
        }

        JsonNode slots = await _peer.ExecuteAsync("query-hotpluggable-cpus").ConfigureAwait(false);
        var enabled = new CpuList((await _peer.AskAsync("cpus").ConfigureAwait(false)).Split(' ')[^1]);
        string wrong = (await _peer.AskAsync("report").ConfigureAwait(false)).Split(' ')[4];
        lock (_gate)
        {
            _faults.AddRange(SoakRequests.Differences(expected, slots, enabled, bootCpus));
            if (wrong != "0")
            {
                _faults.Add($"the guest found {wrong} pages wrong");
            }
        }
    }

    public void Dispose()
    {
        _target?.Dispose();
        _peer?.Dispose();
    }

    private void HearConsole(string line) => Log($"console: {line}");

    private void HearEvent(QmpEvent heard)
    {
        lock (_gate)
        {
            Log($"event {heard.Name} {heard.Data?.ToJsonString()}");
            if (heard.Name == "__org.vmm_HOTPLUG_OUTCOME" && !_requests.Hear(heard.Data!))
            {
                _faults.Add($"an outcome that nobody asked for: {heard.Data!.ToJsonString()}");
            }
        }
    }

    private void Log(string text) => _log($"{_clock.Elapsed.TotalSeconds:f3} {text}");
}

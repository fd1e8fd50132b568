using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>
/// A VM under soak: what was asked of it, what was heard of it, and what that says of its CPUs. One lock guards all of it.
/// </summary>
internal sealed class SoakMachine : IAsyncDisposable
{
    private readonly object _gate = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly Action<string> _log;
    private readonly VmRun _run;
    private readonly SoakRequests _requests;
    private readonly List<string> _faults = [];
    private readonly Dictionary<int, QmpConnection> _connections = [];
    private QmpConnection? _control;
    private string? _answer;
    private TimeSpan _ableSince;
    private bool _ready;
    private bool _running = true;
    private int _words;

    private SoakMachine(IReadOnlyList<string> vmm, IEnumerable<string> arguments, Action<string> log)
    {
        _log = log;
        _requests = new SoakRequests(_clock);
        _run = new VmRun([.. vmm, .. arguments], HearConsole);
    }

    /// <summary>What went wrong so far, a line each.</summary>
    public string[] Faults
    {
        get
        {
            lock (_gate)
            {
                return [.. _faults];
            }
        }
    }

    /// <summary>Starts the VM and connects to it; the guest is at the beginning of its boot.</summary>
    /// <param name="cpus">CPUs that will be plugged: each has a monitor of its own.</param>
    public static async Task<SoakMachine> StartAsync(
        IReadOnlyList<string> vmm, IEnumerable<string> arguments, int[] cpus, Action<string> log)
    {
        var machine = new SoakMachine(vmm, arguments, log);
        machine._control = await machine._run.ConnectAsync(machine.HearEvent).ConfigureAwait(false);
        foreach (int cpu in cpus)
        {
            machine._connections[cpu] = await machine._run.ConnectAsync().ConfigureAwait(false);
        }

        return machine;
    }

    /// <summary>Asks for what the CPU is not: a plug where it is absent, an unplug where it is present, whatever is under way.</summary>
    public async Task ToggleAsync(int cpu)
    {
        SoakRequest request;
        string command;
        lock (_gate)
        {
            request = _requests.Toggle(cpu);
            command = request.Plug ? "device_add" : "device_del";
            Log($"{command} {request.Id}");
        }

        QmpAnswer answer = await AskAsync(_connections[cpu], command, SoakRequests.ArgumentsOf(request)).ConfigureAwait(false);
        lock (_gate)
        {
            Log($"{request.Id}: {answer.Error ?? "accepted"} after "
                + $"{Stopwatch.GetElapsedTime(answer.SentAt, answer.AnsweredAt).TotalMilliseconds:f1} ms");
            if (!_requests.Answer(request, answer.Error))
            {
                _faults.Add($"a false error: {request}");
            }
        }
    }

    public Task StopAsync() => ControlAsync("stop");

    public Task ContinueAsync() => ControlAsync("cont");

    public Task ResetAsync() => ControlAsync("system_reset");

    /// <summary>Has the guest reboot itself, if it listens.</summary>
    public void Reboot()
    {
        Log("the guest is to reboot");
        _run.Type("now reboot");
    }

    /// <summary>Waits until the guest has booted and every request has ended; what has not ended in time is a fault.</summary>
    /// <param name="patience">How long a request may take from the moment the guest can answer.</param>
    /// <param name="bootPatience">How long the guest may take to boot.</param>
    public async Task SettleAsync(TimeSpan patience, TimeSpan bootPatience)
    {
        TimeSpan began = _clock.Elapsed;
        while (true)
        {
            await Task.Delay(10).ConfigureAwait(false);
            lock (_gate)
            {
                if (_run.HasExited)
                {
                    throw new IOException($"the process of the VM has ended: {_run.Errors}");
                }

                if (!_ready)
                {
                    if (_clock.Elapsed - began > bootPatience)
                    {
                        throw new TimeoutException("the guest does not boot");
                    }

                    continue;
                }

                SoakRequest[] open = _requests.Open;
                if (open.Length == 0)
                {
                    return;
                }

                foreach (SoakRequest late in open.Where(r => _clock.Elapsed - (r.SentAt > _ableSince ? r.SentAt : _ableSince) > patience))
                {
                    throw new TimeoutException($"no end within {patience.TotalSeconds:f0} s of the guest being able to answer: {late}");
                }
            }
        }
    }

    /// <summary>Compares what the requests' ends say with what the monitor and the guest say of the CPUs; forgets the requests.</summary>
    public async Task VerifyAsync(int bootCpus)
    {
        // An outcome too many would come soon after the first.
        await Task.Delay(50).ConfigureAwait(false);
        QmpAnswer slots = await AskAsync(_control!, "query-hotpluggable-cpus").ConfigureAwait(false);
        SortedDictionary<int, string> expected;
        lock (_gate)
        {
            _faults.AddRange(_requests.Close(out _));
            expected = _requests.Present;
        }

        CpuList enabled = await EnabledInGuestAsync().ConfigureAwait(false);
        lock (_gate)
        {
            _faults.AddRange(SoakRequests.Differences(expected, slots.Return!, enabled, bootCpus));
        }
    }

    public ValueTask DisposeAsync()
    {
        _run.Dispose();
        return ValueTask.CompletedTask;
    }

    private static async Task<QmpAnswer> AskAsync(QmpConnection connection, string command, JsonObject? arguments = null)
    {
        try
        {
            return await connection.ExecuteAsync(command, arguments).WaitAsync(TimeSpan.FromSeconds(100)).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"no answer to {command} {arguments?.ToJsonString()} in 100 s");
        }
    }

    private async Task ControlAsync(string command)
    {
        Log(command);
        QmpAnswer answer = await AskAsync(_control!, command).ConfigureAwait(false);
        if (answer.Error != null)
        {
            Fault($"{command}: {answer.Error}");
        }
    }

    // The CPUs that the guest has enabled, by its sysfs. Asked again where the line was lost in a reboot.
    private async Task<CpuList> EnabledInGuestAsync()
    {
        TimeSpan patience = TimeSpan.FromSeconds(60);
        TimeSpan began = _clock.Elapsed;
        string word = (++_words).ToString(CultureInfo.InvariantCulture);
        while (_clock.Elapsed - began < patience)
        {
            _run.Type($"{word} cpus");
            for (int i = 0; i < 500; i++)
            {
                await Task.Delay(10).ConfigureAwait(false);
                lock (_gate)
                {
                    if (_answer?.Split(' ') is [var which, "enabled", var list, ..] && which == word)
                    {
                        return new CpuList(list);
                    }
                }
            }
        }

        throw new TimeoutException("the guest does not answer at its console");
    }

    private void HearConsole(string line)
    {
        lock (_gate)
        {
            if (line.Contains(SoakGuest.Ready, StringComparison.Ordinal))
            {
                _ready = true;
                _ableSince = _clock.Elapsed;
            }
            else if (line.IndexOf(SoakGuest.Answer, StringComparison.Ordinal) is >= 0 and int at)
            {
                _answer = line[(at + SoakGuest.Answer.Length)..];
            }
            else if (VmRun.IsKernelFault(line))
            {
                _faults.Add($"the kernel says: {line}");
            }

            Log($"console: {line}");
        }
    }

    private void HearEvent(QmpEvent heard)
    {
        lock (_gate)
        {
            Log($"event {heard.Name} {heard.Data?.ToJsonString()}");
            switch (heard.Name)
            {
                case "RESET":
                    _ready = false;
                    break;
                case "STOP":
                    _running = false;
                    break;
                case "RESUME" when !_running:
                    _running = true;
                    _ableSince = _clock.Elapsed;
                    break;
                case "__org.vmm_HOTPLUG_OUTCOME":
                    if (!_requests.Hear(heard.Data!))
                    {
                        _faults.Add($"an outcome that nobody asked for: {heard.Data!.ToJsonString()}");
                    }

                    break;
            }
        }
    }

    private void Fault(string text)
    {
        lock (_gate)
        {
            _faults.Add(text);
        }
    }

    private void Log(string text) => _log($"{_clock.Elapsed.TotalSeconds:f3} {text}");
}

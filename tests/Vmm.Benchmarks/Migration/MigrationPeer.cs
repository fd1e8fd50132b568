using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Vmm.Benchmarks.Hotplug;

namespace Vmm.Benchmarks.Migration;

/// <summary>A process at one end of migrations, Vmm's or QEMU's: its monitor, and the console of the guest that it runs.</summary>
internal sealed class MigrationPeer : IDisposable
{
    /// <summary>How long to wait for what must come: for hangs, and longer than a host is stopped or too busy.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(20);

    private static int s_words;

    private readonly VmRun _run;
    private readonly Action<QmpEvent>? _heard;
    private readonly Action<string>? _consoleLine;
    private readonly TaskCompletionSource<bool> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, TaskCompletionSource<(string, long)>> _answers = new();
    private readonly ConcurrentDictionary<string, long> _firstEvents = new();
    private readonly ConcurrentQueue<string> _faults = new();
    private QmpConnection? _qmp;

    private MigrationPeer(IReadOnlyList<string> command, Action<QmpEvent>? heard, Action<string>? consoleLine)
    {
        _heard = heard;
        _consoleLine = consoleLine;
        _run = new VmRun(command, HearConsole);
    }

    /// <summary>What the guest's kernel or its load found wrong.</summary>
    public string[] Faults => [.. _faults];

    public bool HasExited => _run.HasExited;

    public string Errors => _run.Errors;

    /// <summary>The process.</summary>
    public VmRun Run => _run;

    /// <summary>Starts a process and connects to its monitor.</summary>
    /// <param name="heard">Hears the events of the monitor.</param>
    /// <param name="consoleLine">Hears the guest.</param>
    /// <exception cref="IOException">The process ended before it listened.</exception>
    public static async Task<MigrationPeer> StartAsync(
        IReadOnlyList<string> command, Action<QmpEvent>? heard = null, Action<string>? consoleLine = null)
    {
        var peer = new MigrationPeer(command, heard, consoleLine);
        try
        {
            peer._qmp = await peer._run.ConnectAsync(peer.HearEvent).ConfigureAwait(false);
            return peer;
        }
        catch
        {
            peer.Dispose();
            throw;
        }
    }

    /// <summary>A port of the loopback that is free now.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Executes a command of the monitor.</summary>
    /// <exception cref="IOException">It is refused, or the process has ended.</exception>
    public async Task<JsonNode> ExecuteAsync(string command, JsonObject? arguments = null)
    {
        QmpAnswer answer = await WithinAsync(_qmp!.ExecuteAsync(command, arguments), $"no answer to {command}").ConfigureAwait(false);
        return answer.Return ?? throw new IOException($"{command}: {answer.Error}");
    }

    /// <summary>The run state.</summary>
    public async Task<string> StatusAsync() => (await ExecuteAsync("query-status").ConfigureAwait(false))["status"]!.ToString();

    /// <summary>What <c>query-migrate</c> says.</summary>
    public Task<JsonNode> MigrationAsync() => ExecuteAsync("query-migrate");

    /// <summary>Types a line at the guest's console and waits for init's answer.</summary>
    public async Task<string> AskAsync(string what) => (await AskTimedAsync(what).ConfigureAwait(false)).Answer;

    /// <summary>As <see cref="AskAsync"/>, with the moment at which the answer was read, in ticks of the stopwatch.</summary>
    public async Task<(string Answer, long At)> AskTimedAsync(string what)
    {
        string word = Interlocked.Increment(ref s_words).ToString(CultureInfo.InvariantCulture);
        TaskCompletionSource<(string, long)> answer = _answers.GetOrAdd(word, _ => NewAnswer());
        _run.Type($"{word} {what}");
        return await WithinAsync(answer.Task, $"the guest does not answer '{what}'").ConfigureAwait(false);
    }

    /// <summary>Waits until the guest's init listens, at this end.</summary>
    public Task BootAsync() => WithinAsync(_ready.Task, "the guest does not boot");

    /// <summary>When an event was heard first, in ticks of the stopwatch; null before it was.</summary>
    public long? HeardAt(string name) => _firstEvents.TryGetValue(name, out long at) ? at : null;

    /// <summary>Waits until an event has been heard.</summary>
    public async Task<long> AwaitEventAsync(string name)
    {
        long end = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (Environment.TickCount64 < end)
        {
            if (HeardAt(name) is { } at)
            {
                return at;
            }

            if (HasExited)
            {
                throw new IOException($"the process ended before {name}: {Errors}");
            }

            await Task.Delay(5).ConfigureAwait(false);
        }

        throw new TimeoutException($"no event {name}");
    }

    public void Dispose() => _run.Dispose();

    private static async Task<T> WithinAsync<T>(Task<T> what, string otherwise)
    {
        try
        {
            return await what.WaitAsync(Patience).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"{otherwise} in {Patience.TotalMinutes} minutes");
        }
    }

    private static TaskCompletionSource<(string, long)> NewAnswer() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void HearEvent(QmpEvent heard)
    {
        _firstEvents.TryAdd(heard.Name, heard.HeardAt);
        _heard?.Invoke(heard);
    }

    private void HearConsole(string line)
    {
        _consoleLine?.Invoke(line);
        if (line.Contains(MigrationGuest.Ready, StringComparison.Ordinal) || line.Contains(SoakGuest.Ready, StringComparison.Ordinal))
        {
            _ready.TrySetResult(true);
        }
        else if (line.IndexOf(MigrationGuest.Answer, StringComparison.Ordinal) is >= 0 and int at)
        {
            string[] words = line[(at + MigrationGuest.Answer.Length)..].Split(' ', 2);
            _answers.GetOrAdd(words[0], _ => NewAnswer()).TrySetResult((words[^1], Stopwatch.GetTimestamp()));
        }
        else if (line.Contains(MigrationGuest.Failed, StringComparison.Ordinal) || VmRun.IsKernelFault(line))
        {
            _faults.Enqueue(line);
        }
    }
}

using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>When what happened in a round, in seconds of a <see cref="PlugClock"/>.</summary>
/// <param name="Add">device_add was sent.</param>
/// <param name="AddAnswered">Its answer was read.</param>
/// <param name="PlugEnded">The event that tells of its end was read: the guest has the CPU.</param>
/// <param name="PlugOn">"Bring the plugged CPU online" was typed at the guest's console.</param>
/// <param name="PlugOnSaid">The guest said that it is online.</param>
/// <param name="BootOff">"Take the CPU that was there from boot offline" was typed.</param>
/// <param name="BootOffSaid">The guest said that it is offline.</param>
/// <param name="BootOn">"Bring it online again" was typed.</param>
/// <param name="BootOnSaid">The guest said that it is online.</param>
/// <param name="Delete">device_del was sent.</param>
/// <param name="DeleteAnswered">Its answer was read.</param>
/// <param name="Deleted">The event DEVICE_DELETED was read.</param>
/// <param name="Status">query-status was sent, which asks the VM's actor for a word and nothing of hotplug.</param>
/// <param name="StatusAnswered">Its answer was read.</param>
internal sealed record PlugRound(
    double Add, double AddAnswered, double PlugEnded, double PlugOn, double PlugOnSaid, double BootOff, double BootOffSaid, double BootOn,
    double BootOnSaid, double Delete, double DeleteAnswered, double Deleted, double Status, double StatusAnswered);

/// <summary>
/// A QMP client that plugs and unplugs a CPU again and again, and somebody at the guest's console who brings it online. The guest is
/// <see cref="SoakGuest"/>, in Vmm or in QEMU: both are asked the same.
/// </summary>
/// <param name="plugEnd">Text in the event that tells of the end of a plug.</param>
internal sealed class PlugRounds(PlugClock clock, string plugEnd)
{
    /// <summary>A CPU that is there from boot, as Linux and the topology number it.</summary>
    public const int BootCpu = 1;

    /// <summary>The CPU that comes and goes.</summary>
    public const int PluggedCpu = 2;

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly object _gate = new();
    private readonly List<(double At, string Text)> _heard = [];
    private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Boots the guest, goes through the rounds and ends the VM.</summary>
    /// <param name="command">The program and all arguments but those of console and monitor.</param>
    public async Task<IReadOnlyList<PlugRound>> RunAsync(IReadOnlyList<string> command, int rounds)
    {
        var all = new List<PlugRound>();
        using var run = new VmRun(command, line => Hear(Stopwatch.GetTimestamp(), $"console {line}"));
        QmpConnection monitor =
            await run.ConnectAsync(e => Hear(e.HeardAt, $"event {e.Name} {e.Data?.ToJsonString()}")).ConfigureAwait(false);
        await HeardAsync(SoakGuest.Ready, 0).ConfigureAwait(false);
        JsonObject device = await FindDeviceAsync(monitor).ConfigureAwait(false);

        // What a boot leaves to be done later is not to be measured.
        await Task.Delay(2000).ConfigureAwait(false);
        for (int round = 0; round < rounds; round++)
        {
            device["id"] = $"c{round}";
            all.Add(await RoundAsync(run, monitor, device).ConfigureAwait(false));
            await Task.Delay(200).ConfigureAwait(false);
        }

        await monitor.ExecuteAsync("quit").ConfigureAwait(false);
        await run.ConsoleEnded.WaitAsync(s_patience).ConfigureAwait(false);
        return all;
    }

    // The CPU to be plugged, as device_add takes it.
    private static async Task<JsonObject> FindDeviceAsync(QmpConnection monitor)
    {
        JsonArray possible = (await monitor.ExecuteAsync("query-hotpluggable-cpus").ConfigureAwait(false)).Return!.AsArray();
        JsonNode absent = possible.Single(cpu => cpu!["props"]!["core-id"]!.GetValue<int>() == PluggedCpu)!;
        var device = (JsonObject)absent["props"]!.DeepClone();
        device["driver"] = absent["type"]!.DeepClone();
        return device;
    }

    private async Task<PlugRound> RoundAsync(VmRun run, QmpConnection monitor, JsonObject device)
    {
        string id = device["id"]!.ToString();
        (double add, double addAnswered) = await AskAsync(monitor, "device_add", (JsonObject)device.DeepClone()).ConfigureAwait(false);
        double plugEnded = await HeardAsync(plugEnd, add).ConfigureAwait(false);
        (double plugOn, double plugOnSaid) = await TypeAsync(run, "plug-on", "on", PluggedCpu).ConfigureAwait(false);
        (double bootOff, double bootOffSaid) = await TypeAsync(run, "boot-off", "off", BootCpu).ConfigureAwait(false);
        (double bootOn, double bootOnSaid) = await TypeAsync(run, "boot-on", "on", BootCpu).ConfigureAwait(false);
        await Task.Delay(100).ConfigureAwait(false);
        (double delete, double deleteAnswered) =
            await AskAsync(monitor, "device_del", new JsonObject { ["id"] = id }).ConfigureAwait(false);
        double deleted = await HeardAsync("event DEVICE_DELETED", delete).ConfigureAwait(false);
        (double status, double statusAnswered) = await AskAsync(monitor, "query-status", []).ConfigureAwait(false);
        return new PlugRound(
            add, addAnswered, plugEnded, plugOn, plugOnSaid, bootOff, bootOffSaid, bootOn, bootOnSaid, delete, deleteAnswered, deleted,
            status, statusAnswered);
    }

    private async Task<(double Sent, double Answered)> AskAsync(QmpConnection monitor, string command, JsonObject arguments)
    {
        QmpAnswer answer = await monitor.ExecuteAsync(command, arguments).ConfigureAwait(false);
        return answer.Error == null ? (clock.SecondsOf(answer.SentAt), clock.SecondsOf(answer.AnsweredAt))
            : throw new InvalidOperationException($"{command}: {answer.Error}");
    }

    private async Task<(double Typed, double Said)> TypeAsync(VmRun run, string name, string what, int cpu)
    {
        double typed = clock.SecondsOf(Stopwatch.GetTimestamp());
        run.Type($"{name} {what} {cpu}");
        return (typed, await HeardAsync($"{SoakGuest.Answer}{name}", typed).ConfigureAwait(false));
    }

    private void Hear(long timestamp, string text)
    {
        double at = clock.SecondsOf(timestamp);
        lock (_gate)
        {
            _heard.Add((at, text));
            _more.TrySetResult();
            _more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    // When something was heard for the first time since then.
    private async Task<double> HeardAsync(string what, double since)
    {
        while (true)
        {
            Task more;
            lock (_gate)
            {
                int index = _heard.FindIndex(h => h.At >= since && h.Text.Contains(what, StringComparison.Ordinal));
                if (index >= 0)
                {
                    return _heard[index].At;
                }

                more = _more.Task;
            }

            await more.WaitAsync(s_patience).ConfigureAwait(false);
        }
    }
}

/// <summary>Seconds since it was made, and what they are by the host's wall clock.</summary>
internal sealed class PlugClock
{
    private readonly long _start;
    private readonly DateTime _startUtc;

    public PlugClock()
    {
        // The first use takes milliseconds, which must not lie between the two readings.
        _ = DateTime.UtcNow;
        _start = Stopwatch.GetTimestamp();
        _startUtc = DateTime.UtcNow;
    }

    public double SecondsOf(long timestamp) => Stopwatch.GetElapsedTime(_start, timestamp).TotalSeconds;

    public double SecondsOf(DateTime utc) => (utc - _startUtc).TotalSeconds;
}

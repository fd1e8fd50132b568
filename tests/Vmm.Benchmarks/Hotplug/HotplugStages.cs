using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>
/// How long each stage of a plug and an unplug takes, the host's and the guest's apart. The client's times are those of a QMP client, from
/// sending a request to having read an answer or event; what happens between is read off the trace (<c>--trace hotplug,psci,acpi,irq</c>).
/// Beside it a CPU that was there from boot goes offline and online.
/// </summary>
internal sealed class HotplugStages(IReadOnlyList<string> vmm, TextWriter output)
{
    private const int BootCpu = 1;
    private const int PluggedCpu = 2;

    // What the host may take of each way, in milliseconds.
    private const double HostLimit = 2.0;

    // "cpu0 write acpi-cpu-hotplug …" and its like, as the trace has them.
    private const string GedRises = "spi 41 rises";
    private const string GedIsRead = "read ged selector";
    private const string OstStatusIsWritten = "write acpi-cpu-hotplug command data";
    private const string EjectIsWritten = "write acpi-cpu-hotplug control flags 0x8";
    private const string FirstInstruction = "executes its first instruction";

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly Clock _clock = new();
    private readonly List<(string Name, bool Host, List<double> Milliseconds)> _stages = [];
    private readonly object _gate = new();
    private readonly List<(double At, string Text)> _heard = [];
    private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Plugs and unplugs so many times and prints a table.</summary>
    public async Task<int> RunAsync(int rounds)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-stages-").FullName;
        try
        {
            string trace = Path.Combine(folder, "trace");
            string[] guest = await SoakGuest.PrepareAsync(folder, 0, bringOnline: false).ConfigureAwait(false);
            string[] arguments = ["-cpu", "max", "-smp", "cpus=2,maxcpus=3", .. guest,
                "--trace", "hotplug,psci,acpi,irq", "--trace-file", trace];
            var marks = new List<Dictionary<string, double>>();
            using (var run = new VmRun(vmm, arguments, line => Hear($"console {line}")))
            {
                QmpConnection monitor = await run.ConnectAsync(e => Hear($"event {e.Name} {e.Data?.ToJsonString()}")).ConfigureAwait(false);
                await HeardAsync(SoakGuest.Ready, 0).ConfigureAwait(false);

                // What a boot leaves to be done later is not to be measured.
                await Task.Delay(2000).ConfigureAwait(false);
                for (int round = 0; round < rounds; round++)
                {
                    marks.Add(await RoundAsync(run, monitor, round).ConfigureAwait(false));
                    await Task.Delay(200).ConfigureAwait(false);
                }

                await monitor.ExecuteAsync("quit").ConfigureAwait(false);
                await run.ConsoleEnded.WaitAsync(s_patience).ConfigureAwait(false);
            }

            Trace lines = Trace.Read(trace, _clock);
            double end = lines.First(marks[0]["device_add"] - 1, "");
            foreach (Dictionary<string, double> mark in marks)
            {
                end = Measure(mark, lines, end);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        await PrintAsync(rounds).ConfigureAwait(false);
        return 0;
    }

    // What the client sees of one round: names of moments, and when they were.
    private async Task<Dictionary<string, double>> RoundAsync(VmRun run, QmpConnection monitor, int round)
    {
        string id = $"c{round}";
        var mark = new Dictionary<string, double>();
        await AskAsync(monitor, "device_add", new JsonObject { ["driver"] = "max-arm-cpu", ["id"] = id, ["core-id"] = PluggedCpu }, mark)
            .ConfigureAwait(false);
        mark["plugged"] = await HeardAsync("\"result\":\"done\"", mark["device_add"]).ConfigureAwait(false);
        await TypeAsync(run, "on", PluggedCpu, "plug-on", mark).ConfigureAwait(false);
        await TypeAsync(run, "off", BootCpu, "boot-off", mark).ConfigureAwait(false);
        await TypeAsync(run, "on", BootCpu, "boot-on", mark).ConfigureAwait(false);
        await Task.Delay(100).ConfigureAwait(false);
        await AskAsync(monitor, "device_del", new JsonObject { ["id"] = id }, mark).ConfigureAwait(false);
        mark["deleted"] = await HeardAsync("event DEVICE_DELETED", mark["device_del"]).ConfigureAwait(false);
        return mark;
    }

    private async Task AskAsync(QmpConnection monitor, string command, JsonObject arguments, Dictionary<string, double> mark)
    {
        QmpAnswer answer = await monitor.ExecuteAsync(command, arguments).ConfigureAwait(false);
        if (answer.Error != null)
        {
            throw new InvalidOperationException($"{command}: {answer.Error}");
        }

        mark[command] = _clock.SecondsOf(answer.SentAt);
        mark[$"{command} answered"] = _clock.SecondsOf(answer.AnsweredAt);
    }

    private async Task TypeAsync(VmRun run, string what, int cpu, string name, Dictionary<string, double> mark)
    {
        mark[name] = _clock.SecondsOf(Stopwatch.GetTimestamp());
        run.Type($"{name} {what} {cpu}");
        mark[$"{name} done"] = await HeardAsync($"{SoakGuest.Answer}{name}", mark[name]).ConfigureAwait(false);
    }

    // Looks up each moment of a round in the trace, from the last moment on that is known. That was `previous` at the end of the round
    // before, and is the result for this one.
    private double Measure(Dictionary<string, double> m, Trace trace, double previous)
    {
        string cpuOn = $"CPU_ON(0x{PluggedCpu:x},", bootOn = $"CPU_ON(0x{BootCpu:x},";
        double raised = trace.First(previous, GedRises);
        double read = trace.First(raised, GedIsRead);
        double ost = trace.Last(m["plugged"], OstStatusIsWritten);
        double on = trace.First(m["plug-on"], cpuOn);

        // The call is traced with its result, which another thread may overtake.
        double first = Math.Max(on, trace.First(m["plug-on"], $"cpu{PluggedCpu} {FirstInstruction}"));
        Add("plug: device_add sent -> answer read", true, m["device_add"], m["device_add answered"]);
        Add("plug: device_add sent -> GED's interrupt raised", true, m["device_add"], raised);
        Add("plug: GED raised -> guest reads its selector", false, raised, read);
        Add("plug: selector read -> guest has it enabled (_OST)", false, read, ost);
        Add("plug: _OST -> outcome heard", true, ost, m["plugged"]);
        Add("plug: echo 1 typed -> CPU_ON", false, m["plug-on"], on);
        Add("plug: CPU_ON -> first instruction", true, on, first);
        Add("plug: first instruction -> online said", false, first, m["plug-on done"]);

        double bootOff = trace.First(m["boot-off"], $"cpu{BootCpu} CPU_OFF");
        double onAgain = trace.First(m["boot-on"], bootOn);
        double firstAgain = Math.Max(onAgain, trace.First(m["boot-on"], $"cpu{BootCpu} {FirstInstruction}"));
        Add("CPU from boot: echo 0 typed -> CPU_OFF", false, m["boot-off"], bootOff);
        Add("CPU from boot: CPU_OFF -> offline said", false, bootOff, m["boot-off done"]);
        Add("CPU from boot: echo 1 typed -> CPU_ON", false, m["boot-on"], onAgain);
        Add("CPU from boot: CPU_ON -> first instruction", true, onAgain, firstAgain);
        Add("CPU from boot: first instruction -> online said", false, firstAgain, m["boot-on done"]);

        double asked = trace.First(firstAgain, GedRises);
        double seen = trace.First(asked, GedIsRead);
        double off = trace.First(seen, $"cpu{PluggedCpu} CPU_OFF");
        double eject = trace.First(off, EjectIsWritten);
        Add("unplug: device_del sent -> answer read", true, m["device_del"], m["device_del answered"]);
        Add("unplug: device_del sent -> GED's interrupt raised", true, m["device_del"], asked);
        Add("unplug: GED raised -> guest reads its selector", false, asked, seen);
        Add("unplug: selector read -> CPU_OFF", false, seen, off);
        Add("unplug: CPU_OFF -> _EJ0", false, off, eject);
        Add("unplug: _EJ0 -> DEVICE_DELETED heard", true, eject, m["deleted"]);
        return eject;
    }

    private void Add(string name, bool host, double from, double to)
    {
        int index = _stages.FindIndex(s => s.Name == name);
        if (index < 0)
        {
            index = _stages.Count;
            _stages.Add((name, host, []));
        }

        _stages[index].Milliseconds.Add((to - from) * 1000);
    }

    private async Task PrintAsync(int rounds)
    {
        await output.WriteLineAsync($"| Stage ({rounds} rounds, milliseconds)                    | whose |   first |  median |   worst |")
            .ConfigureAwait(false);
        await output.WriteLineAsync("|----------------------------------------------------|-------|--------:|--------:|--------:|")
            .ConfigureAwait(false);
        foreach ((string name, bool host, List<double> all) in _stages)
        {
            double[] sorted = [.. all.Order()];
            await output.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"| {name,-50} | {(host ? "host" : "guest"),-5} | {all[0],7:f2} | {sorted[sorted.Length / 2],7:f2} | {sorted[^1],7:f2} |"))
                .ConfigureAwait(false);
        }

        string[] over = [.. _stages.Where(s => s.Host && s.Milliseconds.Max() > HostLimit).Select(s => s.Name)];
        await output.WriteLineAsync(over.Length == 0
            ? $"\nNo stage of the host took more than {HostLimit:f0} ms."
            : $"\nMore than {HostLimit:f0} ms of the host, once at least: {string.Join("; ", over)}.").ConfigureAwait(false);
    }

    private void Hear(string text)
    {
        double at = _clock.SecondsOf(Stopwatch.GetTimestamp());
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

    /// <summary>Seconds since it was made, and what they are by the host's wall clock.</summary>
    private sealed class Clock
    {
        private readonly long _start;
        private readonly DateTime _startUtc;

        public Clock()
        {
            // The first use takes milliseconds, which must not lie between the two readings.
            _ = DateTime.UtcNow;
            _start = Stopwatch.GetTimestamp();
            _startUtc = DateTime.UtcNow;
        }

        public double SecondsOf(long timestamp) => Stopwatch.GetElapsedTime(_start, timestamp).TotalSeconds;

        public double SecondsOf(DateTime utc) => (utc - _startUtc).TotalSeconds;
    }

    /// <summary>The lines of a trace with their times by <see cref="Clock"/>.</summary>
    private sealed class Trace
    {
        private readonly List<(double At, string Text)> _lines;

        private Trace(List<(double At, string Text)> lines) => _lines = lines;

        public static Trace Read(string file, Clock clock)
        {
            var lines = new List<(double At, string Text)>();
            double shift = 0;
            foreach (string line in File.ReadLines(file))
            {
                string[] fields = line.Split(' ', 3);
                if (fields.Length < 3 || !double.TryParse(fields[0], CultureInfo.InvariantCulture, out double at))
                {
                    throw new InvalidOperationException($"the trace has lost lines: {line}");
                }

                if (fields[1] == "time")
                {
                    shift = clock.SecondsOf(DateTime.Parse(fields[2], CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal)) - at;
                }

                lines.Add((at + shift, fields[2]));
            }

            lines.Sort((a, b) => a.At.CompareTo(b.At));
            return new Trace(lines);
        }

        /// <summary>When a line with such a text is for the first time at or after a moment.</summary>
        public double First(double from, string text) => Find(_lines.Where(l => l.At >= from), from, text);

        /// <summary>When a line with such a text is for the last time before a moment.</summary>
        public double Last(double until, string text) => Find(_lines.Where(l => l.At < until).Reverse(), until, text);

        private static double Find(IEnumerable<(double At, string Text)> lines, double moment, string text)
        {
            foreach ((double at, string line) in lines)
            {
                if (line.Contains(text, StringComparison.Ordinal))
                {
                    return at;
                }
            }

            throw new InvalidOperationException($"the trace has no '{text}' around {moment:f3} s");
        }
    }
}

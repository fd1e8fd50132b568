using System.Globalization;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>
/// How long each stage of a plug and an unplug takes, the host's and the guest's apart. The client's times are those of a QMP client, from
/// sending a request to having read an answer or event; what happens between is read off the trace (<c>--trace hotplug,psci,acpi,irq</c>).
/// Beside it a CPU that was there from boot goes offline and online.
/// </summary>
internal sealed class HotplugStages(IReadOnlyList<string> vmm, TextWriter output)
{
    private const int BootCpu = PlugRounds.BootCpu;
    private const int PluggedCpu = PlugRounds.PluggedCpu;

    // What the host may take of each way, in milliseconds.
    private const double HostLimit = 2.0;

    // "cpu0 write acpi-cpu-hotplug …" and its like, as the trace has them.
    private const string GedRises = "spi 41 rises";
    private const string GedIsRead = "read ged selector";
    private const string OstStatusIsWritten = "write acpi-cpu-hotplug command data";
    private const string EjectIsWritten = "write acpi-cpu-hotplug control flags 0x8";
    private const string FirstInstruction = "executes its first instruction";

    private readonly List<(string Name, bool Host, List<double> Milliseconds)> _stages = [];

    /// <summary>Plugs and unplugs so many times and prints a table.</summary>
    /// <returns>What the client has seen.</returns>
    public async Task<IReadOnlyList<PlugRound>> RunAsync(int count)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-stages-").FullName;
        IReadOnlyList<PlugRound> rounds;
        try
        {
            string trace = Path.Combine(folder, "trace");
            string[] guest = await SoakGuest.PrepareAsync(folder, 0, bringOnline: false).ConfigureAwait(false);
            var clock = new PlugClock();
            rounds = await new PlugRounds(clock, "\"result\":\"done\"").RunAsync(
                [
                    .. vmm, "-cpu", "max", "-smp", "cpus=2,maxcpus=3", .. guest, "--trace", "hotplug,psci,acpi,irq",
                    "--trace-file", trace,
                ],
                count).ConfigureAwait(false);
            Trace lines = Trace.Read(trace, clock);
            double end = lines.First(rounds[0].Add - 1, "");
            foreach (PlugRound round in rounds)
            {
                end = Measure(round, lines, end);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        await PrintAsync(count).ConfigureAwait(false);
        return rounds;
    }

    // Looks up each moment of a round in the trace, from the last moment on that is known. That was `previous` at the end of the round
    // before, and is the result for this one.
    private double Measure(PlugRound m, Trace trace, double previous)
    {
        string cpuOn = $"CPU_ON(0x{PluggedCpu:x},", bootOn = $"CPU_ON(0x{BootCpu:x},";
        double raised = trace.First(previous, GedRises);
        double read = trace.First(raised, GedIsRead);
        double ost = trace.Last(m.PlugEnded, OstStatusIsWritten);
        double on = trace.First(m.PlugOn, cpuOn);

        // The call is traced with its result, which another thread may overtake.
        double first = Math.Max(on, trace.First(m.PlugOn, $"cpu{PluggedCpu} {FirstInstruction}"));
        Add("plug: device_add sent -> answer read", true, m.Add, m.AddAnswered);
        Add("plug: device_add sent -> GED's interrupt raised", true, m.Add, raised);
        Add("plug: GED raised -> guest reads its selector", false, raised, read);
        Add("plug: selector read -> guest has it enabled (_OST)", false, read, ost);
        Add("plug: _OST -> outcome heard", true, ost, m.PlugEnded);
        Add("plug: echo 1 typed -> CPU_ON", false, m.PlugOn, on);
        Add("plug: CPU_ON -> first instruction", true, on, first);
        Add("plug: first instruction -> online said", false, first, m.PlugOnSaid);

        double bootOff = trace.First(m.BootOff, $"cpu{BootCpu} CPU_OFF");
        double onAgain = trace.First(m.BootOn, bootOn);
        double firstAgain = Math.Max(onAgain, trace.First(m.BootOn, $"cpu{BootCpu} {FirstInstruction}"));
        Add("CPU from boot: echo 0 typed -> CPU_OFF", false, m.BootOff, bootOff);
        Add("CPU from boot: CPU_OFF -> offline said", false, bootOff, m.BootOffSaid);
        Add("CPU from boot: echo 1 typed -> CPU_ON", false, m.BootOn, onAgain);
        Add("CPU from boot: CPU_ON -> first instruction", true, onAgain, firstAgain);
        Add("CPU from boot: first instruction -> online said", false, firstAgain, m.BootOnSaid);

        double asked = trace.First(firstAgain, GedRises);
        double seen = trace.First(asked, GedIsRead);
        double off = trace.First(seen, $"cpu{PluggedCpu} CPU_OFF");
        double eject = trace.First(off, EjectIsWritten);
        Add("unplug: device_del sent -> answer read", true, m.Delete, m.DeleteAnswered);
        Add("unplug: device_del sent -> GED's interrupt raised", true, m.Delete, asked);
        Add("unplug: GED raised -> guest reads its selector", false, asked, seen);
        Add("unplug: selector read -> CPU_OFF", false, seen, off);
        Add("unplug: CPU_OFF -> _EJ0", false, off, eject);
        Add("unplug: _EJ0 -> DEVICE_DELETED heard", true, eject, m.Deleted);
        Add("for scale: query-status sent -> answer read", true, m.Status, m.StatusAnswered);
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

    /// <summary>The lines of a trace with their times by <see cref="PlugClock"/>.</summary>
    private sealed class Trace
    {
        private readonly List<(double At, string Text)> _lines;

        private Trace(List<(double At, string Text)> lines) => _lines = lines;

        public static Trace Read(string file, PlugClock clock)
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

using System.Globalization;

namespace Vmm.Fleet.Scaling.Simulation;

/// <summary>What is simulated.</summary>
public sealed record SimulationOptions
{
    public required ScalingPolicy Policy { get; init; }

    public required LoadTrace Trace { get; init; }

    public GuestModel Guest { get; init; } = new();

    /// <summary>How many CPUs the VM can have; null for the maximum of the policy and its windows.</summary>
    public int? PossibleCpus { get; init; }

    /// <summary>How many it starts with, which can never leave.</summary>
    public int InitialCpus { get; init; } = 1;

    /// <summary>How many CPUs the owner's quota lets it have.</summary>
    public int Allowance { get; init; } = int.MaxValue;

    /// <summary>The time from sample to sample.</summary>
    public TimeSpan Period { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The time of day at which the trace begins, for the schedule.</summary>
    public DateTimeOffset Start { get; init; } = new(2026, 1, 5, 0, 0, 0, TimeSpan.Zero);
}

/// <summary>A period of a simulation.</summary>
/// <param name="Seconds">Its end, from the start.</param>
/// <param name="Demand">CPU-seconds in a second that were asked for.</param>
/// <param name="Busy">CPU-seconds in a second that were had.</param>
/// <param name="Enabled">CPUs that the guest had in it.</param>
/// <param name="Decision">What was decided at its end.</param>
public sealed record SimulationPoint(double Seconds, double Demand, double Busy, int Enabled, ScalingDecision Decision);

/// <summary>What a simulation has shown.</summary>
/// <param name="Changes">Decisions to plug or unplug.</param>
/// <param name="MostChanges">The most of them in any ten minutes.</param>
/// <param name="Refused">CPUs that the guest refused to give back or to take.</param>
/// <param name="SlowestPlug">
/// The longest time, in seconds, that the demand was above the target without a pause before CPUs were plugged or the demand fell. Time in
/// which no more CPUs could be had does not count.
/// </param>
/// <param name="EnabledSeconds">CPU-seconds that the guest had CPUs for.</param>
/// <param name="BusySeconds">CPU-seconds that they were busy.</param>
/// <param name="StaticSeconds">What <paramref name="EnabledSeconds"/> would be with the policy's maximum all the time.</param>
/// <param name="MostWaiting">The most work that waited for a CPU at the end of a period, in CPU-seconds.</param>
public sealed record SimulationResult(
    IReadOnlyList<SimulationPoint> Points,
    int Changes,
    int MostChanges,
    int Refused,
    double SlowestPlug,
    double EnabledSeconds,
    double BusySeconds,
    double StaticSeconds,
    double MostWaiting)
{
    /// <summary>The figures, a line each, for people.</summary>
    public IEnumerable<string> InWords() =>
    [
        string.Create(CultureInfo.InvariantCulture, $"{Changes} changes, at most {MostChanges} in 10 minutes; {Refused} CPUs refused"),
        string.Create(CultureInfo.InvariantCulture, $"slowest plug after {SlowestPlug:0.0} s of load above the target"),
        string.Create(CultureInfo.InvariantCulture,
            $"{EnabledSeconds:0} CPU-seconds enabled, {BusySeconds:0} of them busy; the maximum all the time would be {StaticSeconds:0}"),
        string.Create(CultureInfo.InvariantCulture, $"at most {MostWaiting:0.0} CPU-seconds of work waited"),
    ];
}

/// <summary>Runs a policy over a recorded load, faster than time passes. The decisions are those of <see cref="Scaler"/>.</summary>
public static class ScalingSimulation
{
    /// <exception cref="ArgumentException">The options contradict each other: one line.</exception>
    public static SimulationResult Run(SimulationOptions options)
    {
        int most = options.Policy.Schedule.Select(w => w.Maximum ?? 0).Append(options.Policy.Maximum).Max();
        int possible = options.PossibleCpus ?? Math.Max(most, options.InitialCpus);
        if (options.InitialCpus < 1 || options.InitialCpus > possible)
        {
            throw new ArgumentException($"the VM cannot start with {options.InitialCpus} of {possible} CPUs", nameof(options));
        }

        if (options.Period <= TimeSpan.Zero)
        {
            throw new ArgumentException("the time from sample to sample is to be longer than 0", nameof(options));
        }

        var scaler = new Scaler(options.Policy);
        var guest = new SimulatedGuest(options.Guest, possible, options.InitialCpus);
        var demand = new TraceReader(options.Trace);
        var points = new List<SimulationPoint>();
        double period = options.Period.TotalSeconds, mostWaiting = 0, slowest = 0, above = 0;
        int refused = 0;
        for (TimeSpan now = options.Period; now.TotalSeconds <= options.Trace.Length + 1e-9; now += options.Period)
        {
            double asked = demand.Until(now.TotalSeconds);
            int enabled = guest.Enabled;
            double busy = guest.Run(options.Period, asked);
            mostWaiting = Math.Max(mostWaiting, guest.Waiting);
            DateTimeOffset at = options.Start + now;
            foreach ((int cpu, _, ScalingOutcome outcome) in guest.Ended(now))
            {
                scaler.Ended(cpu, outcome, at);
                refused += outcome == ScalingOutcome.Refused ? 1 : 0;
            }

            ScalingDecision decision =
                scaler.Observe(new LoadSample(at, options.Period, busy / period, [.. guest.Cpus], options.Allowance));
            foreach (int cpu in decision.Cpus)
            {
                guest.Ask(cpu, decision.Action == ScalingAction.Plug, now);
            }

            ScalingLimits limits = options.Policy.At(at);
            bool couldHaveMore = enabled < Math.Min(limits.Maximum, options.Allowance)
                && decision.Reason is not (ScalingReason.Pending or ScalingReason.Refused);
            above = couldHaveMore && asked > limits.Target * enabled * period ? above + period : 0;
            slowest = Math.Max(slowest, above);
            above = decision.Action == ScalingAction.Plug ? 0 : above;
            points.Add(new SimulationPoint(now.TotalSeconds, asked / period, busy / period, enabled, decision));
        }

        double[] changes = [.. points.Where(p => p.Decision.Action != ScalingAction.Hold).Select(p => p.Seconds)];
        return new SimulationResult(
            points,
            changes.Length,
            changes.Select(from => changes.Count(c => c >= from && c - from < Scaler.ChangesOver.TotalSeconds)).DefaultIfEmpty(0).Max(),
            refused,
            slowest,
            points.Sum(p => p.Enabled) * period,
            points.Sum(p => p.Busy) * period,
            most * points.Count * period,
            mostWaiting);
    }

    // Reads CPU-seconds of work from a trace, from moment to moment. Within an interval the work is spread evenly.
    private sealed class TraceReader(LoadTrace trace)
    {
        private int _row;
        private double _now;

        public double Until(double seconds)
        {
            double work = 0;
            while (_now < seconds && _row < trace.Rows.Count)
            {
                (double end, double busy) = trace.Rows[_row];
                double start = _row == 0 ? 0 : trace.Rows[_row - 1].Seconds;
                double until = Math.Min(end, seconds);
                work += busy * (until - _now) / (end - start);
                _now = until;
                _row += until == end ? 1 : 0;
            }

            return work;
        }
    }
}

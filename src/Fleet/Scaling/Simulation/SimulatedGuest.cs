namespace Vmm.Fleet.Scaling.Simulation;

/// <summary>How a simulated guest behaves.</summary>
public sealed record GuestModel
{
    /// <summary>From a plug to the CPU being there.</summary>
    public TimeSpan PlugTime { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>From an unplug to the CPU being gone, or to the refusal.</summary>
    public TimeSpan UnplugTime { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How likely the guest is to refuse an unplug, 0 to 1.</summary>
    public double UnplugRefused { get; init; }

    /// <summary>How likely the guest is to refuse a plug, 0 to 1.</summary>
    public double PlugRefused { get; init; }

    /// <summary>Work that finds no CPU free is done later, as in a build. Otherwise it is lost, as are requests that time out.</summary>
    public bool WorkWaits { get; init; } = true;

    /// <summary>What is random begins with it.</summary>
    public int Seed { get; init; } = 1;
}

/// <summary>A guest that has CPUs, does work with them, and gives and takes some when it is asked.</summary>
/// <param name="enabled">How many CPUs it starts with; these cannot leave, as with Linux on Arm.</param>
internal sealed class SimulatedGuest(GuestModel model, int possible, int enabled)
{
    private readonly bool[] _enabled = [.. Enumerable.Range(0, possible).Select(cpu => cpu < enabled)];
    private readonly List<(TimeSpan At, int Cpu, bool Comes, ScalingOutcome Outcome)> _requests = [];
    private readonly Random _random = new(model.Seed);

    public int Enabled => _enabled.Count(e => e);

    /// <summary>CPU-seconds of work that wait for a CPU.</summary>
    public double Waiting { get; private set; }

    public IEnumerable<ScalableCpu> Cpus => _enabled.Select((e, cpu) => new ScalableCpu(cpu, e, cpu >= enabled));

    /// <summary>Does work for a time, and returns the CPU-seconds that it took.</summary>
    /// <param name="work">CPU-seconds that are asked for meanwhile.</param>
    public double Run(TimeSpan time, double work)
    {
        double asked = work + Waiting;
        double done = Math.Min(asked, Enabled * time.TotalSeconds);
        Waiting = model.WorkWaits ? asked - done : 0;
        return done;
    }

    public void Ask(int cpu, bool comes, TimeSpan now)
    {
        bool refuses = _random.NextDouble() < (comes ? model.PlugRefused : model.UnplugRefused);
        _requests.Add((
            now + (comes ? model.PlugTime : model.UnplugTime), cpu, comes, refuses ? ScalingOutcome.Refused : ScalingOutcome.Done));
    }

    /// <summary>The requests that have ended by now.</summary>
    public IEnumerable<(int Cpu, bool Comes, ScalingOutcome Outcome)> Ended(TimeSpan now)
    {
        for (int i = _requests.FindIndex(r => r.At <= now); i >= 0; i = _requests.FindIndex(r => r.At <= now))
        {
            (_, int cpu, bool comes, ScalingOutcome outcome) = _requests[i];
            _requests.RemoveAt(i);
            if (outcome == ScalingOutcome.Done)
            {
                _enabled[cpu] = comes;
            }

            yield return (cpu, comes, outcome);
        }
    }
}

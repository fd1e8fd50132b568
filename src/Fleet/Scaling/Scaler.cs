namespace Vmm.Fleet.Scaling;

/// <summary>How a request for a CPU ended.</summary>
public enum ScalingOutcome
{
    Done,

    /// <summary>The guest refused, or did not answer in time.</summary>
    Refused,

    /// <summary>
    /// It came to nothing for a reason that is not the guest's, and is tried again soon. Examples are a reset, or a quota that others have
    /// used up meanwhile.
    /// </summary>
    Cancelled,
}

/// <summary>
/// Decides when CPUs of one VM are plugged and unplugged. It has no clock and no thread: what it is told, in the order in which it is told,
/// is all that a decision depends on. Whoever owns it carries out each decision that is not to hold, and tells of the end of each of its
/// CPUs.
/// <code>
/// sample → outside the limits?        plug or unplug at once
///        → mean load above target?    plug, as many as bring it under the target, or twice as many where that cannot be told
///        → highest load of a long time below target less spread, even with fewer CPUs?   unplug
/// </code>
/// The minimum is kept and the maximum and the quota are not passed, whatever the load. Where they contradict each other the quota counts
/// for plugging and the minimum for unplugging.
/// </summary>
public sealed class Scaler
{
    /// <summary>The time of <see cref="ScalingPolicy.MostChanges"/>.</summary>
    public static readonly TimeSpan ChangesOver = TimeSpan.FromMinutes(10);

    // A request whose end nobody told of is forgotten, so that a lost message does not end all scaling.
    private static readonly TimeSpan s_lostAfter = TimeSpan.FromMinutes(5);

    private const double Saturated = 0.95;

    private readonly LoadHistory _history = new();
    private readonly Refusals _refusals = new();
    private readonly Queue<DateTimeOffset> _changes = new();
    private readonly HashSet<int> _pending = [];
    private DateTimeOffset _pendingSince;
    private DateTimeOffset _now = DateTimeOffset.MinValue;
    private DateTimeOffset? _lastChange;
    private bool _lastWasPlug;
    private int _enabled = -1;
    private (long Minute, ScalingLimits Limits) _limits = (-1, default);

    /// <param name="policy">A right one: <see cref="ScalingPolicy.Refuse"/>.</param>
    /// <exception cref="ArgumentException">The policy is wrong.</exception>
    public Scaler(ScalingPolicy policy)
    {
        if (policy.Refuse() is { } why)
        {
            throw new ArgumentException(why, nameof(policy));
        }

        Policy = policy;
    }

    public ScalingPolicy Policy { get; }

    /// <summary>Takes a sample and decides. A sample that is not later than the one before begins all observation anew.</summary>
    public ScalingDecision Observe(LoadSample sample)
    {
        if (sample.At <= _now)
        {
            Restart();
        }

        _now = sample.At;
        int enabled = sample.Cpus.Count(cpu => cpu.Enabled);
        if (enabled != _enabled)
        {
            // The load of a sample in which the number changed says little.
            _history.Restart();
            _enabled = enabled;
        }
        else if (sample.Over > TimeSpan.Zero)
        {
            _history.Add(sample.At, sample.Over, sample.Busy, Policy.UpAfter, Policy.DownAfter);
        }

        if (_pending.Count > 0 && _now - _pendingSince > s_lostAfter)
        {
            _pending.Clear();
        }

        ScalingDecision decision = Decide(sample);
        if (decision.Action != ScalingAction.Hold)
        {
            _pending.UnionWith(decision.Cpus);
            _pendingSince = _now;
            _changes.Enqueue(_now);
            _lastChange = _now;
            _lastWasPlug = decision.Action == ScalingAction.Plug;
        }

        return decision;
    }

    /// <summary>The request for a CPU has ended.</summary>
    public void Ended(int cpu, ScalingOutcome outcome, DateTimeOffset now)
    {
        _pending.Remove(cpu);
        switch (outcome)
        {
            case ScalingOutcome.Done:
                _refusals.Remove(cpu);
                break;
            case ScalingOutcome.Refused:
                _refusals.Add(cpu, now, Policy.RefusedFor);
                break;
            default:
                _refusals.Add(cpu, now, Policy.UpAfter);
                break;
        }
    }

    private void Restart()
    {
        _history.Clear();
        _changes.Clear();
        _lastChange = null;
    }

    private ScalingDecision Decide(LoadSample sample)
    {
        ScalingLimits limits = LimitsNow();
        int most = Math.Min(limits.Maximum, sample.Allowance);
        double load = _history.Mean ?? sample.Busy;
        ScalingDecision Hold(ScalingReason reason) => new(ScalingAction.Hold, reason, [], load, _enabled);

        if (_pending.Count > 0)
        {
            return Hold(ScalingReason.Pending);
        }

        if (_enabled < limits.Minimum)
        {
            return Plug(sample, Math.Min(limits.Minimum, most), ScalingReason.BelowMinimum, load) ?? Hold(ScalingReason.QuotaReached);
        }

        if (_enabled > most && _enabled > limits.Minimum)
        {
            ScalingReason reason = _enabled > limits.Maximum ? ScalingReason.AboveMaximum : ScalingReason.OverQuota;
            return Unplug(sample, Math.Max(limits.Minimum, most), reason, load);
        }

        if (_history.Mean is { } mean && mean > limits.Target * _enabled)
        {
            ScalingReason blocked = most < limits.Maximum ? ScalingReason.QuotaReached : ScalingReason.MaximumReached;
            int wanted = Math.Max(Wanted(mean, limits), Math.Min(2 * _enabled, LeastFor(most)));
            return Plug(sample, Math.Min(wanted, most), ScalingReason.LoadHigh, load) ?? Hold(blocked);
        }

        int enough = Math.Max(limits.Minimum, Needed(_history.Peak, limits.Target - Policy.Spread));
        int least = Math.Max(enough, LeastFor(most));
        return enough >= _enabled || !HasSeenEnough() ? Hold(ScalingReason.Steady)
            : least >= _enabled || _now - _lastChange < Policy.CoolDown ? Hold(ScalingReason.CoolingDown)
            : Unplug(sample, least, ScalingReason.LoadLow, load);
    }

    // The schedule has minutes.
    private ScalingLimits LimitsNow()
    {
        long minute = _now.UtcTicks / TimeSpan.TicksPerMinute;
        if (_limits.Minute != minute)
        {
            _limits = (minute, Policy.At(_now));
        }

        return _limits.Limits;
    }

    // Between the load at which more would be plugged and the one at which some would be unplugged, so that a load that goes on as it is
    // changes nothing more. CPUs that are all busy hide how much more is asked for, and so did the last ones if they were not enough: then
    // twice as many.
    private int Wanted(double load, ScalingLimits limits)
    {
        bool unknown = load >= Saturated * _enabled || (_lastWasPlug && _now - _lastChange < Policy.CoolDown);
        return Math.Max(Needed(load, limits.Target - (Policy.Spread / 2)), unknown ? 2 * _enabled : 0);
    }

    private static int Needed(double load, double utilisation) => (int)Math.Min(Math.Ceiling((load / utilisation) - 1e-9), 1 << 20);

    private bool HasSeenEnough() => _now - _history.Since >= Policy.DownAfter;

    // The fewest CPUs that a change may lead to, so that the changes which are left in ten minutes bring back the most by doubling. Then a
    // load that comes and goes makes no more changes than the policy says, although no plug ever waits. Example, with 4 changes and at most
    // 8 CPUs: after the second change there are at least 2, after the third 4, and the fourth brings 8. The first change of ten minutes is
    // free: a VM whose most is further away than all changes lead could never unplug otherwise.
    private int LeastFor(int most)
    {
        while (_changes.TryPeek(out DateTimeOffset first) && _now - first >= ChangesOver)
        {
            _changes.Dequeue();
        }

        int doublings = Policy.MostChanges - 1 - _changes.Count;
        return _changes.Count == 0 ? 0 : doublings < 0 ? int.MaxValue : (int)Math.Ceiling(Math.ScaleB(most, -doublings));
    }

    private ScalingDecision? Plug(LoadSample sample, int wanted, ScalingReason reason, double load)
    {
        int count = Math.Min(wanted - _enabled, Policy.Step);
        if (count <= 0)
        {
            return null;
        }

        int[] cpus =
            [.. sample.Cpus.Where(c => !c.Enabled && !_refusals.Has(c.Index, _now)).Select(c => c.Index).Order().Take(count)];
        return Change(ScalingAction.Plug, reason, cpus, load);
    }

    private ScalingDecision Unplug(LoadSample sample, int wanted, ScalingReason reason, double load)
    {
        int count = Math.Min(_enabled - wanted, Policy.Step);
        int[] cpus =
        [
            .. sample.Cpus.Where(c => c.Enabled && c.CanLeave && !_refusals.Has(c.Index, _now))
                .Select(c => c.Index).OrderDescending().Take(count),
        ];
        return Change(ScalingAction.Unplug, reason, cpus, load);
    }

    private ScalingDecision Change(ScalingAction action, ScalingReason reason, int[] cpus, double load) =>
        cpus.Length == 0 ? new ScalingDecision(ScalingAction.Hold, ScalingReason.Refused, [], load, _enabled)
            : new ScalingDecision(action, reason, cpus, load, _enabled);
}

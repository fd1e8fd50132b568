namespace Vmm.Fleet.Scaling;

/// <summary>The limits of a policy at one moment.</summary>
public readonly record struct ScalingLimits(int Minimum, int Maximum, double Target);

/// <summary>How many CPUs a VM is to have enabled, and how their number follows its load.</summary>
public sealed record ScalingPolicy
{
    public const double UsualTarget = 0.6, UsualSpread = 0.2;
    public const int UsualStep = 4, UsualMostChanges = 4;

    /// <summary>Seconds.</summary>
    public const double UsualUpAfter = 3, UsualDownAfter = 300, UsualCoolDown = 60, UsualRefusedFor = 300;

    private const double LeastTarget = 0.05, MostTarget = 0.95;

    /// <summary>The VM never has fewer.</summary>
    public int Minimum { get; init; } = 1;

    /// <summary>The VM never has more.</summary>
    public required int Maximum { get; init; }

    /// <summary>The utilisation of enabled CPUs that is aimed at, 0.05 to 0.95. Above it CPUs are plugged.</summary>
    public double Target { get; init; } = UsualTarget;

    /// <summary>
    /// How far under the target the utilisation must still be with fewer CPUs before some are unplugged: the hysteresis. Loads between
    /// the two change nothing.
    /// </summary>
    public double Spread { get; init; } = UsualSpread;

    /// <summary>The most CPUs that one decision plugs or unplugs.</summary>
    public int Step { get; init; } = UsualStep;

    /// <summary>CPUs are plugged for the mean load of so long a time. A shorter peak does not count in full.</summary>
    public TimeSpan UpAfter { get; init; } = TimeSpan.FromSeconds(UsualUpAfter);

    /// <summary>CPUs are unplugged for the highest load of so long a time: that is how long a lower load must last.</summary>
    public TimeSpan DownAfter { get; init; } = TimeSpan.FromSeconds(UsualDownAfter);

    /// <summary>The least time between any change and an unplug.</summary>
    public TimeSpan CoolDown { get; init; } = TimeSpan.FromSeconds(UsualCoolDown);

    /// <summary>
    /// How many changes ten minutes are to have. A plug that the load needs never waits, so each change after the first leaves so many CPUs
    /// that the changes which are left bring back the most by doubling; an unplug waits until it can. Loads that come and go keep to it
    /// when the step is at least half of the maximum, and the maximum is reached from the minimum by one doubling less.
    /// </summary>
    public int MostChanges { get; init; } = UsualMostChanges;

    /// <summary>
    /// A CPU that the guest did not give back, or did not take, is asked for again after so long, and after twice as long as before each
    /// further time that it is refused, up to sixteen times as long.
    /// </summary>
    public TimeSpan RefusedFor { get; init; } = TimeSpan.FromSeconds(UsualRefusedFor);

    /// <summary>Times with other limits. Of several that hold, the first counts.</summary>
    public IReadOnlyList<ScheduleWindow> Schedule { get; init; } = [];

    /// <summary>The limits that hold at a moment.</summary>
    public ScalingLimits At(DateTimeOffset moment)
    {
        foreach (ScheduleWindow window in Schedule)
        {
            if (window.Has(moment))
            {
                return Limits(window);
            }
        }

        return new ScalingLimits(Minimum, Maximum, Target);
    }

    /// <summary>What is wrong with the policy, in one line; null for nothing.</summary>
    public string? Refuse()
    {
        string? times = Step < 1 ? $"a step of {Step} CPUs is not possible: at least 1 is expected"
            : UpAfter <= TimeSpan.Zero ? "CPUs can be plugged for the load of a time that is longer than 0 only (up-after)"
            : DownAfter < UpAfter ? $"CPUs would be unplugged for the load of {DownAfter.TotalSeconds:0.###} s, but plugged for that of "
                + $"{UpAfter.TotalSeconds:0.###} s: down-after is to be at least as long as up-after"
            : CoolDown < TimeSpan.Zero ? "a cool-down is not negative"
            : RefusedFor <= TimeSpan.Zero ? "the time that a refusal is remembered is longer than 0"
            : MostChanges < 2 ? $"{MostChanges} changes in ten minutes are too few: at least 2 are expected"
            : null;
        return times ?? RefuseLimits(new ScalingLimits(Minimum, Maximum, Target)) ?? Schedule
            .Select(window => (window.Refuse() ?? RefuseLimits(Limits(window))) is { } why ? $"window '{window.Start}': {why}" : null)
            .FirstOrDefault(why => why != null);
    }

    private ScalingLimits Limits(ScheduleWindow window) =>
        new(window.Minimum ?? Minimum, window.Maximum ?? Maximum, window.Target ?? Target);

    private string? RefuseLimits(ScalingLimits limits) =>
        limits.Minimum < 1 ? $"a minimum of {limits.Minimum} CPUs is not possible: a VM has at least 1"
        : limits.Maximum < limits.Minimum ? $"the maximum of {limits.Maximum} CPUs is below the minimum of {limits.Minimum}"
        : !(limits.Target is >= LeastTarget and <= MostTarget)
            ? FormattableString.Invariant(
                $"a target of {limits.Target} is not possible: a utilisation of {LeastTarget} to {MostTarget} is expected")
        : !(Spread >= 0 && Spread < limits.Target)
            ? FormattableString.Invariant(
                $"a spread of {Spread} is not possible: it is to be less than the target of {limits.Target}, and not negative")
        : null;
}

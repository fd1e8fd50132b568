using Vmm.Fleet.Scaling;

namespace Vmm.Fleet.Messages;

/// <summary>
/// How the number of a VM's CPUs follows its load: <see cref="ScalingPolicy"/>, in numbers. Times are in seconds; what is left out is as
/// usual.
/// </summary>
public sealed record ScalingSpec(
    int Maximum,
    int Minimum = 1,
    double Target = ScalingPolicy.UsualTarget,
    double Spread = ScalingPolicy.UsualSpread,
    int Step = ScalingPolicy.UsualStep,
    double UpAfter = ScalingPolicy.UsualUpAfter,
    double DownAfter = ScalingPolicy.UsualDownAfter,
    double CoolDown = ScalingPolicy.UsualCoolDown,
    int MostChanges = ScalingPolicy.UsualMostChanges,
    double RefusedFor = ScalingPolicy.UsualRefusedFor,
    ScalingWindow[]? Schedule = null)
{
    // A week.
    private const double LongestTime = 7 * 86400;

    private const int MostWindows = 100;

    /// <summary>Why a VM cannot be scaled by it: one line; null if one can be.</summary>
    /// <param name="maxCpus">Possible CPUs of the VM.</param>
    public string? FindProblem(int maxCpus)
    {
        (string Name, double Seconds)[] times =
        [
            ("upAfter", UpAfter), ("downAfter", DownAfter), ("coolDown", CoolDown), ("refusedFor", RefusedFor),
        ];
        int most = (Schedule ?? []).Select(w => w?.Maximum ?? 0).Append(Maximum).Max();
        string? problem = Array.Find(times, t => !(t.Seconds is >= 0 and <= LongestTime)) is { Name: { } name }
                ? $"{name}: give 0 to {LongestTime:0} seconds"
            : Schedule?.Length > MostWindows ? $"schedule: give at most {MostWindows} windows"
            : Schedule != null && Array.Exists(Schedule, w => w == null) ? "schedule: a window is null"
            : ToPolicy().Refuse()
                ?? (most > maxCpus ? $"a maximum of {most} CPUs is not possible: the VM can have {maxCpus}" : null);
        return problem == null ? null : $"scaling: {problem}";
    }

    /// <summary>The policy. The numbers are right ones: <see cref="FindProblem"/>.</summary>
    public ScalingPolicy ToPolicy() => new()
    {
        Minimum = Minimum, Maximum = Maximum, Target = Target, Spread = Spread, Step = Step, MostChanges = MostChanges,
        UpAfter = TimeSpan.FromSeconds(UpAfter), DownAfter = TimeSpan.FromSeconds(DownAfter),
        CoolDown = TimeSpan.FromSeconds(CoolDown), RefusedFor = TimeSpan.FromSeconds(RefusedFor),
        Schedule =
        [
            .. (Schedule ?? []).Select(w => new ScheduleWindow(
                w.Start, TimeSpan.FromMinutes(w.Minutes), w.Zone, w.Minimum, w.Maximum, w.Target)),
        ],
    };
}

/// <summary>A time that repeats, in which other limits hold: <see cref="ScheduleWindow"/>.</summary>
/// <param name="Start">When it begins, as in crontab(5).</param>
/// <param name="Zone">The time zone of the start: a name of the tz database.</param>
/// <param name="Minimum">Null for that of the policy, as the next two.</param>
public sealed record ScalingWindow(
    string Start, int Minutes, string Zone = "UTC", int? Minimum = null, int? Maximum = null, double? Target = null);

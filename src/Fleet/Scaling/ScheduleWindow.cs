namespace Vmm.Fleet.Scaling;

/// <summary>A time that repeats, in which a policy has other limits.</summary>
/// <param name="Start">When it begins: <see cref="CronExpression"/>.</param>
/// <param name="Duration">How long it lasts: whole minutes, at most a week.</param>
/// <param name="Zone">The time zone of <paramref name="Start"/>: a name of the tz database, such as Europe/Berlin.</param>
/// <param name="Minimum">The least CPUs meanwhile; null for the policy's own.</param>
/// <param name="Maximum">The most CPUs meanwhile; null for the policy's own.</param>
/// <param name="Target">The utilisation that is aimed at meanwhile; null for the policy's own.</param>
public sealed record ScheduleWindow(
    string Start, TimeSpan Duration, string Zone = "UTC", int? Minimum = null, int? Maximum = null, double? Target = null)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromDays(7);

    private CronExpression? _start;
    private TimeZoneInfo? _zone;

    /// <summary>Whether a moment is in the window. The window is a right one: <see cref="Refuse"/>.</summary>
    public bool Has(DateTimeOffset moment)
    {
        _start ??= CronExpression.Parse(Start);
        _zone ??= TimeZoneInfo.FindSystemTimeZoneById(Zone);
        return _start.LastUntil(moment, _zone, Duration) != null;
    }

    /// <summary>What is wrong with the window, in one line; null for nothing. Limits are the policy's to check.</summary>
    public string? Refuse()
    {
        try
        {
            CronExpression.Parse(Start);
        }
        catch (FormatException e)
        {
            return e.Message;
        }

        return !TimeZoneInfo.TryFindSystemTimeZoneById(Zone, out _)
            ? $"'{Zone}' is no time zone: a name of the tz database is expected, such as Europe/Berlin"
            : Duration < TimeSpan.FromMinutes(1) || Duration > s_longest || Duration.Ticks % TimeSpan.TicksPerMinute != 0
                ? $"a window of {Duration} is not possible: whole minutes are expected, at most {s_longest.TotalDays:0} days"
                : null;
    }
}

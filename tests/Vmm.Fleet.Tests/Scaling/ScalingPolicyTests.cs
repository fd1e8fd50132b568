using System.Globalization;
using Vmm.Fleet.Scaling;

namespace Vmm.Fleet.Tests.Scaling;

public sealed class ScalingPolicyTests
{
    private static readonly ScalingPolicy s_right = new() { Maximum = 8 };

    private static DateTimeOffset At(string time) => DateTimeOffset.Parse(time, CultureInfo.InvariantCulture);

    private static ScheduleWindow Window(string cron, int hours = 10) => new(cron, TimeSpan.FromHours(hours), "Europe/Berlin", Minimum: 4);

    [Fact]
    public void The_defaults_are_right() => Assert.Null(s_right.Refuse());

    [Theory]
    [InlineData(0, 8, 0.6, 0.2, "a minimum of 0 CPUs is not possible: a VM has at least 1")]
    [InlineData(4, 3, 0.6, 0.2, "the maximum of 3 CPUs is below the minimum of 4")]
    [InlineData(1, 8, 1.5, 0.2, "a target of 1.5 is not possible: a utilisation of 0.05 to 0.95 is expected")]
    [InlineData(1, 8, double.NaN, 0.2, "a target of NaN is not possible: a utilisation of 0.05 to 0.95 is expected")]
    [InlineData(1, 8, 0.6, 0.6, "a spread of 0.6 is not possible: it is to be less than the target of 0.6, and not negative")]
    [InlineData(1, 8, 0.6, double.NaN, "a spread of NaN is not possible: it is to be less than the target of 0.6, and not negative")]
    public void Refuse_says_which_limit_is_wrong(int minimum, int maximum, double target, double spread, string why) => Assert.Equal(
        why, new ScalingPolicy { Minimum = minimum, Maximum = maximum, Target = target, Spread = spread }.Refuse());

    [Fact]
    public void Refuse_says_which_time_or_number_is_wrong()
    {
        Assert.Equal("a step of 0 CPUs is not possible: at least 1 is expected", (s_right with { Step = 0 }).Refuse());
        Assert.Equal(
            "CPUs would be unplugged for the load of 1 s, but plugged for that of 3 s: down-after is to be at least as long as up-after",
            (s_right with { DownAfter = TimeSpan.FromSeconds(1) }).Refuse());
        Assert.Equal(
            "1 changes in ten minutes are too few: at least 2 are expected", (s_right with { MostChanges = 1 }).Refuse());
    }

    [Fact]
    public void Refuse_says_which_window_is_wrong()
    {
        Assert.Equal(
            "window '0 8 * * x': 'x' is no day of the week: *, a number of 0 to 7, a range such as 0-7, or */2 is expected",
            (s_right with { Schedule = [Window("0 8 * * x")] }).Refuse());
        Assert.Equal(
            "window '0 8 * * *': 'Mars' is no time zone: a name of the tz database is expected, such as Europe/Berlin",
            (s_right with { Schedule = [Window("0 8 * * *") with { Zone = "Mars" }] }).Refuse());
        Assert.Equal(
            "window '0 8 * * *': a window of 00:00:30 is not possible: whole minutes are expected, at most 7 days",
            (s_right with { Schedule = [Window("0 8 * * *") with { Duration = TimeSpan.FromSeconds(30) }] }).Refuse());
        Assert.Equal(
            "window '0 8 * * *': the maximum of 2 CPUs is below the minimum of 4",
            (s_right with { Schedule = [Window("0 8 * * *") with { Maximum = 2 }] }).Refuse());
    }

    /// <summary>Of two windows that hold the first counts, and what it leaves out is the policy's own.</summary>
    [Theory]
    [InlineData("2026-01-05T06:59Z", 1, 8)]
    [InlineData("2026-01-05T07:00Z", 4, 8)]
    [InlineData("2026-01-05T11:00Z", 2, 3)]
    [InlineData("2026-01-05T16:59Z", 4, 8)]
    [InlineData("2026-01-05T17:00Z", 1, 8)]
    [InlineData("2026-01-10T11:00Z", 2, 3)]
    [InlineData("2026-07-06T06:00Z", 4, 8)]
    public void Windows_of_the_schedule_have_limits_of_their_own(string now, int minimum, int maximum)
    {
        ScalingPolicy policy = s_right with
        {
            Schedule = [new ScheduleWindow("0 11 * * *", TimeSpan.FromMinutes(5), Minimum: 2, Maximum: 3), Window("0 8 * * mon-fri")],
        };
        Assert.Null(policy.Refuse());
        Assert.Equal(new ScalingLimits(minimum, maximum, 0.6), policy.At(At(now)));
    }
}

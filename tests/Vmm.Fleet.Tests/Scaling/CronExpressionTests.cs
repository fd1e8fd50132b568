using System.Globalization;
using Vmm.Fleet.Scaling;

namespace Vmm.Fleet.Tests.Scaling;

public sealed class CronExpressionTests
{
    private static readonly TimeZoneInfo s_berlin = TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin");

    private static DateTimeOffset At(string time) => DateTimeOffset.Parse(time, CultureInfo.InvariantCulture);

    [Theory]
    [InlineData("0 8 * * 1-5", "2026-01-05T08:30Z", "2026-01-05T08:00Z")]
    [InlineData("0 8 * * mon-fri", "2026-01-05T07:59Z", "2026-01-02T08:00Z")]
    [InlineData("*/15 * * * *", "2026-01-05T08:29Z", "2026-01-05T08:15Z")]
    [InlineData("5-20/7 10 * * *", "2026-01-05T10:30Z", "2026-01-05T10:19Z")]
    [InlineData("0 0 1 jan,jul *", "2026-01-05T10:30Z", "2026-01-01T00:00Z")]
    [InlineData("0 12 29 2 *", "2024-03-01T00:00Z", "2024-02-29T12:00Z")]
    [InlineData("0 0 * * 7", "2026-01-05T10:30Z", "2026-01-04T00:00Z")]
    [InlineData("0 0 13 * 5", "2026-01-09T10:30Z", "2026-01-09T00:00Z")]
    [InlineData("0 0 */2 * 5", "2026-01-10T10:30Z", "2026-01-09T00:00Z")]
    [InlineData("0 0 */2 * 4", "2026-01-10T10:30Z", null)]
    [InlineData("0 0 31 6 *", "2026-07-01T10:30Z", null)]
    public void LastUntil_finds_the_last_moment_of_a_week(string cron, string now, string? expected) => Assert.Equal(
        expected == null ? null : At(expected),
        CronExpression.Parse(cron).LastUntil(At(now), TimeZoneInfo.Utc, TimeSpan.FromDays(7)));

    /// <summary>In Berlin the clocks of 29 March 2026 leave out 2:00 to 3:00, and those of 25 October show it twice.</summary>
    [Theory]
    [InlineData("30 2 * * *", "2026-03-29T01:29Z", "2026-03-28T01:30Z")]
    [InlineData("30 2 * * *", "2026-03-29T01:30Z", "2026-03-29T01:30Z")]
    [InlineData("30 2 * * *", "2026-10-25T00:30Z", "2026-10-25T00:30Z")]
    [InlineData("30 2 * * *", "2026-10-25T01:45Z", "2026-10-25T00:30Z")]
    [InlineData("0 8 * * *", "2026-07-01T06:00Z", "2026-07-01T06:00Z")]
    [InlineData("0 8 * * *", "2026-12-01T06:30Z", "2026-11-30T07:00Z")]
    public void LastUntil_follows_the_clocks_of_the_zone(string cron, string now, string expected) =>
        Assert.Equal(At(expected), CronExpression.Parse(cron).LastUntil(At(now), s_berlin, TimeSpan.FromDays(7)));

    [Fact]
    public void LastUntil_does_not_count_a_moment_whose_span_has_just_ended()
    {
        CronExpression eight = CronExpression.Parse("0 8 * * *");
        Assert.Equal(At("2026-01-05T08:00Z"), eight.LastUntil(At("2026-01-05T08:59Z"), TimeZoneInfo.Utc, TimeSpan.FromHours(1)));
        Assert.Null(eight.LastUntil(At("2026-01-05T09:00Z"), TimeZoneInfo.Utc, TimeSpan.FromHours(1)));
    }

    [Theory]
    [InlineData("", "'' has 0 fields; five are expected")]
    [InlineData("0 8 * *", "has 4 fields")]
    [InlineData("60 8 * * *", "'60' is no minute: *, a number of 0 to 59")]
    [InlineData("0 24 * * *", "'24' is no hour")]
    [InlineData("0 8 0 * *", "'0' is no day of the month")]
    [InlineData("0 8 * 13 *", "'13' is no month")]
    [InlineData("0 8 * * monday", "'monday' is no day of the week")]
    [InlineData("0 8 * * 5-1", "'5-1' is no day of the week")]
    [InlineData("*/0 * * * *", "'*/0' is no minute")]
    [InlineData("5/2 * * * *", "'5/2' is no minute")]
    [InlineData("1,,2 * * * *", "'' is no minute")]
    [InlineData("-1 * * * *", "'-1' is no minute")]
    public void Parse_says_what_is_wrong(string cron, string message) =>
        Assert.Contains(message, Assert.Throws<FormatException>(() => CronExpression.Parse(cron)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_step_larger_than_the_field_leaves_its_first_value() =>
        Assert.Equal(
            At("2026-01-05T08:00Z"),
            CronExpression.Parse("*/2147483647 * * * *").LastUntil(At("2026-01-05T08:59Z"), TimeZoneInfo.Utc, TimeSpan.FromHours(1)));
}

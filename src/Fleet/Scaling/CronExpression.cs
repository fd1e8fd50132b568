using System.Globalization;
using System.Numerics;

namespace Vmm.Fleet.Scaling;

/// <summary>
/// Moments that repeat, in the five fields of crontab(5): minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). A
/// field is <c>*</c>, <c>*/n</c>, a number, a range <c>a-b</c>, a range with a step <c>a-b/n</c>, or a list of those; months and days of
/// the week have their English names of three letters, too. When neither the day of the month nor that of the week begins with <c>*</c>,
/// one of the two is enough, as with cron.
/// </summary>
public sealed class CronExpression
{
    private static readonly string[] s_months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    private static readonly string[] s_days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    // A bit for each value of a field.
    private readonly ulong _minutes;
    private readonly ulong _hours;
    private readonly ulong _daysOfMonth;
    private readonly ulong _months;
    private readonly ulong _daysOfWeek;
    private readonly bool _eitherDay;
    private readonly string _text;

    private CronExpression(string text, string[] fields)
    {
        _text = text;
        _minutes = Field("minute", fields[0], 0, 59, []);
        _hours = Field("hour", fields[1], 0, 23, []);
        _daysOfMonth = Field("day of the month", fields[2], 1, 31, []);
        _months = Field("month", fields[3], 1, 12, s_months);
        ulong week = Field("day of the week", fields[4], 0, 7, s_days);
        _daysOfWeek = (week | (week >> 7)) & 0x7F;
        _eitherDay = fields[2][0] != '*' && fields[4][0] != '*';
    }

    /// <exception cref="FormatException">The text is none: one line that says what is wrong.</exception>
    public static CronExpression Parse(string text)
    {
        string[] fields = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return fields.Length == 5 ? new CronExpression(string.Join(' ', fields), fields) : throw new FormatException(
            $"'{text}' has {fields.Length} fields; five are expected, as in '0 8 * * mon-fri': "
            + "minute, hour, day of the month, month, day of the week");
    }

    /// <summary>The last of the moments that is not after a moment and less than a span before it; null for none.</summary>
    /// <param name="zone">
    /// The time zone whose clocks show the moments. A moment that they leave out in spring comes as long after the gap as it lies in it; of
    /// one that they show twice in autumn the first counts.
    /// </param>
    public DateTimeOffset? LastUntil(DateTimeOffset now, TimeZoneInfo zone, TimeSpan within)
    {
        // A day more on each side covers what a change of the clocks moves.
        DateOnly last = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(now, zone).DateTime).AddDays(1);
        DateOnly first = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(now - within, zone).DateTime).AddDays(-1);
        DateTimeOffset? latest = null;
        for (DateOnly day = last; day >= first; day = day.AddDays(-1))
        {
            if (!IsOn(day))
            {
                continue;
            }

            foreach (int hour in Down(_hours))
            {
                foreach (int minute in Down(_minutes))
                {
                    DateTimeOffset moment = Moment(day.ToDateTime(new TimeOnly(hour, minute)), zone);
                    if (moment <= now && (latest == null || moment > latest))
                    {
                        latest = moment;
                        break;
                    }
                }
            }

            if (latest != null)
            {
                break;
            }
        }

        return latest > now - within ? latest : null;
    }

    public override string ToString() => _text;

    private bool IsOn(DateOnly day)
    {
        bool month = (_daysOfMonth & (1UL << day.Day)) != 0;
        bool week = (_daysOfWeek & (1UL << (int)day.DayOfWeek)) != 0;
        return (_months & (1UL << day.Month)) != 0 && (_eitherDay ? month || week : month && week);
    }

    private static DateTimeOffset Moment(DateTime local, TimeZoneInfo zone)
    {
        if (zone.IsInvalidTime(local))
        {
            // As if the clocks had not yet been put forward.
            return new DateTimeOffset(local, zone.GetUtcOffset(local.AddHours(-3)));
        }

        TimeSpan offset = zone.IsAmbiguousTime(local) ? zone.GetAmbiguousTimeOffsets(local).Max() : zone.GetUtcOffset(local);
        return new DateTimeOffset(local, offset);
    }

    private static IEnumerable<int> Down(ulong bits)
    {
        for (; bits != 0; bits &= ~(1UL << BitOperations.Log2(bits)))
        {
            yield return BitOperations.Log2(bits);
        }
    }

    private static ulong Field(string name, string text, int least, int most, string[] names)
    {
        ulong bits = 0;
        foreach (string part in text.Split(','))
        {
            string[] stepped = part.Split('/');
            string[] range = stepped[0] == "*" ? [$"{least}", $"{most}"] : stepped[0].Split('-');
            int from = Value(range[0], least, names);
            int to = range.Length == 1 ? from : Value(range[^1], least, names);
            int step = 1;
            bool right = stepped.Length <= 2 && range.Length <= 2 && from >= least && to <= most && to >= from;
            if (right && stepped.Length == 2)
            {
                right = range.Length == 2
                    && int.TryParse(stepped[1], NumberStyles.None, CultureInfo.InvariantCulture, out step) && step > 0;
            }

            if (!right)
            {
                throw new FormatException(
                    $"'{part}' is no {name}: *, a number of {least} to {most}, a range such as {least}-{most}, or */2 is expected");
            }

            for (int value = from; value <= to; value += Math.Min(step, most + 1))
            {
                bits |= 1UL << value;
            }
        }

        return bits;
    }

    // -1 for what is no value.
    private static int Value(string text, int least, string[] names)
    {
        int named = Array.FindIndex(names, name => name.Equals(text, StringComparison.OrdinalIgnoreCase));
        return named >= 0 ? named + least : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : -1;
    }
}

using System.Globalization;
using Vmm.Emulation.Devices.Pl031;

namespace Vmm.Host.Options;

/// <summary>The option <c>-rtc [base=utc|localtime|DATE][,clock=host|rt|vm]</c>.</summary>
public static class RtcOption
{
    public const string Syntax = "[base=utc|localtime|DATE][,clock=host|rt|vm]";

    private static readonly string[] s_dateFormats = ["yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd"];

    /// <summary>The clock without the option: the host's time.</summary>
    public static RtcConfig Default { get; } = new(null, RtcClock.Host);

    /// <summary>Adds another <c>-rtc</c> to the values so far.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static RtcConfig Add(RtcConfig config, string text)
    {
        foreach ((string key, string? value) in KeyValues.Parse(text, null))
        {
            config = (key, value) switch
            {
                ("base", "utc") => config with { Start = null },
                ("base", "localtime") =>
                    config with { Start = new DateTimeOffset(DateTime.SpecifyKind(DateTime.Now, DateTimeKind.Unspecified), TimeSpan.Zero) },
                ("base", _) => config with { Start = ParseDate(value ?? "") },
                ("clock", "host") => config with { Clock = RtcClock.Host },
                ("clock", "rt") => config with { Clock = RtcClock.Monotonic },
                ("clock", "vm") => config with { Clock = RtcClock.Guest },
                ("clock", _) => throw new OptionException($"invalid option value '{value}': clock is host, rt or vm"),
                ("driftfix", "none") => config,
                ("driftfix", _) => throw new OptionException("driftfix is none: no ticks are lost"),
                _ => throw new OptionException($"Invalid parameter '{key}'"),
            };
        }

        return config;
    }

    private static DateTimeOffset ParseDate(string text) =>
        DateTimeOffset.TryParseExact(text, s_dateFormats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal,
            out DateTimeOffset date) && date.Year is >= 1970 and < 2106
            ? date
            : throw new OptionException(
                "invalid datetime format: valid formats are '2006-06-17T16:01:21' and '2006-06-17', from 1970 to 2105");
}

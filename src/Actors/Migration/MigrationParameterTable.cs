using System.Collections.Immutable;
using System.Globalization;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Migration;

/// <summary>A parameter of migrations: its values and its default.</summary>
/// <param name="Default">Its value at the start: a number in decimal, or text.</param>
/// <param name="Least">The least number; of text, 0.</param>
/// <param name="Most">The largest number; null for text.</param>
/// <param name="Words">The words that can be its value; null for any text and for numbers.</param>
/// <param name="Unit">For people.</param>
/// <param name="Range">QEMU's words for the numbers that it may be; null for those that <paramref name="Least"/> and
/// <paramref name="Most"/> make.</param>
public sealed record MigrationParameterRow(
    MigrationParameter Parameter,
    string Default,
    long Least = 0,
    long? Most = null,
    string[]? Words = null,
    string Unit = "",
    string? Range = null);

/// <summary>The parameters with QEMU's limits and defaults (migration/options.c).</summary>
public static class MigrationParameterTable
{
    /// <summary>QEMU's limit of <c>downtime-limit</c>, in milliseconds.</summary>
    private const long LongestDowntime = 2_000_000;

    /// <summary>In the order of the enumeration.</summary>
    public static ImmutableArray<MigrationParameterRow> Rows { get; } =
    [
        new(MigrationParameter.AnnounceInitial, "50", 0, 100_000, Unit: "ms", Range: "a value between 0 and 100000"),
        new(MigrationParameter.AnnounceMax, "550", 0, 100_000, Unit: "ms", Range: "a value between 0 and 100000"),
        new(MigrationParameter.AnnounceRounds, "5", 0, 1000, Range: "a value between 0 and 1000"),
        new(MigrationParameter.AnnounceStep, "100", 1, 10_000, Unit: "ms", Range: "a value between 0 and 10000"),
        new(MigrationParameter.ThrottleTriggerThreshold, "50", 1, 100),
        new(MigrationParameter.CpuThrottleInitial, "20", 1, 99),
        new(MigrationParameter.CpuThrottleIncrement, "10", 1, 99),
        new(MigrationParameter.CpuThrottleTailslow, "off", Words: ["on", "off"]),
        new(MigrationParameter.TlsCreds, ""),
        new(MigrationParameter.TlsHostname, ""),
        new(MigrationParameter.TlsAuthz, ""),
        new(MigrationParameter.MaxBandwidth, "134217728", 0, long.MaxValue, Unit: "bytes/second"),
        new(MigrationParameter.AvailSwitchoverBandwidth, "0", 0, long.MaxValue, Unit: "bytes/second"),
        new(MigrationParameter.DowntimeLimit, "300", 0, LongestDowntime, Unit: "ms",
            Range: "an integer in the range of 0 to (2000 * 1000) ms"),
        new(MigrationParameter.MultifdChannels, "2", 1, 255, Range: "a value between 1 and 255"),
        new(MigrationParameter.MaxPostcopyBandwidth, "0", 0, long.MaxValue),
        new(MigrationParameter.MaxCpuThrottle, "99", 1, 99, Range: "an integer in the range of cpu_throttle_initial to 99"),
        new(MigrationParameter.MultifdCompression, "none", Words: ["none", "zstd"]),
        new(MigrationParameter.MultifdZstdLevel, "1", 0, 20, Range: "a value between 0 and 20"),
        new(MigrationParameter.Mode, "normal", Words: ["normal"]),
        new(MigrationParameter.DirectIo, "off", Words: ["off"]),
    ];

    /// <summary>Why a value is refused by itself, in QEMU's words; null for one that is good.</summary>
    public static string? RefusalOf(MigrationParameter parameter, string value)
    {
        MigrationParameterRow row = Rows[(int)parameter];
        string name = NameOf(parameter);
        if (row.Words is { } words)
        {
            return words.Contains(value) ? null : $"Parameter '{name}' does not accept value '{HotplugState.Legible(value)}'";
        }

        if (row.Most is not { } most
            || (long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
                && number >= row.Least && number <= most))
        {
            return null;
        }

        string unit = row.Unit.Length == 0 ? "" : $" {row.Unit}";
        return $"Parameter '{name.Replace('-', '_')}' expects {row.Range ?? $"an integer in the range of {row.Least} to {most}{unit}"}";
    }

    /// <summary>A parameter in QEMU's spelling, such as <c>max-bandwidth</c>.</summary>
    public static string NameOf(MigrationParameter parameter) => Hyphenated(parameter.ToString());

    /// <summary>A capability in QEMU's spelling, such as <c>auto-converge</c>.</summary>
    public static string NameOf(MigrationCapability capability) => Hyphenated(capability.ToString());

    /// <summary>A status in QEMU's spelling, such as <c>pre-switchover</c>.</summary>
    public static string NameOf(MigrationStatus status) => Hyphenated(status.ToString());

    private static string Hyphenated(string name) => string.Concat(name.Select((c, at) =>
        char.IsAsciiLetterUpper(c) ? (at > 0 ? "-" : "") + char.ToLowerInvariant(c) : c.ToString(CultureInfo.InvariantCulture)));
}

namespace Vmm.Emulation.Block;

/// <summary>
/// How fast a disk may be, with the names that QEMU has behind <c>throttling.</c> (QEMU, qapi/block-core.json, ThrottleLimits).
/// </summary>
public sealed class ThrottleLimits
{
    private const string Max = "-max";
    private const string MaxLength = "-max-length";
    private const string OperationSize = "iops-size";

    // What is limited, in the order of the limits: bytes and operations of all requests, of reads, of writes.
    private static readonly string[] s_names = ["bps-total", "bps-read", "bps-write", "iops-total", "iops-read", "iops-write"];

    private readonly Limit[] _limits = new Limit[s_names.Length];

    /// <summary>A limit: so many units a second, and for a time so many more.</summary>
    /// <param name="Average">0 for no limit.</param>
    /// <param name="Burst">Units a second; 0 for none.</param>
    /// <param name="BurstSeconds">How long a burst may last.</param>
    internal readonly record struct Limit(long Average, long Burst, long BurstSeconds);

    /// <summary>No limits.</summary>
    public static ThrottleLimits None { get; } = new();

    /// <summary>The names of all limits.</summary>
    public static IEnumerable<string> Names => s_names.SelectMany(n => new[] { n, n + Max, n + MaxLength }).Append(OperationSize);

    /// <summary><c>iops-size</c>: a request counts as one operation for each so many bytes; 0 for one in any case.</summary>
    public long SizeOfOperation { get; private init; }

    internal ReadOnlySpan<Limit> All => _limits;

    /// <summary>Whether anything is limited.</summary>
    public bool IsEnabled => Array.Exists(_limits, l => l.Average > 0);

    /// <summary>The values of all <see cref="Names"/>, in their order.</summary>
    public long[] Values => [.. _limits.SelectMany(l => new[] { l.Average, l.Burst, l.BurstSeconds }), SizeOfOperation];

    /// <summary>Limits of the values of all <see cref="Names"/>, in their order.</summary>
    /// <exception cref="BlockException">One makes no sense.</exception>
    public static ThrottleLimits Of(IEnumerable<long> values) =>
        Parse(Names.Zip(values).ToDictionary(p => p.First, p => p.Second, StringComparer.Ordinal));

    /// <summary>Reads limits by their names, without <c>throttling.</c>.</summary>
    /// <exception cref="BlockException">One makes no sense.</exception>
    public static ThrottleLimits Parse(IReadOnlyDictionary<string, long> values)
    {
        const long Most = 1_000_000_000_000_000;
        foreach ((string name, long value) in values)
        {
            Require(Names.Contains(name), $"there is no limit 'throttling.{name}'; there are {string.Join(", ", Names)}");
            Require(value is >= 0 and <= Most, $"throttling.{name} is {value}; 0 to {Most} is valid");
        }

        long Value(string name) => values.TryGetValue(name, out long value) ? value : 0;
        var limits = new ThrottleLimits { SizeOfOperation = Value(OperationSize) };
        for (int i = 0; i < s_names.Length; i++)
        {
            string name = s_names[i];
            Limit limit = new(Value(name), Value(name + Max), values.TryGetValue(name + MaxLength, out long seconds) ? seconds : 1);
            Require(limit.Burst == 0 || limit.Burst >= limit.Average, $"throttling.{name}{Max} is less than throttling.{name}");
            Require(limit.Burst == 0 || limit.Average > 0, $"throttling.{name}{Max} needs throttling.{name}");
            Require(limit.BurstSeconds >= 1, $"throttling.{name}{MaxLength} is {limit.BurstSeconds}; 1 or more is valid");
            Require(limit.BurstSeconds == 1 || limit.Burst > 0, $"throttling.{name}{MaxLength} needs throttling.{name}{Max}");
            Require(limit.Burst == 0 || limit.BurstSeconds <= Most / limit.Burst, $"throttling.{name}{MaxLength} is too long");
            limits._limits[i] = limit;
        }

        for (int i = 0; i < s_names.Length; i += 3)
        {
            Require(limits._limits[i].Average == 0 || (limits._limits[i + 1].Average == 0 && limits._limits[i + 2].Average == 0),
                $"throttling.{s_names[i]} excludes {s_names[i + 1]} and {s_names[i + 2]}");
        }

        return limits;
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new BlockException(message);
        }
    }
}

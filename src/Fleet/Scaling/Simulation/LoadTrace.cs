using System.Globalization;

namespace Vmm.Fleet.Scaling.Simulation;

/// <summary>What a guest wanted of its CPUs, as it was recorded.</summary>
/// <param name="Name">For people.</param>
/// <param name="Rows">
/// By time: the end of an interval, in seconds from the start, and the CPU-seconds that were asked for in it. The first interval begins at
/// 0.
/// </param>
public sealed record LoadTrace(string Name, IReadOnlyList<(double Seconds, double Busy)> Rows)
{
    /// <summary>The end of the last interval, in seconds.</summary>
    public double Length => Rows[^1].Seconds;

    /// <summary>
    /// Reads lines of <c>seconds,busy</c> as in <see cref="Rows"/>. Lines of names before the first, empty lines and such as begin with #
    /// are passed over.
    /// </summary>
    /// <exception cref="FormatException">A line is none: one line that says which, and what is wrong.</exception>
    public static LoadTrace Read(string name, TextReader reader)
    {
        var rows = new List<(double Seconds, double Busy)>();
        for (int number = 1; reader.ReadLine() is { } line; number++)
        {
            if (line.Length == 0 || line[0] == '#' || (rows.Count == 0 && line.StartsWith("seconds", StringComparison.Ordinal)))
            {
                continue;
            }

            string[] fields = line.Split(',');
            if (fields.Length != 2 || !TryNumber(fields[0], out double seconds) || !TryNumber(fields[1], out double busy))
            {
                throw new FormatException($"{name}, line {number}: '{line}' is not seconds,busy, as in 12.0,0.85");
            }

            if (seconds <= (rows.Count == 0 ? 0 : rows[^1].Seconds))
            {
                throw new FormatException($"{name}, line {number}: {fields[0]} s is not after the line before");
            }

            rows.Add((seconds, busy));
        }

        return rows.Count > 0 ? new LoadTrace(name, rows) : throw new FormatException($"{name} has no line of seconds,busy");
    }

    private static bool TryNumber(string text, out double number) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number) && double.IsFinite(number) && number >= 0;
}

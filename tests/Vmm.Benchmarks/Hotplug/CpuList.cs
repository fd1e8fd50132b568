using System.Globalization;

namespace Vmm.Benchmarks.Hotplug;

/// <summary>A list of CPUs as Linux writes it (Documentation/admin-guide/cputopology.rst), such as <c>0-3,5</c>.</summary>
internal sealed class CpuList(string text)
{
    public string Text { get; } = text;

    public HashSet<int> Cpus { get; } = [.. text.Split(',').Select(r => r.Split('-')).SelectMany(r => Range(r[0], r[^1]))];

    private static IEnumerable<int> Range(string first, string last)
    {
        int from = int.Parse(first, CultureInfo.InvariantCulture);
        return Enumerable.Range(from, int.Parse(last, CultureInfo.InvariantCulture) - from + 1);
    }
}

using System.Globalization;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>A line of a guest, as it was read.</summary>
/// <param name="At">When it was read, of one clock for all readers.</param>
/// <param name="Place">The process that wrote it: a number that no other process has.</param>
/// <param name="Node">The node of the process.</param>
/// <param name="Boot">What the guest drew at random when it began.</param>
/// <param name="Count">Counts up with each line of that boot.</param>
internal readonly record struct Stamp(TimeSpan At, int Place, int Node, uint Boot, uint Count);

/// <summary>
/// The lines of all processes that had one VM, in the order in which they were read. They tell whether it ran twice: two boots never
/// overlap in time, and of one boot, which moves from process to process, no count is written by two of them. One thread at a time.
/// </summary>
internal sealed class StampLog
{
    // What a process has written of a boot, without a gap by another process in between.
    private sealed record Run(int Place, int Node, uint Boot, TimeSpan First, uint FirstCount)
    {
        public TimeSpan Last { get; set; }

        public uint LastCount { get; set; }
    }

    private readonly Dictionary<(int Place, uint Boot), Run> _runs = [];
    private readonly List<Run> _order = [];
    private TimeSpan _longest;

    /// <summary>The last line; null before the first one.</summary>
    public Stamp? Last { get; private set; }

    /// <summary>The longest time between two lines.</summary>
    public TimeSpan LongestGap => _longest;

    /// <summary>How many boots there were.</summary>
    public int Boots => _order.Select(run => run.Boot).Distinct().Count();

    /// <summary>The nodes at which it ran, one after the other.</summary>
    public IReadOnlyList<int> Places =>
        [.. _order.Where((run, i) => i == 0 || _order[i - 1].Node != run.Node).Select(run => run.Node)];

    public void Add(Stamp stamp)
    {
        if (Last is { } before && stamp.At - before.At > _longest)
        {
            _longest = stamp.At - before.At;
        }

        Last = stamp;
        if (!_runs.TryGetValue((stamp.Place, stamp.Boot), out Run? run))
        {
            run = new Run(stamp.Place, stamp.Node, stamp.Boot, stamp.At, stamp.Count);
            _runs.Add((stamp.Place, stamp.Boot), run);
            _order.Add(run);
        }

        (run.Last, run.LastCount) = (stamp.At, stamp.Count);
    }

    /// <summary>How it ran twice at a moment; null if it never did.</summary>
    public string? FindOverlap()
    {
        for (int i = 0; i < _order.Count; i++)
        {
            for (int j = i + 1; j < _order.Count; j++)
            {
                (Run a, Run b) = (_order[i], _order[j]);

                // Lines of one boot may be read late, so their counts say it: the process that goes on begins above.
                if (a.Boot == b.Boot ? a.LastCount >= b.FirstCount : a.Last >= b.First)
                {
                    return string.Create(
                        CultureInfo.InvariantCulture,
                        $"{Tell(a)} and {Tell(b)}");
                }
            }
        }

        return null;
    }

    private static string Tell(Run run) => string.Create(
        CultureInfo.InvariantCulture,
        $"boot {run.Boot:x8} at node {run.Node} from {run.First.TotalSeconds:0.000} to {run.Last.TotalSeconds:0.000} s, "
        + $"lines {run.FirstCount} to {run.LastCount},");
}

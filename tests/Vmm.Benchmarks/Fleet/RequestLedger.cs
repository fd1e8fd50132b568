using System.Globalization;

namespace Vmm.Benchmarks.Fleet;

/// <summary>
/// What was asked of a fleet and what it has acknowledged, against what is found afterwards: nothing that was acknowledged may be lost, and
/// nothing done twice. Any thread.
/// </summary>
internal sealed class RequestLedger
{
    private readonly Lock _lock = new();
    private readonly HashSet<string> _asked = new(StringComparer.Ordinal);
    private readonly HashSet<string> _made = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];
    private int _startsAsked;
    private int _startsDone;
    private int _startsLost;
    private int _acknowledged;
    private TimeSpan _slowest;

    /// <summary>How many requests were acknowledged, and have ended.</summary>
    public int Acknowledged => Of(() => _acknowledged);

    /// <summary>The longest time from a request to its end, in which it was repeated.</summary>
    public TimeSpan Slowest => Of(() => _slowest);

    /// <summary>A record is asked for.</summary>
    public void Ask(string record) => Of(() => _asked.Add(record));

    /// <summary>A record that was asked for was made.</summary>
    public void Made(string record) => Of(() => _made.Add(record));

    /// <summary>A record that was made was removed.</summary>
    public void Removed(string record) => Of(() => _asked.Remove(record) & _made.Remove(record));

    /// <summary>A start is asked for.</summary>
    public void AskStart() => Of(() => _startsAsked++);

    /// <summary>A start has ended as done.</summary>
    public void DoneStart() => Of(() => _startsDone++);

    /// <summary>The VM was lost with its node after a start that was done, before its guest began.</summary>
    public void LoseStart() => Of(() => _startsLost++);

    /// <summary>A request was acknowledged, and has ended.</summary>
    /// <param name="after">How long after it was asked for the first time.</param>
    public void Acknowledge(TimeSpan after) => Of(() =>
    {
        _acknowledged++;
        return _slowest = after > _slowest ? after : _slowest;
    });

    /// <summary>Something was answered that should not be.</summary>
    public void Complain(string problem) => Of(() =>
    {
        _problems.Add(problem);
        return true;
    });

    /// <summary>What is wrong: one line each.</summary>
    /// <param name="found">The records that there are.</param>
    /// <param name="boots">How often the guest of the VM that was started and stopped has begun.</param>
    public IReadOnlyList<string> FindWrong(IReadOnlyCollection<string> found, int boots) => Of<IReadOnlyList<string>>(() =>
    {
        List<string> wrong = [.. _problems];
        string[] lost = [.. _made.Except(found).Order(StringComparer.Ordinal)];
        string[] strange = [.. found.Except(_asked).Order(StringComparer.Ordinal)];
        if (lost.Length > 0)
        {
            wrong.Add($"acknowledged and not there: {string.Join(' ', lost)}");
        }

        if (strange.Length > 0)
        {
            wrong.Add($"there and not asked for: {string.Join(' ', strange)}");
        }

        // Nodes are lost one at a time: whoever loses more starts than one ends by itself.
        if (boots < _startsDone - Math.Min(_startsLost, 1) || boots > _startsAsked)
        {
            wrong.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{_startsAsked} starts were asked for, {_startsDone} were done, {_startsLost} lost, and the guest began {boots} times"));
        }

        return wrong;
    });

    private T Of<T>(Func<T> act)
    {
        lock (_lock)
        {
            return act();
        }
    }
}

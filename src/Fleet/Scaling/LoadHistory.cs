namespace Vmm.Fleet.Scaling;

/// <summary>
/// The loads that a policy asks about: the mean of a short time, and the highest such mean of a long one. It holds the samples of the short
/// time and at most 65 figures of the long one.
/// </summary>
internal sealed class LoadHistory
{
    private const int Buckets = 64;

    private readonly Queue<(TimeSpan Over, double Busy)> _samples = new();
    private readonly Queue<(DateTimeOffset Start, double Peak)> _peaks = new();
    private TimeSpan _sampled;
    private (DateTimeOffset Start, double Peak)? _bucket;

    /// <summary>When the first sample began; null before there is one.</summary>
    public DateTimeOffset? Since { get; private set; }

    /// <summary>The mean of the short time; null while not so much was seen since <see cref="Restart"/>.</summary>
    public double? Mean { get; private set; }

    /// <summary>The highest <see cref="Mean"/> of the long time.</summary>
    public double Peak { get; private set; }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Restart();
        _peaks.Clear();
        (_bucket, Since, Peak) = (null, null, 0);
    }

    /// <summary>Begins the short time anew, as after a change of CPUs: a load that had too few CPUs was held down by them.</summary>
    public void Restart()
    {
        _samples.Clear();
        (_sampled, Mean) = (TimeSpan.Zero, null);
    }

    public void Add(DateTimeOffset at, TimeSpan over, double busy, TimeSpan shortTime, TimeSpan longTime)
    {
        Since ??= at - over;
        _samples.Enqueue((over, busy));
        _sampled += over;
        while (_sampled - _samples.Peek().Over >= shortTime)
        {
            _sampled -= _samples.Dequeue().Over;
        }

        Mean = _sampled >= shortTime ? _samples.Sum(s => s.Busy * s.Over.TotalSeconds) / _sampled.TotalSeconds : null;
        Note(at, Mean ?? busy, longTime);
    }

    private void Note(DateTimeOffset at, double load, TimeSpan longTime)
    {
        if (_bucket is { } bucket && at - bucket.Start < longTime / Buckets)
        {
            _bucket = bucket with { Peak = Math.Max(bucket.Peak, load) };
        }
        else
        {
            if (_bucket is { } full)
            {
                _peaks.Enqueue(full);
            }

            _bucket = (at, load);
        }

        while (_peaks.TryPeek(out (DateTimeOffset Start, double Peak) oldest) && at - oldest.Start > longTime)
        {
            _peaks.Dequeue();
        }

        Peak = _peaks.Select(p => p.Peak).Append(_bucket.Value.Peak).Max();
    }
}

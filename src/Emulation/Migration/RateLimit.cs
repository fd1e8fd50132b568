using System.Diagnostics;

namespace Vmm.Emulation.Migration;

/// <summary>Spreads bytes over time. The thread that sends them uses it; any thread sets the limit.</summary>
public sealed class RateLimit
{
    private readonly AutoResetEvent _wake = new(initialState: false);

    // What was not sent is not made up for over longer than this.
    private static readonly long s_window = Stopwatch.Frequency / 20;

    // A limit that is lowered by much is not waited for longer than this at once.
    private const double LongestWait = 60;

    private long _bytesPerSecond;

    // Until then what was sent would have taken at the limit.
    private long _busyUntil;

    /// <summary>0 for none. Any thread.</summary>
    public long BytesPerSecond
    {
        get => Volatile.Read(ref _bytesPerSecond);
        set
        {
            Volatile.Write(ref _bytesPerSecond, value);
            Wake();
        }
    }

    /// <summary>Ends the waiting under way. Any thread.</summary>
    public void Wake() => _wake.Set();

    /// <summary>Waits until so many bytes more may have been sent.</summary>
    /// <param name="stop">Ends the waiting.</param>
    /// <returns>The time waited, in ticks of <see cref="Stopwatch"/>.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public long Spend(long bytes, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        long limit = BytesPerSecond;
        if (limit <= 0)
        {
            _busyUntil = 0;
            return 0;
        }

        long now = Stopwatch.GetTimestamp();
        _busyUntil = Math.Max(_busyUntil, now - s_window) + (long)((Int128)bytes * Stopwatch.Frequency / limit);
        if (_busyUntil <= now)
        {
            return 0;
        }

        double seconds = (_busyUntil - now) / (double)Stopwatch.Frequency;
        WaitHandle.WaitAny([stop.WaitHandle, _wake], TimeSpan.FromSeconds(Math.Min(seconds, LongestWait)));
        stop.ThrowIfCancellationRequested();
        return Stopwatch.GetTimestamp() - now;
    }
}

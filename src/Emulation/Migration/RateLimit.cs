using System.Diagnostics;

namespace Vmm.Emulation.Migration;

/// <summary>Spreads bytes over time. The thread that sends them uses it; any thread sets the limit.</summary>
public sealed class RateLimit
{
    private const double LongestWait = 60_000;

    // What was not sent is not made up for over longer than this.
    private static readonly long s_window = Stopwatch.Frequency / 20;

    private long _bytesPerSecond;

    // A monitor; it guards _woken, which stays set until it has ended a wait.
    private readonly object _gate = new();
    private bool _woken;

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

    /// <summary>Ends the waiting under way, or the next one. Any thread.</summary>
    public void Wake()
    {
        lock (_gate)
        {
            _woken = true;
            Monitor.Pulse(_gate);
        }
    }

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
        _busyUntil = Math.Max(_busyUntil, now - s_window) + (long)((double)bytes * Stopwatch.Frequency / limit);
        if (_busyUntil <= now)
        {
            return 0;
        }

        using CancellationTokenRegistration stopped = stop.Register(Wake);
        lock (_gate)
        {
            for (long at = now; at < _busyUntil && !_woken; at = Stopwatch.GetTimestamp())
            {
                double milliseconds = Math.Min((_busyUntil - at) * 1000.0 / Stopwatch.Frequency, LongestWait);
                Monitor.Wait(_gate, TimeSpan.FromMilliseconds(Math.Max(milliseconds, 1)));
            }

            _woken = false;
        }

        stop.ThrowIfCancellationRequested();
        return Stopwatch.GetTimestamp() - now;
    }
}

using System.Diagnostics;

namespace Vmm.Benchmarks.Fleet;

/// <summary>
/// A clock that does not count times in which this process stood still, as when its machine was suspended: what is measured then says
/// nothing of the fleet. Any thread.
/// </summary>
internal sealed class Heartbeat : IDisposable
{
    private static readonly TimeSpan s_period = TimeSpan.FromMilliseconds(100);

    // A busy machine lets a thread wait for less.
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(2);

    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;

    // Ticks of TimeSpan: what has passed, and what was not counted.
    private long _elapsed;
    private long _still;

    public Heartbeat()
    {
        _thread = new Thread(Run) { IsBackground = true, Priority = ThreadPriority.Highest };
        _thread.Start();
    }

    /// <summary>What has passed.</summary>
    public TimeSpan Elapsed => TimeSpan.FromTicks(Interlocked.Read(ref _elapsed));

    /// <summary>How long this process stood still.</summary>
    public TimeSpan Still => TimeSpan.FromTicks(Interlocked.Read(ref _still));

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
    }

    private void Run()
    {
        long before = Stopwatch.GetTimestamp();
        while (!_stop.Wait(s_period))
        {
            long now = Stopwatch.GetTimestamp();
            TimeSpan passed = Stopwatch.GetElapsedTime(before, now);
            before = now;
            Interlocked.Add(ref passed > s_longest ? ref _still : ref _elapsed, passed.Ticks);
        }
    }
}

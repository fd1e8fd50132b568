using System.Diagnostics;

namespace Vmm.Emulation.Cpu.Timers;

/// <summary>The deadlines of all timers of a machine, and the thread that waits for the earliest.</summary>
public sealed class TimerQueue : IDisposable
{
    private readonly object _lock = new();
    private readonly PriorityQueue<(TimerChannel Channel, long Generation), long> _queue = new();
    private readonly Thread _thread;
    private bool _stopping;

    public TimerQueue()
    {
        _thread = new Thread(Loop) { IsBackground = true, Name = "guest timers" };
        _thread.Start();
    }

    /// <summary>Calls <see cref="TimerChannel.Expire"/> at a host time, unless its generation has changed by then.</summary>
    internal void Add(TimerChannel channel, long generation, long hostTime)
    {
        lock (_lock)
        {
            _queue.Enqueue((channel, generation), hostTime);
            Monitor.Pulse(_lock);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _stopping = true;
            Monitor.Pulse(_lock);
        }

        _thread.Join();
    }

    private void Loop()
    {
        while (true)
        {
            (TimerChannel Channel, long Generation) due;
            lock (_lock)
            {
                while (true)
                {
                    if (_stopping)
                    {
                        return;
                    }

                    if (!_queue.TryPeek(out due, out long time))
                    {
                        Monitor.Wait(_lock);
                        continue;
                    }

                    long remaining = time - Stopwatch.GetTimestamp();
                    if (remaining <= 0)
                    {
                        _queue.Dequeue();
                        break;
                    }

                    // Monitor waits in milliseconds: rounded up, so that this thread never spins.
                    Monitor.Wait(_lock, (int)Math.Min(1000, (remaining / (Stopwatch.Frequency / 1000)) + 1));
                }
            }

            due.Channel.Expire(due.Generation);
        }
    }
}

namespace Vmm.Emulation.Cpu.Timers;

/// <summary>
/// The deadlines of all timers of a machine, and the thread that waits for the earliest. A timer has one deadline at most, which setting
/// it again replaces, so the queue never holds more than there are timers. The thread
/// sleeps while the clock is stopped, for nothing is due then.
/// </summary>
/// <remarks>Lock order: a timer, then the queue. A timer that is due is called with no lock held.</remarks>
public sealed class TimerQueue : IDisposable
{
    private const int InitialCapacity = 16;

    private readonly Lock _lock = new();
    private readonly VirtualClock _clock;
    private readonly PreciseWait _wait = new();
    private readonly Thread _thread;

    // A binary heap by deadline; each channel knows its place.
    private TimerChannel[] _heap = new TimerChannel[InitialCapacity];
    private int _count;

    // The deadline for which the thread sleeps; an earlier one wakes it. Zero while the thread is awake or was woken.
    private ulong _sleepingUntil;
    private bool _stopping;

    public TimerQueue(VirtualClock clock)
    {
        _clock = clock;
        _clock.Changed += Wake;
        _thread = new Thread(Loop) { IsBackground = true, Name = "guest timers" };
        _thread.Start();
    }

    /// <summary>Called with each deadline that is set, on the thread that sets it; set before anything runs.</summary>
    internal Action<ulong>? Scheduled { get; set; }

    /// <summary>The earliest deadline; null for none.</summary>
    internal ulong? Earliest
    {
        get
        {
            lock (_lock)
            {
                return _count == 0 ? null : _heap[0].Deadline;
            }
        }
    }

    /// <summary>Expires the timers whose deadline the clock has reached, for a clock that does not follow host time.</summary>
    internal void ExpireDue()
    {
        while (TakeDue() is { } due)
        {
            due.Expire();
        }
    }

    private TimerChannel? TakeDue()
    {
        lock (_lock)
        {
            if (_count == 0 || _heap[0].Deadline > _clock.Count)
            {
                return null;
            }

            TimerChannel due = _heap[0];
            Remove(0);
            return due;
        }
    }

    /// <summary>
    /// Calls <see cref="TimerChannel.Expire"/> when the counter reaches a value, instead of what was asked for this channel before.
    /// </summary>
    internal void Schedule(TimerChannel channel, ulong deadline)
    {
        lock (_lock)
        {
            if (_stopping)
            {
                return;
            }

            if (channel.QueueIndex < 0)
            {
                if (_count == _heap.Length)
                {
                    Array.Resize(ref _heap, 2 * _count);
                }

                Place(channel, _count++);
            }

            channel.Deadline = deadline;
            Restore(channel.QueueIndex);
            if (deadline < _sleepingUntil)
            {
                _sleepingUntil = 0;
                _wait.Signal();
            }
        }

        Scheduled?.Invoke(deadline);
    }

    /// <summary>Forgets the deadline of a channel, if it has one.</summary>
    internal void Cancel(TimerChannel channel)
    {
        // A channel is given a place only by its own Schedule, whose caller holds the channel's lock as this one does.
        if (channel.QueueIndex < 0)
        {
            return;
        }

        lock (_lock)
        {
            if (channel.QueueIndex >= 0)
            {
                Remove(channel.QueueIndex);
            }
        }
    }

    public void Dispose()
    {
        _clock.Changed -= Wake;
        lock (_lock)
        {
            if (_stopping)
            {
                return;
            }

            _stopping = true;
            _wait.Signal();
        }

        _thread.Join();
        _wait.Dispose();
    }

    private void Wake()
    {
        lock (_lock)
        {
            if (!_stopping && _sleepingUntil != 0)
            {
                _sleepingUntil = 0;
                _wait.Signal();
            }
        }
    }

    private void Loop()
    {
        PreciseWait.PrepareThread();
        while (true)
        {
            TimerChannel? due = null;
            long until = long.MaxValue;
            lock (_lock)
            {
                if (_stopping)
                {
                    return;
                }

                bool idle = _count == 0 || _clock.IsStopped;
                if (!idle && _heap[0].Deadline <= _clock.Count)
                {
                    due = _heap[0];
                    Remove(0);
                }
                else
                {
                    _sleepingUntil = idle ? ulong.MaxValue : _heap[0].Deadline;
                    until = idle ? long.MaxValue : _clock.HostTimeOf(_heap[0].Deadline);
                }
            }

            if (due != null)
            {
                due.Expire();
                continue;
            }

            _wait.Until(until);
            lock (_lock)
            {
                _sleepingUntil = 0;
            }
        }
    }

    private void Remove(int index)
    {
        _heap[index].QueueIndex = -1;
        TimerChannel last = _heap[--_count];
        _heap[_count] = null!;
        if (index < _count)
        {
            Place(last, index);
            Restore(index);
        }
    }

    // Puts the channel at an index, whose deadline has changed, where it belongs.
    private void Restore(int index)
    {
        TimerChannel channel = _heap[index];
        while (index > 0 && channel.Deadline < _heap[(index - 1) / 2].Deadline)
        {
            Place(_heap[(index - 1) / 2], index);
            index = (index - 1) / 2;
        }

        while (true)
        {
            int child = (2 * index) + 1;
            if (child + 1 < _count && _heap[child + 1].Deadline < _heap[child].Deadline)
            {
                child++;
            }

            if (child >= _count || _heap[child].Deadline >= channel.Deadline)
            {
                break;
            }

            Place(_heap[child], index);
            index = child;
        }

        Place(channel, index);
    }

    private void Place(TimerChannel channel, int index)
    {
        _heap[index] = channel;
        channel.QueueIndex = index;
    }
}

namespace Vmm.Emulation.Block;

/// <summary>
/// Disks that share limits (QEMU, docs/throttle.txt). Each limit is a leaky bucket: a request pours in its units, the bucket loses as
/// many as are allowed, and a request waits while more is in it than it holds. Reads wait for reads and writes for writes, first come first
/// served. Any thread; the monitor of the group is the lock.
/// </summary>
public sealed class ThrottleGroup
{
    // A bucket without bursts holds as much as it loses in a tenth of a second; so does one for the rate of a long burst.
    private const double Slack = 0.1;
    private const int Reads = 1;
    private const int Writes = 2;

    private readonly object _lock = new();
    private readonly TimeProvider _clock;
    private readonly Bucket[] _buckets = new Bucket[6];

    // Who waits, of reads and of writes, in their order.
    private readonly LinkedList<ThrottleNode>[] _lines = [new(), new(), new()];
    private ThrottleLimits _limits;
    private long _leaked;

    /// <param name="name">What monitors call it.</param>
    public ThrottleGroup(string name, ThrottleLimits limits, TimeProvider clock)
    {
        Name = name;
        _limits = limits;
        _clock = clock;
        _leaked = clock.GetTimestamp();
    }

    // Units in the bucket, and in a second one for the rate of bursts.
    private struct Bucket
    {
        public double Level;
        public double BurstLevel;
    }

    public string Name { get; }

    /// <summary>The limits; a change holds for requests that wait, too.</summary>
    public ThrottleLimits Limits
    {
        get
        {
            lock (_lock)
            {
                return _limits;
            }
        }

        set
        {
            lock (_lock)
            {
                _limits = value;
                Array.Clear(_buckets);
                _leaked = _clock.GetTimestamp();
                Monitor.PulseAll(_lock);
            }
        }
    }

    /// <summary>Waits until a request is allowed, or its disk has its limits lifted, and accounts for it.</summary>
    internal void Enter(ThrottleNode disk, bool isWrite, long bytes)
    {
        int direction = isWrite ? Writes : Reads;
        LinkedList<ThrottleNode> line = _lines[direction];
        lock (_lock)
        {
            if (!disk.IsLifted && (line.Count > 0 || Wait(direction) > TimeSpan.Zero))
            {
                LinkedListNode<ThrottleNode> place = line.AddLast(disk);
                while (!disk.IsLifted)
                {
                    TimeSpan wait = place == line.First ? Wait(direction) : Timeout.InfiniteTimeSpan;
                    if (wait == TimeSpan.Zero)
                    {
                        break;
                    }

                    Monitor.Wait(_lock, wait);
                }

                line.Remove(place);
                Monitor.PulseAll(_lock);
            }

            Account(direction, bytes);
        }
    }

    /// <summary>Those who wait look again.</summary>
    internal void Wake()
    {
        lock (_lock)
        {
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>How long the next request would wait now.</summary>
    public TimeSpan WaitOf(bool isWrite)
    {
        lock (_lock)
        {
            return Wait(isWrite ? Writes : Reads);
        }
    }

    private TimeSpan Wait(int direction)
    {
        Leak();
        double seconds = 0;
        ReadOnlySpan<ThrottleLimits.Limit> limits = _limits.All;
        for (int i = 0; i < limits.Length; i++)
        {
            ThrottleLimits.Limit limit = limits[i];
            if (limit.Average == 0 || (i % 3 != 0 && i % 3 != direction))
            {
                continue;
            }

            double room = limit.Burst == 0 ? limit.Average * Slack : (double)limit.Burst * limit.BurstSeconds;
            seconds = Math.Max(seconds, (_buckets[i].Level - room) / limit.Average);
            if (limit.BurstSeconds > 1)
            {
                seconds = Math.Max(seconds, (_buckets[i].BurstLevel - (limit.Burst * Slack)) / limit.Burst);
            }
        }

        // No shorter than a timer's unit, and no longer than one can be; whoever waits asks again.
        const int Longest = 3600;
        return seconds <= 0 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Math.Ceiling(Math.Min(seconds, Longest) * 1000));
    }

    private void Leak()
    {
        long now = _clock.GetTimestamp();
        double seconds = _clock.GetElapsedTime(_leaked, now).TotalSeconds;
        _leaked = now;
        ReadOnlySpan<ThrottleLimits.Limit> limits = _limits.All;
        for (int i = 0; i < limits.Length; i++)
        {
            ref Bucket bucket = ref _buckets[i];
            bucket.Level = Math.Max(0, bucket.Level - (limits[i].Average * seconds));
            bucket.BurstLevel = Math.Max(0, bucket.BurstLevel - (limits[i].Burst * seconds));
        }
    }

    private void Account(int direction, long bytes)
    {
        const int Operations = 3;
        double operations = _limits.SizeOfOperation > 0 ? Math.Max(1, (double)bytes / _limits.SizeOfOperation) : 1;
        for (int i = 0; i < _buckets.Length; i++)
        {
            if (i % 3 == 0 || i % 3 == direction)
            {
                double units = i < Operations ? bytes : operations;
                _buckets[i].Level += units;
                _buckets[i].BurstLevel += units;
            }
        }
    }
}

/// <summary>The groups of limits of a VM, by their names. Any thread.</summary>
public sealed class ThrottleGroups
{
    private readonly Dictionary<string, ThrottleGroup> _groups = new(StringComparer.Ordinal);

    /// <summary>The group of a name; null for none.</summary>
    public ThrottleGroup? Find(string name)
    {
        lock (_groups)
        {
            return _groups.GetValueOrDefault(name);
        }
    }

    /// <summary>The group of a name, which has these limits from now on; it is made if there is none.</summary>
    public ThrottleGroup Set(string name, ThrottleLimits limits)
    {
        lock (_groups)
        {
            if (!_groups.TryGetValue(name, out ThrottleGroup? group))
            {
                _groups.Add(name, group = new ThrottleGroup(name, limits, TimeProvider.System));
            }

            group.Limits = limits;
            return group;
        }
    }
}

/// <summary>
/// A disk that is no faster than its group allows (QEMU's driver <c>throttle</c>): the thread of a request waits. Whoever waits for the
/// requests under way lifts the limits for so long.
/// </summary>
public sealed class ThrottleNode(BlockNode child, ThrottleGroup group) : FilterNode(child)
{
    // Written by the disk's actor, read under the lock of the group.
    private volatile bool _isLifted;

    public override string Driver => "throttle";

    internal bool IsLifted => _isLifted;

    /// <summary>Lets all requests pass, also those that wait, or limits them again.</summary>
    public void Lift(bool on)
    {
        _isLifted = on;
        group.Wake();
    }

    public override Errno Read(long offset, Span<byte> buffer)
    {
        group.Enter(this, isWrite: false, buffer.Length);
        return base.Read(offset, buffer);
    }

    public override Errno Write(long offset, ReadOnlySpan<byte> data)
    {
        group.Enter(this, isWrite: true, data.Length);
        return base.Write(offset, data);
    }

    public override Errno Read(long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        group.Enter(this, isWrite: false, LengthOf(buffers));
        return base.Read(offset, buffers);
    }

    public override Errno Write(long offset, ReadOnlySpan<HostBuffer> buffers)
    {
        group.Enter(this, isWrite: true, LengthOf(buffers));
        return base.Write(offset, buffers);
    }

    public override Errno WriteZeroes(long offset, long length, bool mayUnmap)
    {
        group.Enter(this, isWrite: true, length);
        return base.WriteZeroes(offset, length, mayUnmap);
    }

    public override Errno Discard(long offset, long length)
    {
        group.Enter(this, isWrite: true, length);
        return base.Discard(offset, length);
    }
}

using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Cpu.Timers;

/// <summary>The EL1 physical and virtual timers of one CPU; CNTVOFF is zero.</summary>
public sealed partial class GenericTimer(VirtualClock clock, TimerQueue queue, InterruptLine physical, InterruptLine @virtual)
{
    public VirtualClock Clock { get; } = clock;

    public TimerChannel Physical { get; } = new(clock, queue, physical);

    public TimerChannel Virtual { get; } = new(clock, queue, @virtual);

    public void Reset()
    {
        Physical.Control = 0;
        Virtual.Control = 0;
    }
}

/// <summary>
/// One timer: CTL, CVAL and TVAL (Arm ARM D12.2.4). Registers belong to the vCPU's thread, the queue's thread only re-evaluates
/// the output; the lock is between these two.
/// </summary>
public sealed partial class TimerChannel(VirtualClock clock, TimerQueue queue, InterruptLine line)
{
    private const uint Enable = 1;
    private const uint InterruptMask = 2;
    private const uint Status = 4;

    private readonly Lock _lock = new();
    private uint _control;
    private ulong _compare;

    /// <summary>CTL. Who reads ISTATUS = 1 finds the interrupt asserted: the queue's thread may only be on its way.</summary>
    public ulong Control
    {
        get
        {
            bool met = ConditionMet;
            if (met)
            {
                Expire();
            }

            return _control | (met ? Status : 0);
        }

        set
        {
            lock (_lock)
            {
                _control = (uint)value & (Enable | InterruptMask);
                Evaluate();
            }
        }
    }

    public ulong CompareValue
    {
        get => _compare;
        set
        {
            lock (_lock)
            {
                _compare = value;
                Evaluate();
            }
        }
    }

    /// <summary>TVAL; one that tells that the time is over does as <see cref="Control"/> does.</summary>
    public ulong TimerValue
    {
        get
        {
            long left = (long)(_compare - clock.Count);
            if (left <= 0)
            {
                Expire();
            }

            return (uint)left;
        }

        set => CompareValue = clock.Count + (ulong)(int)value;
    }

    private bool ConditionMet => (_control & Enable) != 0 && clock.Count >= _compare;

    /// <summary>The place in the queue, -1 for none, and what it is there for; the queue's, under its lock.</summary>
    internal int QueueIndex { get; set; } = -1;

    internal ulong Deadline { get; set; }

    /// <summary>The counter may have reached the compare value: drives the output. Any thread.</summary>
    internal void Expire()
    {
        lock (_lock)
        {
            Evaluate();
        }
    }

    private void Evaluate()
    {
        bool met = ConditionMet;
        line.Set(met && (_control & InterruptMask) == 0);
        if (!met && (_control & (Enable | InterruptMask)) == Enable)
        {
            queue.Schedule(this, _compare);
        }
        else
        {
            queue.Cancel(this);
        }
    }
}

using Vmm.Emulation.Interrupts;

namespace Vmm.Emulation.Cpu.Timers;

/// <summary>The EL1 physical and virtual timers of one CPU; CNTVOFF is zero.</summary>
public sealed class GenericTimer(VirtualClock clock, TimerQueue queue, InterruptLine physical, InterruptLine @virtual)
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
public sealed class TimerChannel(VirtualClock clock, TimerQueue queue, InterruptLine line)
{
    private const uint Enable = 1;
    private const uint InterruptMask = 2;
    private const uint Status = 4;

    private readonly Lock _lock = new();
    private uint _control;
    private ulong _compare;
    private long _generation;

    public ulong Control
    {
        get => _control | (ConditionMet ? Status : 0);
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

    public ulong TimerValue
    {
        get => (uint)(_compare - clock.Count);
        set => CompareValue = clock.Count + (ulong)(int)value;
    }

    private bool ConditionMet => (_control & Enable) != 0 && clock.Count >= _compare;

    internal void Expire(long generation)
    {
        lock (_lock)
        {
            if (generation == _generation)
            {
                Evaluate();
            }
        }
    }

    private void Evaluate()
    {
        _generation++;
        bool met = ConditionMet;
        line.Set(met && (_control & InterruptMask) == 0);
        if (!met && (_control & (Enable | InterruptMask)) == Enable)
        {
            queue.Add(this, _generation, clock.HostTimeOf(_compare));
        }
    }
}

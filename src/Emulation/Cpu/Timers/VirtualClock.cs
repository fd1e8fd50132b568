using System.Diagnostics;

namespace Vmm.Emulation.Cpu.Timers;

/// <summary>The system counter of a machine: host time since its start, less the time it was stopped.</summary>
public sealed class VirtualClock
{
    /// <summary>CNTFRQ_EL0: 62.5 MHz, as QEMU's CPUs.</summary>
    public const ulong Frequency = 62_500_000;

    private readonly Lock _lock = new();
    private long _base = Stopwatch.GetTimestamp();
    private long _stoppedAt;

    // Read without the lock: one word each, and a reader that races with Stop or Start is as good as one before or after it.
    private bool _stopped;

    /// <summary>Ticks of <see cref="Frequency"/>.</summary>
    public ulong Count
    {
        get
        {
            long now = Volatile.Read(ref _stopped) ? Volatile.Read(ref _stoppedAt) : Stopwatch.GetTimestamp();
            return (ulong)((Int128)(now - Volatile.Read(ref _base)) * (long)Frequency / Stopwatch.Frequency);
        }
    }

    /// <summary>Host time (<see cref="Stopwatch.GetTimestamp"/>) at which the counter reaches a value.</summary>
    public long HostTimeOf(ulong count)
    {
        Int128 ticks = ((Int128)count * Stopwatch.Frequency / (long)Frequency) + 1;
        return ticks > long.MaxValue / 2 ? long.MaxValue : Volatile.Read(ref _base) + (long)ticks;
    }

    public void Stop()
    {
        lock (_lock)
        {
            if (!_stopped)
            {
                _stoppedAt = Stopwatch.GetTimestamp();
                Volatile.Write(ref _stopped, true);
            }
        }
    }

    public void Start()
    {
        lock (_lock)
        {
            if (_stopped)
            {
                _base += Stopwatch.GetTimestamp() - _stoppedAt;
                Volatile.Write(ref _stopped, false);
            }
        }
    }
}

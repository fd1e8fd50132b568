using System.Diagnostics;
using System.Runtime.CompilerServices;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Cpu.Timers;

/// <summary>
/// The system counter of a machine: host time since its start, less the time it was stopped. Or, with <see cref="CountInstructions"/>, a
/// time that passes with the instructions of the one vCPU, so that a run repeats.
/// </summary>
public sealed unsafe class VirtualClock : IStateUnit
{
    /// <summary>CNTFRQ_EL0: 62.5 MHz, as QEMU's CPUs.</summary>
    public const ulong Frequency = 62_500_000;

    public const ulong NanosecondsPerSecond = 1_000_000_000;

    // Counts above it are reached at no host time that there is.
    private static readonly ulong s_lastCount = (ulong)(long.MaxValue / 2) / (((ulong)Stopwatch.Frequency / Frequency) + 1);

    private readonly Lock _lock = new();

    // Replaced as a whole and read without the lock, so that a reader sees the clock as it was before or after a change and never between.
    private Phase _phase = new(Stopwatch.GetTimestamp(), null);

    // What translated code reads. It does not move.
    private readonly long[] _origin = GC.AllocateArray<long>(1, pinned: true);

    // Null where host time counts.
    private InstructionClock? _instructions;

    public VirtualClock() => Begin(_phase);

    /// <summary>Lets instructions count from here on; once, before anything runs.</summary>
    internal void CountInstructions(InstructionClock instructions)
    {
        _instructions = instructions;
        Begin(_phase);
    }

    /// <summary>
    /// For translated code, as long as the clock is there: host time in ns (CLOCK_MONOTONIC) at which the counter was zero. 0 while
    /// <see cref="Count"/> alone tells the count: the clock stands still, or instructions count.
    /// </summary>
    internal long* Origin => (long*)Unsafe.AsPointer(ref _origin[0]);

    /// <summary>Called after the clock was stopped or started, on that thread: host times of counts are others now.</summary>
    public Action? Changed { get; set; }

    /// <summary>Ticks of <see cref="Frequency"/>.</summary>
    public ulong Count
    {
        get
        {
            if (_instructions != null)
            {
                return _instructions.Count;
            }

            Phase phase = Volatile.Read(ref _phase);
            long now = phase.StoppedAt ?? Stopwatch.GetTimestamp();
            return (ulong)Ratio.Scale(now - phase.Base, (long)Frequency, Stopwatch.Frequency);
        }
    }

    /// <summary>No host time brings a deadline nearer.</summary>
    public bool IsStopped => _instructions != null || Volatile.Read(ref _phase).StoppedAt != null;

    /// <summary>Host time (<see cref="Stopwatch.GetTimestamp"/>) at which the counter reaches a value, if it runs till then.</summary>
    public long HostTimeOf(ulong count)
    {
        if (count > s_lastCount)
        {
            return long.MaxValue;
        }

        long ticks = Ratio.Scale((long)count, Stopwatch.Frequency, (long)Frequency) + 1;
        return Volatile.Read(ref _phase).Base + ticks;
    }

    public void Stop()
    {
        lock (_lock)
        {
            if (_phase.StoppedAt == null)
            {
                Begin(_phase with { StoppedAt = Stopwatch.GetTimestamp() });
            }
        }

        Changed?.Invoke();
    }

    public void Start()
    {
        lock (_lock)
        {
            if (_phase.StoppedAt is long stoppedAt)
            {
                Begin(new Phase(_phase.Base + (Stopwatch.GetTimestamp() - stoppedAt), null));
            }
        }

        Changed?.Invoke();
    }

    /// <summary>How long the counter has stood still; zero while it runs.</summary>
    public TimeSpan StoodStill => Volatile.Read(ref _phase).StoppedAt is { } at ? Stopwatch.GetElapsedTime(at) : TimeSpan.Zero;

    /// <summary>Lets the counter go on from a later moment. Time that is counted in instructions stays.</summary>
    public void Advance(TimeSpan by)
    {
        lock (_lock)
        {
            Begin(_phase with { Base = _phase.Base - (by.Ticks * Stopwatch.Frequency / TimeSpan.TicksPerSecond) });
        }

        Changed?.Invoke();
    }

    public string Id => "clock";

    public void Save(StateWriter writer) => writer.Write("count", Count);

    /// <summary>Sets the counter; whether it runs stays. The vCPU whose instructions count is loaded before.</summary>
    public void Load(StateReader reader)
    {
        ulong count = reader.Read<ulong>("count");
        reader.Require(count < long.MaxValue / 1000, "count");
        if (_instructions != null)
        {
            _instructions.Count = count;
        }
        else
        {
            lock (_lock)
            {
                long now = _phase.StoppedAt ?? Stopwatch.GetTimestamp();
                Begin(_phase with { Base = now - Ratio.Scale((long)count, Stopwatch.Frequency, (long)Frequency) });
            }
        }

        Changed?.Invoke();
    }

    // With the lock. The origin is there only while it is that of the phase: a vCPU never reads less here than it did in translated code.
    private void Begin(Phase phase)
    {
        Volatile.Write(ref _origin[0], 0);
        Volatile.Write(ref _phase, phase);
        bool isHostTime = _instructions == null && phase.StoppedAt == null && Stopwatch.Frequency == (long)NanosecondsPerSecond;
        Volatile.Write(ref _origin[0], isHostTime ? phase.Base : 0);
    }

    /// <param name="Base">Host time at which the counter was zero, had it never been stopped since.</param>
    /// <param name="StoppedAt">Host time at which it stopped; null while it runs.</param>
    private sealed record Phase(long Base, long? StoppedAt);
}

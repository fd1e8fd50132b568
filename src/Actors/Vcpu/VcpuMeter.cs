using System.Diagnostics;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Vcpu;

/// <summary>What a <see cref="VcpuMeter"/> shows: nanoseconds, by CPU number where there are several.</summary>
/// <param name="Meter">Which meter: as in <see cref="VcpuTimes"/>.</param>
public sealed record VcpuReading(Guid Meter, long RunNs, long[] BusyNs, long[] EnabledNs);

/// <summary>
/// How long each possible CPU was enabled, and how long it executed the guest's instructions, in host time. It outlives the actors: a pause
/// stops it, a reset and a load of a snapshot change nothing, and a live migration continues it at the receiver.
/// <para>The thread of a vCPU alone writes that CPU's slice and busy time, twice a slice. All else is under the lock, and changes with the
/// states of actors only. A reader takes the busy time first and then the slice under way. So it may miss a slice that ends meanwhile, but
/// counts none twice; and what it has once shown is the least that it shows later.</para>
/// </summary>
public sealed class VcpuMeter(int cpus)
{
    private readonly Lock _lock = new();

    // Ticks of Stopwatch: the slices that have ended, the start of the one that is under way (0 for none), and what was last shown.
    private readonly long[] _busy = new long[cpus];
    private readonly long[] _slice = new long[cpus];
    private readonly long[] _shown = new long[cpus];
    private readonly long[] _enabled = new long[cpus];
    private readonly bool[] _isEnabled = new bool[cpus];
    private long _run;

    // Up to when _run and _enabled are counted; null while the VM is paused.
    private long? _countedTo;
    private Guid _id = Guid.NewGuid();

    /// <summary>The CPU begins to execute. The thread of the CPU.</summary>
    /// <param name="now">A reading of Stopwatch.</param>
    public void BeginSlice(int cpu, long now) => Volatile.Write(ref _slice[cpu], now);

    /// <summary>The CPU has executed for so many ticks of Stopwatch. The thread of the CPU.</summary>
    public void EndSlice(int cpu, long ticks)
    {
        Volatile.Write(ref _slice[cpu], 0);
        Volatile.Write(ref _busy[cpu], _busy[cpu] + ticks);
    }

    public void SetEnabled(int cpu, bool value)
    {
        lock (_lock)
        {
            Count();
            _isEnabled[cpu] = value;
        }
    }

    /// <summary>The VM runs (true), or no vCPU does any more (false).</summary>
    public void SetRunning(bool value)
    {
        lock (_lock)
        {
            Count();
            _countedTo = value ? Stopwatch.GetTimestamp() : null;
        }
    }

    public VcpuReading Read()
    {
        lock (_lock)
        {
            // Busy times first: what is added to one of them meanwhile is then part of the enabled time already.
            for (int cpu = 0; cpu < _busy.Length; cpu++)
            {
                long busy = Volatile.Read(ref _busy[cpu]);
                long slice = Volatile.Read(ref _slice[cpu]);
                long underWay = slice == 0 ? 0 : Math.Max(Stopwatch.GetTimestamp() - slice, 0);
                _shown[cpu] = Math.Max(_shown[cpu], busy + underWay);
            }

            Count();
            return new VcpuReading(
                _id, Nanoseconds(_run), Array.ConvertAll(_shown, Nanoseconds), Array.ConvertAll(_enabled, Nanoseconds));
        }
    }

    /// <summary>Becomes the meter of another process, whose guest goes on here. No vCPU runs.</summary>
    /// <param name="reading">Of a machine with as many possible CPUs.</param>
    public void Continue(VcpuReading reading)
    {
        lock (_lock)
        {
            _id = reading.Meter;
            _run += Ticks(reading.RunNs);
            for (int cpu = 0; cpu < _busy.Length; cpu++)
            {
                EndSlice(cpu, Ticks(reading.BusyNs[cpu]));
                _enabled[cpu] += Ticks(reading.EnabledNs[cpu]);
            }
        }
    }

    private static long Nanoseconds(long ticks) => (long)(ticks * (1e9 / Stopwatch.Frequency));

    private static long Ticks(long nanoseconds) => (long)(nanoseconds * (Stopwatch.Frequency / 1e9));

    private void Count()
    {
        if (_countedTo is not { } from)
        {
            return;
        }

        long now = Stopwatch.GetTimestamp();
        _countedTo = now;
        _run += now - from;
        for (int cpu = 0; cpu < _enabled.Length; cpu++)
        {
            _enabled[cpu] += _isEnabled[cpu] ? now - from : 0;
        }
    }
}

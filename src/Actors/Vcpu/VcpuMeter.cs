using System.Diagnostics;
using System.Runtime.InteropServices;
using Vmm.Actors.Protocol;
using Vmm.Emulation;

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
/// <para>In a file the times outlive the process: <see cref="ReadEnded"/>. They are words of 64 bits in the order of the host:
/// <c>VMMTIMES</c>, the number of CPUs, the meter's UUID, and what the words below say.</para>
/// </summary>
public sealed class VcpuMeter
{
    private const long Magic = 0x53454D49544D4D56;

    // Words of the file: first of the VM, then of each CPU, which has a cache line of its own. Times are ticks of Stopwatch, whose clock
    // all processes of a boot of the host share.
    private const int MagicWord = 0, CpusWord = 1, MeterWord = 2, RunWord = 4;

    // Up to when the run and enabled times are counted; 0 while the VM is paused.
    private const int CountedToWord = 5;
    private const int WordsOfVm = 8, WordsOfCpu = 8;

    // Of a CPU: the slices that have ended; the start of the one that is under way, or the end of the last one with a minus.
    private const int BusyWord = 0, SliceWord = 1, EnabledWord = 2, IsEnabledWord = 3;

    private readonly Lock _lock = new();
    private readonly SharedCounters _words;
    private readonly int _cpus;

    // What was last shown as the busy time, by CPU.
    private readonly long[] _shown;
    private Guid _id;

    /// <param name="cpus">Possible CPUs.</param>
    /// <param name="path">The file that is to have the times; null for none.</param>
    /// <exception cref="IOException">The file cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">As before.</exception>
    public VcpuMeter(int cpus, string? path = null)
    {
        int count = WordsOfVm + (cpus * WordsOfCpu);
        _words = path == null ? new SharedCounters(count) : new SharedCounters(count, path);
        _cpus = cpus;
        _shown = new long[cpus];
        _words[CpusWord] = cpus;
        SetId(Guid.NewGuid());

        // Last: a file without it is not complete.
        Volatile.Write(ref _words[MagicWord], Magic);
    }

    /// <summary>
    /// What the file of a process that has ended says, also of one that was killed; null if there is no such file, or it is not complete.
    /// Times end when the process was last seen to live: with the last slice that began or ended, or with the last reading of the meter.
    /// </summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static VcpuReading? ReadEnded(string path)
    {
        byte[] file;
        try
        {
            file = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }

        ReadOnlySpan<long> words = MemoryMarshal.Cast<byte, long>(file);
        if (words.Length < WordsOfVm || words[MagicWord] != Magic || (words.Length - WordsOfVm) / WordsOfCpu < words[CpusWord])
        {
            return null;
        }

        long[] busy = new long[words[CpusWord]];
        long[] enabled = new long[busy.Length];
        long countedTo = words[CountedToWord], end = countedTo;
        for (int cpu = 0; cpu < busy.Length; cpu++)
        {
            end = Math.Max(end, Math.Abs(words[WordOf(cpu, SliceWord)]));
        }

        long uncounted = countedTo == 0 ? 0 : end - countedTo;
        for (int cpu = 0; cpu < busy.Length; cpu++)
        {
            long slice = words[WordOf(cpu, SliceWord)];
            busy[cpu] = Nanoseconds(words[WordOf(cpu, BusyWord)] + (slice > 0 ? end - slice : 0));
            enabled[cpu] = Nanoseconds(words[WordOf(cpu, EnabledWord)] + (uncounted * words[WordOf(cpu, IsEnabledWord)]));
        }

        return new VcpuReading(
            new Guid(MemoryMarshal.AsBytes(words.Slice(MeterWord, 2))), Nanoseconds(words[RunWord] + uncounted), busy, enabled);
    }

    /// <summary>The CPU begins to execute. The thread of the CPU.</summary>
    /// <param name="now">A reading of Stopwatch.</param>
    public void BeginSlice(int cpu, long now) => Volatile.Write(ref Word(cpu, SliceWord), now);

    /// <summary>The CPU has executed for so many ticks of Stopwatch. The thread of the CPU.</summary>
    /// <param name="start">What <see cref="BeginSlice"/> was told.</param>
    public void EndSlice(int cpu, long start, long ticks)
    {
        Volatile.Write(ref Word(cpu, SliceWord), -(start + ticks));
        Volatile.Write(ref Word(cpu, BusyWord), Word(cpu, BusyWord) + ticks);
    }

    public void SetEnabled(int cpu, bool value)
    {
        lock (_lock)
        {
            Count();
            Word(cpu, IsEnabledWord) = value ? 1 : 0;
        }
    }

    /// <summary>The VM runs (true), or no vCPU does any more (false).</summary>
    public void SetRunning(bool value)
    {
        lock (_lock)
        {
            Count();
            _words[CountedToWord] = value ? Stopwatch.GetTimestamp() : 0;
        }
    }

    public VcpuReading Read()
    {
        lock (_lock)
        {
            // Busy times first: what is added to one of them meanwhile is then part of the enabled time already.
            for (int cpu = 0; cpu < _cpus; cpu++)
            {
                long busy = Volatile.Read(ref Word(cpu, BusyWord));
                long slice = Volatile.Read(ref Word(cpu, SliceWord));
                long underWay = slice <= 0 ? 0 : Math.Max(Stopwatch.GetTimestamp() - slice, 0);
                _shown[cpu] = Math.Max(_shown[cpu], busy + underWay);
            }

            Count();
            long[] enabled = new long[_cpus];
            for (int cpu = 0; cpu < _cpus; cpu++)
            {
                enabled[cpu] = Nanoseconds(Word(cpu, EnabledWord));
            }

            return new VcpuReading(_id, Nanoseconds(_words[RunWord]), Array.ConvertAll(_shown, Nanoseconds), enabled);
        }
    }

    /// <summary>Becomes the meter of another process, whose guest goes on here. No vCPU runs.</summary>
    /// <param name="reading">Of a machine with as many possible CPUs.</param>
    public void Continue(VcpuReading reading)
    {
        lock (_lock)
        {
            SetId(reading.Meter);
            _words[RunWord] += Ticks(reading.RunNs);
            for (int cpu = 0; cpu < _cpus; cpu++)
            {
                Word(cpu, BusyWord) += Ticks(reading.BusyNs[cpu]);
                Word(cpu, EnabledWord) += Ticks(reading.EnabledNs[cpu]);
            }
        }
    }

    private static long Nanoseconds(long ticks) => (long)(ticks * (1e9 / Stopwatch.Frequency));

    private static long Ticks(long nanoseconds) => (long)(nanoseconds * (Stopwatch.Frequency / 1e9));

    private static int WordOf(int cpu, int word) => WordsOfVm + (cpu * WordsOfCpu) + word;

    private ref long Word(int cpu, int word) => ref _words[WordOf(cpu, word)];

    private void SetId(Guid id)
    {
        _id = id;
        Span<long> words = stackalloc long[2];
        id.TryWriteBytes(MemoryMarshal.AsBytes(words));
        (_words[MeterWord], _words[MeterWord + 1]) = (words[0], words[1]);
    }

    private void Count()
    {
        long from = _words[CountedToWord];
        if (from == 0)
        {
            return;
        }

        long now = Stopwatch.GetTimestamp();
        _words[CountedToWord] = now;
        _words[RunWord] += now - from;
        for (int cpu = 0; cpu < _cpus; cpu++)
        {
            Word(cpu, EnabledWord) += Word(cpu, IsEnabledWord) != 0 ? now - from : 0;
        }
    }
}

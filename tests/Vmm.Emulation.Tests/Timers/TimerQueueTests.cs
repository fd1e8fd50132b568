using System.Diagnostics;
using System.Globalization;
using Vmm.Emulation.Cpu.Timers;
using Vmm.Emulation.Interrupts;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Timers;

/// <summary>Tests that find a new thread of the process by its name, and so run alone.</summary>
[CollectionDefinition(nameof(ThreadByName), DisableParallelization = true)]
public sealed class ThreadByName;

[Collection(nameof(ThreadByName))]
public sealed class TimerQueueTests : IDisposable
{
    private const ulong Millisecond = VirtualClock.Frequency / 1000;
    private const ulong On = 1;
    private const ulong Masked = 3;

    private readonly ITestOutputHelper _output;
    private readonly VirtualClock _clock = new();
    private readonly TimerQueue _queue;
    private readonly QueueThread _thread;

    public TimerQueueTests(ITestOutputHelper output)
    {
        _output = output;
        string[] before = QueueThread.All();
        _queue = new TimerQueue(_clock);
        _thread = QueueThread.After(before);
    }

    public void Dispose() => _queue.Dispose();

    // The thread of a queue, as Linux sees it (proc(5)).
    private sealed class QueueThread(string folder)
    {
        private const string Name = "guest timers";

        public static string[] All() => [.. Directory.GetDirectories("/proc/self/task").Where(IsTimers)];

        public static QueueThread After(string[] before)
        {
            string? found;
            while ((found = All().Except(before).FirstOrDefault()) == null)
            {
                Thread.Sleep(1);
            }

            return new QueueThread(found);
        }

        /// <summary>How often it has gone to sleep.</summary>
        public long Sleeps => long.Parse(
            File.ReadLines(Path.Combine(folder, "status")).Single(l => l.StartsWith("voluntary_ctxt_switches:", StringComparison.Ordinal))
                .Split('\t')[^1],
            CultureInfo.InvariantCulture);

        /// <summary>Its CPU time in nanoseconds (sched-stats in Linux's documentation).</summary>
        public long CpuTime => long.Parse(
            File.ReadAllText(Path.Combine(folder, "schedstat")).Split(' ')[0], CultureInfo.InvariantCulture);

        private static bool IsTimers(string folder)
        {
            try
            {
                return File.ReadAllText(Path.Combine(folder, "comm")).TrimEnd() == Name;
            }
            catch (IOException)
            {
                // The thread has ended.
                return false;
            }
        }
    }

    // The queue's thread neither spins for so long nor wakes all the time.
    private void AssertSleeps(int milliseconds)
    {
        (long sleeps, long cpuTime) = (_thread.Sleeps, _thread.CpuTime);
        Thread.Sleep(milliseconds);
        Assert.InRange(_thread.Sleeps - sleeps, 0, 10);
        Assert.InRange(_thread.CpuTime - cpuTime, 0, milliseconds * 1_000_000L / 2);
    }

    private sealed class Probe(VirtualClock clock) : IInterruptSink
    {
        private ulong _rose;
        private int _rises;

        public bool Level { get; private set; }

        /// <summary>The counter when the line last rose.</summary>
        public ulong Rose => Volatile.Read(ref _rose);

        public int Rises => Volatile.Read(ref _rises);

        public void SetInput(IntId id, bool level)
        {
            Level = level;
            if (level)
            {
                Volatile.Write(ref _rose, clock.Count);
                Interlocked.Increment(ref _rises);
            }
        }
    }

    private (TimerChannel Timer, Probe Line) Make()
    {
        var probe = new Probe(_clock);
        return (new TimerChannel(_clock, _queue, new InterruptLine(probe, new IntId(27))), probe);
    }

    private static void AwaitRises(Probe probe, int rises)
    {
        long start = Stopwatch.GetTimestamp();
        while (probe.Rises < rises)
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < Patience.Limit, $"the timer fired {probe.Rises} times, not {rises}");
            Thread.Sleep(0);
        }
    }

    [Fact]
    public void Timer_fires_once_its_time_has_come_and_soon()
    {
        const int Shots = 300;
        (TimerChannel timer, Probe line) = Make();
        var late = new List<double>();
        for (int i = 0; i < Shots; i++)
        {
            ulong due = _clock.Count + (ulong)(1000 + (i * 311 % 200_000));
            timer.CompareValue = due;
            timer.Control = On;
            Patience.Until(() => line.Rises > i, "the timer fires");
            Assert.True(line.Rose >= due);
            late.Add((line.Rose - due) * 1e6 / VirtualClock.Frequency);
            timer.Control = 0;
            Assert.False(line.Level);
        }

        late.Sort();
        _output.WriteLine(
            $"[figure] timer lateness: median {late[Shots / 2]:f1} µs, 90 % below {late[Shots * 9 / 10]:f1} µs, worst {late[^1]:f1} µs");
    }

    [Fact]
    public void Timer_set_a_million_times_has_one_place_in_the_queue()
    {
        (TimerChannel timer, Probe line) = Make();
        (TimerChannel other, _) = Make();
        timer.CompareValue = other.CompareValue = ulong.MaxValue;
        timer.Control = other.Control = On;
        ulong now = _clock.Count;
        long sleeps = _thread.Sleeps;
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        for (ulong i = 0; i < 1_000_000; i++)
        {
            timer.CompareValue = now + (3600 * VirtualClock.Frequency) + ((i * 7919) % 1_000_003);
        }

        // A queue that grew would be made anew again and again.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, 1 << 16);
        Assert.Equal(timer.CompareValue, _queue.Earliest);
        Assert.Equal(0, line.Rises);

        // Later deadlines do not wake the thread, and an earlier one at most once each.
        Assert.InRange(_thread.Sleeps - sleeps, 0, 1_000_000 / 2);
        timer.Control = Masked;
        Assert.Equal(other.CompareValue, _queue.Earliest);
        timer.CompareValue = 0;
        timer.Control = On;
        AwaitRises(line, 1);
        Assert.Equal(other.CompareValue, _queue.Earliest);
    }

    [Fact]
    public void Deadline_that_never_comes_neither_fires_nor_keeps_the_thread_busy()
    {
        (TimerChannel timer, Probe line) = Make();
        timer.CompareValue = ulong.MaxValue;
        timer.Control = On;
        foreach (ulong compare in new[]
        {
            ulong.MaxValue, ulong.MaxValue - 1, 1ul << 63, (1ul << 63) - 1, (ulong)long.MaxValue / 16,
            ((ulong)long.MaxValue / 16) + 1, 1ul << 60, 1ul << 58,
        })
        {
            timer.CompareValue = compare;
            AssertSleeps(20);
            Assert.Equal(0ul, timer.Control & 4);
        }

        Assert.Equal(0, line.Rises);

        // TVAL is signed: the largest is 34 s away, and the smallest passed 34 s ago. Around zero CVAL may wrap to the end of time.
        timer.TimerValue = int.MaxValue;
        Assert.Equal(0ul, timer.Control & 4);
        timer.TimerValue = 0x8000_0000;
        Assert.Equal(timer.CompareValue > 1ul << 63 ? 0ul : 4, timer.Control & 4);
        timer.TimerValue = ulong.MaxValue;
        AwaitRises(line, 1);
    }

    [Fact]
    public void Stopped_clock_fires_nothing_and_sleeps_until_it_starts()
    {
        (TimerChannel timer, Probe line) = Make();
        (TimerChannel later, Probe laterLine) = Make();
        timer.CompareValue = _clock.Count + (600 * Millisecond);
        later.CompareValue = _clock.Count + (3600 * VirtualClock.Frequency);
        timer.Control = later.Control = On;
        _clock.Stop();
        ulong stopped = _clock.Count;
        Thread.Sleep(150);
        AssertSleeps(150);
        Assert.Equal(stopped, _clock.Count);

        // On a busy host it may have been due before the clock was stopped.
        Assert.True(line.Rises == 0 || line.Rose <= stopped);
        Assert.True(line.Rises == 0 || stopped >= timer.CompareValue);

        // Setting one that is due in the meantime's host time waits too.
        later.CompareValue = stopped + Millisecond;
        AssertSleeps(20);
        Assert.Equal(0, laterLine.Rises);
        _clock.Start();
        AwaitRises(line, 1);
        AwaitRises(laterLine, 1);
        Assert.True(laterLine.Rose >= stopped + Millisecond);
    }

    [Fact]
    public void Clock_stopped_and_started_never_goes_back_nor_ahead_of_the_host()
    {
        long start = _clock.HostTimeOf(0);
        bool stop = false;
        string? fault = null;
        var reader = new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                ulong now = _clock.Count;
                double host = Stopwatch.GetElapsedTime(start).TotalSeconds * VirtualClock.Frequency;
                if (now > host + Millisecond)
                {
                    fault = $"{now} when the host had counted {host}";
                }
            }
        });
        reader.Start();
        ulong before = _clock.Count;
        for (int i = 0; i < 2000; i++)
        {
            _clock.Stop();
            ulong stopped = _clock.Count;
            Assert.True(stopped >= before);
            Assert.Equal(stopped, _clock.Count);
            _clock.Start();
            before = _clock.Count;
            Assert.True(before >= stopped);
        }

        Volatile.Write(ref stop, true);
        reader.Join();
        Assert.Null(fault);
    }

    /// <summary>
    /// Threads that set, mask and await their timers while the clock is stopped and started: every one that is awaited fires, none early.
    /// </summary>
    [Fact]
    public void Timers_of_racing_threads_all_fire()
    {
        const int Threads = 4;
        const int Rounds = 3000;
        string?[] faults = new string?[Threads];
        int[] awaited = new int[Threads];
        bool stop = false;
        void Drive(int index)
        {
            var random = new Random(index);
            (TimerChannel timer, Probe line) = Make();
            for (int round = 0; round < Rounds; round++)
            {
                timer.Control = 0;
                int rises = line.Rises;
                ulong due = _clock.Count + (ulong)random.Next(6000);
                timer.CompareValue = random.Next(3) == 0 ? ulong.MaxValue - (ulong)random.Next(100) : due;
                timer.Control = random.Next(2) == 0 ? Masked : On;
                if (random.Next(4) != 0)
                {
                    continue;
                }

                timer.CompareValue = due;
                timer.Control = On;
                awaited[index]++;
                long deadline = Environment.TickCount64 + (long)Patience.Limit.TotalMilliseconds;
                while (line.Rises == rises && faults[index] == null)
                {
                    if (Environment.TickCount64 > deadline)
                    {
                        faults[index] = $"thread {index} round {round}: a timer that is {_clock.Count - due} ticks late does not fire";
                    }

                    Thread.Sleep(0);
                }

                if (faults[index] != null || line.Rose < due)
                {
                    faults[index] ??= $"thread {index} round {round}: fired at {line.Rose}, due at {due}";
                    return;
                }
            }

            timer.Control = 0;
        }

        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(i => new Thread(() => Drive(i)))];
        var stopper = new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                _clock.Stop();
                Thread.Sleep(1);
                _clock.Start();
                Thread.Sleep(2);
            }
        });
        stopper.Start();
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Volatile.Write(ref stop, true);
        stopper.Join();
        Assert.All(faults, f => Assert.True(f == null, f));
        Assert.Null(_queue.Earliest);
        _output.WriteLine(
            $"[figure] racing timers: {Threads} threads, {Threads * Rounds} rounds, {awaited.Sum()} awaited, all fired; "
            + $"the queue's thread slept {_thread.Sleeps} times");
    }
}

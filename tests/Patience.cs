using System.Globalization;

namespace Vmm.Tests;

/// <summary>
/// How long a test waits for what must come. The limit is there for a hang only: no test measures by it, and none has a shorter one. The
/// longest wait, a boot in lockstep, takes 80 s on a quiet host; on a host that is thirty times too busy it must not fail.
/// </summary>
internal static class Patience
{
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(40);

    /// <summary>The same for what Akka's test kit waits for by default, and for the start of an actor system and its loggers.</summary>
    public const string Akka =
        """
        akka.test { single-expect-default = 40m, default-timeout = 40m, startup-timeout = 40m }
        akka.logger-startup-timeout = 40m
        """;

    /// <summary>
    /// How long the calling thread has run on a CPU, for what must not take long: wall time counts what other programs do.
    /// </summary>
    public static TimeSpan CpuTime()
    {
        // Linux, Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat": the first number is the time on the CPU, in ns.
        string[] fields = File.ReadAllText("/proc/thread-self/schedstat").Split(' ');
        return TimeSpan.FromMicroseconds(long.Parse(fields[0], CultureInfo.InvariantCulture) / 1000.0);
    }

    /// <summary>Waits until a condition holds, asked every few milliseconds.</summary>
    /// <exception cref="TimeoutException">It does not.</exception>
    public static void Until(Func<bool> condition, string what, TimeSpan? limit = null)
    {
        TimeSpan most = limit ?? Limit;
        long start = Environment.TickCount64;
        while (!condition())
        {
            if (Environment.TickCount64 - start > most.TotalMilliseconds)
            {
                throw new TimeoutException($"{what}: not in {most.TotalSeconds:0} s");
            }

            Thread.Sleep(2);
        }
    }

    /// <summary>As <see cref="Until"/>, with a condition that takes a while itself.</summary>
    /// <exception cref="TimeoutException">It does not hold.</exception>
    public static async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        for (long start = Environment.TickCount64; !await condition(); await Task.Delay(50))
        {
            if (Environment.TickCount64 - start > Limit.TotalMilliseconds)
            {
                throw new TimeoutException($"{what}: not in {Limit.TotalSeconds:0} s");
            }
        }
    }
}

using System.Globalization;

namespace Vmm.Host;

/// <summary>
/// When the host has CPU time to spare, for work that can wait: of fifty VMs that start together each would otherwise do it while the
/// others start.
/// </summary>
internal static class SpareTime
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(4);

    // proc_stat(5) counts in USER_HZ, which is 100 on every architecture that .NET runs on.
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// Waits until a second in which half of a core was idle, but not for ever: the work is to be done. Between two looks at a
    /// busy host is a pause of random length, for all that wait would see the same time, and begin together.
    /// </summary>
    /// <param name="most">How long at most.</param>
    /// <param name="stop">Ends the wait with an exception.</param>
    public static async Task WaitAsync(TimeSpan most, CancellationToken stop)
    {
        for (TimeSpan waited = default; waited < most;)
        {
            TimeSpan before = Idle();
            await Task.Delay(s_look, stop).ConfigureAwait(false);
            if (Idle() - before >= s_look / 2)
            {
                return;
            }

            TimeSpan pause = s_pause * Random.Shared.NextDouble();
            await Task.Delay(pause, stop).ConfigureAwait(false);
            waited += s_look + pause;
        }
    }

    /// <summary>How long the cores of the host were idle since it started, in sum; time that waits for disks is among it.</summary>
    public static TimeSpan Idle()
    {
        // proc_stat(5): "cpu user nice system idle iowait ...".
        using StreamReader stat = File.OpenText("/proc/stat");
        string[] all = stat.ReadLine()!.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return s_tick * (Read(all[4]) + Read(all[5]));

        static long Read(string ticks) => long.Parse(ticks, CultureInfo.InvariantCulture);
    }
}

using System.Runtime.InteropServices;

namespace Vmm.Management.Control;

/// <summary>
/// The time at which Linux ends this process, whatever the process does then. A node of a fleet puts it off for as long as it has its
/// lease: a VM never outlives the lease under which it runs (docs/fleet.md). Times are those of CLOCK_BOOTTIME, which is the same for all
/// processes of a machine, is never set, and goes on while the machine sleeps (clock_gettime(2)). Any thread.
/// </summary>
public static class ProcessDeadline
{
    private const int BootTime = 7, Absolute = 1, SignalKill = 9;
    private const long Second = 1_000_000_000;

    private static readonly Lock s_lock = new();
    private static nint s_timer;
    private static bool s_isMade;

    // struct sigevent of sigevent(3type), 64 bytes; the notification 0 is SIGEV_SIGNAL.
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    private struct SignalEvent
    {
        public nint Value;
        public int Signal;
        public int Notification;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Time
    {
        public nint Seconds;
        public nint Nanoseconds;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct TimerTime
    {
        public Time Interval;
        public Time Value;
    }

    /// <summary>Nanoseconds of CLOCK_BOOTTIME.</summary>
    public static long Now
    {
        get
        {
            _ = ClockGetTime(BootTime, out Time now);
            return (now.Seconds * Second) + now.Nanoseconds;
        }
    }

    /// <summary>Sets the time, in place of one that was set before. One that is over ends the process at once.</summary>
    /// <exception cref="IOException">The host has no timer.</exception>
    public static void Set(long nanoseconds)
    {
        lock (s_lock)
        {
            if (!s_isMade)
            {
                var kill = new SignalEvent { Signal = SignalKill };
                Require(TimerCreate(BootTime, ref kill, out s_timer));
                s_isMade = true;
            }

            // A time of zero would stop the timer (timer_settime(2)).
            long at = Math.Max(nanoseconds, 1);
            var time = new TimerTime { Value = new Time { Seconds = (nint)(at / Second), Nanoseconds = (nint)(at % Second) } };
            Require(TimerSetTime(s_timer, Absolute, ref time, 0));
        }
    }

    private static void Require(int result)
    {
        if (result != 0)
        {
            throw new IOException($"the time at which the process ends cannot be set: error {Marshal.GetLastPInvokeError()}");
        }
    }

    [DllImport("libc", EntryPoint = "clock_gettime")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ClockGetTime(int clock, out Time time);

    [DllImport("libc", EntryPoint = "timer_create", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int TimerCreate(int clock, ref SignalEvent happens, out nint timer);

    [DllImport("libc", EntryPoint = "timer_settime", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int TimerSetTime(nint timer, int flags, ref TimerTime time, nint old);
}

using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Vmm.Management.Text;

namespace Vmm.Management.Control;

/// <summary>
/// The time at which Linux ends this process, whatever the process does then. A node of a fleet puts it off for as long as it has its
/// lease: a VM never outlives the lease under which it runs (docs/fleet.md). The time is in a file of eight bytes that the node has mapped:
/// nanoseconds of CLOCK_BOOTTIME, which is the same for all processes of a machine, is never set, and goes on while the machine sleeps
/// (clock_gettime(2)).
/// </summary>
public static class ProcessDeadline
{
    private const int BootTime = 7, Absolute = 1, SignalKill = 9;
    private const long Second = 1_000_000_000;

    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

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

    /// <summary>
    /// Has this process ended at the time of a file, or at once if that is over. A thread of its own looks for later times from here on.
    /// It is called once.
    /// </summary>
    /// <exception cref="IOException">The file cannot be read, or the host has no timer.</exception>
    public static void Follow(string path)
    {
        MemoryMappedViewAccessor view = Map(path, MemoryMappedFileAccess.Read);
        var kill = new SignalEvent { Signal = SignalKill };
        Require(TimerCreate(BootTime, ref kill, out nint timer));
        long set = Set(timer, view.ReadInt64(0));
        new Thread(() =>
        {
            while (true)
            {
                Thread.Sleep(s_look);

                // Eight bytes at their own boundary are read at once.
                if (view.ReadInt64(0) is var at && at != set)
                {
                    set = Set(timer, at);
                }
            }
        }) { Name = "deadline", IsBackground = true }.Start();
    }

    /// <summary>The eight bytes of a file.</summary>
    /// <param name="access">To write them, too, or to read alone. A file that is missing is made to be written.</param>
    /// <exception cref="IOException">It cannot be mapped: one line.</exception>
    public static MemoryMappedViewAccessor Map(string path, MemoryMappedFileAccess access)
    {
        try
        {
            using var file = MemoryMappedFile.CreateFromFile(
                path, access == MemoryMappedFileAccess.Read ? FileMode.Open : FileMode.OpenOrCreate, null, sizeof(long), access);
            return file.CreateViewAccessor(0, sizeof(long), access);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new IOException($"cannot use the deadline '{UserText.Legible(path)}': {SystemError.Describe(e, path)}", e);
        }
    }

    private static long Set(nint timer, long nanoseconds)
    {
        // A time of zero would stop the timer (timer_settime(2)).
        long at = Math.Max(nanoseconds, 1);
        var time = new TimerTime { Value = new Time { Seconds = (nint)(at / Second), Nanoseconds = (nint)(at % Second) } };
        Require(TimerSetTime(timer, Absolute, ref time, 0));
        return nanoseconds;
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

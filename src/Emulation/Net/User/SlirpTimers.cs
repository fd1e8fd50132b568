using System.Runtime.InteropServices;

namespace Vmm.Emulation.Net.User;

/// <summary>The timers of libslirp, each a number behind which its call back and its time are. For the one thread of its process.</summary>
internal static unsafe class SlirpTimers
{
    private const long Never = long.MaxValue;

    private static readonly List<Timer> s_timers = [];

    private sealed class Timer
    {
        public delegate* unmanaged<void*, void> Callback;
        public void* Opaque;

        // Milliseconds of Now.
        public long At = Never;
    }

    public static long Now => Environment.TickCount64;

    /// <summary>The least of a time-out and the time until the next timer, in milliseconds.</summary>
    public static int Until(uint timeout)
    {
        long least = timeout;
        long now = Now;
        foreach (Timer timer in s_timers)
        {
            least = timer.At == Never ? least : Math.Clamp(timer.At - now, 0, least);
        }

        return (int)Math.Min(least, int.MaxValue);
    }

    public static void Run()
    {
        long now = Now;
        foreach (Timer timer in s_timers)
        {
            if (timer.At <= now)
            {
                timer.At = Never;
                timer.Callback(timer.Opaque);
            }
        }
    }

    [UnmanagedCallersOnly]
    public static void* New(delegate* unmanaged<void*, void> callback, void* opaque, void* owner)
    {
        s_timers.Add(new Timer { Callback = callback, Opaque = opaque });
        return (void*)s_timers.Count;
    }

    [UnmanagedCallersOnly]
    public static void Free(void* timer, void* owner) => s_timers[(int)timer - 1].At = Never;

    [UnmanagedCallersOnly]
    public static void Set(void* timer, long milliseconds, void* owner) => s_timers[(int)timer - 1].At = milliseconds;
}

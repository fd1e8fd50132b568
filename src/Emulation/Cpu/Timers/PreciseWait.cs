using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Vmm.Emulation.Cpu.Timers;

/// <summary>
/// Lets a thread sleep until a host time, to some microseconds, or until it is signalled: <c>ppoll</c> on an <c>eventfd</c>, for what .NET
/// offers waits in milliseconds.
/// </summary>
internal sealed unsafe partial class PreciseWait : IDisposable
{
    private const int CloseOnExec = 0x8_0000;
    private const int NonBlocking = 0x800;
    private const short PollIn = 1;
    private const int SetTimerSlack = 29;
    private const long SecondsAtMost = 3600;

    private readonly int _event;

    /// <exception cref="InvalidOperationException">The host has no file descriptor left.</exception>
    public PreciseWait()
    {
        _event = EventFd(0, CloseOnExec | NonBlocking);
        if (_event < 0)
        {
            throw new InvalidOperationException("the host refused an eventfd for the guest's timers");
        }
    }

    /// <summary>
    /// Lets the calling thread wake without the slack of 50 µs that Linux adds to save power (prctl(2), PR_SET_TIMERSLACK).
    /// </summary>
    public static void PrepareThread() => _ = Prctl(SetTimerSlack, 1, 0, 0, 0);

    /// <summary>Ends the wait that is going on or the one to come. Any thread.</summary>
    public void Signal()
    {
        ulong one = 1;

        // SAFETY: eight bytes of this frame.
        _ = Write(_event, &one, sizeof(ulong));
    }

    /// <summary>
    /// Sleeps until a host time (<see cref="Stopwatch.GetTimestamp"/>; <see cref="long.MaxValue"/> for ever) or a signal, of which it takes
    /// all that there are. It may return early.
    /// </summary>
    public void Until(long hostTime)
    {
        var poll = new PollDescriptor { Descriptor = _event, Events = PollIn };
        var length = new TimeSpecification { Seconds = SecondsAtMost };
        if (hostTime != long.MaxValue)
        {
            long left = Math.Max(0, hostTime - Stopwatch.GetTimestamp());
            long seconds = Math.Min(left / Stopwatch.Frequency, SecondsAtMost);
            length = new TimeSpecification
            {
                Seconds = seconds,
                Nanoseconds = Ratio.Scale(left % Stopwatch.Frequency, 1_000_000_000, Stopwatch.Frequency),
            };
        }

        ulong taken;

        // SAFETY: all pointers are to this frame.
        if (Poll(&poll, 1, &length, null) > 0)
        {
            _ = Read(_event, &taken, sizeof(ulong));
        }
    }

    public void Dispose() => _ = Close(_event);

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    private struct TimeSpecification
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "eventfd")]
    private static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "ppoll")]
    private static partial int Poll(PollDescriptor* descriptors, nuint count, TimeSpecification* length, void* signals);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint Read(int descriptor, void* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int descriptor, void* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int Prctl(int option, nuint a, nuint b, nuint c, nuint d);
}

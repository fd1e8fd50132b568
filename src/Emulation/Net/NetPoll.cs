using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Net;

/// <summary>
/// Waits for descriptors of the host (poll(2)), or for <see cref="Wake"/>. One thread waits; any thread may wake it, once or often.
/// </summary>
public sealed unsafe partial class NetPoll : IDisposable
{
    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const short In = 1;
    private const short Out = 4;

    private readonly SafeFileHandle _event;
    private Entry[] _entries = new Entry[4];
    private int _count;

    // Milliseconds that the next wait has at most; -1 for no end.
    private int _most = -1;

    // 1 from a wake until the thread has seen it: further ones cost no call of the host.
    private int _woken;

    /// <exception cref="NetException">The host has no descriptor left.</exception>
    public NetPoll()
    {
        int number = EventFd(0, CloseOnExec | NonBlocking);
        _event = number >= 0 ? new SafeFileHandle(number, ownsHandle: true)
            : throw new NetException($"eventfd: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Entry
    {
        public int Descriptor;
        public short Events;
        public short Ready;
    }

    /// <summary>Nothing is waited for but a wake.</summary>
    public void Clear() => (_count, _most) = (0, -1);

    /// <summary>The next wait ends after so many milliseconds at the latest.</summary>
    public void WaitAtMost(int milliseconds) => _most = _most < 0 ? milliseconds : Math.Min(_most, milliseconds);

    /// <summary>Waits for a descriptor, too, which stays open meanwhile.</summary>
    /// <returns>Its number, for <see cref="IsReady"/>.</returns>
    public int Add(SafeHandle descriptor, bool read, bool write)
    {
        if (_count + 1 == _entries.Length)
        {
            Array.Resize(ref _entries, _entries.Length * 2);
        }

        _entries[_count++] = new Entry
        {
            Descriptor = (int)descriptor.DangerousGetHandle(),
            Events = (short)((read ? In : 0) | (write ? Out : 0)),
        };
        return _count - 1;
    }

    /// <summary>Whether the last wait found something to do for a descriptor.</summary>
    public bool IsReady(int number) => _entries[number].Ready != 0;

    /// <summary>Waits.</summary>
    /// <param name="milliseconds">At most so long; -1 for no end.</param>
    public void Wait(int milliseconds)
    {
        milliseconds = _most >= 0 && (milliseconds < 0 || _most < milliseconds) ? _most : milliseconds;
        _entries[_count] = new Entry { Descriptor = (int)_event.DangerousGetHandle(), Events = In };

        // SAFETY: the entries are as many as they are said to be.
        fixed (Entry* entries = _entries)
        {
            _ = Poll(entries, (nuint)_count + 1, milliseconds);
        }

        if (_entries[_count].Ready != 0)
        {
            // The event is empty before the flag is cleared: a wake in between rings again.
            ulong value = 0;
            _ = Read(_event, &value, sizeof(ulong));
        }

        Interlocked.Exchange(ref _woken, 0);
    }

    /// <summary>Ends the wait under way, or the next one at once.</summary>
    public void Wake()
    {
        if (Volatile.Read(ref _woken) == 0 && Interlocked.Exchange(ref _woken, 1) == 0)
        {
            ulong one = 1;
            _ = Write(_event, &one, sizeof(ulong));
        }
    }

    public void Dispose() => _event.Dispose();

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    private static partial int EventFd(uint value, int flags);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(Entry* entries, nuint count, int timeout);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint Read(SafeHandle file, void* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(SafeHandle file, void* buffer, nuint length);
}

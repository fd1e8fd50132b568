using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Vmm.Emulation.Net;

/// <summary>A socket of packets between two processes of this host, which never blocks unless it is asked to.</summary>
internal sealed unsafe partial class HostSocket(SafeFileHandle handle) : IDisposable
{
    /// <summary>What <see cref="Send"/> and <see cref="Receive"/> return where they would have to wait.</summary>
    public const int WouldBlock = -1;

    /// <summary>What they return where nobody is at the other end any more.</summary>
    public const int Gone = -2;

    private const int Unix = 1;
    private const int SeqPacket = 5;
    private const int CloseOnExec = 0x80000;
    private const int SocketLevel = 1;
    private const int SendBuffer = 7;
    private const int DontWait = 0x40;
    private const int NoSignal = 0x4000;
    private const int TryAgain = 11;
    private const int Interrupted = 4;
    private const int NoBuffers = 105;

    public SafeFileHandle Handle => handle;

    /// <summary>Two sockets that are connected to each other; a packet has at most some 200,000 bytes.</summary>
    /// <exception cref="NetException">The host has no descriptors left.</exception>
    public static (HostSocket Here, HostSocket There) MakePair()
    {
        const int BufferSize = 1 << 20;
        int* pair = stackalloc int[2];
        if (SocketPair(Unix, SeqPacket | CloseOnExec, 0, pair) != 0)
        {
            throw new NetException($"socketpair: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        (HostSocket Here, HostSocket There) made = (Of(pair[0]), Of(pair[1]));
        int size = BufferSize;
        _ = SetSocketOption(made.Here.Handle, SocketLevel, SendBuffer, &size, sizeof(int));
        _ = SetSocketOption(made.There.Handle, SocketLevel, SendBuffer, &size, sizeof(int));
        return made;
    }

    /// <summary>Takes a descriptor of this process.</summary>
    public static HostSocket Of(int number) => new(new SafeFileHandle(number, ownsHandle: true));

    /// <summary>Sends a packet: its bytes, <see cref="WouldBlock"/> or <see cref="Gone"/>.</summary>
    public int Send(ReadOnlySpan<byte> packet, bool wait = false)
    {
        fixed (byte* bytes = packet)
        {
            while (true)
            {
                int sent = (int)SendTo(handle, bytes, (nuint)packet.Length, NoSignal | (wait ? 0 : DontWait));
                if (sent >= 0 || Marshal.GetLastPInvokeError() is not Interrupted)
                {
                    return sent >= 0 ? sent : Marshal.GetLastPInvokeError() is TryAgain or NoBuffers ? WouldBlock : Gone;
                }
            }
        }
    }

    /// <summary>Receives a packet: its bytes, <see cref="WouldBlock"/> or <see cref="Gone"/>.</summary>
    public int Receive(Span<byte> room)
    {
        fixed (byte* bytes = room)
        {
            while (true)
            {
                int received = (int)ReceiveFrom(handle, bytes, (nuint)room.Length, DontWait);
                if (received > 0 || (received < 0 && Marshal.GetLastPInvokeError() is not Interrupted))
                {
                    return received > 0 ? received : Marshal.GetLastPInvokeError() is TryAgain ? WouldBlock : Gone;
                }

                if (received == 0)
                {
                    return Gone;
                }
            }
        }
    }

    public void Dispose() => handle.Dispose();

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static partial int SocketPair(int domain, int type, int protocol, int* pair);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetSocketOption(SafeFileHandle socket, int level, int name, void* value, uint length);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint SendTo(SafeFileHandle socket, byte* bytes, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint ReceiveFrom(SafeFileHandle socket, byte* bytes, nuint length, int flags);
}

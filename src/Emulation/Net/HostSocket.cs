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
    private const int Rights = 1;
    private const int CloseReceivedOnExec = 0x4000_0000;
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

    /// <summary>Waits for a packet that brings a descriptor, which is this process's then; null where none comes.</summary>
    public SafeFileHandle? ReceiveDescriptor()
    {
        // A header of 16 bytes (the length of all, SOL_SOCKET, SCM_RIGHTS) and the descriptor, padded to 8 bytes (cmsg(3)).
        const int HeaderSize = 16;
        const int ControlSize = HeaderSize + 8;
        byte* control = stackalloc byte[ControlSize];
        byte first;
        var part = new IoVector { Start = &first, Length = 1 };
        while (true)
        {
            var message = new Message { Parts = &part, PartCount = 1, Control = control, ControlLength = ControlSize };
            nint received = ReceiveMessage(handle, &message, CloseReceivedOnExec);
            if (received > 0)
            {
                bool hasDescriptor = message.ControlLength >= HeaderSize + sizeof(int)
                    && *(int*)(control + 8) == SocketLevel && *(int*)(control + 12) == Rights;
                return hasDescriptor ? new SafeFileHandle(*(int*)(control + HeaderSize), ownsHandle: true) : null;
            }

            if (received == 0 || Marshal.GetLastPInvokeError() != Interrupted)
            {
                return null;
            }
        }
    }

    public void Dispose() => handle.Dispose();

    // struct iovec and struct msghdr of 64-bit Linux.
    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public byte* Start;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Message
    {
        public void* Name;
        public uint NameLength;
        public IoVector* Parts;
        public nuint PartCount;
        public byte* Control;
        public nuint ControlLength;
        public int Flags;
    }

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint ReceiveMessage(SafeFileHandle socket, Message* message, int flags);

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static partial int SocketPair(int domain, int type, int protocol, int* pair);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetSocketOption(SafeFileHandle socket, int level, int name, void* value, uint length);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint SendTo(SafeFileHandle socket, byte* bytes, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint ReceiveFrom(SafeFileHandle socket, byte* bytes, nuint length, int flags);
}

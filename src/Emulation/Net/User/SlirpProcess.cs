using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;

namespace Vmm.Emulation.Net.User;

/// <summary>
/// The process that has a user network: libslirp, which guests reach with every byte that they send, and nothing else. A fault of the
/// library ends this process, and the VM has lost a link. It ends with the VM, whose end closes its descriptors.
/// <para>All is done by one thread; that of the process.</para>
/// </summary>
public static unsafe partial class SlirpProcess
{
    /// <summary>The first argument, by which the program becomes this process.</summary>
    public const string Name = "--slirp";

    // Frames that wait for room are held back by not asking the library for more; what comes nevertheless is bounded.
    private const int MostWaiting = 1024;

    // Between two looks at the sockets of the host no more frames of the guest are taken.
    private const int MostFramesAtOnce = 64;
    private const int PollSize = 8;
    private const short InEvent = 1;
    private const short OutEvent = 4;

    private static readonly NetFrame s_in = new();
    private static readonly NetFrame s_out = new();
    private static readonly Queue<byte[]> s_waiting = [];
    private static readonly List<(int Descriptor, int Events)> s_wanted = [];
    private static HostSocket s_frames = null!;
    private static HostSocket s_requests = null!;
    private static void* s_slirp;
    private static PollEntry[] s_polled = new PollEntry[PollSize];

    // Of a state that is saved or loaded.
    private static readonly MemoryStream s_state = new();

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Ready;
    }

    /// <summary>Runs until the VM has ended.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(IReadOnlyList<string> arguments)
    {
        s_frames = HostSocket.Of(SlirpPacket.FrameDescriptor);
        s_requests = HostSocket.Of(SlirpPacket.RequestDescriptor);
        string? problem = Start(UserNetOptions.FromArguments(arguments));
        s_requests.Send(SlirpPacket.Of(problem == null ? SlirpPacket.Done : SlirpPacket.Failed, problem ?? ""), wait: true);
        if (problem != null)
        {
            return 1;
        }

        while (Step())
        {
        }

        return 0;
    }

    private static string? Start(UserNetOptions options)
    {
        if (!NativeLibrary.TryLoad(LibSlirp.Library, out _))
        {
            return $"-netdev user needs {LibSlirp.Library}: as root, apt-get install {LibSlirp.Package}";
        }

        var callbacks = (LibSlirp.Callbacks*)NativeMemory.AllocZeroed((nuint)sizeof(LibSlirp.Callbacks));
        callbacks->SendPacket = &SendFrame;
        callbacks->GuestError = &IgnoreText;
        callbacks->Clock = &Clock;
        callbacks->TimerNew = &SlirpTimers.New;
        callbacks->TimerFree = &SlirpTimers.Free;
        callbacks->TimerMod = &SlirpTimers.Set;
        callbacks->RegisterPoll = &IgnoreDescriptor;
        callbacks->UnregisterPoll = &IgnoreDescriptor;
        callbacks->Notify = &IgnoreNotice;
        s_slirp = LibSlirp.New(options, callbacks);
        Sandbox.Enter();
        return s_slirp == null ? "libslirp refuses this network" : AddGuestForwards(options);
    }

    private static string? AddGuestForwards(UserNetOptions options)
    {
        for (int i = 0; i < options.GuestPaths.Count; i++)
        {
            (IPAddress address, int port, string path) = options.GuestPaths[i];
            uint word = LibSlirp.Word(address);
            if (LibSlirp.AddUnix(s_slirp, path, &word, port) < 0)
            {
                return string.Create(
                    CultureInfo.InvariantCulture, $"Conflicting/invalid host:port in guest forwarding rule {address}:{port}");
            }
        }

        return null;
    }

    // Waits for something and does it; false at the end.
    private static bool Step()
    {
        s_wanted.Clear();
        uint timeout = uint.MaxValue;
        bool isHeld = s_waiting.Count > 0;
        if (!isHeld)
        {
            LibSlirp.FillPolls(s_slirp, &timeout, &AddPoll, null);
        }

        int failed = Poll(isHeld, SlirpTimers.Until(timeout));
        if (!isHeld)
        {
            LibSlirp.Polled(s_slirp, failed < 0 ? 1 : 0, &EventsOf, null);
        }

        SlirpTimers.Run();
        return Flush() && TakeFrames() && AnswerRequests();
    }

    private static int Poll(bool isHeld, int timeout)
    {
        int count = s_wanted.Count;
        if (s_polled.Length < count + 2)
        {
            s_polled = new PollEntry[(count + 2) * 2];
        }

        for (int i = 0; i < count; i++)
        {
            s_polled[i] = new PollEntry { Descriptor = s_wanted[i].Descriptor, Events = ToHost(s_wanted[i].Events) };
        }

        s_polled[count] = new PollEntry
        {
            Descriptor = SlirpPacket.FrameDescriptor, Events = (short)(InEvent | (isHeld ? OutEvent : 0)),
        };
        s_polled[count + 1] = new PollEntry { Descriptor = SlirpPacket.RequestDescriptor, Events = InEvent };
        fixed (PollEntry* entries = s_polled)
        {
            return HostPoll(entries, (nuint)count + 2, timeout);
        }
    }

    private static bool Flush()
    {
        while (s_waiting.TryPeek(out byte[]? frame))
        {
            int sent = s_frames.Send(frame);
            if (sent == HostSocket.WouldBlock)
            {
                return true;
            }

            if (sent == HostSocket.Gone)
            {
                return false;
            }

            s_waiting.Dequeue();
        }

        return true;
    }

    private static bool TakeFrames()
    {
        for (int i = 0; i < MostFramesAtOnce; i++)
        {
            int received = s_frames.Receive(s_in.Room);
            if (received < NetFrame.HeaderSize + NetFrame.EthernetSize)
            {
                return received != HostSocket.Gone;
            }

            s_in.Length = received - NetFrame.HeaderSize;
            SlirpFrames.Finish(s_in);
            fixed (byte* frame = s_in.Bytes)
            {
                LibSlirp.Input(s_slirp, frame, s_in.Length);
            }
        }

        return true;
    }

    private static bool AnswerRequests()
    {
        Span<byte> packet = new byte[SlirpPacket.MostBytes];
        int received = s_requests.Receive(packet);
        if (received <= 0)
        {
            return received != HostSocket.Gone;
        }

        byte[] answer = Answer((SlirpRequest)packet[0], packet[1..received]);
        return s_requests.Send(answer, wait: true) != HostSocket.Gone;
    }

    private static byte[] Answer(SlirpRequest request, ReadOnlySpan<byte> bytes)
    {
        switch (request)
        {
            case SlirpRequest.AddForward:
                var rule = HostForward.Parse(Encoding.UTF8.GetString(bytes));
                return Answer(LibSlirp.AddHostForward(
                    s_slirp, rule.IsUdp ? 1 : 0, LibSlirp.Word(rule.HostAddress), rule.HostPort, LibSlirp.Word(rule.GuestAddress),
                    rule.GuestPort));
            case SlirpRequest.RemoveForward:
                var host = HostForward.Parse(Encoding.UTF8.GetString(bytes));
                return Answer(LibSlirp.RemoveHostForward(
                    s_slirp, host.IsUdp ? 1 : 0, LibSlirp.Word(host.HostAddress), host.HostPort));
            case SlirpRequest.DescribeConnections:
                return SlirpPacket.Of(SlirpPacket.Done, Marshal.PtrToStringUTF8((nint)LibSlirp.ConnectionInfo(s_slirp)) ?? "");
            case SlirpRequest.SaveState:
                s_state.SetLength(0);
                LibSlirp.SaveState(s_slirp, &WriteState, null);
                byte[] version = new byte[sizeof(int)];
                BinaryPrimitives.WriteInt32LittleEndian(version, LibSlirp.StateVersion());
                return [SlirpPacket.Done, .. version, .. s_state.ToArray()];
            case SlirpRequest.LoadState when bytes.Length > sizeof(int):
                s_state.SetLength(0);
                s_state.Write(bytes[sizeof(int)..]);
                s_state.Position = 0;
                return Answer(LibSlirp.LoadState(s_slirp, BinaryPrimitives.ReadInt32LittleEndian(bytes), &ReadState, null));
            default:
                return [SlirpPacket.Failed];
        }
    }

    private static byte[] Answer(int result) => [result < 0 ? SlirpPacket.Failed : SlirpPacket.Done];

    [UnmanagedCallersOnly]
    private static nint SendFrame(void* bytes, nuint length, void* opaque)
    {
        s_out.Set(new ReadOnlySpan<byte>(bytes, (int)length));
        SlirpFrames.Mark(s_out);
        if (s_waiting.Count > 0 || s_frames.Send(s_out.Message) == HostSocket.WouldBlock)
        {
            if (s_waiting.Count < MostWaiting)
            {
                s_waiting.Enqueue(s_out.Message.ToArray());
            }
        }

        return (nint)length;
    }

    [UnmanagedCallersOnly]
    private static int AddPoll(int descriptor, int events, void* opaque)
    {
        s_wanted.Add((descriptor, events));
        return s_wanted.Count - 1;
    }

    [UnmanagedCallersOnly]
    private static int EventsOf(int index, void* opaque) => FromHost(s_polled[index].Ready);

    [UnmanagedCallersOnly]
    private static nint WriteState(void* bytes, nuint length, void* opaque)
    {
        s_state.Write(new ReadOnlySpan<byte>(bytes, (int)length));
        return (nint)length;
    }

    [UnmanagedCallersOnly]
    private static nint ReadState(void* bytes, nuint length, void* opaque) => s_state.Read(new Span<byte>(bytes, (int)length));

    [UnmanagedCallersOnly]
    private static long Clock(void* opaque) => SlirpTimers.Now * 1_000_000;

    [UnmanagedCallersOnly]
    private static void IgnoreText(byte* text, void* opaque)
    {
    }

    [UnmanagedCallersOnly]
    private static void IgnoreDescriptor(int descriptor, void* opaque)
    {
    }

    [UnmanagedCallersOnly]
    private static void IgnoreNotice(void* opaque)
    {
    }

    // POLLIN, POLLPRI, POLLOUT, POLLERR and POLLHUP, in the order of the host's bits.
    private static short ToHost(int events) => (short)(
        ((events & LibSlirp.PollIn) != 0 ? 1 : 0) | ((events & LibSlirp.PollPri) != 0 ? 2 : 0)
        | ((events & LibSlirp.PollOut) != 0 ? 4 : 0) | ((events & LibSlirp.PollErr) != 0 ? 8 : 0)
        | ((events & LibSlirp.PollHup) != 0 ? 16 : 0));

    private static int FromHost(int events) =>
        ((events & 1) != 0 ? LibSlirp.PollIn : 0) | ((events & 2) != 0 ? LibSlirp.PollPri : 0)
        | ((events & 4) != 0 ? LibSlirp.PollOut : 0) | ((events & 8) != 0 ? LibSlirp.PollErr : 0)
        | ((events & 16) != 0 ? LibSlirp.PollHup : 0);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int HostPoll(PollEntry* entries, nuint count, int timeout);
}

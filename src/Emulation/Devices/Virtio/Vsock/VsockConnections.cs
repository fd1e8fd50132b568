using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Net;
using static Vmm.Emulation.Devices.Virtio.Vsock.VsockSpec;

namespace Vmm.Emulation.Devices.Virtio.Vsock;

/// <summary>
/// The connections of a socket device with the host's programs, by Unix sockets, as Firecracker and Cloud Hypervisor have it. The guest
/// connects to port P of the host: so does this to <c>PATH_P</c>. A program of the host connects to <c>PATH</c>, and says
/// <c>CONNECT P</c> and a line end: when the guest's port P has taken the connection, it is told <c>OK</c> and a port of the host. For
/// messages (SOCK_SEQPACKET) a program connects to <see cref="VirtioVsockConfig.MessagePath"/>, and what it says and hears first are one
/// message each; what the guest connects to is a Unix socket of that type.
/// <para>
/// The device's one thread calls it, and nothing here waits. What the guest may make it keep is bounded: connections, bytes of each that
/// wait (<see cref="VsockConnection.BufferSize"/>), and answers, without room for which no more packets are taken.
/// </para>
/// </summary>
public sealed class VsockConnections(VirtioVsock device) : IDisposable
{
    /// <summary>Connections at once.</summary>
    public const int MostConnections = 1024;

    // Answers to packets of no connection that wait for buffers of the driver.
    private const int MostAnswers = 64;

    // Programs of the host that have not said yet what they want.
    private const int MostCallers = 64;
    private const int MostPacketsAtOnce = 64;
    private const int LongestCall = 32;
    private const uint FirstHostPort = 1 << 30;

    private readonly Dictionary<(uint Guest, uint Host), VsockConnection> _connections = [];

    // The same, in the order in which they are looked at: each in its turn.
    private readonly List<VsockConnection> _turns = [];
    private readonly List<Caller> _callers = [];
    private readonly Queue<VsockEnds> _answers = [];

    // Of the queues to the driver and from it: whether the driver is to be interrupted.
    private readonly bool[] _interrupts = new bool[2];
    private readonly VsockPacket _taken = new();
    private readonly VsockPacket _given = new();

    // Where programs of the host connect; none while another process has the guest.
    private readonly List<(VsockType Type, Socket Socket)> _listeners = [];
    private uint _nextHostPort = FirstHostPort;
    private int _turn;

    // How much of _given the driver has got; -1 where there is nothing to give.
    private int _givenTo = -1;
    private bool _lacksBuffers;

    /// <summary>A program of the host, and what it has said so far.</summary>
    private sealed class Caller(VsockType type, Socket socket)
    {
        public VsockType Type => type;

        public Socket Socket => socket;

        public StringBuilder Said { get; } = new();
    }

    /// <summary>Programs of the host can connect from now on.</summary>
    /// <returns>Why they cannot, as one line; null if they can.</returns>
    public string? Claim()
    {
        if (_listeners.Count > 0)
        {
            return null;
        }

        string? problem = Listen(VsockType.Stream, device.Config.Path);
        return problem == null && device.Config.HasMessages ? Listen(VsockType.Messages, device.Config.MessagePath) : problem;
    }

    /// <summary>Another process is to have the guest: no connection goes along, and programs of the host connect there.</summary>
    public void Release()
    {
        Drop();
        foreach ((VsockType type, Socket listener) in _listeners)
        {
            listener.Dispose();
            File.Delete(type == VsockType.Stream ? device.Config.Path : device.Config.MessagePath);
        }

        _listeners.Clear();
    }

    /// <summary>All connections end, without a word to the guest.</summary>
    public void Drop()
    {
        _turns.ForEach(c => c.Socket.Dispose());
        _callers.ForEach(c => c.Socket.Dispose());
        _connections.Clear();
        _turns.Clear();
        _callers.Clear();
        _answers.Clear();
        (_turn, _givenTo, _lacksBuffers) = (0, -1, false);
    }

    public void Dispose() => Release();

    /// <summary>Says what is waited for beside the driver.</summary>
    public void AddTo(NetPoll poll)
    {
        foreach ((_, Socket listener) in _listeners)
        {
            if (HasRoom)
            {
                poll.Add(listener.SafeHandle, read: true, write: false);
            }
        }

        foreach (Caller caller in _callers)
        {
            poll.Add(caller.Socket.SafeHandle, read: true, write: false);
        }

        bool gives = _givenTo < 0 && !_lacksBuffers;
        foreach (VsockConnection connection in _turns)
        {
            bool reads = gives && connection.WantsRead;
            bool writes = connection.HasWaiting;
            connection.PollIndex = reads || writes ? poll.Add(connection.Socket.SafeHandle, reads, writes) : -1;
        }
    }

    /// <summary>Sees what the host's programs have done during a wait.</summary>
    public void Look(NetPoll poll)
    {
        foreach (VsockConnection connection in _turns)
        {
            connection.IsReady |= connection.PollIndex >= 0 && poll.IsReady(connection.PollIndex);
            connection.PollIndex = -1;
        }
    }

    /// <summary>Moves packets both ways, and interrupts for them.</summary>
    /// <returns>Whether there may be more to do now.</returns>
    /// <exception cref="MissingPageException">A page has not arrived; to be called again.</exception>
    public bool Serve()
    {
        if (device.TakeConnectionsLost())
        {
            Drop();
        }

        Interrupt();
        device.TellReset();
        _listeners.ForEach(l => Accept(l.Type, l.Socket));
        for (int i = _callers.Count - 1; i >= 0; i--)
        {
            Listen(_callers[i]);
        }

        for (int i = _turns.Count - 1; i >= 0; i--)
        {
            Flush(_turns[i]);
        }

        bool more = Take();
        more |= Give();
        Interrupt();
        return more;
    }

    private bool HasRoom =>
        _connections.Count + _callers.Count < MostConnections && _callers.Count < MostCallers && _answers.Count < MostAnswers;

    // ── Programs of the host ──

    private string? Listen(VsockType type, string path)
    {
        Socket listener = NewSocket(type);
        try
        {
            File.Delete(path);
            listener.Bind(new UnixDomainSocketEndPoint(path));
            listener.Listen(MostCallers);
            _listeners.Add((type, listener));
            return null;
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            listener.Dispose();
            return $"virtio-vsock: can't listen at {path}: {e.Message}";
        }
    }

    private static Socket NewSocket(VsockType type) => new(
        AddressFamily.Unix, type == VsockType.Stream ? SocketType.Stream : SocketType.Seqpacket, ProtocolType.Unspecified)
    {
        Blocking = false,
    };

    private void Accept(VsockType type, Socket listener)
    {
        while (HasRoom && listener.Poll(0, SelectMode.SelectRead))
        {
            try
            {
                Socket socket = listener.Accept();
                socket.Blocking = false;
                _callers.Add(new Caller(type, socket));
            }
            catch (SocketException)
            {
                // Whoever came has gone.
                return;
            }
        }
    }

    // Of bytes one at a time, for what follows the line is the guest's; of messages one, whose line end may be left out.
    private void Listen(Caller caller)
    {
        Span<byte> said = stackalloc byte[caller.Type == VsockType.Stream ? 1 : LongestCall];
        while (true)
        {
            int count = caller.Socket.Receive(said, SocketFlags.None, out SocketError error);
            if (error == SocketError.WouldBlock)
            {
                return;
            }

            if (error != SocketError.Success || count == 0 || caller.Said.Length == LongestCall)
            {
                break;
            }

            bool ends = said[count - 1] == '\n';
            caller.Said.Append(Encoding.Latin1.GetString(said[..(ends ? count - 1 : count)]));
            if (ends || caller.Type == VsockType.Messages)
            {
                if (TryCall(caller))
                {
                    return;
                }

                break;
            }
        }

        _callers.Remove(caller);
        caller.Socket.Dispose();
    }

    private bool TryCall(Caller caller)
    {
        string[] words = caller.Said.ToString().Split(' ');
        if (words is not ["CONNECT", var text] || !uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint port))
        {
            return false;
        }

        _callers.Remove(caller);
        while (_connections.ContainsKey((port, _nextHostPort)))
        {
            _nextHostPort++;
        }

        Add(new VsockConnection(new VsockEnds(port, _nextHostPort++, caller.Type), caller.Socket, isEstablished: false));
        return true;
    }

    private void Flush(VsockConnection connection)
    {
        if ((connection.HasWaiting && !connection.TryFlush()) || connection.IsOver)
        {
            Remove(connection, answers: true);
        }
    }

    // ── From the guest ──

    private bool Take()
    {
        device.SuppressNotifications(FromDriver);
        device.TakeNotified(FromDriver);
        for (int i = 0; i < MostPacketsAtOnce && _answers.Count < MostAnswers; i++)
        {
            if (!device.TryTransmit(_taken, out bool isPacket))
            {
                return device.AllowNotifications(FromDriver);
            }

            _interrupts[FromDriver] = true;
            if (isPacket && _taken.From == device.Config.GuestCid)
            {
                Handle(_taken);
            }
        }

        return _answers.Count < MostAnswers || !_lacksBuffers;
    }

    private void Handle(VsockPacket packet)
    {
        // What is of a type that there is not is answered as the one that there always is.
        bool isKnown = packet.Type == VsockType.Stream || (packet.Type == VsockType.Messages && device.HasMessages);
        var ends = new VsockEnds(packet.FromPort, packet.ToPort, packet.Type == VsockType.Messages ? VsockType.Messages : VsockType.Stream);
        bool isOurs = isKnown && packet.To == HostCid;
        VsockConnection? connection = isOurs ? _connections.GetValueOrDefault((ends.GuestPort, ends.HostPort)) : null;
        if (connection?.Ends.Type != ends.Type)
        {
            isOurs &= connection == null;
            connection = null;
        }

        if (packet.Operation == VsockOperation.Reset)
        {
            if (connection != null)
            {
                Remove(connection, answers: false);
            }

            return;
        }

        if (connection == null)
        {
            if (!isOurs || packet.Operation != VsockOperation.Request || !TryConnect(packet, ends))
            {
                _answers.Enqueue(ends);
            }

            return;
        }

        connection.Learn(packet);
        bool isRight = packet.Operation switch
        {
            VsockOperation.Response => TryEstablish(connection),
            VsockOperation.Data => connection.IsEstablished && (connection.GuestEnded & VsockShutdown.Send) == 0
                && connection.TryPass(packet.Data, packet.EndsMessage),
            VsockOperation.CreditUpdate => true,
            VsockOperation.CreditRequest => connection.IsEstablished && AnswerCredit(connection),
            VsockOperation.Shutdown => TryEnd(connection, packet.Shutdown),
            _ => false,
        };
        if (!isRight || connection.IsOver)
        {
            Remove(connection, answers: true);
        }
    }

    private bool TryConnect(VsockPacket packet, VsockEnds ends)
    {
        if (_connections.Count + _callers.Count >= MostConnections)
        {
            return false;
        }

        Socket socket = NewSocket(ends.Type);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint($"{device.Config.Path}_{packet.ToPort}"));
        }
        catch (SocketException)
        {
            socket.Dispose();
            return false;
        }

        var connection = new VsockConnection(ends, socket, isEstablished: true);
        connection.Learn(packet);
        Add(connection);
        return true;
    }

    private static bool TryEstablish(VsockConnection connection)
    {
        if (connection.IsEstablished || connection.Owes != VsockOperation.Invalid)
        {
            return false;
        }

        connection.IsEstablished = true;
        byte[] answer = Encoding.ASCII.GetBytes($"OK {connection.Ends.HostPort}\n");
        connection.Socket.Send(answer, SocketFlags.None, out SocketError error);
        return error == SocketError.Success;
    }

    private static bool AnswerCredit(VsockConnection connection)
    {
        connection.Owes = connection.Owes == VsockOperation.Invalid ? VsockOperation.CreditUpdate : connection.Owes;
        return true;
    }

    private static bool TryEnd(VsockConnection connection, VsockShutdown what)
    {
        connection.EndGuest(what);
        return connection.TryFlush();
    }

    // ── To the guest ──

    private bool Give()
    {
        _lacksBuffers &= !device.TakeNotified(ToDriver);
        int packets = 0;
        while (!_lacksBuffers && packets++ < MostPacketsAtOnce && (_givenTo >= 0 || FillNext()))
        {
            int part = device.TryDeliver(_given, Math.Max(_givenTo, 0));
            if (part < 0 && device.AllowNotifications(ToDriver))
            {
                part = device.TryDeliver(_given, Math.Max(_givenTo, 0));
            }

            _lacksBuffers = part < 0;
            if (part >= 0)
            {
                _interrupts[ToDriver] = true;
                device.SuppressNotifications(ToDriver);
                _givenTo += part;
                _givenTo = _givenTo >= _given.Count ? -1 : _givenTo;
            }
        }

        return packets >= MostPacketsAtOnce;
    }

    // The next packet for the guest: answers first, then what each connection has, in turns; false where there is none.
    private bool FillNext()
    {
        _given.Count = 0;
        if (_answers.TryDequeue(out VsockEnds ends))
        {
            _given.SetHeader(device.Config.GuestCid, ends, VsockOperation.Reset, VsockShutdown.None, 0, 0);
            _givenTo = 0;
            return true;
        }

        for (int i = 0; i < _turns.Count; i++)
        {
            _turn = (_turn + 1) % _turns.Count;
            if (FillFrom(_turns[_turn]))
            {
                _givenTo = 0;
                return true;
            }
        }

        return false;
    }

    private bool FillFrom(VsockConnection connection)
    {
        ulong guest = device.Config.GuestCid;
        if (connection.Owes != VsockOperation.Invalid)
        {
            connection.SetHeader(_given, guest, connection.Owes);
            connection.Owes = VsockOperation.Invalid;
            return true;
        }

        if (connection.IsReady && connection.WantsRead)
        {
            if (connection.TryReceive(_given))
            {
                connection.SetHeader(_given, guest, VsockOperation.Data);
                return true;
            }

            connection.IsReady = false;
            if (connection.IsOver)
            {
                Remove(connection, answers: true);
                return FillNext();
            }
        }

        if (connection.HostEnded && !connection.ToldHostEnded)
        {
            connection.ToldHostEnded = true;
            connection.SetHeader(_given, guest, VsockOperation.Shutdown, VsockShutdown.Send);
            return true;
        }

        if (connection.OwesCredit)
        {
            connection.SetHeader(_given, guest, VsockOperation.CreditUpdate);
            return true;
        }

        return false;
    }

    private void Interrupt()
    {
        for (int queue = 0; queue < _interrupts.Length; queue++)
        {
            if (_interrupts[queue])
            {
                device.Interrupt(queue);
                _interrupts[queue] = false;
            }
        }
    }

    private void Add(VsockConnection connection)
    {
        _connections.Add((connection.Ends.GuestPort, connection.Ends.HostPort), connection);
        _turns.Add(connection);
    }

    private void Remove(VsockConnection connection, bool answers)
    {
        _connections.Remove((connection.Ends.GuestPort, connection.Ends.HostPort));
        _turns.Remove(connection);
        connection.Socket.Dispose();
        if (answers)
        {
            _answers.Enqueue(connection.Ends);
        }
    }
}

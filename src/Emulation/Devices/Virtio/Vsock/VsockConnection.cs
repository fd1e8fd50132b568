using System.Net.Sockets;

namespace Vmm.Emulation.Devices.Virtio.Vsock;

/// <summary>
/// A connection between a port of the guest and a socket of the host. What the guest has sent and the host has no room for waits here: no
/// more than the guest was told that there is room for. One thread.
/// </summary>
/// <param name="isEstablished">False until the guest has answered.</param>
internal sealed class VsockConnection(VsockEnds ends, Socket socket, bool isEstablished)
{
    /// <summary>Bytes from the guest that may wait.</summary>
    public const int BufferSize = 64 << 10;

    // A ring of bytes from the guest; made when the first has to wait.
    private byte[]? _waiting;
    private int _start;
    private int _count;

    // Of a connection of messages: the lengths of those that wait, and how many of the last bytes are of one that has not ended.
    private readonly Queue<int>? _lengths = ends.Type == VsockType.Messages ? new Queue<int>() : null;
    private int _unended;
    private bool _isBroken;

    // What the guest has said of its side, and how much was sent to it.
    private uint _peerBuffer;
    private uint _peerForwarded;
    private uint _sent;
    private uint _toldForwarded;

    public VsockEnds Ends => ends;

    public Socket Socket => socket;

    public bool IsEstablished { get; set; } = isEstablished;

    /// <summary>A packet that the guest is to get next; none where it is <see cref="VsockOperation.Invalid"/>.</summary>
    public VsockOperation Owes { get; set; } = isEstablished ? VsockOperation.Response : VsockOperation.Request;

    /// <summary>The host sends no more, and whether the guest was told so.</summary>
    public bool HostEnded { get; private set; }

    public bool ToldHostEnded { get; set; }

    /// <summary>What the guest does no more.</summary>
    public VsockShutdown GuestEnded { get; private set; }

    /// <summary>Where it is among what is waited for; -1 for nowhere.</summary>
    public int PollIndex { get; set; } = -1;

    /// <summary>Whether the host may have sent something.</summary>
    public bool IsReady { get; set; } = true;

    /// <summary>Whether something waits until the host has room.</summary>
    public bool HasWaiting => NextLength > 0;

    /// <summary>Bytes that were passed on to the host since the beginning.</summary>
    public uint Forwarded { get; private set; }

    /// <summary>How many bytes the guest has room for.</summary>
    public int Credit
    {
        get
        {
            uint used = _sent - _peerForwarded;
            return used >= _peerBuffer ? 0 : (int)Math.Min(_peerBuffer - used, int.MaxValue);
        }
    }

    public bool WantsRead => IsEstablished && !HostEnded && Owes == VsockOperation.Invalid && Credit >= LeastCredit
        && (GuestEnded & VsockShutdown.Receive) == 0;

    /// <summary>
    /// Whether the guest believes that there is half as much room as there is, or less; or no room for the rest of a message.
    /// </summary>
    public bool OwesCredit => IsEstablished && Forwarded - _toldForwarded >= (_unended > 0 ? 1 : BufferSize / 2);

    /// <summary>Whether neither side has anything to say any more, and all is passed on.</summary>
    public bool IsOver => _isBroken || (GuestEnded == (VsockShutdown.Send | VsockShutdown.Receive) && !HasWaiting);

    // A message is taken from the host when the guest has room for the longest, or for all that it ever has room for.
    private long LeastCredit => _lengths == null ? 1 : Math.Clamp(_peerBuffer, 1, VsockPacket.MostData);

    // How many bytes go to the host next.
    private int NextLength => _lengths == null ? Math.Min(_count, BufferSize - _start) : _lengths.TryPeek(out int length) ? length : 0;

    /// <summary>Each packet of the guest says how much room it has.</summary>
    public void Learn(VsockPacket packet) => (_peerBuffer, _peerForwarded) = (packet.BufferSize, packet.Forwarded);

    /// <summary>Says in a packet for the guest how much room there is.</summary>
    public void SetHeader(VsockPacket packet, ulong guest, VsockOperation operation, VsockShutdown shutdown = VsockShutdown.None)
    {
        _toldForwarded = Forwarded;
        packet.SetHeader(guest, ends, operation, shutdown, BufferSize, Forwarded);
    }

    /// <summary>Passes bytes of the guest on; false where they are more than it was allowed to send, or nobody takes them.</summary>
    /// <param name="endsMessage">Whether a message ends with them.</param>
    public bool TryPass(ReadOnlySpan<byte> bytes, bool endsMessage)
    {
        if (!TryFlush() || bytes.Length > BufferSize - _count)
        {
            return false;
        }

        while (_lengths == null && _count == 0 && !bytes.IsEmpty)
        {
            int sent = socket.Send(bytes, SocketFlags.None, out SocketError error);
            if (error == SocketError.WouldBlock)
            {
                break;
            }

            if (error != SocketError.Success)
            {
                return false;
            }

            Forwarded += (uint)sent;
            bytes = bytes[sent..];
        }

        Keep(bytes);
        if (_lengths == null)
        {
            return true;
        }

        // A message without a byte is none: to a program of the host it would be the end of the connection.
        _unended += bytes.Length;
        if (endsMessage && _unended > 0)
        {
            _lengths.Enqueue(_unended);
            _unended = 0;
        }

        return TryFlush();
    }

    /// <summary>Passes on what waits, as far as there is room; false where nobody takes it.</summary>
    public bool TryFlush()
    {
        while (NextLength is var next and > 0)
        {
            int first = Math.Min(next, BufferSize - _start);
            SocketError error;
            int sent = first == next ? socket.Send(_waiting.AsSpan(_start, first), SocketFlags.None, out error)
                : socket.Send(
                    (ArraySegment<byte>[])[new(_waiting!, _start, first), new(_waiting!, 0, next - first)], SocketFlags.None, out error);
            if (error == SocketError.WouldBlock)
            {
                return true;
            }

            if (error != SocketError.Success)
            {
                return false;
            }

            (_start, _count, Forwarded) = ((_start + sent) % BufferSize, _count - sent, Forwarded + (uint)sent);
            _lengths?.Dequeue();
        }

        if ((GuestEnded & VsockShutdown.Send) != 0)
        {
            Shutdown(SocketShutdown.Send);
        }

        return true;
    }

    /// <summary>Takes bytes of the host for the guest, as many as it has room for; false where there are none.</summary>
    public bool TryReceive(VsockPacket packet)
    {
        int most = Math.Min(Credit, VsockPacket.MostData);
        int received = socket.Receive(packet.Room[..(_lengths == null ? most : most + 1)], SocketFlags.None, out SocketError error);
        if (error == SocketError.Success && received > most)
        {
            // A message that is longer than any may be cannot be passed on.
            _isBroken = true;
            packet.Count = 0;
            return false;
        }

        if (error == SocketError.Success && received > 0)
        {
            packet.Count = received;
            _sent += (uint)received;
            return true;
        }

        packet.Count = 0;
        HostEnded |= error != SocketError.WouldBlock;
        return false;
    }

    /// <summary>The guest sends no more, or takes no more.</summary>
    public void EndGuest(VsockShutdown what)
    {
        GuestEnded |= what & (VsockShutdown.Send | VsockShutdown.Receive);
        if ((GuestEnded & VsockShutdown.Receive) != 0)
        {
            Shutdown(SocketShutdown.Receive);
        }
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        _waiting ??= new byte[BufferSize];
        int end = (_start + _count) % BufferSize;
        int first = Math.Min(bytes.Length, BufferSize - end);
        bytes[..first].CopyTo(_waiting.AsSpan(end));
        bytes[first..].CopyTo(_waiting);
        _count += bytes.Length;
    }

    private void Shutdown(SocketShutdown what)
    {
        try
        {
            socket.Shutdown(what);
        }
        catch (SocketException)
        {
            // The other side has gone.
        }
    }
}

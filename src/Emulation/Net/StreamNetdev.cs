using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Vmm.Emulation.Net;

/// <summary>
/// A link over a connection (<c>-netdev stream</c>, and <c>socket</c> with <c>listen=</c> or <c>connect=</c>): each frame behind 32 bits of
/// its length, the high byte first, as QEMU and passt have it. The guest has a link while there is a connection; a server waits for the
/// next one when it has ended, and so does a client with <see cref="ReconnectMs"/>.
/// </summary>
/// <param name="type">The name of the type that was asked for.</param>
/// <param name="address">Of this side for a server, of the other one for a client.</param>
public sealed class StreamNetdev(string id, string type, EndPoint address, bool isServer) : Netdev(id)
{
    private const int LengthSize = sizeof(uint);
    private const int BufferSize = 4 * (LengthSize + NetFrame.MostBytes);

    private readonly byte[] _input = new byte[BufferSize];
    private readonly byte[] _output = new byte[LengthSize + NetFrame.MostBytes];

    // What of the input is not yet taken, and what of the output not yet sent.
    private int _inputStart;
    private int _inputEnd;
    private int _outputStart;
    private int _outputEnd;
    private Socket? _listener;

    // Of a client that connects again: the connection under way, and when the next attempt is made (Environment.TickCount64).
    private Socket? _connecting;
    private long _nextAttempt;

    // Written by the thread; others look whether there is one.
    private volatile Socket? _link;

    /// <summary>
    /// <c>reconnect-ms=</c>: a client whose connection has ended, or cannot be made, tries again so much later; 0 for never.
    /// </summary>
    public int ReconnectMs { get; init; }

    public override string Type => type;

    public override string Details => _link != null ? $"connection to {address}" : isServer ? $"listening on {address}" : "disconnected";

    public override bool IsConnected => _link != null;

    public override void Open()
    {
        try
        {
            if (isServer)
            {
                _listener = Make();
                RemoveLeftOver();
                _listener.Bind(address);
                _listener.Listen(1);
                return;
            }

            if (ReconnectMs > 0)
            {
                TryConnect();
                return;
            }

            Socket link = Make();
            link.Connect(address);
            Begin(link);
        }
        catch (SocketException e)
        {
            Dispose();
            throw new NetException($"-netdev {type}: can't {(isServer ? "listen at" : "connect to")} {address}: {e.Message}", e);
        }
    }

    public override void AddTo(NetPoll poll, bool takes, bool gives)
    {
        bool writes = gives || _outputEnd > _outputStart;
        if (_link is { } link && (takes || writes))
        {
            poll.Add(link.SafeHandle, takes, writes);
        }
        else if (_link == null && _listener != null)
        {
            poll.Add(_listener.SafeHandle, read: true, write: false);
        }
        else if (_link == null && _connecting != null)
        {
            poll.Add(_connecting.SafeHandle, read: false, write: true);
        }
        else if (_link == null && ReconnectMs > 0)
        {
            poll.WaitAtMost((int)Math.Max(0, _nextAttempt - Environment.TickCount64));
        }
    }

    public override void Work()
    {
        Flush();
        if (_link == null && _listener != null && _listener.Poll(0, SelectMode.SelectRead))
        {
            try
            {
                Begin(_listener.Accept());
            }
            catch (SocketException)
            {
                // Whoever came has gone.
            }
        }
        else if (_link == null && ReconnectMs > 0)
        {
            GoOnConnecting();
        }
    }

    public override bool TrySend(NetFrame frame)
    {
        Flush();
        if (_link == null)
        {
            return true;
        }

        if (_outputEnd > _outputStart)
        {
            return false;
        }

        BinaryPrimitives.WriteInt32BigEndian(_output, frame.Length);
        frame.Bytes.CopyTo(_output.AsSpan(LengthSize));
        (_outputStart, _outputEnd) = (0, LengthSize + frame.Length);
        Flush();
        return true;
    }

    public override bool TryReceive(NetFrame frame)
    {
        while (_link is { } link)
        {
            ReadOnlySpan<byte> input = _input.AsSpan(_inputStart.._inputEnd);
            if (input.Length >= LengthSize)
            {
                uint length = BinaryPrimitives.ReadUInt32BigEndian(input);
                if (length > NetFrame.MostBytes)
                {
                    End();
                    return false;
                }

                if (input.Length >= LengthSize + (int)length)
                {
                    frame.Set(input.Slice(LengthSize, (int)length));
                    _inputStart += LengthSize + (int)length;
                    return true;
                }
            }

            input.CopyTo(_input);
            (_inputStart, _inputEnd) = (0, input.Length);
            int received = link.Receive(_input.AsSpan(_inputEnd), SocketFlags.None, out SocketError error);
            if (error == SocketError.WouldBlock)
            {
                return false;
            }

            if (error != SocketError.Success || received == 0)
            {
                End();
            }

            _inputEnd += received;
        }

        return false;
    }

    public override void Dispose()
    {
        End();
        _connecting?.Dispose();
        _listener?.Dispose();
        RemoveLeftOver();
        base.Dispose();
    }

    private void GoOnConnecting()
    {
        if (_connecting is not { } socket)
        {
            if (Environment.TickCount64 >= _nextAttempt)
            {
                TryConnect();
            }
        }
        else if (socket.Poll(0, SelectMode.SelectWrite) || socket.Poll(0, SelectMode.SelectError))
        {
            _connecting = null;
            if (socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error) is (int)SocketError.Success)
            {
                Begin(socket);
            }
            else
            {
                socket.Dispose();
                TryLater();
            }
        }
    }

    // Nothing here waits: a connection that takes its time is waited for like frames.
    private void TryConnect()
    {
        Socket socket = Make();
        socket.Blocking = false;
        try
        {
            socket.Connect(address);
            Begin(socket);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            _connecting = socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            TryLater();
        }
    }

    private void TryLater() => _nextAttempt = Environment.TickCount64 + ReconnectMs;

    private Socket Make() => new(
        address.AddressFamily, SocketType.Stream, address is UnixDomainSocketEndPoint ? ProtocolType.Unspecified : ProtocolType.Tcp);

    // The socket of a server that is no more.
    private void RemoveLeftOver()
    {
        if (isServer && address is UnixDomainSocketEndPoint)
        {
            File.Delete(address.ToString()!);
        }
    }

    private void Begin(Socket link)
    {
        link.Blocking = false;
        if (address is not UnixDomainSocketEndPoint)
        {
            link.NoDelay = true;
        }

        (_inputStart, _inputEnd, _outputStart, _outputEnd) = (0, 0, 0, 0);
        _link = link;
    }

    private void End()
    {
        _link?.Dispose();
        _link = null;
        TryLater();
        (_inputStart, _inputEnd, _outputStart, _outputEnd) = (0, 0, 0, 0);
    }

    private void Flush()
    {
        while (_link is { } link && _outputEnd > _outputStart)
        {
            int sent = link.Send(_output.AsSpan(_outputStart.._outputEnd), SocketFlags.None, out SocketError error);
            if (error == SocketError.WouldBlock)
            {
                return;
            }

            if (error != SocketError.Success)
            {
                End();
                return;
            }

            _outputStart += sent;
        }
    }
}

using System.Net;
using System.Net.Sockets;

namespace Vmm.Emulation.Net;

/// <summary>
/// A link over datagrams, a frame in each (<c>-netdev dgram</c>, and <c>socket</c> with <c>udp=</c> or <c>mcast=</c>). What the host cannot
/// send is lost, as datagrams are.
/// </summary>
/// <param name="type">The name of the type that was asked for.</param>
/// <param name="local">Where frames come to; null for a place that the host chooses.</param>
/// <param name="remote">Where they go to: one other, or a group.</param>
public sealed class DatagramNetdev(string id, string type, EndPoint? local, EndPoint remote) : Netdev(id)
{
    private readonly byte[] _input = new byte[ushort.MaxValue];
    private Socket? _socket;

    public override string Type => type;

    public override string Details => IsGroup ? $"mcast={remote}" : $"udp={local}/{remote}";

    // 224.0.0.0/4 (RFC 5771).
    private bool IsGroup =>
        remote is IPEndPoint { AddressFamily: AddressFamily.InterNetwork } ip && ip.Address.GetAddressBytes()[0] >> 4 == 14;

    public override void Open()
    {
        try
        {
            _socket = new Socket(remote.AddressFamily, SocketType.Dgram,
                remote is UnixDomainSocketEndPoint ? ProtocolType.Unspecified : ProtocolType.Udp);
            if (IsGroup && remote is IPEndPoint group)
            {
                IPAddress here = (local as IPEndPoint)?.Address ?? IPAddress.Any;
                _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
                _socket.Bind(group);
                _socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.AddMembership, new MulticastOption(group.Address, here));
                _socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastLoopback, true);
            }
            else if (local != null)
            {
                RemoveLeftOver();
                _socket.Bind(local);
            }

            _socket.Blocking = false;
        }
        catch (SocketException e)
        {
            Dispose();
            throw new NetException($"-netdev {type}: can't take frames at {local ?? remote}: {e.Message}", e);
        }
    }

    public override void AddTo(NetPoll poll, bool takes, bool gives)
    {
        if (_socket != null && takes)
        {
            poll.Add(_socket.SafeHandle, read: true, write: false);
        }
    }

    public override bool TrySend(NetFrame frame)
    {
        try
        {
            _socket?.SendTo(frame.Bytes, SocketFlags.None, remote);
        }
        catch (SocketException)
        {
            // Nobody is there, or has room: a datagram is lost.
        }

        return true;
    }

    public override bool TryReceive(NetFrame frame)
    {
        if (_socket == null)
        {
            return false;
        }

        int received = _socket.Receive(_input, SocketFlags.None, out SocketError error);
        if (error == SocketError.Success)
        {
            frame.Set(_input.AsSpan(0, received));
        }

        return error == SocketError.Success;
    }

    public override void Dispose()
    {
        _socket?.Dispose();
        RemoveLeftOver();
        base.Dispose();
    }

    private void RemoveLeftOver()
    {
        if (local is UnixDomainSocketEndPoint)
        {
            File.Delete(local.ToString()!);
        }
    }
}

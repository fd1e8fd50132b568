using System.Net;
using System.Net.Sockets;

namespace Vmm.Management.CharacterDevices;

/// <summary>Makes stream sockets: TCP or Unix.</summary>
public static class HostSocket
{
    /// <summary>A socket for an address, neither bound nor connected.</summary>
    public static Socket New(EndPoint address) =>
        new(address.AddressFamily, SocketType.Stream, address.AddressFamily == AddressFamily.Unix ? ProtocolType.Unspecified
            : ProtocolType.Tcp);

    /// <summary>
    /// A socket that is bound to an address. A socket file that nobody listens at is usually left over from an earlier run, and is
    /// replaced.
    /// </summary>
    /// <exception cref="SocketException">The address cannot be used.</exception>
    public static Socket Bind(EndPoint address)
    {
        try
        {
            return BindNew(address);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse && address is UnixDomainSocketEndPoint)
        {
            string path = address.ToString()!;
            if (new FileInfo(path).Length > 0 || IsListenedAt(address))
            {
                throw;
            }

            File.Delete(path);
            return BindNew(address);
        }
    }

    /// <summary>As <see cref="Bind"/>; the file is its owner's alone (mode 600). Nobody connects before it listens.</summary>
    /// <exception cref="SocketException">The address cannot be used.</exception>
    public static Socket BindOwnerOnly(string path)
    {
        Socket socket = Bind(new UnixDomainSocketEndPoint(path));
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        return socket;
    }

    private static Socket BindNew(EndPoint address)
    {
        Socket socket = New(address);
        try
        {
            socket.Bind(address);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static bool IsListenedAt(EndPoint address)
    {
        using Socket probe = New(address);
        try
        {
            probe.Connect(address);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

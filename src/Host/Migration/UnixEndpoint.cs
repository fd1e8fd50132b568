using System.Net.Sockets;
using Vmm.Actors.Migration;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>A Unix socket. The receiver makes its file and removes it.</summary>
internal sealed class UnixEndpoint(string path) : IMigrationEndpoint
{
    public bool HasReturnPath => true;

    public bool TakesChannels => true;

    public IMigrationFile? File => null;

    public async Task<Stream> ConnectAsync(CancellationToken stop)
    {
        var address = new UnixDomainSocketEndPoint(path);
        Socket socket = HostSocket.New(address);
        try
        {
            await socket.ConnectAsync(address, stop).ConfigureAwait(false);
            return SocketListener.StreamOf(socket);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"Failed to connect to '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public IMigrationListener Listen()
    {
        try
        {
            return new SocketListener(HostSocket.Bind(new UnixDomainSocketEndPoint(path)), $"unix:{path}", path);
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            throw new IOException($"Failed to bind socket to {UserText.Legible(path)}: {SystemError.Describe(e, path)}");
        }
    }
}

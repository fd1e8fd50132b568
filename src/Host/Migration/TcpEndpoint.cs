using System.Net;
using System.Net.Sockets;
using Vmm.Actors.Migration;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>A TCP port. Small messages are sent at once.</summary>
/// <param name="host">A name or an address; empty for this machine (a sender) or every address (a receiver).</param>
/// <param name="port">0: the host chooses one for a receiver.</param>
internal sealed class TcpEndpoint(string host, int port) : IMigrationEndpoint
{
    public const string ThisMachine = "localhost";

    public bool HasReturnPath => true;

    public bool TakesChannels => true;

    public IMigrationFile? File => null;

    public async Task<Stream> ConnectAsync(CancellationToken stop)
    {
        string wanted = host.Length == 0 ? ThisMachine : host;
        string reason = "";
        foreach (IPAddress address in await Addresses(wanted, stop).ConfigureAwait(false))
        {
            var at = new IPEndPoint(address, port);
            Socket socket = HostSocket.New(at);
            try
            {
                await socket.ConnectAsync(at, stop).ConfigureAwait(false);
                return SocketListener.StreamOf(socket);
            }
            catch (SocketException e)
            {
                socket.Dispose();
                reason = SystemError.Describe(e);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        throw new IOException($"Failed to connect to '{UserText.Legible(wanted)}:{port}': {reason}");
    }

    public IMigrationListener Listen()
    {
        string reason = "";
        IPAddress[] addresses;
        try
        {
            addresses = host.Length == 0 ? [IPAddress.Any] : IPAddress.TryParse(host, out IPAddress? literal) ? [literal]
                : Dns.GetHostAddresses(host);
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            throw Unresolved(host, e);
        }

        foreach (IPAddress address in addresses)
        {
            try
            {
                Socket socket = HostSocket.Bind(new IPEndPoint(address, port));
                return new SocketListener(socket, $"tcp:{socket.LocalEndPoint}", path: null);
            }
            catch (SocketException e)
            {
                reason = SystemError.Describe(e);
            }
        }

        throw new IOException($"Failed to listen at '{UserText.Legible(host)}:{port}': {reason}");
    }

    private async Task<IPAddress[]> Addresses(string wanted, CancellationToken stop)
    {
        try
        {
            return IPAddress.TryParse(wanted, out IPAddress? literal) ? [literal]
                : await Dns.GetHostAddressesAsync(wanted, stop).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            throw Unresolved(wanted, e);
        }
    }

    private IOException Unresolved(string wanted, Exception e) =>
        new($"address resolution failed for {UserText.Legible(wanted)}:{port}: {SystemError.Describe(e)}");
}

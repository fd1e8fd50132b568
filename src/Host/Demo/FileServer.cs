using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Vmm.Host.Demo;

/// <summary>Serves one file of random bytes by HTTP/1.0 on this host's loopback, whatever is asked for.</summary>
internal sealed class FileServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly byte[] _file;
    private readonly Task _serving;

    /// <param name="length">Bytes of the file.</param>
    public FileServer(int length)
    {
        _file = RandomNumberGenerator.GetBytes(length);
        Sum = Convert.ToHexStringLower(SHA256.HashData(_file));
        _listener.Start();
        _serving = ServeAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>SHA-256 of the file.</summary>
    public string Sum { get; }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _serving.ConfigureAwait(false);
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync().ConfigureAwait(false);
                _ = SendAsync(client);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is disposed of.
        }
    }

    private async Task SendAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                NetworkStream stream = client.GetStream();
                using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
                while (await reader.ReadLineAsync().ConfigureAwait(false) is { Length: > 0 })
                {
                    // The request says nothing that matters.
                }

                await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.0 200 OK\r\nContent-Length: {_file.Length}\r\n\r\n"))
                    .ConfigureAwait(false);
                await stream.WriteAsync(_file).ConfigureAwait(false);
            }
            catch (IOException)
            {
                // Whoever asked has gone; the guest's checksum says that something is missing.
            }
        }
    }
}

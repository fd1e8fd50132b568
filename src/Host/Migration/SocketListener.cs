using System.Net.Sockets;
using Vmm.Actors.Migration;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>A socket that listens.</summary>
internal sealed class SocketListener : IMigrationListener
{
    private const int Backlog = 16;

    private readonly Socket _socket;
    private readonly string? _path;

    // 1 once it has been disposed of: another listener may have a file of that name from then on.
    private int _isClosed;

    /// <param name="socket">It is bound, and belongs to the listener.</param>
    /// <param name="path">The file of a Unix socket, which is removed at the end; null for TCP.</param>
    public SocketListener(Socket socket, string address, string? path)
    {
        _socket = socket;
        _path = path;
        Address = address;
        try
        {
            socket.Listen(Backlog);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public string Address { get; }

    /// <summary>The stream of a connected socket, which belongs to it.</summary>
    public static Stream StreamOf(Socket socket)
    {
        if (socket.ProtocolType == ProtocolType.Tcp)
        {
            socket.NoDelay = true;
        }

        return new NetworkStream(socket, ownsSocket: true);
    }

    public async Task<Stream> AcceptAsync(CancellationToken stop)
    {
        try
        {
            return StreamOf(await _socket.AcceptAsync(stop).ConfigureAwait(false));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new IOException($"nobody can connect to {UserText.Legible(Address)} any more: {SystemError.Describe(e)}");
        }
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) != 0)
        {
            return ValueTask.CompletedTask;
        }

        _socket.Dispose();
        try
        {
            if (_path != null)
            {
                File.Delete(_path);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Serilog.Log.Debug("{Path} stays: {Reason}", _path, SystemError.Describe(e, _path));
        }

        return ValueTask.CompletedTask;
    }
}

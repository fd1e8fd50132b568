using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Serilog;
using Vmm.Management.Text;

namespace Vmm.Management.CharacterDevices;

/// <summary>A Unix or TCP socket that listens, or connects: once, or again and again.</summary>
public sealed class SocketDevice : CharacterDevice
{
    private const int Backlog = 128;

    private readonly SocketTarget _target;

    // It listens, or is connected; null for one that connects again and again.
    private readonly Socket? _socket;
    private readonly TaskCompletionSource _firstClient = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<Socket, byte> _clients = [];
    private volatile string _peer = "";

    /// <exception cref="CharacterDeviceException">The address cannot be used.</exception>
    public SocketDevice(string label, SocketTarget target)
        : base(label)
    {
        _target = target;
        if (target.ReconnectMs > 0)
        {
            return;
        }

        try
        {
            EndPoint address = Resolve(target);
            _socket = !target.Server ? HostSocket.New(address)
                : target is { OwnerOnly: true, Path: { } path } ? HostSocket.BindOwnerOnly(path) : HostSocket.Bind(address);
            if (target.Server)
            {
                _socket.Listen(Backlog);
            }
            else
            {
                _socket.Connect(address);
            }
        }
        catch (Exception e) when (e is SocketException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            _socket?.Dispose();
            throw new CharacterDeviceException(
                $"cannot {(target.Server ? "listen at" : "connect to")} {target}: {SystemError.Describe(e, target.Path)}");
        }
    }

    public override string FileName => _target.Server
        ? IsConnected ? $"{_target}{_peer},server=on" : $"disconnected:{_target},server=on"
        : _target.ReconnectMs == 0 || IsConnected ? $"{_target}" : $"disconnected:{_target}";

    /// <summary>Ends all connections, whatever they are waiting for. Any thread.</summary>
    public void Yank()
    {
        foreach (Socket client in _clients.Keys)
        {
            try
            {
                client.Shutdown(SocketShutdown.Both);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                Log.Debug("{Label}: {Reason}", Label, SystemError.Describe(e));
            }
        }
    }

    public override Task WaitForClientAsync(CancellationToken stop) =>
        _target is { Server: true, Wait: true } ? _firstClient.Task.WaitAsync(stop) : Task.CompletedTask;

    public override async Task RunAsync(Func<CharacterConnection, Task> serve, int atOnce, CancellationToken stop)
    {
        if (_socket is not { } listener)
        {
            await ConnectAsync(serve, stop).ConfigureAwait(false);
            return;
        }

        if (!_target.Server)
        {
            await ServeOne(listener, serve).ConfigureAwait(false);
            return;
        }

        using var room = new SemaphoreSlim(atOnce);
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                await room.WaitAsync(stop).ConfigureAwait(false);
                Socket client = await AcceptAsync(listener, stop).ConfigureAwait(false);
                _firstClient.TrySetResult();
                serving.RemoveAll(t => t.IsCompleted);
                serving.Add(ServeInRoom(client, serve, room));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            await Task.WhenAll(serving).ConfigureAwait(false);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(false);
        _socket?.Dispose();
        if (_target is { Server: true, Path: { } path })
        {
            try
            {
                File.Delete(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Log.Debug("{Path} stays: {Reason}", path, SystemError.Describe(e, path));
            }
        }
    }

    private async Task ConnectAsync(Func<CharacterConnection, Task> serve, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            Socket? client = null;
            try
            {
                EndPoint address = Resolve(_target);
                client = HostSocket.New(address);
                await client.ConnectAsync(address, stop).ConfigureAwait(false);
                await ServeOne(client, serve).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SocketException or ArgumentException or OperationCanceledException)
            {
                client?.Dispose();
                Log.Debug("{Label}: {Reason}", Label, SystemError.Describe(e));
            }

            await Task.Delay(_target.ReconnectMs, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ServeInRoom(Socket client, Func<CharacterConnection, Task> serve, SemaphoreSlim room)
    {
        try
        {
            await ServeOne(client, serve).ConfigureAwait(false);
        }
        finally
        {
            room.Release();
        }
    }

    private async Task ServeOne(Socket client, Func<CharacterConnection, Task> serve)
    {
        _clients[client] = 0;
        try
        {
            await ServeAsync(Connection(client), serve).ConfigureAwait(false);
        }
        finally
        {
            _clients.TryRemove(client, out _);
        }
    }

    // A client that has gone before it is accepted does not end the listening, nor does a lack of file descriptors.
    private async Task<Socket> AcceptAsync(Socket listener, CancellationToken stop)
    {
        while (true)
        {
            try
            {
                return await listener.AcceptAsync(stop).ConfigureAwait(false);
            }
            catch (SocketException e)
            {
                Log.Warning("{Label}: no connection: {Reason}", Label, SystemError.Describe(e));
                await Task.Delay(TimeSpan.FromMilliseconds(100), stop).ConfigureAwait(false);
            }
        }
    }

    private CharacterConnection Connection(Socket socket)
    {
        if (_target.Path == null)
        {
            socket.NoDelay = true;
            _peer = $" <-> {socket.RemoteEndPoint}";
        }

        var stream = new NetworkStream(socket, ownsSocket: true);
        return new CharacterConnection(stream, stream, $"{_target}{_peer}") { EndsWithInput = true };
    }

    private static EndPoint Resolve(SocketTarget target)
    {
        if (target.Path != null)
        {
            return new UnixDomainSocketEndPoint(target.Path);
        }

        IPAddress address = target.Host.Length == 0 ? (target.Server ? IPAddress.Any : IPAddress.Loopback)
            : IPAddress.TryParse(target.Host, out IPAddress? literal) ? literal
            : Dns.GetHostAddresses(target.Host).OrderBy(a => a.AddressFamily == AddressFamily.InterNetwork ? 0 : 1).First();
        return new IPEndPoint(address, target.Port);
    }
}

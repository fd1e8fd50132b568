using System.Net.Sockets;

namespace Vmm.Emulation.Net.User;

/// <summary>
/// The host's end of what a guest reaches by <see cref="GuestForward"/>s. The process that has the network may start no programs, so each
/// of its connections comes here by a Unix socket of a rule; here it is joined with a socket, or becomes the input and output of a
/// program. Tasks of its own do it: no thread of the network waits for them.
/// </summary>
internal sealed class GuestForwarder : IDisposable
{
    // Connections of a rule at once: a guest may open many, and each can be a program.
    private const int MostConnections = 64;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-guestfwd-");
    private readonly List<Socket> _listeners = [];

    /// <exception cref="NetException">The host does not let it.</exception>
    public GuestForwarder(IReadOnlyList<GuestForward> forwards)
    {
        Paths = [.. forwards.Select((_, i) => Path.Combine(_folder.FullName, $"{i}"))];
        try
        {
            foreach ((GuestForward forward, string path) in forwards.Zip(Paths))
            {
                var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                _listeners.Add(listener);
                listener.Bind(new UnixDomainSocketEndPoint(path));
                listener.Listen(MostConnections);
                _ = AcceptAsync(listener, forward);
            }
        }
        catch (SocketException e)
        {
            Dispose();
            throw new NetException($"guestfwd: can't listen in {_folder}: {e.Message}", e);
        }
    }

    /// <summary>The socket of each rule.</summary>
    public IReadOnlyList<string> Paths { get; }

    public void Dispose()
    {
        _listeners.ForEach(l => l.Dispose());
        _folder.Delete(recursive: true);
    }

    private static async Task AcceptAsync(Socket listener, GuestForward forward)
    {
        using var room = new SemaphoreSlim(MostConnections);
        while (true)
        {
            await room.WaitAsync().ConfigureAwait(false);
            try
            {
                _ = ServeAsync(await listener.AcceptAsync().ConfigureAwait(false), forward, room);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private static async Task ServeAsync(Socket guest, GuestForward forward, SemaphoreSlim room)
    {
        try
        {
            using (guest)
            {
                await (forward.Target == null ? RunAsync(guest, forward.Command) : JoinAsync(guest, forward)).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is SocketException or IOException or NetException)
        {
            // The guest's connection ends, which says it.
        }

        try
        {
            room.Release();
        }
        catch (ObjectDisposedException)
        {
            // Nobody listens any more.
        }
    }

    // A thread waits for the end of the program.
    private static Task RunAsync(Socket guest, string command) => Task.Factory.StartNew(
        () =>
        {
            using var program = HostProcess.Start(
                ["/bin/sh", "-c", command], [], [(guest.SafeHandle, 0), (guest.SafeHandle, 1), (guest.SafeHandle, 2)]);
            guest.Dispose();
            program.AwaitEnd();
        },
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static async Task JoinAsync(Socket guest, GuestForward forward)
    {
        bool isUnix = forward.Target is UnixDomainSocketEndPoint;
        using Socket host = isUnix ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await host.ConnectAsync(forward.Target!).ConfigureAwait(false);
        await Task.WhenAll(PassAsync(guest, host), PassAsync(host, guest)).ConfigureAwait(false);
    }

    // All that comes from one goes to the other, and then that it has ended.
    private static async Task PassAsync(Socket from, Socket to)
    {
        using var source = new NetworkStream(from, ownsSocket: false);
        using var target = new NetworkStream(to, ownsSocket: false);
        await source.CopyToAsync(target).ConfigureAwait(false);
        to.Shutdown(SocketShutdown.Send);
    }
}

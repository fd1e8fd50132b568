using Vmm.Management.Text;

namespace Vmm.Management.CharacterDevices;

/// <summary>A connection of a character device: a stream in each direction.</summary>
/// <param name="Peer">The other side, as the log names it.</param>
public sealed record CharacterConnection(Stream Input, Stream Output, string Peer) : IAsyncDisposable
{
    /// <summary>Whether the connection ends with its input. A socket ends so; a terminal or a pipe goes on taking output.</summary>
    public bool EndsWithInput { get; init; }

    public async ValueTask DisposeAsync()
    {
        await Input.DisposeAsync().ConfigureAwait(false);
        if (Output != Input)
        {
            await Output.DisposeAsync().ConfigureAwait(false);
        }
    }
}

/// <summary>
/// The host's side of a byte stream (QEMU's character device): a terminal, a socket or a file. Each connection is served by a function that
/// the caller gives. A socket that listens has many connections, one after another or at once.
/// </summary>
public abstract class CharacterDevice(string label) : IAsyncDisposable
{
    private int _connections;

    /// <summary>The id; without one the name that QEMU gives to such a device of the command line, such as serial0.</summary>
    public string Label { get; } = label;

    /// <summary>The kind and the place of the device, in the form that <c>query-chardev</c> shows.</summary>
    public abstract string FileName { get; }

    /// <summary>Whether there is a connection. A device that needs none always has one.</summary>
    public virtual bool IsConnected => Volatile.Read(ref _connections) > 0;

    /// <summary>Waits for the first client, if the option <c>wait=on</c> asks for it.</summary>
    public virtual Task WaitForClientAsync(CancellationToken stop) => Task.CompletedTask;

    /// <summary>Serves connections until <paramref name="stop"/>.</summary>
    /// <param name="serve">Called for each connection; it ends when the connection does.</param>
    /// <param name="atOnce">The number of connections that are served at once. Others wait, or are closed if there are far too
    /// many.</param>
    /// <param name="stop">Ends the service.</param>
    public abstract Task RunAsync(Func<CharacterConnection, Task> serve, int atOnce, CancellationToken stop);

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>Serves one connection and disposes it.</summary>
    protected async Task ServeAsync(CharacterConnection connection, Func<CharacterConnection, Task> serve)
    {
        Interlocked.Increment(ref _connections);
        try
        {
            await serve(connection).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            Serilog.Log.Debug("{Label}: {Peer} has gone: {Reason}", Label, connection.Peer, SystemError.Describe(e));
        }
        finally
        {
            Interlocked.Decrement(ref _connections);
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }
}

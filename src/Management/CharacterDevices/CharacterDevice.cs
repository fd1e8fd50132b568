using Vmm.Management.Text;

namespace Vmm.Management.CharacterDevices;

/// <summary>Somebody at a character device: bytes from him and to him.</summary>
/// <param name="Peer">Who, for the log.</param>
public sealed record CharacterConnection(Stream Input, Stream Output, string Peer) : IAsyncDisposable
{
    /// <summary>Whether it is over when the input is: a socket is, a terminal or a pipe goes on taking output.</summary>
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
/// The host's side of a byte stream (QEMU's character device): a terminal, a socket, a file. Whoever serves it is called for each
/// connection; a socket that listens has many, one after another or at once.
/// </summary>
public abstract class CharacterDevice(string label) : IAsyncDisposable
{
    private int _connections;

    /// <summary>The id, or the name that QEMU gives to a device of the command line without one, such as serial0.</summary>
    public string Label { get; } = label;

    /// <summary>What it is, as <c>query-chardev</c> has it.</summary>
    public abstract string FileName { get; }

    /// <summary>Whether somebody is connected; for what needs no connection, always.</summary>
    public virtual bool IsConnected => Volatile.Read(ref _connections) > 0;

    /// <summary>Waits for the first client, where that is asked for (<c>wait=on</c>).</summary>
    public virtual Task WaitForClientAsync(CancellationToken stop) => Task.CompletedTask;

    /// <summary>Serves connections until <paramref name="stop"/>.</summary>
    /// <param name="serve">Called for each; it ends when the connection does.</param>
    /// <param name="atOnce">How many connections there may be at once; others wait, or are closed where there are far too many.</param>
    /// <param name="stop">Ends it.</param>
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

using System.Net.Sockets;

namespace Vmm.Host.Guest;

/// <summary>
/// The shell of a guest at the socket of its serial line. Whoever connects does not know what was said before, so the shell is asked until
/// it answers: a guest that boots does not listen yet.
/// </summary>
internal sealed class ConsoleShell : IAsyncDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    private readonly Socket _socket;
    private readonly GuestShell _shell;
    private readonly Task _reading;

    private ConsoleShell(Socket socket)
    {
        _socket = socket;
        _shell = new GuestShell(bytes => socket.Send(bytes));
        _reading = ReadAsync();
    }

    /// <summary>Connects, and waits for the shell.</summary>
    /// <exception cref="GuestSilentException">Nobody listens there, or the guest does not answer.</exception>
    public static async Task<ConsoleShell> OpenAsync(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new GuestSilentException($"no VM is at {path}: {e.Message}");
        }

        var console = new ConsoleShell(socket);
        try
        {
            await console.WakeAsync(cancellation).ConfigureAwait(false);
            return console;
        }
        catch
        {
            await console.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Types a command, and returns its output.</summary>
    /// <exception cref="GuestSilentException">The command does not end.</exception>
    public Task<string> RunAsync(string command) => _shell.RunAsync(command);

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        await _reading.ConfigureAwait(false);
    }

    private async Task WakeAsync(CancellationToken cancellation)
    {
        // The echo of a question is not taken for its answer.
        for (int asked = 1, most = (int)(GuestShell.DefaultPatience / s_look); ; asked++)
        {
            try
            {
                _shell.Type($"echo heard=$(({asked}+0))=");
                await _shell.UntilAsync("heard=", s_look).WaitAsync(cancellation).ConfigureAwait(false);
                await _shell.UntilAsync($"heard={asked}=", s_look).WaitAsync(cancellation).ConfigureAwait(false);
                await _shell.PromptAsync().WaitAsync(cancellation).ConfigureAwait(false);
                return;
            }
            catch (GuestSilentException) when (asked < most && !_reading.IsCompleted)
            {
                // It boots, or has not come to the last question yet.
            }
        }
    }

    private async Task ReadAsync()
    {
        byte[] buffer = new byte[4096];
        try
        {
            int count;
            while ((count = await _socket.ReceiveAsync(buffer).ConfigureAwait(false)) > 0)
            {
                _shell.Receive(buffer.AsMemory(0, count));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed, or the VM has ended.
        }

        _shell.End("its serial line is closed");
    }
}

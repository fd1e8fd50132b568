using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Io;

/// <summary>A machine with the disk of <c>vmm guest fetch --disk</c>, of Vmm or of QEMU, in a process of its own.</summary>
internal sealed class DebianMachine : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(20);

    private readonly Process _process;
    private readonly Socket _serial;
    private readonly StringBuilder _console = new();
    private readonly Stopwatch _clock;

    private DebianMachine(Process process, Socket serial, Stopwatch clock) => (_process, _serial, _clock) = (process, serial, clock);

    /// <summary>Starts a process; its time counts from here.</summary>
    /// <param name="command">A program and its arguments, without the serial line.</param>
    /// <param name="folder">Of the socket of the serial line.</param>
    public static async Task<DebianMachine> StartAsync(IEnumerable<string> command, string folder)
    {
        string path = Path.Combine(folder, $"serial-{Guid.NewGuid():n}");
        string[] line = [.. command, "-serial", $"unix:{path},server=on,wait=on"];
        var clock = Stopwatch.StartNew();
        Process process = Process.Start(new ProcessStartInfo(line[0], line[1..]) { RedirectStandardInput = true })!;
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path)).ConfigureAwait(false);
                return new DebianMachine(process, socket, clock);
            }
            catch (SocketException)
            {
                socket.Dispose();
            }

            if (process.HasExited || clock.Elapsed > s_patience)
            {
                throw new InvalidOperationException($"{line[0]} has not started");
            }

            await Task.Delay(10).ConfigureAwait(false);
        }
    }

    /// <summary>Waits for the prompt of the serial line's login; how long it took since the start of the process.</summary>
    public async Task<TimeSpan> AwaitLoginAsync()
    {
        await AwaitAsync(" login: ").ConfigureAwait(false);
        return _clock.Elapsed;
    }

    /// <summary>Waits for a text at the serial line.</summary>
    public async Task AwaitAsync(string text)
    {
        byte[] buffer = new byte[65536];
        using var patience = new CancellationTokenSource(s_patience);
        while (!_console.ToString().Contains(text, StringComparison.Ordinal))
        {
            int count = await _serial.ReceiveAsync(buffer, patience.Token).ConfigureAwait(false);
            if (count == 0)
            {
                throw new InvalidOperationException("the machine has ended; its console ends: "
                    + _console.ToString()[^Math.Min(_console.Length, 400)..]);
            }

            _console.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }
    }

    /// <summary>Types at the serial line.</summary>
    public async Task SendAsync(string text) => await _serial.SendAsync(Encoding.Latin1.GetBytes(text)).ConfigureAwait(false);

    /// <summary>What was printed at the serial line, as far as it was waited for.</summary>
    public string Console => _console.ToString();

    /// <summary>Ends the process as a power failure ends a machine.</summary>
    public void Kill() => _process.Kill(entireProcessTree: true);

    /// <summary>Waits until the machine has ended by itself, and takes all that it prints.</summary>
    public async Task AwaitEndAsync()
    {
        try
        {
            await AwaitAsync("\0never").ConfigureAwait(false);
        }
        catch (Exception e) when (e is InvalidOperationException or SocketException)
        {
            // It has ended.
        }
    }

    /// <summary>Waits until commands by ssh are answered.</summary>
    public static async Task AwaitSshAsync(SshClient ssh)
    {
        var clock = Stopwatch.StartNew();
        while (await ssh.TryRunAsync("true", CancellationToken.None).ConfigureAwait(false) == null)
        {
            if (clock.Elapsed > s_patience)
            {
                throw new InvalidOperationException("the guest does not answer by ssh");
            }

            await Task.Delay(500).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync().ConfigureAwait(false);
        _process.Dispose();
        _serial.Dispose();
    }
}

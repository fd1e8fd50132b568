using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json.Nodes;

namespace Vmm.Host.Guest;

/// <summary>A VM in a process of its own, with its serial line and its QMP at sockets.</summary>
internal sealed class VmmChild : IAsyncDisposable
{
    // How long a process may take to make its sockets, or to end.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly Socket _serial;
    private readonly Task _reading;

    private VmmChild(string name, Process process, Socket serial, Socket qmp, Action<ReadOnlyMemory<byte>> receive)
    {
        Name = name;
        _process = process;
        _serial = serial;
        _reading = ReadSerialAsync(receive);
        Qmp = new QmpClient(qmp);
    }

    public string Name { get; }

    public QmpClient Qmp { get; }

    /// <summary>Starts the program once more, and waits until both sockets are connected; then the VM begins.</summary>
    /// <param name="name">What the timeline calls it.</param>
    /// <param name="folder">Where its sockets are.</param>
    /// <param name="line">Its command line without character devices.</param>
    /// <param name="receive">Takes what the guest prints.</param>
    /// <exception cref="GuestSilentException">It does not start.</exception>
    public static async Task<VmmChild> StartAsync(
        string name, string folder, IEnumerable<string> line, Action<ReadOnlyMemory<byte>> receive)
    {
        string serial = Path.Combine(folder, $"{name}.serial");
        string qmp = Path.Combine(folder, $"{name}.qmp");
        string program = Environment.ProcessPath!;
        string[] self = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Environment.GetCommandLineArgs()[0]] : [];
        Process process = Process.Start(new ProcessStartInfo(
            program,
            [.. self, "run", .. line, "-serial", $"unix:{serial},server=on", "-qmp", $"unix:{qmp},server=on"])
        {
            RedirectStandardInput = true,
        })!;
        try
        {
            var child = new VmmChild(
                name, process, await OpenAsync(process, serial).ConfigureAwait(false),
                await OpenAsync(process, qmp).ConfigureAwait(false), receive);
            await child.Qmp.NegotiateAsync().ConfigureAwait(false);
            return child;
        }
        catch
        {
            process.Kill();
            process.Dispose();
            throw;
        }
    }

    /// <summary>Types to the guest.</summary>
    public void Send(byte[] bytes) => _serial.Send(bytes);

    /// <summary>The run state as QEMU calls it.</summary>
    public async Task<string> StatusAsync() =>
        (await Qmp.AskAsync("query-status").ConfigureAwait(false))["status"]!.GetValue<string>();

    /// <summary>What <c>query-migrate</c> says.</summary>
    public Task<JsonNode> MigrationAsync() => Qmp.AskAsync("query-migrate");

    /// <summary>Waits for the end of the process, however long it runs.</summary>
    public Task WaitForEndAsync(CancellationToken cancellation) => _process.WaitForExitAsync(cancellation);

    /// <summary>Waits for the end of a process that is about to end.</summary>
    /// <returns>Its exit code; -1 if it does not end.</returns>
    public async Task<int> EndAsync()
    {
        using var patience = new CancellationTokenSource(s_patience);
        try
        {
            await _process.WaitForExitAsync(patience.Token).ConfigureAwait(false);
            return _process.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return -1;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await Qmp.DisposeAsync().ConfigureAwait(false);
        _serial.Dispose();
        await _reading.ConfigureAwait(false);
        _process.Dispose();
    }

    // A connection to a socket that the process is about to make.
    private static async Task<Socket> OpenAsync(Process process, string path)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path)).ConfigureAwait(false);
                return socket;
            }
            catch (SocketException)
            {
                socket.Dispose();
            }

            if (process.HasExited || clock.Elapsed > s_patience)
            {
                throw new GuestSilentException($"the process of {Path.GetFileNameWithoutExtension(path)} has not started");
            }

            await Task.Delay(20).ConfigureAwait(false);
        }
    }

    private async Task ReadSerialAsync(Action<ReadOnlyMemory<byte>> receive)
    {
        byte[] buffer = new byte[4096];
        try
        {
            int count;
            while ((count = await _serial.ReceiveAsync(buffer).ConfigureAwait(false)) > 0)
            {
                receive(buffer.AsMemory(0, count));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The VM has ended.
        }
    }
}

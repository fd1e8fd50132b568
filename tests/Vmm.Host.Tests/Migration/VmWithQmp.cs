using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Vmm.Host.Guest;
using Vmm.Host.Options;

namespace Vmm.Host.Tests.Migration;

/// <summary>The program with a machine whose CPU waits, and whose RAM has something in it; and a client at its QMP.</summary>
internal sealed class VmWithQmp : IAsyncDisposable
{
    private readonly Process _process;

    private VmWithQmp(Process process, QmpClient qmp)
    {
        _process = process;
        Qmp = qmp;
    }

    public QmpClient Qmp { get; }

    public int ProcessId => _process.Id;

    /// <param name="folder">Where its files are; those of machines that migrate to each other are in one folder.</param>
    public static async Task<VmWithQmp> StartAsync(string folder, params string[] more)
    {
        string path = Path.Combine(folder, $"{Path.GetRandomFileName()}.qmp");
        Process process = VmmProcess.Start(
            [.. Machine(folder), "-monitor", "none", "-qmp", $"unix:{path},server=on,wait=off", .. more]);
        Socket? socket = null;
        while (socket == null)
        {
            Assert.False(process.HasExited, "the program has ended");
            socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
            }
            catch (SocketException)
            {
                socket.Dispose();
                socket = null;
                await Task.Delay(20);
            }
        }

        var vm = new VmWithQmp(process, new QmpClient(socket));
        await vm.Qmp.NegotiateAsync().WaitAsync(Patience.Limit);
        return vm;
    }

    /// <summary>The options of the machine; its boot files are made if they are not there.</summary>
    public static string[] Machine(string folder)
    {
        string image = Path.Combine(folder, "Image");
        string initrd = Path.Combine(folder, "initrd");
        if (!File.Exists(initrd))
        {
            File.WriteAllBytes(image, EmptyMachine.Program.ToArray());
            byte[] bytes = new byte[8 << 20];
            new Random(1).NextBytes(bytes);
            File.WriteAllBytes(initrd, bytes);
        }

        return ["-m", "64M", "-smp", "2", "-kernel", image, "-initrd", initrd, "-serial", "none"];
    }

    /// <summary>The most bytes of the host's memory that the process has had since <see cref="ResetPeak"/>.</summary>
    public long Peak() => Memory("VmHWM:");

    /// <returns>The bytes of the host's memory that it has now.</returns>
    public long ResetPeak()
    {
        // proc(5): 5 resets the peak.
        File.WriteAllText($"/proc/{_process.Id}/clear_refs", "5");
        return Memory("VmRSS:");
    }

    private long Memory(string what) => 1024 * long.Parse(
        File.ReadLines($"/proc/{_process.Id}/status").Single(l => l.StartsWith(what, StringComparison.Ordinal)).Split(' ')[^2],
        CultureInfo.InvariantCulture);

    /// <summary>Reads what it says on its terminal up to a line with these words.</summary>
    public async Task UntilSaidAsync(string words)
    {
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (await _process.StandardError.ReadLineAsync(patience.Token) is { } line)
        {
            if (line.Contains(words, StringComparison.Ordinal))
            {
                return;
            }
        }

        Assert.Fail($"it has never said '{words}'");
    }

    public async Task<string> StatusAsync() => (await Qmp.AskAsync("query-status"))["status"]!.GetValue<string>();

    /// <summary>Waits until a query has a member with a value.</summary>
    /// <returns>The answer to the query.</returns>
    public async Task<JsonNode> UntilAsync(string query, Func<JsonNode, bool> holds)
    {
        using var patience = new CancellationTokenSource(Patience.Limit);
        while (true)
        {
            JsonNode answer = await Qmp.AskAsync(query);
            if (holds(answer))
            {
                return answer;
            }

            await Task.Delay(20, patience.Token);
        }
    }

    /// <summary>Waits until a migration has a status.</summary>
    public Task<JsonNode> UntilMigrationAsync(string status) => UntilAsync("query-migrate", a => a["status"]?.ToString() is { } s
        && (s == status || (s is "failed" or "cancelled" ? throw new InvalidOperationException(a.ToJsonString()) : false)));

    public async ValueTask DisposeAsync()
    {
        await Qmp.DisposeAsync();
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Vmm.Tests;

/// <summary>
/// A network namespace of the host with a bridge in it, on which the host has an address. Both go at the end; the interfaces of VMs go with
/// their processes.
/// </summary>
internal sealed class BridgedNetwork : IAsyncDisposable
{
    /// <summary>The bridge.</summary>
    public const string Bridge = "br7";

    /// <summary>The address of the host on the bridge, in a network of 24 bits.</summary>
    public const string HostAddress = "192.168.7.254";

    // Without an address of its own a bridge takes one of its interfaces', and another one when that goes with its VM: guests then send to
    // an address that is no more, until they ask again.
    private const string BridgeAddress = "52:54:00:00:07:fe";

    private static readonly Lazy<string?> s_missing = new(FindMissing);
    private static int s_count;

    private BridgedNetwork(string name) => Name = name;

    /// <summary>Why this host cannot have one, as a reason to skip a test; null where it can.</summary>
    public static string? Missing => s_missing.Value;

    /// <summary>The namespace.</summary>
    public string Name { get; }

    public static async Task<BridgedNetwork> MakeAsync()
    {
        var network = new BridgedNetwork(
            string.Create(CultureInfo.InvariantCulture, $"vmm-{Environment.ProcessId}-{Interlocked.Increment(ref s_count)}"));
        await RunAsync("ip", "netns", "add", network.Name).ConfigureAwait(false);
        foreach (string line in (string[])
        [
            "link set lo up", $"link add {Bridge} address {BridgeAddress} type bridge",
            $"addr add {HostAddress}/24 dev {Bridge}", $"link set {Bridge} up",
        ])
        {
            await RunAsync(network.Command(["ip", .. line.Split(' ')])).ConfigureAwait(false);
        }

        return network;
    }

    /// <summary>A command as it is run in the namespace.</summary>
    public string[] Command(params string[] command) => ["ip", "netns", "exec", Name, .. command];

    /// <summary>Has a shell (bash) do something in the namespace; what it prints.</summary>
    public Task<string> ShellAsync(string script) => RunAsync(Command("bash", "-c", script));

    public async ValueTask DisposeAsync() => await RunAsync("ip", "netns", "del", Name).ConfigureAwait(false);

    private static async Task<string> RunAsync(params string[] command)
    {
        using Process process = Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.Latin1,
        })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync().ConfigureAwait(false);
        await process.WaitForExitAsync().ConfigureAwait(false);
        return process.ExitCode == 0 ? output
            : throw new InvalidOperationException($"{string.Join(' ', command)}: {output}{await errors.ConfigureAwait(false)}");
    }

    private static string? FindMissing()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return "needs root, for a tap interface in a network namespace";
        }

        if (!File.Exists("/dev/net/tun"))
        {
            return "needs /dev/net/tun on this host";
        }

        try
        {
            Task<BridgedNetwork> making = Task.Run(MakeAsync);
            Task.Run(async () => await (await making.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false)).GetAwaiter().GetResult();
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return $"needs a network namespace, which this host does not give: {e.Message}";
        }
    }
}

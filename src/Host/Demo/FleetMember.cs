using System.Diagnostics;
using Vmm.Fleet.Cluster;
using Vmm.Host.Commands;
using Vmm.Host.Guest;

namespace Vmm.Host.Demo;

/// <summary><c>vmm node</c> as a process of its own, in a session of its own: Ctrl-C at the terminal does not reach it.</summary>
internal sealed class FleetMember : IDisposable
{
    private FleetMember(string name, Process process, Uri address, FleetConnection rest) =>
        (Name, Process, Address, Rest) = (name, process, address, rest);

    public string Name { get; }

    public Process Process { get; }

    /// <summary>Where it serves REST.</summary>
    public Uri Address { get; }

    public FleetConnection Rest { get; }

    /// <summary>Starts a node, and waits until it serves REST.</summary>
    /// <param name="program">The path of <c>vmm</c>, and its first arguments.</param>
    /// <exception cref="GuestSilentException">It ends instead; it has said why.</exception>
    public static Task<FleetMember> StartAsync(
        IReadOnlyList<string> program, LocalFleet fleet, int node, CancellationToken cancellation) =>
        StartAsync(program, LocalFleet.NodeName(node), fleet.FolderOf(node), fleet.WriteConfig(node), cancellation);

    /// <summary>Starts a node, and waits until it serves REST.</summary>
    /// <param name="folder">What its configuration says.</param>
    /// <param name="config">The file of its configuration.</param>
    /// <exception cref="GuestSilentException">It ends instead; it has said why.</exception>
    public static async Task<FleetMember> StartAsync(
        IReadOnlyList<string> program, string name, string folder, string config, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        Process process = Process.Start(new ProcessStartInfo(
            "setsid", ["--", .. program, "node", "--config", config, "--log", $"warning,{Path.Combine(folder, "log")}"])
        {
            RedirectStandardOutput = true,
        })!;
        try
        {
            string line = await process.StandardOutput.ReadLineAsync(cancellation).ConfigureAwait(false)
                ?? throw new GuestSilentException($"{name} does not start");
            var access = new FleetAccess(Path.Combine(folder, "tokens"));
            string address = line.Split(' ')[^1];
            return new FleetMember(name, process, new Uri(address), new FleetConnection(address, access));
        }
        catch
        {
            End(process);
            throw;
        }
    }

    /// <summary>Ends it as a crash does (SIGKILL). Its VMs go on, until its lease ends.</summary>
    public void Dispose()
    {
        End(Process);
        Rest.Dispose();
    }

    private static void End(Process process)
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}

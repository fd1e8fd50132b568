using System.Diagnostics;
using Vmm.Fleet.Cluster;
using Vmm.Host.Commands;
using Vmm.Host.Guest;

namespace Vmm.Host.Demo;

/// <summary><c>vmm node</c> as a process of its own, in a session of its own: Ctrl-C at the terminal does not reach it.</summary>
internal sealed class FleetMember : IDisposable
{
    private FleetMember(string name, Process process, FleetConnection rest) => (Name, Process, Rest) = (name, process, rest);

    public string Name { get; }

    public Process Process { get; }

    public FleetConnection Rest { get; }

    /// <summary>Starts a node, and waits until it serves REST.</summary>
    /// <param name="program">The path of <c>vmm</c>, and its first arguments.</param>
    /// <exception cref="GuestSilentException">It ends instead; it has said why.</exception>
    public static async Task<FleetMember> StartAsync(
        IReadOnlyList<string> program, LocalFleet fleet, int node, CancellationToken cancellation)
    {
        (string name, string folder) = (LocalFleet.NodeName(node), fleet.FolderOf(node));
        Directory.CreateDirectory(folder);
        Process process = Process.Start(new ProcessStartInfo(
            "setsid",
            ["--", .. program, "node", "--config", fleet.WriteConfig(node), "--log", $"warning,{Path.Combine(folder, "log")}"])
        {
            RedirectStandardOutput = true,
        })!;
        try
        {
            string line = await process.StandardOutput.ReadLineAsync(cancellation).ConfigureAwait(false)
                ?? throw new GuestSilentException($"{name} does not start");
            var access = new FleetAccess(Path.Combine(folder, "tokens"));
            return new FleetMember(name, process, new FleetConnection(line.Split(' ')[^1], access));
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

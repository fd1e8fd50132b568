using System.Text.Json.Nodes;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Rest;
using Vmm.Host.Commands;
using Vmm.Host.Demo;
using Vmm.Host.Guest;

namespace Vmm.Benchmarks.Fleet;

/// <summary>A node alone, as a process of its own. At the end it and its VMs are killed, and its folder is removed.</summary>
internal sealed class LoneNode : IDisposable
{
    private const string Name = "node1";

    private readonly FleetMember _member;

    private LoneNode(string folder, FleetMember member) => (Folder, _member) = (folder, member);

    public string Folder { get; }

    /// <summary>The process of the node.</summary>
    public int ProcessId => _member.Process.Id;

    public FleetConnection Rest => _member.Rest;

    /// <summary>Where it serves REST.</summary>
    public Uri Address => _member.Address;

    /// <summary>Starts it, and waits until it serves REST and is up.</summary>
    /// <param name="tokens">Lines of its file of tokens before those that it makes itself; the last one is an administrator's.</param>
    public static async Task<LoneNode> StartAsync(IReadOnlyList<string> program, string? tokens, CancellationToken cancellation)
    {
        string folder = Directory.CreateTempSubdirectory("vmm-").FullName;
        try
        {
            if (tokens != null)
            {
                string file = Path.Combine(folder, "tokens");
                await File.WriteAllTextAsync(file, tokens, cancellation).ConfigureAwait(false);
                if (!OperatingSystem.IsWindows())
                {
                    File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
                }
            }

            string config = Path.Combine(folder, "node.json");
            var said = new JsonObject { ["name"] = Name, ["folder"] = folder, ["listen"] = new JsonArray("http://127.0.0.1:0") };
            await File.WriteAllTextAsync(config, said.ToJsonString(), cancellation).ConfigureAwait(false);
            var node = new LoneNode(
                folder, await FleetMember.StartAsync(program, Name, folder, config, cancellation).ConfigureAwait(false));
            try
            {
                // A record answers when the node is a member of its cluster.
                await node.Rest.ListAsync().WaitAsync(cancellation).ConfigureAwait(false);
                return node;
            }
            catch
            {
                node._member.Dispose();
                throw;
            }
        }
        catch
        {
            LocalFleet.RemoveNodes(folder);
            throw;
        }
    }

    /// <summary>Something in the folder of a VM.</summary>
    public string PathOf(string vm, string file) => Path.Combine(Folder, "vms", vm, file);

    /// <summary>The process of a VM.</summary>
    public int ProcessOf(string vm) => int.Parse(
        File.ReadAllText(PathOf(vm, "process")).Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Makes a VM at this node, also beyond the CPUs for which the placement would find room.</summary>
    public Task CreateAsync(string vm, VmSpec spec, CancellationToken cancellation) =>
        Rest.CreateAsync(new NewVm(vm, spec, Node: Name)).WaitAsync(cancellation);

    /// <summary>Has something done with a VM.</summary>
    /// <exception cref="GuestSilentException">It is not done.</exception>
    public async Task DoAsync(string vm, NewOperation asked, CancellationToken cancellation)
    {
        VmOperation end = await Rest.DoAsync(vm, asked).WaitAsync(cancellation).ConfigureAwait(false);
        if (end.Outcome != RequestOutcome.Done)
        {
            throw new GuestSilentException($"{asked.Action} of {vm}: {end.Outcome}: {end.Detail}");
        }
    }

    public void Dispose()
    {
        _member.Dispose();
        LocalFleet.RemoveNodes(Folder);
    }
}

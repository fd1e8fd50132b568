using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Cluster;
using Npgsql;
using Serilog;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Fencing;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Records;
using Vmm.Management.Text;

namespace Vmm.Fleet.Cluster;

/// <summary>The nodes as the cluster sees them now: a member's role has its name. Any thread.</summary>
internal sealed class ClusterNodes : INodes
{
    /// <summary>The name of the actor that has the VMs of a node.</summary>
    public const string SupervisorName = "node";

    private const string RolePrefix = "node-";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly ConcurrentDictionary<string, IActorRef> _supervisors = new(StringComparer.Ordinal);
    private readonly IActorRef _placement;
    private readonly LeaseKeeper? _leases;

    /// <param name="placement">Takes messages for the placement.</param>
    /// <param name="leases">Null for a node alone, whose VMs never go elsewhere.</param>
    public ClusterNodes(ActorSystem system, IActorRef placement, LeaseKeeper? leases)
    {
        (_placement, _leases) = (placement, leases);
        ConcurrentDictionary<string, IActorRef> supervisors = _supervisors;
        system.ActorOf(ActorProps.Of(() => new NodeDirectory(supervisors)), "directory");
    }

    /// <summary>The role that names a node.</summary>
    public static string RoleOf(string node) => RolePrefix + node;

    /// <summary>The name of a node; null for a member that is none.</summary>
    public static string? NameOf(Member member) =>
        member.Roles.FirstOrDefault(role => role.StartsWith(RolePrefix, StringComparison.Ordinal))?[RolePrefix.Length..];

    /// <summary>The nodes that are members.</summary>
    public IEnumerable<KeyValuePair<string, IActorRef>> All => _supervisors.OrderBy(s => s.Key, StringComparer.Ordinal);

    public ICanTell? Find(string node) => _supervisors.GetValueOrDefault(node);

    public Task<VmPlaced> PlaceAsync(PlaceVm vm) => _placement.Ask<VmPlaced>(vm, s_patience);

    public void Tell(VmLocated where) => _placement.Tell(where);

    public Task<bool> TryFenceAsync(string node) => Task.Run(() =>
    {
        try
        {
            return _leases != null && !_supervisors.ContainsKey(node) && _leases.TryFence(node);
        }
        catch (NpgsqlException e)
        {
            Log.Warning("Whether node {Node} is lost is not known: {Reason}", node, SystemError.Describe(e));
            return false;
        }
    });
}

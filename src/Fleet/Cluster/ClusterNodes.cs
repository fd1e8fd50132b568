using Akka.Actor;
using Akka.Cluster;
using Vmm.Fleet.Records;

namespace Vmm.Fleet.Cluster;

/// <summary>The nodes as the cluster sees them now: a member's role has its name.</summary>
internal sealed class ClusterNodes(ActorSystem system) : INodes
{
    /// <summary>The name of the actor that has the VMs of a node.</summary>
    public const string SupervisorName = "node";

    private readonly Akka.Cluster.Cluster _cluster = Akka.Cluster.Cluster.Get(system);

    /// <summary>The role that names a node.</summary>
    public static string RoleOf(string node) => $"node-{node}";

    public ICanTell? Find(string node) =>
        _cluster.State.Members.FirstOrDefault(m => m.Status is MemberStatus.Up or MemberStatus.Leaving && m.HasRole(RoleOf(node)))
            is { } member
            ? system.ActorSelection(new RootActorPath(member.Address) / "user" / SupervisorName) : null;
}

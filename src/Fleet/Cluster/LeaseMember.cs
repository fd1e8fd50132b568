using System.Net.Sockets;
using Akka.Actor;
using Akka.Cluster;
using Akka.Remote;
using Serilog;
using Vmm.Fleet.Fencing;

namespace Vmm.Fleet.Cluster;

/// <summary>What the lease of this node is told of the cluster, and does in it. Any thread.</summary>
/// <param name="seeds">Where nodes listen by which this one joins, without itself.</param>
internal sealed class LeaseMember(Akka.Cluster.Cluster cluster, IReadOnlyList<(string Host, int Port)> seeds) : ILeaseMember
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    // A node that is to leave has so long to hear of it.
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    private readonly IRemoteActorRefProvider _provider = (IRemoteActorRefProvider)((ExtendedActorSystem)cluster.System).Provider;

    public bool MayRenew
    {
        get
        {
            ClusterEvent.CurrentClusterState state = cluster.State;
            return cluster.SelfMember.Status is MemberStatus.Up or MemberStatus.Leaving or MemberStatus.Exiting
                && state.Unreachable.Count * 2 < state.Members.Count;
        }
    }

    public bool ReachesSeed() => seeds.Count == 0 || seeds.Any(Reaches);

    public bool Reaches(string address) => Reaches(ClusterConfig.Parse(address));

    public void Remove(string node)
    {
        if (cluster.State.Members.FirstOrDefault(
            m => m.Status == MemberStatus.Up && ClusterNodes.NameOf(m) == node) is { } member)
        {
            Log.Warning("Node {Node} is removed from the cluster: it has not renewed its lease, and its VMs have ended", node);
            cluster.Down(member.Address);

            // It is told, and ends. It stays a member until it counts as unreachable. The failure detector takes ten seconds for that;
            // a quarantined node is unreachable at once.
            cluster.System.Scheduler.Advanced.ScheduleOnce(
                s_farewell, () => _provider.Quarantine(member.Address, member.UniqueAddress.Uid));
        }
    }

    private static bool Reaches((string Host, int Port) seed)
    {
        try
        {
            using var client = new TcpClient();
            return client.ConnectAsync(seed.Host, seed.Port).Wait(s_patience);
        }
        catch (AggregateException)
        {
            // It is refused, or there is no way.
            return false;
        }
    }
}

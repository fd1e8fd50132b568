using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Cluster;
using Vmm.Actors.Hosting;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// Finds the supervisors of the nodes that are members. A supervisor is known by a reference to this run of it, not by its path: what is
/// sent to a run that has ended never reaches the next one.
/// </summary>
internal sealed class NodeDirectory : MessageActor, IWithTimers
{
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, IActorRef> _supervisors;

    // By the run of a member.
    private readonly Dictionary<string, (Address Address, string Name)> _members = new(StringComparer.Ordinal);

    /// <param name="supervisors">By the name of the node. The actor alone writes; any thread reads.</param>
    public NodeDirectory(ConcurrentDictionary<string, IActorRef> supervisors)
    {
        _supervisors = supervisors;
        Receive<ClusterEvent.MemberUp>(e => Add(e.Member));
        Receive<ClusterEvent.MemberRemoved>(e => Remove(e.Member));
        Receive<ClusterEvent.MemberExited>(e => Remove(e.Member));
        Receive<ClusterEvent.MemberDowned>(e => Remove(e.Member));
        Receive<ActorIdentity>(Learn);
        Receive<Ask>(ask => AskFor(ask.Run));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    private sealed record Ask(string Run);

    private static string RunOf(Member member) => member.UniqueAddress.ToString()!;

    protected override void PreStart() => Akka.Cluster.Cluster.Get(Context.System).Subscribe(
        Self, ClusterEvent.SubscriptionInitialStateMode.InitialStateAsEvents, typeof(ClusterEvent.IMemberEvent));

    protected override void PostStop() => Akka.Cluster.Cluster.Get(Context.System).Unsubscribe(Self);

    private void Add(Member member)
    {
        if (ClusterNodes.NameOf(member) is { } name)
        {
            _members[RunOf(member)] = (member.Address, name);
            AskFor(RunOf(member));
        }
    }

    private void Remove(Member member)
    {
        // The next run of a node may be a member before the last one is none.
        Timers.Cancel(RunOf(member));
        if (_members.Remove(RunOf(member), out (Address Address, string Name) gone) && _members.Values.All(m => m.Name != gone.Name))
        {
            _supervisors.TryRemove(gone.Name, out _);
        }
    }

    private void AskFor(string run)
    {
        if (_members.TryGetValue(run, out (Address Address, string Name) member))
        {
            Context.ActorSelection(new RootActorPath(member.Address) / "user" / ClusterNodes.SupervisorName).Tell(new Identify(run));
            Timers.StartSingleTimer(run, new Ask(run), s_again);
        }
    }

    private void Learn(ActorIdentity identity)
    {
        if (identity is { MessageId: string run, Subject: { } supervisor }
            && _members.TryGetValue(run, out (Address Address, string Name) member))
        {
            Timers.Cancel(run);
            _supervisors[member.Name] = supervisor;
        }
    }
}

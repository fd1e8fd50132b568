using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// Follows what happens at all nodes (<see cref="EventRelay"/>), also those that come later. It asks each of them again and again, which is
/// how a node knows that somebody listens still.
/// </summary>
internal sealed class EventFollower : MessageActor, IWithTimers
{
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(1);

    private readonly ClusterNodes _nodes;

    /// <param name="happened">Takes <see cref="VmSeen"/>, <see cref="VmOperation"/> and <see cref="VmScaled"/>; it does not wait.</param>
    public EventFollower(ClusterNodes nodes, Action<IFleetMessage> happened)
    {
        _nodes = nodes;
        Receive<Again>(_ => Follow());
        Receive(happened);
    }

    private sealed record Again;

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        Timers.StartPeriodicTimer(nameof(Again), new Again(), s_again);
        Follow();
    }

    private void Follow()
    {
        foreach ((_, IActorRef supervisor) in _nodes.All)
        {
            Context.ActorSelection(new RootActorPath(supervisor.Path.Address) / "user" / EventRelay.Name).Tell(new FollowEvents(), Self);
        }
    }
}

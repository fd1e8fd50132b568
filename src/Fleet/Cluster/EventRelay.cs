using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// Tells whoever follows what happens at this node: what it sees of its VMs, first all and then each change, and of the records that are
/// here the ends of operations and the decisions of policies. A follower that has not asked again for some time is told no more.
/// </summary>
internal sealed class EventRelay : MessageActor, IWithTimers
{
    /// <summary>The name of the actor.</summary>
    public const string Name = "events";

    // A follower asks each second.
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(30);

    private readonly HashSet<IActorRef> _followers = [];

    // Those who are to be told all that there is.
    private readonly HashSet<IActorRef> _fresh = [];

    /// <param name="node">The name of this node.</param>
    public EventRelay(string node, IActorRef supervisor)
    {
        Receive<FollowEvents>(_ =>
        {
            Timers.StartSingleTimer(Sender, new Silent(Sender), s_silence);
            if (_followers.Add(Sender))
            {
                _fresh.Add(Sender);
                supervisor.Tell(new GetNodeReport(), Self);
            }
        });
        Receive<Silent>(silent =>
        {
            _followers.Remove(silent.Follower);
            _fresh.Remove(silent.Follower);
        });
        Receive<NodeReport>(report =>
        {
            foreach (VmReport vm in report.Vms)
            {
                Tell(_fresh, new VmSeen(vm.Vm, node, vm));
            }

            _fresh.Clear();
        });
        Receive<VmReport>(report => Tell(_followers, new VmSeen(report.Vm, node, report)));
        Receive<VmOperation>(operation => Tell(_followers, operation));
        Receive<VmScaled>(decision => Tell(_followers, decision));
    }

    private sealed record Silent(IActorRef Follower);

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        foreach (Type told in (Type[])[typeof(VmReport), typeof(VmOperation), typeof(VmScaled)])
        {
            Context.System.EventStream.Subscribe(Self, told);
        }
    }

    protected override void PostStop() => Context.System.EventStream.Unsubscribe(Self);

    private void Tell(HashSet<IActorRef> followers, IFleetMessage happened)
    {
        foreach (IActorRef follower in followers)
        {
            follower.Tell(happened, Self);
        }
    }
}

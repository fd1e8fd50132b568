using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// Tells the placement what this node is, and the records of VMs what this node sees of them: each change at once, and all of it now and
/// then, so that a record that is new or has moved to another node knows it, too.
/// </summary>
internal sealed class NodeReporter : MessageActor
{
    private static readonly TimeSpan s_all = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_status = TimeSpan.FromSeconds(3);

    private readonly IActorRef _supervisor;
    private ICancelable[] _timers = [];

    /// <param name="node">The name of this node.</param>
    /// <param name="records">Takes messages for the records of VMs.</param>
    /// <param name="placement">Takes messages for the placement.</param>
    public NodeReporter(string node, IActorRef supervisor, IActorRef records, IActorRef placement)
    {
        _supervisor = supervisor;
        Receive<VmReport>(report => records.Tell(new VmSeen(report.Vm, node, report)));
        Receive<NodeStatus>(placement.Tell);
        Receive<NodeReport>(report =>
        {
            foreach (VmReport vm in report.Vms)
            {
                records.Tell(new VmSeen(vm.Vm, node, vm));
            }
        });
    }

    protected override void PreStart()
    {
        Context.System.EventStream.Subscribe(Self, typeof(VmReport));
        IScheduler scheduler = Context.System.Scheduler;
        _timers =
        [
            scheduler.ScheduleTellRepeatedlyCancelable(TimeSpan.Zero, s_all, _supervisor, new GetNodeReport(), Self),
            scheduler.ScheduleTellRepeatedlyCancelable(TimeSpan.Zero, s_status, _supervisor, new GetNodeStatus(), Self),
        ];
    }

    protected override void PostStop()
    {
        Context.System.EventStream.Unsubscribe(Self);
        Array.ForEach(_timers, timer => timer.Cancel());
    }
}

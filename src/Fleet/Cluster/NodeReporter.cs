using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// Tells the records of VMs what this node sees of them: each change at once, and all of it now and then, so that a record that is new or
/// has moved to another node knows it, too.
/// </summary>
internal sealed class NodeReporter : MessageActor
{
    private static readonly TimeSpan s_all = TimeSpan.FromSeconds(10);

    private readonly IActorRef _supervisor;
    private ICancelable? _timer;

    /// <param name="node">The name of this node.</param>
    /// <param name="records">Takes messages for the records of VMs.</param>
    public NodeReporter(string node, IActorRef supervisor, IActorRef records)
    {
        _supervisor = supervisor;
        Receive<VmReport>(report => records.Tell(new VmSeen(report.Vm, node, report)));
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
        _timer = Context.System.Scheduler.ScheduleTellRepeatedlyCancelable(
            TimeSpan.Zero, s_all, _supervisor, new GetNodeReport(), Self);
    }

    protected override void PostStop()
    {
        Context.System.EventStream.Unsubscribe(Self);
        _timer?.Cancel();
    }
}

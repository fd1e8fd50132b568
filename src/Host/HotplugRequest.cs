using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;

namespace Vmm.Host;

/// <summary>
/// Sends one request to plug, unplug, enable or disable a CPU, and waits for its outcome as long as the guest runs and can answer. The
/// actor ends with the request.
/// </summary>
internal sealed class HotplugRequest : MessageActor
{
    private readonly IActorRef _vm;
    private readonly IProtocolMessage _request;

    /// <param name="ended">Gets the outcome or the rejection.</param>
    public HotplugRequest(IActorRef vm, IProtocolMessage request, TaskCompletionSource<IProtocolMessage> ended)
    {
        _vm = vm;
        _request = request;
        HotplugAccepted? accepted = null;

        void End(IProtocolMessage how)
        {
            ended.TrySetResult(how);
            Context.Stop(Self);
        }

        Receive<HotplugAccepted>(answer =>
        {
            accepted = answer;
            Context.System.EventStream.Subscribe(Self, typeof(VmStatus));
            vm.Tell(new GetVmStatus());
        });

        // A guest that does not run does not answer. The request stays pending.
        Receive<VmStatus>(
            status => accepted != null && status.RunState != VmRunState.Running,
            _ => End(new HotplugOutcome(
                accepted!.Id, accepted.Cpu, HotplugOperations.Of(request), HotplugOutcomeKind.TimedOut, 0)));
        Receive<VmStatus>(_ => { });
        Receive<Terminated>(_ => End(new VmCommandRejected(RejectionCode.VmEnded, VmSession.Ending)));
        Receive<IProtocolMessage>(End);
    }

    protected override void PreStart()
    {
        Context.Watch(_vm);
        _vm.Tell(_request);
    }

    protected override void PostStop() => Context.System.EventStream.Unsubscribe(Self);
}

using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;

namespace Vmm.Actors.Hotplug;

/// <content>
/// A snapshot waits until each CPU that comes is enabled, each that leaves has left, and all of it is in the journal. What is then left of
/// a request is in the hotplug block, in the guest, and in the state that is handed over. Requests wait until it is over.
/// </content>
public sealed partial class HotplugCoordinator
{
    // Who waits for that; null while nobody does.
    private IActorRef? _freezer;

    private void BeginFreeze()
    {
        _freezer = Sender;
        TakeEvents();
        AnswerFreeze();
    }

    private void Thaw()
    {
        _freezer = null;
        Become(Ready);
        Stash.UnstashAll();
    }

    private void AnswerFreeze()
    {
        if (_freezer == null || _request != null || _coming.Count > 0 || _leaving.Count > 0)
        {
            return;
        }

        bool untold = Array.Exists(_untold, facts => facts > 0);
        if (untold && !_factsWait)
        {
            return;
        }

        IActorRef freezer = _freezer;
        _freezer = null;
        if (untold)
        {
            freezer.Tell(new VmCommandRejected(RejectionCode.NotWritten, "the journal of plugs cannot be written"));
            Stash.UnstashAll();
            return;
        }

        freezer.Tell(new HotplugFrozen(_state, _lastOst));
        Become(Frozen);
    }

    // Nothing of this actor's changes, so what was handed over is right until the end.
    private void Frozen()
    {
        Receive<ThawHotplug>(_ => Thaw());
        Receive<RestoreHotplug>(Restore);
        Receive<HandOverHotplug>(_ =>
        {
            Become(HandedOver);
            Stash.UnstashAll();
        });
        Queries();
        ReceiveAny(_ => Stash.Stash());
    }

    // The guest runs in another process, where what was asked here ends.
    private void HandedOver()
    {
        void Reject(string id) => Sender.Tell(
            new HotplugRejected(HotplugState.Legible(id), RejectionCode.WrongRunState, "the guest was handed over to another process"));

        Receive<ThawHotplug>(_ => Thaw());
        Receive<PlugVcpu>(plug => Reject(plug.Id));
        Receive<UnplugVcpu>(unplug => Reject(unplug.Id));
        Receive<SetVcpuAdmin>(_ => Reject(""));
        Queries();
        ReceiveAny(_ => Stash.Stash());
    }

    private void Restore(RestoreHotplug restore)
    {
        IActorRef requester = Sender;
        IHotplugEvent[] events = [.. _state.Restore(restore.State, _cpus.Possible, Now)];
        if (events.Length == 0)
        {
            requester.Tell(new HotplugRestored());
            return;
        }

        _journal.Tell(new WriteRequest(events));
        Become(() =>
        {
            Receive<EventsWritten>(_ =>
            {
                requester.Tell(new HotplugRestored());
                Become(Frozen);
            });
            Receive<RequestNotWritten>(not =>
            {
                requester.Tell(new VmCommandRejected(RejectionCode.NotWritten, not.Reason));
                Become(Frozen);
            });
            Queries();
            ReceiveAny(_ => Stash.Stash());
        });
    }
}

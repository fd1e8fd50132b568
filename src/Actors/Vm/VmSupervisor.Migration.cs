using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vcpu;

namespace Vmm.Actors.Vm;

/// <content>
/// Migrations. What is done with the machine, <see cref="MigrationCoordinator"/> and its actors do; this has the run states that a
/// migration adds.
/// </content>
public sealed partial class VmSupervisor
{
    private const string Migrations = "migrations";

    // It outlives the parts, as the journal does. Null before it is asked for, or once it has ended.
    private IActorRef? _migrations;

    // A guest that arrives and is to run does; a person may want it paused.
    private bool _runWhenArrived = true;

    private void ToMigrations(object request) => MigrationsMade().Forward(request);

    private IActorRef MigrationsMade()
    {
        VmRunState state = _status.RunState;
        return _migrations ??= Context.Watch(Context.ActorOf(
            ActorProps.Of(() => new MigrationCoordinator(
                _machine, _options.Migration, _options.MigrationJournal, state, _options.MigrationHelloTimeout, s_product)),
            Migrations));
    }

    // Answered at once, also while the VM is held.
    private void Migration()
    {
        Receive<StartMigration>(ToMigrations);
        Receive<ReceiveMigration>(ToMigrations);
        Receive<GetMigration>(ToMigrations);
        Receive<GetMoveBlockers>(_ => Sender.Tell(new MoveBlockers([.. VmState.BlockersOf(_machine)])));
        Receive<CancelMigration>(ToMigrations);
        Receive<ContinueMigration>(ToMigrations);
        Receive<PauseMigration>(ToMigrations);
        Receive<YankMigration>(ToMigrations);
        Receive<RecoverMigration>(ToMigrations);
        Receive<StartPostcopy>(ToMigrations);
        Receive<SetMigrationCapabilities>(ToMigrations);
        Receive<GetMigrationCapabilities>(ToMigrations);
        Receive<SetMigrationParameters>(ToMigrations);
        Receive<GetMigrationParameters>(ToMigrations);
        Receive<MeasureDirtyRate>(ToMigrations);
        Receive<GetDirtyRate>(ToMigrations);
        Receive<ThrottleVcpus>(throttle => _vcpus.Tell(throttle));
    }

    private void AwaitMigration(PrepareIncoming prepare)
    {
        if (_poweredOn)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.WrongRunState, "the VM has been started already"));
            return;
        }

        SetStatus(VmRunState.InMigrate, "");
        Become(AwaitingMigration);
        Sender.Tell(_status);
    }

    private void AwaitingMigration()
    {
        var waiting = new VmCommandRejected(RejectionCode.WrongRunState, "the VM waits for a migration");
        void Reject(string id) => Sender.Tell(new HotplugRejected(HotplugState.Legible(id), waiting.Code, waiting.Reason));

        Receive<ContinueVm>(_ => RunWhenArrived(true));
        Receive<StopVm>(_ => RunWhenArrived(false));
        Receive<StartVm>(_ => Sender.Tell(waiting));
        Receive<PrepareVm>(_ => Sender.Tell(waiting));
        Receive<ResetVm>(_ => Sender.Tell(waiting));
        Receive<GetDeviceState>(_ => Sender.Tell(waiting));
        Receive<LoadDeviceState>(_ => Sender.Tell(waiting));
        Receive<PlugVcpu>(plug => Reject(plug.Id));
        Receive<UnplugVcpu>(unplug => Reject(unplug.Id));
        Receive<SetVcpuAdmin>(_ => Reject(""));
        Receive<SendSerial>(_ => Stash.Stash());
        Receive<HoldVm>(_ => HoldWaiting());
        Always();
    }

    // Nothing of the VM runs, so there is nothing to pause. Held, it answers as before: most of a guest is still to come.
    private void HoldWaiting()
    {
        (_holder, _heldFrom) = (Sender, _status);
        Become(() =>
        {
            ForHolder();
            LosesHeld();
            AwaitingMigration();
        });
        _holder.Tell(Held(_heldFrom.RunState));
    }

    private void RunWhenArrived(bool value)
    {
        _runWhenArrived = value;
        Sender.Tell(_status);
    }

    private bool IsServingPages => _status.RunState == VmRunState.PostMigrate && !_claim.By.IsNobody();

    private void RejectWhileServing() => Sender.Tell(new VmCommandRejected(RejectionCode.InProgress, _claim.What));

    // The CPUs and slots of a guest that was handed over are nobody's to plug; those of one that goes on here are.
    private void TakeBack()
    {
        if (_status.RunState == VmRunState.PostMigrate)
        {
            _hotplug?.Tell(new ThawHotplug());
            _pciHotplug.Tell(new ThawHotplug());
        }
    }
}

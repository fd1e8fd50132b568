using System.Reflection;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;

namespace Vmm.Actors.Vm;

/// <content>
/// Holds the VM still for a snapshot, and makes its parts anew when one was loaded. What the files and the state are, is the affair of
/// <see cref="SnapshotCoordinator"/>, which is made when it is first asked for.
/// <code>
/// held: vCPUs paused → paused once more → commands wait → released, or: parts stopped → loaded → parts made anew → devices load → goes on
/// </code>
/// The second pause is a barrier: each CPU_ON that a vCPU asked for before the first one has reached its target.
/// </content>
public sealed partial class VmSupervisor
{
    private const string Snapshots = "snapshots";

    private static readonly string s_product =
        typeof(VmSupervisor).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "";

    // It outlives the parts, as the journal does. Null before it is asked for, or once it has ended.
    private IActorRef? _snapshots;

    // Who saves, loads or moves the VM, and what it does with it; nobody while none does.
    private (IActorRef By, string What) _claim = (ActorRefs.Nobody, "");

    // While the VM is held: for whom, and as what it goes on.
    private IActorRef _holder = ActorRefs.Nobody;
    private VmStatus _heldFrom = new(VmRunState.Paused, "");

    private void ToSnapshots(object request)
    {
        _snapshots ??= Context.Watch(
            Context.ActorOf(ActorProps.Of(() => new SnapshotCoordinator(_machine, _options.Snapshots, s_product)), Snapshots));
        _snapshots.Forward(request);
    }

    private void Claims()
    {
        Receive<FollowLoad>(ToSnapshots);
        Receive<ClaimVm>(claim =>
        {
            if (!_claim.By.IsNobody())
            {
                Sender.Tell(new VmCommandRejected(RejectionCode.InProgress, _claim.What));
                return;
            }

            _claim = (Sender, claim.What);
            Sender.Tell(new VmClaimed());
        });
        Receive<DisclaimVm>(_ => _claim.By.Equals(Sender), _ => _claim = (ActorRefs.Nobody, ""));
    }

    private void Hold(HoldVm hold, bool resume)
    {
        string? refusal = _lost != null ? LostReason
            : _status.RunState == VmRunState.InternalError ? "Resetting the Virtual Machine is required"
            : hold.State is VmRunState.RestoreVm or VmRunState.InMigrate ? null
            : !_poweredOn ? "the VM has not been started"
            : _status.RunState == VmRunState.Shutdown ? "the guest has shut down"
            : null;
        if (refusal != null)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.WrongRunState, refusal));
            return;
        }

        _holder = Sender;
        _heldFrom = _status;
        TakeBack();
        WhenPaused(keepGuestEvents: true, () => Settle(hold, resume));
    }

    // What the guest has asked of the VM itself comes first, because no saved state has it; then the VM is held.
    private void Settle(HoldVm hold, bool resume)
    {
        if (_lost != null)
        {
            LoseHeld();
            return;
        }

        bool guestEnds = false;
        void OfGuest(object happened)
        {
            guestEnds = true;
            Stash.Stash();
        }

        _vcpus.Tell(new PauseVcpus());
        Become(() =>
        {
            Receive<VcpusPaused>(_ =>
            {
                if (guestEnds)
                {
                    Self.Tell(hold, _holder);
                    GoOn();
                }
                else
                {
                    SetStatus(hold.State, "");
                    Become(Holding);
                    _holder.Tell(Held(_heldFrom.RunState));
                }

                Stash.UnstashAll();
            });
            Receive<GuestPoweredOff>(OfGuest);
            Receive<GuestReset>(OfGuest);
            WhileHeld();
        });
    }

    private VmHeld Held(VmRunState from) => new(from, _gic, _devices, _pciHotplug, _hotplug);

    private void Holding()
    {
        ForHolder();
        WhileHeld();
    }

    private void ForHolder()
    {
        Receive<ReleaseVm>(release =>
        {
            if (release.As is { } state)
            {
                bool waits = state == VmRunState.Running && _status.RunState == VmRunState.InMigrate && !_runWhenArrived;
                _heldFrom = new VmStatus(waits ? VmRunState.Paused : state, release.Detail);
            }

            GoOn();
            Stash.UnstashAll();
        });
        Receive<StopParts>(_ => Become(Stopping));
    }

    private void WhileHeld()
    {
        Claims();
        Receive<GetVmStatus>(_ => Sender.Tell(_status));
        Receive<GetMachineDescription>(_ => Sender.Tell(_machine.Description));
        Receive<GetSnapshots>(ToSnapshots);
        Migration();
        Receive<DeadLetter>(AnswerFor);
        LosesHeld();
        ReceiveAny(_ => Stash.Stash());
    }

    private void LosesHeld()
    {
        Receive<Terminated>(terminated =>
        {
            Lose(terminated);
            LoseHeld();
        });
        Receive<PartFailed>(failed =>
        {
            _lost ??= failed;
            LoseHeld();
        });
    }

    // A part has ended: what was to be done with the VM cannot be.
    private void LoseHeld(string? reason = null)
    {
        SetStatus(VmRunState.InternalError, _lost!.Report);
        _holder.Tell(new VmCommandRejected(RejectionCode.ResetRequired, reason ?? LostReason));
        Become(Stopped);
        Stash.UnstashAll();
    }

    private void GoOn()
    {
        if (_heldFrom.RunState == VmRunState.Running)
        {
            Resume();
            return;
        }

        SetStatus(_heldFrom.RunState, _heldFrom.Detail);
        Become(_heldFrom.RunState == VmRunState.InMigrate ? AwaitingMigration : Stopped);
    }

    // That they end is no failure here.
    private void Stopping()
    {
        foreach (IActorRef part in _parts)
        {
            Context.Stop(part);
        }

        Receive<Terminated>(ended => _parts.Contains(ended.ActorRef), ended =>
        {
            _parts.Remove(ended.ActorRef);
            if (_parts.Count == 0)
            {
                Become(WithoutParts);
                _holder.Tell(new PartsStopped());
                Stash.UnstashAll();
            }
        });
        Receive<PartFailed>(_ => { });
        Receive<GetVmStatus>(_ => Sender.Tell(_status));
        ReceiveAny(_ => Stash.Stash());
    }

    private void WithoutParts()
    {
        Receive<RemakeVm>(Remake);
        Receive<FailVm>(failed => FailLoad(failed.Report));
        Receive<GetVmStatus>(_ => Sender.Tell(_status));
        Receive<Terminated>(terminated => FailLoad(Lose(terminated).Report));
        ReceiveAny(_ => Stash.Stash());
    }

    private void Remake(RemakeVm remake)
    {
        _poweredOn = true;
        MakeAllButHotplug();
        int left = remake.Devices.Count;
        _gic.Tell(remake.Devices.Single(IsGic));
        Become(() =>
        {
            Receive<DeviceStateLoaded>(loaded =>
            {
                // Before the devices, which then drive their lines.
                if (Sender.Equals(_gic))
                {
                    foreach (LoadDeviceState device in remake.Devices.Where(d => !IsGic(d)))
                    {
                        _devices.Tell(device);
                    }
                }

                left--;
                if (left == 0)
                {
                    EndLoad(remake);
                }
            });
            Receive<VmCommandRejected>(rejected => FailLoad($"the snapshot is loaded in part: {rejected.Reason}"));
            Receive<Terminated>(terminated => FailLoad(Lose(terminated).Report));
            Receive<PartFailed>(failed => FailLoad(failed.Report));
            Receive<GetVmStatus>(_ => Sender.Tell(_status));
            ReceiveAny(_ => Stash.Stash());
        });
    }

    private bool IsGic(LoadDeviceState state) => OwnerOf(state.Device).Equals(_gic);

    private void EndLoad(RemakeVm remake)
    {
        MakeHotplug(remake.LastOst);
        _vcpus.Tell(new StartLoadedVcpus());
        Become(Holding);
        _holder.Tell(Held(_heldFrom.RunState));
        Stash.UnstashAll();
    }

    private void FailLoad(string report)
    {
        _vcpusLost |= _parts.Count == 0;
        _lost ??= new PartFailed(Snapshots, report);
        LoseHeld(report.Split('\n')[0]);
    }
}

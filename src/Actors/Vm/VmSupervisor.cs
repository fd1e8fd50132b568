using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Devices;
using Vmm.Actors.Hosting;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Interrupts;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vcpu;
using Vmm.Emulation;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Snapshots;

namespace Vmm.Actors.Vm;

/// <summary>
/// The VM: it owns the run state and is the parent of all actors of the VM. Pausing stops the vCPUs first. A fault of a vCPU, or the end of
/// any other part, pauses the VM as internal-error with a report. No part is restarted behind the guest's back. A reset leaves
/// internal-error and makes the parts anew.
/// <code>
/// reset: vCPUs paused → GIC, devices and hotplug reset by their actors → RAM and CPUs → vCPUs resume
/// </code>
/// </summary>
public sealed partial class VmSupervisor : MessageActor, IWithUnboundedStash
{
    private const string Vcpus = "vcpus";
    private const string Journal = "journal";

    private static readonly VmReset s_guestReset = new(Guest: true, ShutdownCause.GuestReset);
    private static readonly VmCommandRejected s_running = new(RejectionCode.WrongRunState, "the VM is running");
    private static readonly VmReset s_hostReset = new(Guest: false, ShutdownCause.HostReset);

    private readonly IVmMachine _machine;
    private readonly VmOptions _options;
    private readonly HashSet<IActorRef> _parts = [];
    private readonly Dictionary<string, Exception> _failures = [];
    private IActorRef _vcpus = ActorRefs.Nobody;
    private IActorRef _gic = ActorRefs.Nobody;
    private IActorRef _devices = ActorRefs.Nobody;
    private IActorRef _pciHotplug = ActorRefs.Nobody;
    private IActorRef? _hotplug;

    // The journal is not made anew with the parts, because it may still have entries to write. Null without hotplug, or once it has ended.
    private IActorRef? _journal;

    // The first child that stopped or failed; null while all children run.
    private PartFailed? _lost;
    private bool _vcpusLost;
    private bool _poweredOn;
    private VmStatus _status = new(VmRunState.Prelaunch, "");

    public VmSupervisor(IVmMachine machine, VmOptions options)
    {
        _machine = machine;
        _options = options;
        MakeParts();
        if (options.MigrationJournal.Elsewhere() != null)
        {
            // It is to hear that the guest is taken back.
            MigrationsMade();
        }

        Become(Stopped);
    }

    public IStash Stash { get; set; } = null!;

    protected override void PreStart() => Context.System.EventStream.Subscribe(Self, typeof(DeadLetter));

    protected override void PostStop() => Context.System.EventStream.Unsubscribe(Self);

    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(e =>
    {
        _failures[Sender.Path.Name] = e;
        return Directive.Stop;
    });

    private void MakeParts()
    {
        MakeAllButHotplug();
        MakeHotplug(loaded: null);
    }

    private void MakeAllButHotplug()
    {
        _lost = null;
        _vcpusLost = false;
        _vcpus = Part(ActorProps.Of(() => new VcpuManager(_machine, _options.VcpuDispatcher)), Vcpus);
        _gic = Part(ActorProps.Of(() => new GicSupervisor(_machine)), "gic");
        _devices = Part(ActorProps.Of(() => new DeviceManager(_machine, _options.SerialOutput)), "devices");
        IActorRef devices = _devices;
        _pciHotplug = Part(
            ActorProps.Of(() => new PciHotplugCoordinator(_machine, _options.DeviceMaker, devices, _options.HotplugTimeout)),
            "pci-hotplug");
    }

    // `loaded` is null but for a machine that goes on from a snapshot.
    private void MakeHotplug(LastOst? loaded)
    {
        if (_machine.Hotplug != null)
        {
            _journal ??= Context.Watch(Context.ActorOf(ActorProps.Of(() => new JournalActor(_options.Journal)), Journal));
            (IActorRef journal, IActorRef vcpus, IActorRef gic, IActorRef devices, bool poweredOn) =
                (_journal, _vcpus, _gic, _devices, _poweredOn);
            _hotplug = Part(
                ActorProps.Of(() => new HotplugCoordinator(
                    journal, _machine, vcpus, gic, devices, _options.HotplugTimeout, poweredOn, loaded)),
                "hotplug");
        }
    }

    private IActorRef Part(Props props, string name)
    {
        IActorRef part = Context.Watch(Context.ActorOf(props, name));
        _parts.Add(part);
        return part;
    }

    // The commands that are allowed depend on the run state. The queries of Always() are answered in each.
    private void Running()
    {
        Receive<StopVm>(_ => Pause(VmRunState.Paused, "", Sender));
        Receive<GuestPoweredOff>(_ => PowerOff());
        Receive<DiskStopped>(_ => Pause(VmRunState.IoError, "", ActorRefs.Nobody));
        Receive<GuestReset>(_ => Reset(ActorRefs.Nobody, resume: true, s_guestReset));
        Receive<ResetVm>(_ => Reset(Sender, resume: true, s_hostReset));
        Receive<ContinueVm>(_ => Sender.Tell(_status));
        Receive<GetDeviceState>(_ => Sender.Tell(s_running));
        Receive<LoadDeviceState>(_ => Sender.Tell(s_running));
        Receive<HoldVm>(hold => Hold(hold, resume: true));
        Always();
    }

    private void Stopped()
    {
        Receive<StartVm>(_ => PauseThenReset(Sender, resume: true, happened: null));
        Receive<PrepareVm>(_ => PauseThenReset(Sender, resume: false, happened: null));
        Receive<PrepareIncoming>(AwaitMigration);

        // The receiver of the guest still needs the RAM.
        Receive<ContinueVm>(_ => IsServingPages, _ => RejectWhileServing());
        Receive<ResetVm>(_ => IsServingPages, _ => RejectWhileServing());
        Receive<ResetVm>(_ => Reset(Sender, resume: false, s_hostReset));
        Receive<StopVm>(_ => Sender.Tell(_status));
        Receive<ContinueVm>(_ =>
        {
            if (_status.RunState is not (VmRunState.Paused or VmRunState.IoError or VmRunState.PostMigrate)
                && !(_status.RunState == VmRunState.Prelaunch && _poweredOn))
            {
                Sender.Tell(new VmCommandRejected(
                    RejectionCode.WrongRunState,
                    $"Resetting the Virtual Machine is required (status: {RunStateNames.Of(_status.RunState)})"));
                return;
            }

            Resume();
            Sender.Tell(_status);
        });

        // Keys that come before the machine is powered on or loaded are for the guest that is there then.
        Receive<SendSerial>(_ => !_poweredOn, _ => Stash.Stash());

        // These messages were on their way from a vCPU when it was stopped.
        Receive<GuestPoweredOff>(_ => PowerOff());
        Receive<GuestReset>(_ => Reset(ActorRefs.Nobody, resume: false, s_guestReset));
        Receive<GetDeviceState>(get => OwnerOf(get.Device).Forward(get));
        Receive<LoadDeviceState>(load => OwnerOf(load.Device).Forward(load));
        Receive<HoldVm>(hold => Hold(hold, resume: false));
        Always();
    }

    private void Always()
    {
        Claims();
        Receive<GetVmStatus>(_ => Sender.Tell(_status));
        Receive<GetMachineDescription>(_ => Sender.Tell(_machine.Description));
        Receive<GetBoardDevices>(_ => Sender.Tell(DeviceReport.DevicesOf(_machine.Devices)));
        Receive<GetJitDescription>(_ => Sender.Tell(new JitDescription(_machine.DescribeJit())));
        Receive<VcpuFailed>(failed => Pause(VmRunState.InternalError, failed.Report, ActorRefs.Nobody));
        Receive<PartFailed>(failed =>
        {
            _lost ??= failed;
            Pause(VmRunState.InternalError, _lost.Report, ActorRefs.Nobody);
        });
        Receive<Terminated>(terminated => Pause(VmRunState.InternalError, Lose(terminated).Report, ActorRefs.Nobody));
        Receive<DeadLetter>(AnswerFor);
        Receive<PressPowerButton>(press =>
        {
            _devices.Tell(press);
            Context.System.EventStream.Publish(new PowerButtonPressed());
            Sender.Tell(_status);
        });
        Receive<PowerOnVcpu>(_vcpus.Forward);
        Receive<GetVcpuStates>(ForwardToVcpus);
        Receive<GetVcpuStatus>(get => DescribeCpus(
            get, () => new DescribeVcpuStatus(get.Cpu, _machine.PowerOnCpus.AdminOf(get.Cpu))));
        Receive<GetVcpuRegisters>(ForwardToVcpus);
        Receive<GetVcpuThreads>(ForwardToVcpus);
        Receive<GetVcpuTimes>(ForwardToVcpus);
        Receive<ReadGuestMemory>(Read);
        Receive<GetMachineReport>(get => get.Subject == ReportSubject.Tlb, ForwardToVcpus);
        Receive<GetMachineReport>(get => Sender.Tell(new MachineReport(_machine.Describe(get.Subject))));
        Receive<SendSerial>(_devices.Forward);
        Receive<IBlockCommand>(_devices.Forward);
        Receive<IBlockImageCommand>(command => _pciHotplug.Forward(command));
        Receive<IBalloonCommand>(_devices.Forward);
        Receive<GetNetLinks>(_devices.Forward);
        Receive<INetCommand>(_devices.Forward);
        Receive<PlugDevice>(HotplugPci);
        Receive<UnplugDevice>(HotplugPci);
        Receive<INetdevCommand>(command => _pciHotplug.Forward(command));
        Receive<IObjectCommand>(command => _pciHotplug.Forward(command));
        Receive<GetPciDevices>(_ => Sender.Tell(DeviceReport.FunctionsOf(_machine.Devices)));
        Receive<PlugVcpu>(plug => Hotplug(plug, plug.Id));
        Receive<UnplugVcpu>(unplug => Hotplug(unplug, unplug.Id));
        Receive<SetVcpuAdmin>(set => Hotplug(set, ""));
        Receive<GetCpusPowerState>(get => DescribeCpus(get, DescribePower));
        Migration();
        Receive<SaveSnapshot>(ToSnapshots);
        Receive<LoadSnapshot>(ToSnapshots);
        Receive<DeleteSnapshot>(ToSnapshots);
        Receive<GetSnapshots>(ToSnapshots);
        Receive<GetPluggedVcpus>(get => ForwardToHotplug(get, new PluggedVcpus([], [])));
        Receive<GetAcpiOspmStatus>(get => ForwardToHotplug(get, new VmCommandRejected(
            RejectionCode.NotSupported, "command is not supported, missing ACPI device")));
    }

    private void ForwardToHotplug(object query, IProtocolMessage without)
    {
        if (_hotplug == null)
        {
            Sender.Tell(without);
        }
        else if (_lost != null)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.ResetRequired, LostReason));
        }
        else
        {
            _hotplug.Forward(query);
        }
    }

    // Answers a request that a part did not answer before it ended.
    private void AnswerFor(DeadLetter unheard)
    {
        switch (unheard.Message)
        {
            case PlugVcpu plug:
                unheard.Sender.Tell(new HotplugRejected(HotplugState.Legible(plug.Id), RejectionCode.ResetRequired, LostReason));
                break;
            case UnplugVcpu unplug:
                unheard.Sender.Tell(new HotplugRejected(HotplugState.Legible(unplug.Id), RejectionCode.ResetRequired, LostReason));
                break;
            case SetVcpuAdmin or PlugDevice or UnplugDevice:
                unheard.Sender.Tell(new HotplugRejected("", RejectionCode.ResetRequired, LostReason));
                break;
            case GetVcpuStates or GetVcpuStatus or GetVcpuThreads or GetVcpuTimes or GetCpusPowerState or DescribeCpusPower
                or DescribeVcpuStatus or GetPluggedVcpus or GetAcpiOspmStatus
                or GetDeviceState or LoadDeviceState or IBalloonCommand or IBlockCommand or IBlockImageCommand
                or GetNetLinks or INetCommand or INetdevCommand or IObjectCommand
                or SaveSnapshot or LoadSnapshot or DeleteSnapshot or GetSnapshots
                or StartMigration or ReceiveMigration or GetMigration or CancelMigration or ContinueMigration or PauseMigration
                or YankMigration
                or RecoverMigration or StartPostcopy or SetMigrationCapabilities or GetMigrationCapabilities or SetMigrationParameters
                or GetMigrationParameters or MeasureDirtyRate or GetDirtyRate:
                unheard.Sender.Tell(new VmCommandRejected(RejectionCode.ResetRequired, LostReason));
                break;
            case GetVcpuRegisters or GetMachineReport or ReadGuestMemory:
                unheard.Sender.Tell(new VmCommandRejected(RejectionCode.CpuNotFound, "CPU not found"));
                break;
        }
    }

    private void Read(ReadGuestMemory read)
    {
        if (read.Length is < 0 or > ReadGuestMemory.Longest)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.InvalidArgument, $"{read.Length} bytes of guest memory are not read at once"));
        }
        else if (read.Cpu < 0)
        {
            Sender.Tell(new GuestMemoryRead(_machine.ReadMemory(new GuestPhysicalAddress(read.Address), read.Length)));
        }
        else
        {
            ForwardToVcpus(read);
        }
    }

    // Allowed in every state after the first power-on.
    private void Reset(IActorRef requester, bool resume, VmReset reset)
    {
        if (_options.ShutdownOnReset)
        {
            Context.System.EventStream.Publish(new VmShutdown(reset.Guest, reset.Cause));
            Pause(VmRunState.Shutdown, "", requester);
        }
        else
        {
            PauseThenReset(requester, resume, reset);
        }
    }

    private void PowerOff()
    {
        Context.System.EventStream.Publish(new VmShutdown(Guest: true, ShutdownCause.GuestShutdown));
        Pause(VmRunState.Shutdown, "", ActorRefs.Nobody);
    }

    private string LostReason => _lost == null
        ? "a part of the VM has failed"
        : $"Resetting the Virtual Machine is required ({_lost.Part} has failed)";

    private void ForwardToVcpus(object query)
    {
        if (_vcpusLost)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.ResetRequired, LostReason));
        }
        else
        {
            _vcpus.Forward(query);
        }
    }

    private void Hotplug(object command, string id)
    {
        if (_hotplug == null)
        {
            Sender.Tell(new HotplugRejected(HotplugState.Legible(id), RejectionCode.NotSupported,
                "CPU hotplug is not supported without ACPI"));
        }
        else if (_lost != null)
        {
            Sender.Tell(new HotplugRejected(HotplugState.Legible(id), RejectionCode.ResetRequired, LostReason));
        }
        else
        {
            _hotplug.Forward(command);
        }
    }

    // While the VM is saved or moved its devices stay as they are.
    private void HotplugPci(IProtocolMessage request)
    {
        Rejection? why = _lost != null ? new Rejection(RejectionCode.ResetRequired, LostReason)
            : !_claim.By.IsNobody() ? new Rejection(RejectionCode.InProgress, _claim.What) : null;
        if (why == null)
        {
            _pciHotplug.Forward(request);
        }
        else
        {
            Sender.Tell(HotplugRejected.Of("", why));
        }
    }

    // The hotplug coordinator owns the administrative states. Without one they stay as at power-on.
    private void DescribeCpus(IProtocolMessage query, Func<IProtocolMessage> fromPowerOn)
    {
        if (_lost != null)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.ResetRequired, LostReason));
        }
        else if (_hotplug != null)
        {
            _hotplug.Forward(query);
        }
        else
        {
            _vcpus.Forward(fromPowerOn());
        }
    }

    private DescribeCpusPower DescribePower()
    {
        int[] cpus = [.. Enumerable.Range(0, _machine.PossibleCpus)];
        return new DescribeCpusPower(
            [.. cpus.Select(cpu => _machine.IsEnabled(cpu) ? HotplugState.Empty.NameOf(cpu) : "")],
            [.. cpus.Select(_machine.PowerOnCpus.AdminOf)]);
    }

    // The actor that saves and loads a device: the GIC has its own supervisor.
    private IActorRef OwnerOf(string device) => _machine.Devices.Any(d => d.Id == device && d.Device is GicV3Device) ? _gic : _devices;

    private PartFailed Lose(Terminated terminated)
    {
        string part = terminated.ActorRef.Path.Name;
        _parts.Remove(terminated.ActorRef);
        _vcpusLost |= part == Vcpus;
        _journal = part == Journal ? null : _journal;
        _snapshots = part == Snapshots ? null : _snapshots;
        _migrations = part == Migrations ? null : _migrations;
        if (_claim.By.Path.Equals(terminated.ActorRef.Path) || _claim.By.Path.Parent?.Equals(terminated.ActorRef.Path) == true)
        {
            _claim = (ActorRefs.Nobody, "");
        }

        return _lost ??= new PartFailed(part, _failures.Remove(part, out Exception? cause) ? $"{part}: {cause}" : $"{part} stopped");
    }

    private void Pause(VmRunState runState, string detail, IActorRef requester) => WhenPaused(keepGuestEvents: true, () =>
    {
        // The first failure is the one to report.
        if (_status.RunState != VmRunState.InternalError)
        {
            SetStatus(_lost == null ? runState : VmRunState.InternalError, _lost == null ? detail : _lost.Report);
        }

        requester.Tell(_status);
        Become(Stopped);
    });

    // `happened` is published when the reset is done; it is null for the power-on.
    private void PauseThenReset(IActorRef requester, bool resume, VmReset? happened) => WhenPaused(keepGuestEvents: false, () =>
    {
        TakeBack();
        if (_lost == null)
        {
            ResetParts(requester, resume, happened);
            return;
        }

        // The parts hold references to each other, so all are made anew.
        foreach (IActorRef part in _parts)
        {
            Context.Stop(part);
        }

        Become(() =>
        {
            Receive<Terminated>(terminated =>
            {
                Lose(terminated);
                RemakeParts(requester, resume, happened);
            });
            ReceiveAny(_ => Stash.Stash());
        });
        RemakeParts(requester, resume, happened);
    });

    private void RemakeParts(IActorRef requester, bool resume, VmReset? happened)
    {
        if (_parts.Count == 0)
        {
            MakeParts();
            ResetParts(requester, resume, happened);
        }
    }

    private void ResetParts(IActorRef requester, bool resume, VmReset? happened)
    {
        var waiting = new HashSet<IActorRef> { _gic, _devices, _pciHotplug };
        if (_hotplug != null)
        {
            waiting.Add(_hotplug);
        }

        foreach (IActorRef part in waiting)
        {
            part.Tell(new ResetDevices());
        }

        Become(() =>
        {
            Receive<DevicesReset>(reset =>
            {
                waiting.Remove(Sender);
                if (reset.Failure.Length > 0)
                {
                    EndReset(requester, new VmStatus(VmRunState.InternalError, reset.Failure));
                }
                else if (waiting.Count == 0)
                {
                    ResetBoard(requester, resume, happened);
                }
            });
            Receive<Terminated>(terminated => EndReset(requester, new VmStatus(VmRunState.InternalError, Lose(terminated).Report)));
            Receive<PartFailed>(failed =>
            {
                _lost ??= failed;
                EndReset(requester, new VmStatus(VmRunState.InternalError, _lost.Report));
            });
            Receive<PowerOnVcpu>(_vcpus.Forward);
            ReceiveAny(_ => Stash.Stash());
        });
    }

    private void ResetBoard(IActorRef requester, bool resume, VmReset? happened)
    {
        try
        {
            _machine.Reset();
        }
        catch (InvalidDataException e)
        {
            EndReset(requester, new VmStatus(VmRunState.InternalError, e.Message));
            return;
        }

        _poweredOn = true;
        _vcpus.Tell(new ResetVcpus());
        if (happened != null)
        {
            Context.System.EventStream.Publish(happened);
        }

        if (resume)
        {
            Resume();
            requester.Tell(_status);
            Stash.UnstashAll();
        }
        else
        {
            EndReset(requester, new VmStatus(happened == null ? VmRunState.Prelaunch : VmRunState.Paused, ""));
        }
    }

    private void EndReset(IActorRef requester, VmStatus status)
    {
        SetStatus(status.RunState, status.Detail);
        requester.Tell(_status);
        Become(Stopped);
        Stash.UnstashAll();
    }

    private void Resume()
    {
        TakeBack();
        _machine.SetClockRunning(true);
        _devices.Tell(new ResumeDevices());
        _vcpus.Tell(new ResumeVcpus());
        SetStatus(VmRunState.Running, "");
        Become(Running);
    }

    // Pauses the vCPUs, and then acts. Commands that come meanwhile wait in the stash; nothing here waits for a guest access. A reset drops
    // the requests that vCPUs made before it.
    private void WhenPaused(bool keepGuestEvents, Action then)
    {
        if (_vcpusLost)
        {
            _machine.SetClockRunning(false);
            then();
            return;
        }

        void Paused()
        {
            _machine.SetClockRunning(false);
            _devices.Tell(new PauseDevices(Close: false), ActorRefs.NoSender);
            then();
            Stash.UnstashAll();
        }

        _vcpus.Tell(new PauseVcpus());
        Become(() =>
        {
            Receive<VcpusPaused>(_ => Paused());
            Receive<Terminated>(terminated =>
            {
                Lose(terminated);
                if (_vcpusLost)
                {
                    Paused();
                }
            });
            Receive<PartFailed>(failed => _lost ??= failed);
            if (!keepGuestEvents)
            {
                Receive<GuestPoweredOff>(_ => { });
                Receive<GuestReset>(_ => { });
            }

            // A CPU_ON may be under way. The vCPU keeps it until it is resumed.
            Receive<PowerOnVcpu>(_vcpus.Forward);
            ReceiveAny(_ => Stash.Stash());
        });
    }

    private void SetStatus(VmRunState runState, string detail)
    {
        _status = new VmStatus(runState, detail);
        _migrations?.Tell(_status);
        Context.System.EventStream.Publish(_status);
    }
}

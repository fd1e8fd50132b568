using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Interrupts;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;

namespace Vmm.Actors.Vm;

/// <summary>How a VM's actors are set up.</summary>
/// <param name="VcpuDispatcher">Dispatcher of vCPU actors; null for the default one, in tests.</param>
/// <param name="HotplugTimeout">How long the guest has for a plug or unplug.</param>
/// <param name="SerialOutput">Takes the guest's serial output.</param>
public sealed record VmOptions(string? VcpuDispatcher, TimeSpan HotplugTimeout, Action<ReadOnlyMemory<byte>> SerialOutput);

/// <summary>
/// The run state of the VM, and the parent of everything in it. Pausing stops the vCPUs first; a fault of a vCPU or the GIC pauses
/// the VM as internal-error with a report, and nothing is restarted behind the guest's back.
/// </summary>
public sealed class VmSupervisor : ReceiveActor, IWithUnboundedStash
{
    private readonly IVmMachine _machine;
    private readonly IActorRef _vcpus;
    private readonly IActorRef _devices;
    private readonly IActorRef? _hotplug;
    private VmStatus _status = new(VmRunState.Prelaunch, "");

    public VmSupervisor(IVmMachine machine, VmOptions options)
    {
        _machine = machine;
        _vcpus = Context.ActorOf(Props.Create(() => new VcpuManager(machine, options.VcpuDispatcher)), "vcpus");
        IActorRef gic = Context.ActorOf(Props.Create(() => new GicSupervisor(machine)), "gic");
        _devices = Context.ActorOf(Props.Create(() => new DeviceManager(machine, options.SerialOutput)), "devices");
        if (machine.Hotplug != null)
        {
            string journal = $"hotplug-{Guid.NewGuid():N}";
            _hotplug = Context.ActorOf(
                Props.Create(() => new HotplugCoordinator(journal, machine, _vcpus, gic, options.HotplugTimeout)), "hotplug");
        }

        Become(Stopped);
    }

    public IStash Stash { get; set; } = null!;

    protected override SupervisorStrategy SupervisorStrategy()
    {
        IActorRef self = Self;
        return new OneForOneStrategy(e =>
        {
            self.Tell(new VcpuFailed(-1, e.ToString()));
            return Directive.Stop;
        });
    }

    // Running, paused, shutdown, internal-error: what is allowed differs, what is always answered does not.
    private void Running()
    {
        Receive<StopVm>(_ => Pause(VmRunState.Paused, "", Sender));
        Receive<GuestPoweredOff>(_ => Pause(VmRunState.Shutdown, "", ActorRefs.Nobody));
        Receive<GuestReset>(_ => PauseThenReset(ActorRefs.Nobody, resume: true));
        Receive<ResetVm>(_ => PauseThenReset(Sender, resume: true));
        Receive<ContinueVm>(_ => Sender.Tell(_status));
        Always();
    }

    private void Stopped()
    {
        Receive<StartVm>(_ => PauseThenReset(Sender, resume: true));
        Receive<ResetVm>(_ => PauseThenReset(Sender, resume: false));
        Receive<StopVm>(_ => Sender.Tell(_status));
        Receive<ContinueVm>(_ =>
        {
            if (_status.RunState != VmRunState.Paused)
            {
                Sender.Tell(new VmCommandRejected($"Resetting the Virtual Machine is required (status: {_status.RunState})"));
                return;
            }

            Resume();
            Sender.Tell(_status);
        });

        // What vCPUs had on their way when they were stopped.
        Receive<GuestPoweredOff>(_ => SetStatus(VmRunState.Shutdown, ""));
        Receive<GuestReset>(_ => PauseThenReset(ActorRefs.Nobody, resume: false));
        Always();
    }

    private void Always()
    {
        Receive<GetVmStatus>(_ => Sender.Tell(_status));
        Receive<VcpuFailed>(failed => Pause(VmRunState.InternalError, failed.Report, ActorRefs.Nobody));
        Receive<PressPowerButton>(_ =>
        {
            _machine.PressPowerButton();
            Sender.Tell(_status);
        });
        Receive<PowerOnVcpu>(_vcpus.Forward);
        Receive<GetVcpuStates>(_vcpus.Forward);
        Receive<GetVcpuStatus>(_vcpus.Forward);
        Receive<GetVcpuRegisters>(_vcpus.Forward);
        Receive<SendSerial>(_devices.Forward);
        Receive<PlugVcpu>(plug => Hotplug(plug, plug.Id));
        Receive<UnplugVcpu>(unplug => Hotplug(unplug, unplug.Id));
        Receive<GetPluggedVcpus>(get =>
        {
            if (_hotplug == null)
            {
                Sender.Tell(new PluggedVcpus([], []));
            }
            else
            {
                _hotplug.Forward(get);
            }
        });
    }

    private void Hotplug(object command, string id)
    {
        if (_hotplug == null)
        {
            Sender.Tell(new HotplugRejected(id, "CPU hotplug is not supported without ACPI"));
        }
        else
        {
            _hotplug.Forward(command);
        }
    }

    private void Pause(string runState, string detail, IActorRef requester) => WhenPaused(() =>
    {
        SetStatus(runState, detail);
        requester.Tell(_status);
        Become(Stopped);
    });

    private void PauseThenReset(IActorRef requester, bool resume) => WhenPaused(() =>
    {
        try
        {
            _machine.Reset();
        }
        catch (InvalidDataException e)
        {
            SetStatus(VmRunState.InternalError, e.Message);
            requester.Tell(_status);
            Become(Stopped);
            return;
        }

        _vcpus.Tell(new ResetVcpus());
        _hotplug?.Tell(new MachineWasReset());
        if (resume)
        {
            Resume();
        }
        else
        {
            SetStatus(VmRunState.Paused, "");
            Become(Stopped);
        }

        requester.Tell(_status);
    });

    private void Resume()
    {
        _machine.SetClockRunning(true);
        _vcpus.Tell(new ResumeVcpus());
        SetStatus(VmRunState.Running, "");
        Become(Running);
    }

    // Commands that come while the vCPUs are being stopped wait; nothing here waits for a guest access.
    private void WhenPaused(Action then)
    {
        _vcpus.Tell(new PauseVcpus());
        Become(() =>
        {
            Receive<VcpusPaused>(_ =>
            {
                _machine.SetClockRunning(false);
                then();
                Stash.UnstashAll();
            });

            // CPU_ON that was under way: the vCPU remembers it until it is resumed.
            Receive<PowerOnVcpu>(_vcpus.Forward);
            ReceiveAny(_ => Stash.Stash());
        });
    }

    private void SetStatus(string runState, string detail)
    {
        _status = new VmStatus(runState, detail);
        Context.System.EventStream.Publish(_status);
    }
}

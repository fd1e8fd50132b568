using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.InterruptController;

namespace Vmm.Actors.Devices;

/// <summary>
/// Makes the actor of each device of the board (<see cref="DeviceActors"/>) and passes messages on to them. An exception of a device's host
/// stream restarts the device's actor, because the core is untouched by it. When such exceptions go on, and on any other failure, the
/// supervisor is told.
/// <para>The GIC's actor is <see cref="Interrupts.GicSupervisor"/>.</para>
/// </summary>
public sealed class DeviceManager : MessageActor
{
    private const int MostRestarts = 10;

    private readonly Dictionary<string, IActorRef> _devices = new(StringComparer.Ordinal);
    private readonly HashSet<IActorRef> _resetting = [];
    private readonly Dictionary<IActorRef, Exception> _failures = [];
    private IActorRef _resetter = ActorRefs.Nobody;

    // The devices that work by themselves; those that are to end what is under way, in which pause, and who is told.
    private readonly List<IActorRef> _workers = [];
    private readonly HashSet<IActorRef> _pausing = [];
    private int _round;
    private IActorRef _pauser = ActorRefs.Nobody;

    public DeviceManager(IVmMachine machine, Action<ReadOnlyMemory<byte>> serialOutput)
    {
        var around = new DeviceSurroundings(machine, serialOutput);
        foreach (PlacedDevice placed in machine.Devices)
        {
            if (placed.Device is GicV3Device || !placed.HasActor)
            {
                continue;
            }

            DeviceActorPlan actor = DeviceActors.Of(placed, around);
            IActorRef device = Context.Watch(Context.ActorOf(actor.Props, placed.Id));
            _devices.Add(placed.Id, device);
            if (actor.Pauses)
            {
                _workers.Add(device);
            }

            foreach (Type message in actor.Takes)
            {
                Receive<object>(message.IsInstanceOfType, device.Forward);
            }
        }

        Receive<ResetDevices>(Reset);
        Receive<DevicesReset>(_ =>
        {
            if (_resetting.Remove(Sender) && _resetting.Count == 0)
            {
                _resetter.Tell(new DevicesReset(""));
            }
        });
        Receive<PauseDevices>(Pause);
        Receive<DevicesPaused>(paused =>
        {
            if (paused.Round == _round && _pausing.Remove(Sender) && _pausing.Count == 0)
            {
                _pauser.Tell(paused);
            }
        });
        Receive<ResumeDevices>(resume => _workers.ForEach(device => device.Tell(resume)));
        Receive<DiskStopped>(Context.Parent.Forward);
        Receive<GetBlockDevices>(_ => Sender.Tell(DiskReport.Of(machine.Devices)));
        Receive<IBalloonCommand>(_ => Sender.Tell(
            new VmCommandRejected(RejectionCode.DeviceNotActive, "No balloon device has been activated")));
        Receive<IBlockCommand>(command => ToDevice(DiskReport.Find(machine.Devices, command.Disk)?.Id ?? command.Disk, command));
        Receive<GetNetLinks>(_ => Sender.Tell(NetReport.Of(machine.Devices, machine.Netdevs)));
        Receive<INetCommand>(command => ToDevice(NetReport.Find(machine.Devices, command.Link)?.Id ?? command.Link, command));
        Receive<GetDeviceState>(get => ToDevice(get.Device, get));
        Receive<LoadDeviceState>(load => ToDevice(load.Device, load));
        Receive<Terminated>(OnStopped);
    }

    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(MostRestarts, TimeSpan.FromMinutes(1), e =>
    {
        _failures[Sender] = e;
        return e is IOException or ObjectDisposedException ? Directive.Restart : Directive.Escalate;
    });

    private void Reset(ResetDevices reset)
    {
        _resetter = Sender;
        _resetting.UnionWith(_devices.Values);
        foreach (IActorRef device in _devices.Values)
        {
            device.Tell(reset);
        }
    }

    private void Pause(PauseDevices pause)
    {
        (_round, _pauser) = (_round + 1, Sender);
        _pausing.Clear();
        _pausing.UnionWith(_workers);
        _workers.ForEach(device => device.Tell(pause with { Round = _round }));
        if (_pausing.Count == 0)
        {
            _pauser.Tell(new DevicesPaused(_round));
        }
    }

    private void ToDevice(string name, object message)
    {
        if (_devices.TryGetValue(name, out IActorRef? device))
        {
            device.Forward(message);
        }
        else
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.DeviceNotFound, $"Device '{name}' not found"));
        }
    }

    // A device's actor has stopped: it failed too often to be restarted again.
    private void OnStopped(Terminated stopped)
    {
        Exception? cause = _failures.GetValueOrDefault(stopped.ActorRef);
        throw new IOException($"{stopped.ActorRef.Path.Name} fails again and again: {cause?.Message}", cause);
    }
}

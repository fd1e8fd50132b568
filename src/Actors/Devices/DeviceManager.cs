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
    private readonly DeviceSurroundings _around;

    // The messages to the VM that devices take.
    private readonly List<(Type Message, IActorRef Device)> _takers = [];
    private bool _runs;

    // The actors that are being stopped because their devices have left, and who is told.
    private readonly Dictionary<IActorRef, (PlacedDevice Device, IActorRef Requester)> _ending = [];

    private readonly HashSet<IActorRef> _pausing = [];
    private int _round;
    private IActorRef _pauser = ActorRefs.Nobody;

    public DeviceManager(IVmMachine machine, Action<ReadOnlyMemory<byte>> serialOutput)
    {
        _around = new DeviceSurroundings(machine, serialOutput);
        foreach (PlacedDevice placed in machine.Devices)
        {
            Start(placed);
        }

        Receive<object>(m => Taker(m) != null, m => Taker(m)!.Forward(m));
        Receive<ResetDevices>(Reset);
        Receive<DevicesReset>(_ => EndReset(Sender));
        Receive<PauseDevices>(Pause);
        Receive<DevicesPaused>(paused => paused.Round == _round, _ => EndPause(Sender));
        Receive<DevicesPaused>(_ => { });
        Receive<ResumeDevices>(resume =>
        {
            _runs = true;
            _workers.ForEach(device => device.Tell(resume));
        });
        Receive<StartDevice>(start =>
        {
            Start(start.Device);
            Sender.Tell(new DeviceStarted(start.Device));
        });
        Receive<EndDevice>(End);
        Receive<PlugPort>(plug => ToConsole(plug.Console, plug, new PortPlugged(plug.Port, "The console is leaving")));
        Receive<UnplugPort>(unplug => ToConsole(unplug.Console, unplug, new PortUnplugged(unplug.Port)));
        Receive<DiskStopped>(Context.Parent.Forward);
        Receive<GetBlockDevices>(_ => Sender.Tell(DiskReport.Of(machine.Devices)));
        Receive<GetBlockNodes>(_ => Sender.Tell(DiskReport.NodesOf(machine.Devices)));
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

    private void Start(PlacedDevice placed)
    {
        if (placed.Device is GicV3Device || !placed.HasActor)
        {
            return;
        }

        DeviceActorPlan actor = DeviceActors.Of(placed, _around);
        IActorRef device = Context.Watch(Context.ActorOf(actor.Props, placed.Id));
        _devices.Add(placed.Id, device);
        if (actor.Pauses)
        {
            _workers.Add(device);
            if (_runs)
            {
                device.Tell(new ResumeDevices());
            }
        }

        _takers.AddRange(actor.Takes.Select(message => (message, device)));
    }

    private IActorRef? Taker(object message) => _takers.Find(t => t.Message.IsInstanceOfType(message)).Device;

    private void End(EndDevice end)
    {
        if (!_devices.Remove(end.Device.Id, out IActorRef? device))
        {
            Sender.Tell(new DeviceEnded(end.Device));
            return;
        }

        _workers.Remove(device);
        _takers.RemoveAll(t => t.Device.Equals(device));
        _ending.Add(device, (end.Device, Sender));
        Context.Stop(device);
    }

    private void EndReset(IActorRef device)
    {
        if (_resetting.Remove(device) && _resetting.Count == 0)
        {
            _resetter.Tell(new DevicesReset(""));
        }
    }

    private void EndPause(IActorRef device)
    {
        if (_pausing.Remove(device) && _pausing.Count == 0)
        {
            _pauser.Tell(new DevicesPaused(_round));
        }
    }

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
        (_round, _pauser, _runs) = (_round + 1, Sender, false);
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

    private void ToConsole(PlacedDevice console, object message, object without)
    {
        if (_devices.TryGetValue(console.Id, out IActorRef? device))
        {
            device.Forward(message);
        }
        else
        {
            Sender.Tell(without);
        }
    }

    // A device's actor has stopped: its device has left, or it failed too often to be restarted again.
    private void OnStopped(Terminated stopped)
    {
        if (_ending.Remove(stopped.ActorRef, out (PlacedDevice Device, IActorRef Requester) ended))
        {
            ended.Requester.Tell(new DeviceEnded(ended.Device));
            EndReset(stopped.ActorRef);
            EndPause(stopped.ActorRef);
            return;
        }

        Exception? cause = _failures.GetValueOrDefault(stopped.ActorRef);
        throw new IOException($"{stopped.ActorRef.Path.Name} fails again and again: {cause?.Message}", cause);
    }
}

using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Actors.Hotplug;

/// <summary>
/// Puts PCI devices into slots of root ports, and takes them out again, while the guest runs. It owns the requests that are under way: each
/// ends once, and whoever asked and the event stream are told.
/// <code>
/// plug:   on the bus → has its actor → guest told (presence, button) → accepted → power and its indicator on: done
/// unplug: button → accepted → guest turns both off: off the bus in that write → actor ends → disk closed: done (DEVICE_DELETED)
/// </code>
/// A request that the guest does not answer is timed out and stays pending. A reset ends all: what is in a slot is found at the next boot.
/// A guest that lets a device go unasked loses it, as with QEMU.
/// <para>
/// A guest that moves takes what it was asked along, in the state of its slots (<see cref="PcieRootPort.Request"/>). It ends where the
/// guest runs, and nowhere else: the coordinator there finds it when the slots are loaded.
/// </para>
/// </summary>
public sealed partial class PciHotplugCoordinator : MessageActor, IWithTimers
{
    // How long a device that was asked back is not asked for again (QEMU, pcie_cap_slot_unplug_request_cb).
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    private readonly IVmMachine _machine;
    private readonly IDeviceMaker _maker;
    private readonly IActorRef _devices;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _time;
    private readonly PcieRootPort[] _slots;

    // Requests under way, by the device; and devices whose actors are being stopped.
    private readonly Dictionary<PlacedDevice, Pending> _pending = [];
    private readonly HashSet<PlacedDevice> _leaving = [];

    // Who waits for the end of a reset, and until nothing changes by itself any more; null for nobody.
    private IActorRef? _resetter;
    private IActorRef? _freezer;

    // Nothing ends until the guest goes on, here or elsewhere.
    private bool _isFrozen;
    private bool _isHandedOver;

    private sealed record SlotChanged(PcieRootPort Port);

    private sealed record Overdue(PlacedDevice Device, Pending Request);

    /// <summary>A request under way.</summary>
    private sealed class Pending(HotplugOperation operation, long at)
    {
        public HotplugOperation Operation => operation;

        /// <summary>When it was last asked for, in ticks of the clock.</summary>
        public long At { get; set; } = at;

        public HashSet<IActorRef> Requesters { get; } = [];

        /// <summary>The device has no actor yet, and the guest has not heard of it.</summary>
        public bool Starts { get; set; } = operation == HotplugOperation.Plug;

        /// <summary>The guest has begun to let it go.</summary>
        public bool Began { get; set; }
    }

    public PciHotplugCoordinator(IVmMachine machine, IDeviceMaker maker, IActorRef devices, TimeSpan timeout, TimeProvider? time = null)
    {
        (_machine, _maker, _devices, _timeout, _time) = (machine, maker, devices, timeout, time ?? TimeProvider.System);
        _slots = [.. machine.Devices.Select(d => d.Device).OfType<PcieRootPort>()];
        Receive<PlugDevice>(Plug);
        Receive<UnplugDevice>(Unplug);
        Receive<AddNetdev>(add => Change(() => _maker.AddNetdev(add.Options), new NetCommandDone()));
        Receive<RemoveNetdev>(
            remove => _machine.Netdevs.Find(remove.Id) != null,
            remove => Change(() => _maker.RemoveNetdev(remove.Id), new NetCommandDone()));
        Receive<RemoveNetdev>(remove => Sender.Tell(
            new VmCommandRejected(RejectionCode.DeviceNotFound, $"Device '{HotplugState.Legible(remove.Id)}' not found")));
        Receive<AddObject>(add => Change(() => _maker.AddObject(add.Options), new ObjectCommandDone()));
        Receive<RemoveObject>(remove => Change(() => _maker.RemoveObject(remove.Id), new ObjectCommandDone()));
        Receive<DeviceStarted>(started => Announce(started.Device));
        Receive<DeviceEnded>(ended => Forget(ended.Device));
        Receive<SlotChanged>(changed =>
        {
            changed.Port.Changed.Acknowledge();
            if (!_isFrozen)
            {
                Look(changed.Port);
            }
        });
        Receive<Overdue>(TellOverdue);
        Receive<IBlockImageCommand>(command => BlockImages.Answer(command, maker, devices, Sender, Self));
        Receive<ResetDevices>(_ => Reset());
        Receive<FreezeHotplug>(_ =>
        {
            _freezer = Sender;
            Array.ForEach(_slots, Look);
            AnswerFreeze();
        });
        Receive<ThawHotplug>(_ => GoOn());
        Receive<HandOverHotplug>(_ => HandOver());
        Receive<PortPlugged>(PortHasCome);
        Receive<PortUnplugged>(unplugged => PortHasGone(unplugged.Port));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        IActorRef self = Self;
        foreach (PcieRootPort port in _slots)
        {
            port.Changed.Connect(() => self.Tell(new SlotChanged(port)));

            // What another coordinator has not cleared away.
            Look(port);
        }
    }

    protected override void PostStop()
    {
        Array.ForEach(_slots, port => port.Changed.Connect(null));
        foreach (PlacedDevice device in _pending.Keys.ToArray())
        {
            End(device, HotplugOutcomeKind.Cancelled);
        }

        foreach (SerialPortConfig port in _ports.Keys.ToArray())
        {
            EndPort(port, HotplugOutcomeKind.Cancelled);
        }
    }

    private static PcieRootPort PortOf(PlacedDevice device) => (PcieRootPort)((PciFunction)device.Device).Bus.Bridge!;

    private static string NameOf(PlacedDevice device) =>
        device.QomPath is { } path && path.StartsWith(s_peripheral, StringComparison.Ordinal) ? path[s_peripheral.Length..] : "";

    private static readonly Rejection s_handedOver =
        new(RejectionCode.WrongRunState, "the guest was handed over to another process");

    private static readonly string s_peripheral = DeviceReport.PathOf("");

    private void AnswerFreeze()
    {
        if (_freezer != null && _leaving.Count == 0 && _ports.Count == 0 && _pending.Values.All(request => !request.Starts))
        {
            _freezer.Tell(new SlotsFrozen());
            (_freezer, _isFrozen) = (null, true);
        }
    }

    // What the slots say is under way ends there. Whoever asked here is told no more of it.
    private void HandOver()
    {
        _isHandedOver = true;
        foreach ((PlacedDevice device, Pending request) in _pending)
        {
            Timers.Cancel(device);
            foreach (IActorRef requester in request.Requesters)
            {
                requester.Tell(HotplugRejected.Of(NameOf(device), s_handedOver));
            }
        }

        _pending.Clear();
    }

    private void GoOn()
    {
        (_freezer, _isFrozen, _isHandedOver) = (null, false, false);
        Array.ForEach(_slots, Look);
    }

    // Asked for in another process, or before a state was saved.
    private Pending? Adopt(PcieRootPort port, PlacedDevice device)
    {
        if (port.Request == SlotRequest.None || !((PciFunction)device.Device).IsOnBus)
        {
            return null;
        }

        var request = new Pending(
            port.Request == SlotRequest.Insert ? HotplugOperation.Plug : HotplugOperation.Unplug, _time.GetTimestamp()) { Starts = false };
        _pending.Add(device, request);
        Timers.StartSingleTimer(device, new Overdue(device, request), _timeout);
        return request;
    }

    private void Plug(PlugDevice plug)
    {
        string id = "";
        if (_isHandedOver)
        {
            Sender.Tell(HotplugRejected.Of(id, s_handedOver));
            return;
        }

        PciDeviceConfig? made = null;
        try
        {
            (string Key, string? Value)[] properties = [.. plug.Keys.Zip(plug.Values)];
            id = HotplugState.Legible(properties.LastOrDefault(p => p.Key == "id").Value ?? "");
            if (DeviceReport.PortsOf(_machine.Devices).Any(p => p.Port.Id.Length > 0 && p.Port.Id == id))
            {
                throw new InvalidDataException($"Duplicate device ID '{id}'");
            }

            if (_maker.MakePort(properties, _machine.Devices) is { } port)
            {
                PlugPort(port.Console, port.Port);
                return;
            }

            made = _maker.Make(properties);
            PlacedDevice device = _machine.Plug(made);
            var request = new Pending(HotplugOperation.Plug, _time.GetTimestamp());
            request.Requesters.Add(Sender);
            _pending.Add(device, request);
            _devices.Tell(new StartDevice(device));
        }
        catch (InvalidDataException e)
        {
            if (made != null)
            {
                made.Dispose();
                _maker.Left(made);
            }

            Sender.Tell(new HotplugRejected(id, RejectionCode.InvalidArgument, e.Message));
        }
    }

    private void Change(Action change, IProtocolMessage done)
    {
        try
        {
            change();
            Sender.Tell(done);
        }
        catch (InvalidDataException e)
        {
            Sender.Tell(new VmCommandRejected(RejectionCode.InvalidArgument, e.Message));
        }
    }

    private void Announce(PlacedDevice device)
    {
        PortOf(device).Announce();
        if (_pending.TryGetValue(device, out Pending? request))
        {
            request.Starts = false;
            Accept(device, request, [.. request.Requesters]);
        }

        AnswerFreeze();
    }

    private void Accept(PlacedDevice device, Pending request, params IActorRef[] requesters)
    {
        Array.ForEach(requesters, requester => requester.Tell(new HotplugAccepted(NameOf(device), -1)));
        Timers.StartSingleTimer(device, new Overdue(device, request), _timeout);
        Look(PortOf(device));
    }

    private void Unplug(UnplugDevice unplug)
    {
        PlacedDevice? device = _machine.Devices.FirstOrDefault(d => d.QomPath != null
            && (d.QomPath == unplug.Id || d.QomPath == DeviceReport.PathOf(unplug.Id)));
        if (device == null && FindPort(unplug.Id) is { } port)
        {
            UnplugPort(port.Console, port.Port);
            return;
        }

        if (device == null)
        {
            Sender.Tell(new HotplugRejected(
                HotplugState.Legible(unplug.Id), RejectionCode.DeviceNotFound, $"Device '{HotplugState.Legible(unplug.Id)}' not found"));
            return;
        }

        if (RefuseUnplug(device) is { } why)
        {
            Sender.Tell(HotplugRejected.Of(NameOf(device), why));
            return;
        }

        if (_pending.TryGetValue(device, out Pending? request) && request.Operation == HotplugOperation.Plug)
        {
            End(device, HotplugOutcomeKind.Cancelled);
            request = null;
        }

        request ??= new Pending(HotplugOperation.Unplug, 0);
        request.At = _time.GetTimestamp();
        request.Requesters.Add(Sender);
        _pending[device] = request;
        PortOf(device).RequestRemoval();
        Accept(device, request, Sender);
    }

    private Rejection? RefuseUnplug(PlacedDevice device)
    {
        if (device.Device is not PciFunction { Bus.Bridge: PcieRootPort port } function)
        {
            string bus = device.Device is PciFunction onRoot ? onRoot.Bus.Name : "virtio-bus";
            return new Rejection(RejectionCode.CannotLeave, $"Bus '{bus}' does not support hotplugging");
        }

        if (_isHandedOver)
        {
            return s_handedOver;
        }

        Pending? request = _pending.GetValueOrDefault(device);
        bool asked = request?.Operation == HotplugOperation.Unplug && _time.GetElapsedTime(request.At) < s_patience;
        if (!function.IsOnBus || asked || request?.Starts == true)
        {
            string what = request?.Starts == true ? "plug" : "unplug";
            return new Rejection(RejectionCode.InProgress, $"Device {NameOf(device)} is already in the process of {what}");
        }

        if (!port.CanHotplug)
        {
            string name = _machine.Devices.First(d => d.Device == port).QomPath!.Split('/')[^1];
            return new Rejection(RejectionCode.CannotLeave, $"Hot-unplug failed: unsupported by the port device '{name}'");
        }

        return port.Indicator == SlotIndicator.Blinks
            ? new Rejection(RejectionCode.InProgress, "Hot-unplug failed: guest is busy (power indicator blinking)") : null;
    }

    // What the guest has done with a slot.
    private void Look(PcieRootPort port)
    {
        (SlotIndicator indicator, bool powered) = (port.Indicator, port.IsPowered);
        foreach (PlacedDevice device in _machine.Devices.Where(d => d.Device is PciFunction f && f.Bus.Bridge == port))
        {
            Pending? request = _pending.GetValueOrDefault(device) ?? Adopt(port, device);
            if (!((PciFunction)device.Device).IsOnBus)
            {
                Clear(device);
            }
            else if (request is { Operation: HotplugOperation.Plug, Starts: false } && powered && indicator == SlotIndicator.On)
            {
                End(device, HotplugOutcomeKind.Done);
            }
            else if (request is { Operation: HotplugOperation.Unplug, Began: true } && powered && indicator == SlotIndicator.On)
            {
                End(device, HotplugOutcomeKind.Refused);
            }
            else if (request != null)
            {
                request.Began |= indicator == SlotIndicator.Blinks;
            }
        }
    }

    private void Clear(PlacedDevice device)
    {
        if (_leaving.Add(device))
        {
            _devices.Tell(new EndDevice(device));
        }
    }

    // The device has no actor, and so nothing uses what the host has of it.
    private void Forget(PlacedDevice device)
    {
        _leaving.Remove(device);
        _machine.Forget(device);
        ForgetPorts(device);
        if (device.Config is { } config)
        {
            config.Dispose();
            _maker.Left(config);
        }

        if (_pending.TryGetValue(device, out Pending? request) && request.Operation == HotplugOperation.Plug)
        {
            End(device, HotplugOutcomeKind.Refused);
        }

        if (!End(device, HotplugOutcomeKind.Done))
        {
            Context.System.EventStream.Publish(Outcome(device, HotplugOperation.Unplug, HotplugOutcomeKind.Done));
        }

        EndReset();
        AnswerFreeze();
    }

    private void TellOverdue(Overdue overdue)
    {
        if (_pending.GetValueOrDefault(overdue.Device) == overdue.Request)
        {
            Tell(overdue.Request, Outcome(overdue.Device, overdue.Request.Operation, HotplugOutcomeKind.TimedOut));
        }
    }

    // All vCPUs stand still. What the guest did before is looked at first.
    private void Reset()
    {
        _resetter = Sender;
        Array.ForEach(_slots, Look);
        foreach ((PlacedDevice device, Pending request) in _pending.ToArray())
        {
            if (!request.Starts && !_leaving.Contains(device))
            {
                End(device, request.Operation == HotplugOperation.Plug ? HotplugOutcomeKind.Done : HotplugOutcomeKind.Cancelled);
            }
        }

        EndReset();
    }

    private void EndReset()
    {
        if (_resetter != null && _leaving.Count == 0)
        {
            _resetter.Tell(new DevicesReset(""));
            _resetter = null;
        }
    }

    private bool End(PlacedDevice device, HotplugOutcomeKind kind)
    {
        if (!_pending.Remove(device, out Pending? request))
        {
            return false;
        }

        Timers.Cancel(device);
        PortOf(device).Request = SlotRequest.None;
        Tell(request, Outcome(device, request.Operation, kind));
        return true;
    }

    private static HotplugOutcome Outcome(PlacedDevice device, HotplugOperation operation, HotplugOutcomeKind kind) =>
        new(NameOf(device), -1, operation, kind, 0, device.QomPath!);

    private static void Tell(Pending request, HotplugOutcome outcome)
    {
        foreach (IActorRef requester in request.Requesters)
        {
            requester.Tell(outcome);
        }

        Context.System.EventStream.Publish(outcome);
    }
}

using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;

namespace Vmm.Actors.Devices;

/// <summary>
/// A virtio console with its ports: moves bytes between the rings and the host's ends of the ports while the VM runs, when the driver or an
/// end of a port has something. Nothing here waits: what has no room goes on when there is some.
/// </summary>
public sealed class SerialPortsActor : DeviceActor, IWithTimers
{
    // After this long a page that has not arrived is looked for again.
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(10);

    private readonly VirtioSerial _device;
    private readonly Doorbell _links = new();
    private bool _runs;
    private string? _fault;

    private sealed record Changed;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioSerial>((device, transport, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new SerialPortsActor(device, transport))) { Pauses = true });

    public SerialPortsActor(VirtioSerial device, IDevice transport)
        : base(transport)
    {
        _device = device;
        Receive<Changed>(_ =>
        {
            _device.Notified.Acknowledge();
            _links.Acknowledge();
            Serve();
        });
        Receive<PauseDevices>(pause =>
        {
            Serve();
            _runs = false;
            Sender.Tell(new DevicesPaused(pause.Round));
        });
        Receive<ResumeDevices>(_ =>
        {
            _runs = true;
            Serve();
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        IActorRef self = Self;
        EventStream events = Context.System.EventStream;
        _device.Notified.Connect(() => self.Tell(new Changed()));
        _links.Connect(() => self.Tell(new Changed()));
        _device.GuestOpened = (port, open) =>
        {
            if (port is { IsConsole: false, Id.Length: > 0 })
            {
                events.Publish(new SerialPortChanged(port.Id, open));
            }
        };
        foreach (SerialPortConfig port in _device.Config.Ports)
        {
            port.Link.Connect(_links.Ring);
        }
    }

    protected override void PostStop()
    {
        _device.Notified.Connect(null);
        _device.GuestOpened = null;
        foreach (SerialPortConfig port in _device.Config.Ports)
        {
            port.Link.Connect(null);
        }
    }

    protected override void Reset(IActorRef requester)
    {
        _runs = false;
        _fault = null;
        base.Reset(requester);
    }

    // While the VM stands still nothing of it changes, but that a driver's reset ends.
    private void Serve()
    {
        if (!_runs && !_device.IsResetting)
        {
            return;
        }

        try
        {
            _device.Serve();
        }
        catch (MissingPageException)
        {
            Timers.StartSingleTimer(nameof(Changed), new Changed(), s_retry);
        }

        if (_device.Fault is { } fault && fault != _fault)
        {
            Context.GetLogger().Warning("virtio-serial: {0}", fault);
        }

        _fault = _device.Fault;
    }
}

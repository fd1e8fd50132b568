using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Event;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Interrupts;

namespace Vmm.Actors.Devices;

/// <summary>
/// A virtio console with its ports: moves bytes between the rings and the host's ends of the ports while the VM runs, when the driver or an
/// end of a port has something. Nothing here waits: what has no room goes on when there is some.
/// </summary>
public sealed class SerialPortsActor : ServingActor
{
    private readonly VirtioSerial _device;
    private readonly Doorbell _links = new();

    private sealed record LinkChanged;

    [ModuleInitializer]
    internal static void Register() => DeviceActors.RegisterVirtio<VirtioSerial>((device, transport, _) =>
        new DeviceActorPlan(ActorProps.Of(() => new SerialPortsActor(device, transport))) { Pauses = true });

    public SerialPortsActor(VirtioSerial device, IDevice transport)
        : base(device, transport)
    {
        _device = device;
        Receive<LinkChanged>(_ =>
        {
            _links.Acknowledge();
            Look();
        });
    }

    protected override void PreStart()
    {
        base.PreStart();
        IActorRef self = Self;
        EventStream events = Context.System.EventStream;
        _links.Connect(() => self.Tell(new LinkChanged()));
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
        base.PostStop();
        _device.GuestOpened = null;
        foreach (SerialPortConfig port in _device.Config.Ports)
        {
            port.Link.Connect(null);
        }
    }

    protected override void Serve() => _device.Serve();
}

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
public sealed class SerialPortsActor : ServingActor
{
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(10);

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
        Receive<PlugPort>(plug =>
        {
            string? refusal = _device.AddPort(plug.Port);
            if (refusal == null)
            {
                plug.Port.Link.Connect(_links.Ring);
            }

            Sender.Tell(new PortPlugged(plug.Port, refusal));
            Look();
        });
        Receive<UnplugPort>(Unplug);
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
        foreach (SerialPortConfig port in _device.PresentPorts)
        {
            port.Link.Connect(_links.Ring);
        }
    }

    protected override void PostStop()
    {
        base.PostStop();
        _device.GuestOpened = null;
        foreach (SerialPortConfig port in _device.PresentPorts)
        {
            port.Link.Connect(null);
        }
    }

    private void Unplug(UnplugPort unplug)
    {
        try
        {
            _device.RemovePort(unplug.Port);
        }
        catch (MissingPageException)
        {
            // The ring of the port has not arrived.
            Context.System.Scheduler.ScheduleTellOnce(s_retry, Self, unplug, Sender);
            return;
        }

        unplug.Port.Link.Connect(null);
        Sender.Tell(new PortUnplugged(unplug.Port));
        Look();
    }

    protected override bool Serve() => _device.Serve();
}

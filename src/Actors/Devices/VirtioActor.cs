using Akka.Actor;
using Akka.Event;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio;

namespace Vmm.Actors.Devices;

/// <summary>
/// The actor of a virtio device. It hears when the driver has notified, and logs once what the driver did wrong. There are two kinds: a
/// <see cref="ServingActor"/> does the device's work itself, a <see cref="ThreadedActor"/> has threads that may wait for the host.
/// </summary>
public abstract class VirtioActor : DeviceActor
{
    private readonly VirtioDevice _device;

    // What of the driver was told to people.
    private string? _fault;

    private sealed record DriverNotified;

    /// <param name="device">The core.</param>
    /// <param name="transport">What the guest sees of it.</param>
    protected VirtioActor(VirtioDevice device, IDevice transport)
        : base(transport)
    {
        _device = device;
        Receive<DriverNotified>(_ => Look());
    }

    /// <summary>What people know the device by.</summary>
    protected virtual string Name => _device.Name;

    /// <summary>The driver has notified of a queue, or has begun a reset of the device.</summary>
    protected abstract void LookAtDriver();

    protected override void PreStart()
    {
        IActorRef self = Self;
        _device.Notified.Connect(() => self.Tell(new DriverNotified()));
    }

    protected override void PostStop() => _device.Notified.Connect(null);

    protected override void ResetCore()
    {
        _fault = null;
        base.ResetCore();
    }

    /// <summary>Looks at what the driver has done since the last look. The doorbell is acknowledged first, so nothing is missed.</summary>
    protected void Look()
    {
        _device.Notified.Acknowledge();
        LookAtDriver();
        if (_device.Fault is { } fault && fault != _fault)
        {
            Context.GetLogger().Warning("{0}: {1}", Name, fault);
        }

        _fault = _device.Fault;
    }
}

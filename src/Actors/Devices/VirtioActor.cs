using Akka.Actor;
using Akka.Event;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio;

namespace Vmm.Actors.Devices;

/// <summary>
/// The actor of a virtio device. It hears when the driver has notified, and logs once what the driver did wrong. There are three kinds: a
/// <see cref="ServingActor"/> does the device's work itself, a <see cref="ThreadedActor"/> has threads that may wait for the host, a
/// <see cref="PollingActor"/> has one thread that waits for descriptors of the host.
/// </summary>
public abstract class VirtioActor : DeviceActor
{
    // What of the driver was told to people.
    private string? _fault;

    private sealed record DriverNotified;

    /// <param name="device">The core.</param>
    /// <param name="transport">What the guest sees of it.</param>
    protected VirtioActor(VirtioDevice device, IDevice transport)
        : base(transport)
    {
        Device = device;
        Receive<DriverNotified>(_ => Look());
    }

    /// <summary>The core.</summary>
    protected VirtioDevice Device { get; }

    /// <summary>What people know the device by.</summary>
    protected virtual string Name => Device.Name;

    /// <summary>The driver has notified of a queue, or has begun a reset of the device.</summary>
    protected abstract void LookAtDriver();

    /// <summary>What is done where the driver notifies, on the thread of a vCPU.</summary>
    protected virtual Action OnNotified()
    {
        IActorRef self = Self;
        return () => self.Tell(new DriverNotified());
    }

    protected override void PreStart() => Device.Notified.Connect(OnNotified());

    protected override void PostStop() => Device.Notified.Connect(null);

    protected override void ResetCore()
    {
        _fault = null;
        base.ResetCore();
    }

    /// <summary>Looks at what the driver has done since the last look. The doorbell is acknowledged first, so nothing is missed.</summary>
    protected void Look()
    {
        Device.Notified.Acknowledge();
        LookAtDriver();
        if (Device.Fault is { } fault && fault != _fault)
        {
            Context.GetLogger().Warning("{0}: {1}", Name, fault);
        }

        _fault = Device.Fault;
    }
}

using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.State;

namespace Vmm.Actors.Devices;

/// <summary>
/// The actor of a device: it alone resets the device, saves and loads it, and does its asynchronous work, of which a device whose work is
/// all done within the guest's accesses has none. The core, which is handed in, serves the guest meanwhile and outlives the actor.
/// </summary>
public class DeviceActor : MessageActor
{
    private readonly IDevice _device;

    /// <param name="device">The device's core.</param>
    public DeviceActor(IDevice device)
    {
        _device = device;
        Receive<ResetDevices>(_ =>
        {
            ResetCore();
            Sender.Tell(new DevicesReset(""));
        });
        Receive<GetDeviceState>(get => Sender.Tell(new DeviceState(get.Device, Save())));
        Receive<LoadDeviceState>(load => Sender.Tell(Load(load)));
    }

    /// <summary>Brings the core to its power-on state.</summary>
    protected virtual void ResetCore() => _device.Reset();

    /// <summary>What is saved: the core, and what the actor itself holds.</summary>
    protected virtual IReadOnlyList<IStateUnit> StateUnits => [_device.StateUnit];

    private byte[] Save()
    {
        using var stream = new MemoryStream();
        Archive.Save(stream, StateUnits);
        return stream.ToArray();
    }

    private IProtocolMessage Load(LoadDeviceState load)
    {
        try
        {
            using var stream = new MemoryStream(load.Bytes);
            Archive.Load(stream, StateUnits);
            return new DeviceStateLoaded(load.Device);
        }
        catch (StateException e)
        {
            return new VmCommandRejected(RejectionCode.InvalidState, e.Message);
        }
    }
}

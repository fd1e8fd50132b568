using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices;
using Vmm.Emulation.State;

namespace Vmm.Actors.Devices;

/// <summary>
/// The actor of a device. It alone resets, saves and loads the device, and does the device's asynchronous work. A device that does all its
/// work within the guest's accesses needs no more than this class. The core is handed in; it serves the guest meanwhile and outlives the
/// actor.
/// </summary>
public class DeviceActor : MessageActor
{
    private readonly IDevice _device;

    /// <param name="device">The device's core.</param>
    public DeviceActor(IDevice device)
    {
        _device = device;
        Receive<ResetDevices>(_ => Reset(Sender));
        Receive<GetDeviceState>(get => Sender.Tell(new DeviceState(get.Device, Save())));
        Receive<LoadDeviceState>(load => Sender.Tell(Load(load)));
    }

    /// <summary>Resets the device, and tells who asked for it when that is done.</summary>
    protected virtual void Reset(IActorRef requester)
    {
        ResetCore();
        requester.Tell(new DevicesReset(""));
    }

    /// <summary>Brings the core to its power-on state.</summary>
    protected virtual void ResetCore() => _device.Reset();

    /// <summary>The units of state to save and load: the core's, and those of the actor itself.</summary>
    protected virtual IReadOnlyList<IStateUnit> StateUnits => _device.StateUnits;

    /// <summary>The core has been loaded: the actor begins what the core's state asks of it.</summary>
    protected virtual void Loaded()
    {
    }

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
            Loaded();
            return new DeviceStateLoaded(load.Device);
        }
        catch (StateException e)
        {
            return new VmCommandRejected(RejectionCode.InvalidState, e.Message);
        }
    }
}

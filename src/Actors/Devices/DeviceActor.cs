using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Snapshot;

namespace Vmm.Actors.Devices;

/// <summary>
/// The actor of a device: it alone resets the device, saves and loads it, and does its asynchronous work. The core, which is handed in,
/// serves the guest meanwhile and outlives the actor.
/// </summary>
public abstract class DeviceActor : MessageActor
{
    /// <param name="unit">The device's core.</param>
    protected DeviceActor(ISnapshotUnit unit)
    {
        Receive<ResetDevices>(_ =>
        {
            ResetCore();
            Sender.Tell(new DevicesReset(""));
        });
        Receive<GetDeviceState>(get => Sender.Tell(new DeviceState(get.Device, Save(unit))));
        Receive<LoadDeviceState>(load => Sender.Tell(Load(unit, load)));
    }

    /// <summary>Brings the core to its power-on state.</summary>
    protected abstract void ResetCore();

    private static byte[] Save(ISnapshotUnit unit)
    {
        using var stream = new MemoryStream();
        SnapshotFormat.Save(stream, [unit]);
        return stream.ToArray();
    }

    private static IProtocolMessage Load(ISnapshotUnit unit, LoadDeviceState load)
    {
        try
        {
            using var stream = new MemoryStream(load.Bytes);
            SnapshotFormat.Load(stream, [unit]);
            return new DeviceStateLoaded(load.Device);
        }
        catch (SnapshotException e)
        {
            return new VmCommandRejected(RejectionCode.InvalidState, e.Message);
        }
    }
}

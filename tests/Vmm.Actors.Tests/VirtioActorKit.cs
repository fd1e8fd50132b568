using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Devices;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.Devices.Virtio;
using Vmm.Tests;

namespace Vmm.Actors.Tests;

/// <summary>
/// Virtio devices through their actors, on the real cores: the RAM of the driver's rings, a slot for the device, and what the manager of
/// devices asks of an actor.
/// </summary>
public abstract class VirtioActorKit : PatientTestKit
{
    protected static readonly TimeSpan s_patience = Patience.Limit;

    private readonly GuestMemory _memory = new(new GuestPhysicalAddress(RingDriver.Base), RingDriver.RamSize);

    protected VirtioActorKit()
    {
        Ram.AddMemory(_memory);
        Manager = CreateTestProbe();
    }

    /// <summary>RAM as the devices have it.</summary>
    protected PhysicalAddressSpace Ram { get; } = new();

    /// <summary>Stands in for the manager of devices: it asks, and hears the answers.</summary>
    protected TestProbe Manager { get; }

    protected override void AfterAll()
    {
        base.AfterAll();

        // Actors and their threads use the memory.
        Shutdown(s_patience);
        _memory.Dispose();
    }

    /// <summary>Puts a device into a slot of virtio-mmio.</summary>
    protected static VirtioMmio SlotOf(VirtioDevice device) => new(31, UnconnectedLine.New(), device);

    protected IActorRef Start<TActor>(Func<TActor> make)
        where TActor : ActorBase => Manager.ChildActorOf(ActorProps.Of(make));

    protected void Pause(IActorRef actor, int round, bool close = false)
    {
        actor.Tell(new PauseDevices(close, round), Manager);
        Manager.ExpectMsg(new DevicesPaused(round), s_patience);
    }

    protected void Reset(IActorRef actor)
    {
        actor.Tell(new ResetDevices(), Manager);
        Manager.ExpectMsg(new DevicesReset(""), s_patience);
    }

    /// <summary>Saves the state of a device that stands still.</summary>
    protected byte[] Save(IActorRef actor)
    {
        actor.Tell(new GetDeviceState("device"), Manager);
        return Manager.ExpectMsg<DeviceState>(s_patience).Bytes;
    }

    protected void Load(IActorRef actor, byte[] state)
    {
        actor.Tell(new LoadDeviceState("device", state), Manager);
        Manager.ExpectMsg<DeviceStateLoaded>(s_patience);
    }
}

using Akka.Actor;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Virtio;

namespace Vmm.Actors.Devices;

/// <summary>The parts of a VM that an actor of a device may need beside the device's core.</summary>
/// <param name="Machine">The machine that has the device.</param>
/// <param name="SerialOutput">Takes the guest's serial output.</param>
internal sealed record DeviceSurroundings(IVmMachine Machine, Action<ReadOnlyMemory<byte>> SerialOutput)
{
    /// <summary>Whether the machine has ACPI. Then the GED has the power button, otherwise the GPIO port.</summary>
    public bool HasAcpi => Machine.Hotplug != null;
}

/// <summary>How to make the actor of a device, and the messages to the VM that the actor takes.</summary>
internal sealed record DeviceActorPlan(Props Props, params Type[] Takes)
{
    /// <summary>It works by itself, and so is told when the VM stops and goes on (<see cref="PauseDevices"/>).</summary>
    public bool Pauses { get; init; }
}

/// <summary>
/// The actors of devices, by the type of the device's core. The file of each actor registers it, by a module initializer. A device without
/// an actor of its own has a <see cref="DeviceActor"/>.
/// </summary>
internal static class DeviceActors
{
    // Written by module initializers, which run before any other code of the assembly; read-only after them.
    private static readonly Dictionary<Type, Func<IDevice, DeviceSurroundings, DeviceActorPlan>> s_plans = [];

    /// <summary>Registers the actor of devices with a type of core.</summary>
    public static void Register<TDevice>(Func<TDevice, DeviceSurroundings, DeviceActorPlan> plan)
        where TDevice : class, IDevice => s_plans.Add(typeof(TDevice), (device, around) => plan((TDevice)device, around));

    /// <summary>Registers the actor of virtio devices with a type of core, behind every transport.</summary>
    public static void RegisterVirtio<TDevice>(Func<TDevice, IDevice, DeviceSurroundings, DeviceActorPlan> plan)
        where TDevice : VirtioDevice => s_plans.Add(
            typeof(TDevice), (transport, around) => plan((TDevice)((IVirtioTransport)transport).Device!, transport, around));

    public static DeviceActorPlan Of(PlacedDevice placed, DeviceSurroundings around) =>
        s_plans.TryGetValue(TypeOf(placed.Device), out var plan)
            ? plan(placed.Device, around)
            : new DeviceActorPlan(Hosting.ActorProps.Of(() => new DeviceActor(placed.Device)));

    // The work of a virtio device is the same whatever its transport.
    private static Type TypeOf(IDevice device) => ((device as IVirtioTransport)?.Device ?? (object)device).GetType();
}

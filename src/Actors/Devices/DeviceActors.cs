using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.CfiFlash;
using Vmm.Emulation.Devices.CpuHotplug;
using Vmm.Emulation.Devices.Ged;
using Vmm.Emulation.Devices.InterruptController;
using Vmm.Emulation.Devices.Pl011;
using Vmm.Emulation.Devices.Pl031;
using Vmm.Emulation.Devices.Pl061;

namespace Vmm.Actors.Devices;

/// <summary>The table of actors: the actor of a device by the type of its core.</summary>
/// <param name="machine">The machine that has the devices.</param>
/// <param name="serialOutput">Takes the guest's serial output.</param>
internal sealed class DeviceActors(IVmMachine machine, Action<ReadOnlyMemory<byte>> serialOutput)
{
    private static readonly Type[] s_none = [];

    // The power button is an event of the GED with ACPI, and a pin of the GPIO port without.
    private bool Acpi => machine.Hotplug != null;

    /// <summary>The actor of a device and the messages for the VM that it takes; null for a device whose actor is made elsewhere.</summary>
    public (Props Props, Type[] Takes)? Of(PlacedDevice placed)
    {
        switch (placed.Device)
        {
            case GicV3Device:
                return null;
            case Pl011 uart:
                return (ActorProps.Of(() => new UartActor(uart, serialOutput)), [typeof(SendSerial)]);
            case Pl031 rtc:
                return (ActorProps.Of(() => new RtcActor(rtc)), s_none);
            case CfiFlash bank:
                return (ActorProps.Of(() => new FlashActor(bank)), s_none);
            case Pl061 gpio:
                int pin = machine.PowerButtonPin;
                return (ActorProps.Of(() => new GpioActor(gpio, pin)), Acpi ? s_none : [typeof(PressPowerButton)]);
            case Ged ged:
                ICpuHotplugPort? hotplug = machine.Hotplug;
                Func<bool> cpuEventsUnseen = () => hotplug is { HasUnseen: true };
                Type[] events = Acpi ? [typeof(PressPowerButton), typeof(AnnounceCpuEvent)] : s_none;
                return (ActorProps.Of(() => new GedActor(ged, cpuEventsUnseen)), events);
            case CpuHotplugBlock block when Acpi:
                return (ActorProps.Of(() => new HotplugBlockActor(block)), s_none);
            default:
                return (ActorProps.Of(() => new DeviceActor(placed.Device)), s_none);
        }
    }

    /// <summary>
    /// Saves and loads the CPU hotplug block. The hotplug coordinator resets the block, and acts on what the guest does there.
    /// </summary>
    private sealed class HotplugBlockActor(CpuHotplugBlock block) : DeviceActor(block)
    {
        protected override void ResetCore()
        {
        }
    }
}

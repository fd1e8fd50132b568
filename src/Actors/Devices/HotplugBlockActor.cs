using System.Runtime.CompilerServices;
using Vmm.Actors.Hosting;
using Vmm.Emulation.Devices.CpuHotplug;

namespace Vmm.Actors.Devices;

/// <summary>
/// Saves and loads the CPU hotplug block of a machine with ACPI. The hotplug coordinator resets the block, and acts on what the guest does
/// there.
/// </summary>
internal sealed class HotplugBlockActor(CpuHotplugBlock block) : DeviceActor(block)
{
    [ModuleInitializer]
    internal static void Register() => DeviceActors.Register<CpuHotplugBlock>((block, around) => new DeviceActorPlan(
        around.HasAcpi ? ActorProps.Of(() => new HotplugBlockActor(block)) : ActorProps.Of(() => new DeviceActor(block))));

    protected override void ResetCore()
    {
    }
}

using Vmm.Acpi.Tables;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.InterruptController;

/// <summary>
/// The Interrupt Translation Service as a board lists it. ACPI describes it in the MADT, and in the IORT that all devices of the PCI bus
/// send their messages to it; the device tree has it in the node of the GIC.
/// </summary>
[QomType("arm-gicv3-its")]
public sealed class ItsDevice(Its its) : IDevice
{
    public Its Its => its;

    public IReadOnlyList<DeviceRegion> Regions { get; } = [new DeviceRegion(its, Its.Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [its];

    public void Reset() => its.Reset();

    public void Describe(IAmlSink acpi, Placement at) => acpi.AddTable(Iort.Build());
}

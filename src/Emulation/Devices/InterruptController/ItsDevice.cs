using Vmm.Acpi.Tables;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Interrupts.GicV3;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.InterruptController;

/// <summary>
/// The Interrupt Translation Service as a board lists it. ACPI describes it in the MADT, and in the IORT that all devices of the PCI bus
/// send their messages to it.
/// </summary>
[QomType("arm-gicv3-its")]
public sealed class ItsDevice(Its its) : IMsiController
{
    public Its Its => its;

    public IMsiTarget Target => its;

    public IReadOnlyList<DeviceRegion> Regions { get; } = [new DeviceRegion(its, Its.Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [its];

    public void Reset() => its.Reset();

    public void Describe(IAmlSink acpi, Placement at) => acpi.AddTable(Iort.Build());

    public void DescribeIn(Fdt gic) => gic.Node($"its@{its.Address.Value:x}", node => node.Text("compatible", "arm,gic-v3-its")
        .Flag("msi-controller").Cells("#msi-cells", 1).Cells("phandle", Fdt.MsiHandle).Cells64("reg", its.Address.Value, Its.Size));
}

using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Pl061;

/// <content>The board's view. The board describes the parts that are connected to the pins.</content>
[QomType("pl061")]
public sealed partial class Pl061 : IDevice
{
    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, Pl061Spec.Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    public void Describe(Fdt tree, Placement at) => tree.Node($"pl061@{at.Address:x}", gpio => gpio
        .Text("compatible", "arm,pl061", "arm,primecell")
        .Cells64("reg", at.Address, Pl061Spec.Size)
        .Cells("interrupts", at.InterruptCells)
        .Flag("gpio-controller").Cells("#gpio-cells", 2)
        .Cells("clocks", Fdt.ClockHandle).Text("clock-names", "apb_pclk").Cells("phandle", Fdt.GpioHandle));
}

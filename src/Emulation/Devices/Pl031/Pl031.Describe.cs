using Vmm.Emulation.State;

namespace Vmm.Emulation.Devices.Pl031;

/// <content>The board's view. With ACPI the EFI runtime services use the clock, and the tables do not mention it.</content>
[QomType("pl031")]
public sealed partial class Pl031 : IDevice
{
    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, Pl031Spec.Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    public void Describe(Fdt tree, Placement at) => tree.Node($"pl031@{at.Address:x}", rtc => rtc
        .Text("compatible", "arm,pl031", "arm,primecell")
        .Cells64("reg", at.Address, Pl031Spec.Size)
        .Cells("interrupts", at.InterruptCells)
        .Cells("clocks", Fdt.ClockHandle).Text("clock-names", "apb_pclk"));
}

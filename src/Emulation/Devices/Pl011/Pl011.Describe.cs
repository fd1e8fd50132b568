using Vmm.Acpi.Tables;
using Vmm.Emulation.State;
using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.Pl011;

/// <content>The board's view: one window, one line, and the console of ACPI and of device trees.</content>
[QomType("pl011")]
public sealed partial class Pl011 : IDevice
{
    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, Pl011Spec.Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    public void Describe(IAmlSink acpi, Placement at)
    {
        acpi.Add(Device(
            "COM0",
            Name("_HID", Text("ARMH0011")),
            Name("_UID", Zero),
            Name("_CRS", ResourceTemplate(Memory32Fixed((uint)at.Address, (uint)Pl011Spec.Size), Interrupt(at.Gsiv, edge: false)))));
        acpi.AddTable(Spcr.Build(at.Address, at.Gsiv));
        acpi.AddTable(Dbg2.Build(at.Address, (uint)Pl011Spec.Size, @"\_SB.COM0"));
    }

    public void Describe(Fdt tree, Placement at) => tree.Node($"pl011@{at.Address:x}", uart => uart
        .Text("compatible", "arm,pl011", "arm,primecell")
        .Cells64("reg", at.Address, Pl011Spec.Size)
        .Cells("interrupts", at.InterruptCells)
        .Cells("clocks", Fdt.ClockHandle, Fdt.ClockHandle).Text("clock-names", "uartclk", "apb_pclk"));
}

using Vmm.Emulation.State;
using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.FwCfg;

/// <content>The board's view.</content>
[QomType("fw_cfg_mem")]
public sealed partial class FwCfg : IDevice
{
    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, FwCfgSpec.Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    public void Describe(IAmlSink acpi, Placement at) => acpi.Add(Device(
        "FWCF",
        Name("_HID", Text("QEMU0002")),
        Name("_STA", Integer(0xB)),
        Name("_CCA", One),
        Name("_CRS", ResourceTemplate(Memory32Fixed((uint)at.Address, (uint)FwCfgSpec.Size)))));

    public void Describe(Fdt tree, Placement at) => tree.Node($"fw-cfg@{at.Address:x}", fwCfg => fwCfg
        .Text("compatible", "qemu,fw-cfg-mmio").Cells64("reg", at.Address, FwCfgSpec.Size).Flag("dma-coherent"));
}

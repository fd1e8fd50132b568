using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.FwCfg;

/// <summary>The firmware configuration device in the DSDT.</summary>
public static class FwCfgAml
{
    public static byte[] Describe(uint address, uint size) => Device(
        "FWCF",
        Name("_HID", Text("QEMU0002")),
        Name("_STA", Integer(0xB)),
        Name("_CCA", One),
        Name("_CRS", ResourceTemplate(Memory32Fixed(address, size))));
}

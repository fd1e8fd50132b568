using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.Pl011;

/// <summary>The PL011 in the DSDT.</summary>
public static class Pl011Aml
{
    public static byte[] Describe(uint address, uint size, uint gsiv) => Device(
        "COM0",
        Name("_HID", Text("ARMH0011")),
        Name("_UID", Zero),
        Name("_CRS", ResourceTemplate(Memory32Fixed(address, size), Interrupt(gsiv, edge: false))));
}

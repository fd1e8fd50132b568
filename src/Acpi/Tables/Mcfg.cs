namespace Vmm.Acpi.Tables;

/// <summary>
/// Memory Mapped Configuration table (PCI Firmware Specification 3.3, 4.1.2): where the configuration space of segment 0 is, whose
/// first bus is 0.
/// </summary>
public static class Mcfg
{
    public static AcpiTable Build(ulong ecam, byte lastBus) => new("MCFG", 1, new TableWriter()
        .U64(0)
        .U64(ecam).U16(0).U8(0).U8(lastBus).U32(0).ToArray());
}

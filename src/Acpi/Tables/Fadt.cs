namespace Vmm.Acpi.Tables;

/// <summary>Fixed ACPI Description Table (ACPI 6.5, 5.2.9): hardware-reduced, PSCI by HVC.</summary>
public static class Fadt
{
    /// <summary>Offset of X_DSDT, the address of the DSDT.</summary>
    public const int DsdtPointer = 140;

    private const uint HardwareReduced = 1 << 20;
    private const ushort PsciByHvc = 3;

    public static AcpiTable Build(ulong dsdt) => new("FACP", 6, new TableWriter()
        .PadTo(112).U32(HardwareReduced)
        .PadTo(129).U16(PsciByHvc)
        .U8(5)
        .PadTo(DsdtPointer).U64(dsdt)
        .PadTo(276).ToArray());
}

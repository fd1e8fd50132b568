namespace Vmm.Acpi.Tables;

/// <summary>
/// Generic Timer Description Table (ACPI 6.5, 5.2.25); the timers are level-triggered, active low as QEMU says it, and always on.
/// </summary>
public static class Gtdt
{
    private const uint LevelAlwaysOn = 4;

    public static AcpiTable Build(uint secure, uint nonSecure, uint @virtual, uint hypervisor) => new("GTDT", 2, new TableWriter()
        .U64(ulong.MaxValue).U32(0)
        .U32(secure).U32(LevelAlwaysOn)
        .U32(nonSecure).U32(LevelAlwaysOn)
        .U32(@virtual).U32(LevelAlwaysOn)
        .U32(hypervisor).U32(LevelAlwaysOn)
        .U64(ulong.MaxValue).U32(0).U32(0).ToArray());
}

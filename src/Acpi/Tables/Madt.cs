namespace Vmm.Acpi.Tables;

/// <summary>Whether OSPM may use a CPU now, or only once it is plugged (ACPI 6.5, table 5.37).</summary>
public enum GiccState : uint
{
    Enabled = 1,
    OnlineCapable = 8,
}

/// <summary>One possible CPU in the MADT; the position in the list is its ACPI processor UID.</summary>
public sealed record MadtCpu(ulong Mpidr, GiccState State);

/// <summary>A GICv2m frame in the MADT, whose SPIs devices raise by messages.</summary>
/// <param name="Address">The guest physical address of its registers.</param>
/// <param name="First">The GSIV of the first SPI.</param>
/// <param name="Count">The number of SPIs.</param>
public sealed record MadtMsiFrame(ulong Address, ushort First, ushort Count);

/// <summary>
/// Multiple APIC Description Table (ACPI 6.5, 5.2.12) of a GICv3: GICD, a GICC for each possible CPU, GICR ranges, and the ITS or the
/// GICv2m frame if there is one.
/// </summary>
public static class Madt
{
    public static AcpiTable Build(
        ulong distributor,
        IReadOnlyList<MadtCpu> cpus,
        IEnumerable<(ulong Address, uint Length)> redistributors,
        ulong? its,
        MadtMsiFrame? msiFrame,
        uint pmuGsiv,
        uint maintenanceGsiv)
    {
        TableWriter table = new TableWriter().U32(0).U32(0);
        table.U8(0x0C).U8(24).U16(0).U32(0).U64(distributor).U32(0).U8(3).Zeros(3);
        for (int i = 0; i < cpus.Count; i++)
        {
            table.U8(0x0B).U8(80).U16(0).U32((uint)i).U32((uint)i).U32((uint)cpus[i].State)
                .U32(0).U32(pmuGsiv).U64(0).U64(0).U64(0).U64(0)
                .U32(maintenanceGsiv).U64(0).U64(cpus[i].Mpidr).U8(0).U8(0).U16(0);
        }

        // Ranges rather than an address in each GICC: else Linux cannot bring a plugged CPU online.
        foreach ((ulong address, uint length) in redistributors)
        {
            table.U8(0x0E).U8(16).U16(0).U64(address).U32(length);
        }

        // The flags are 1: count and base are those of the table, not of the frame's register (ACPI 6.5, 5.2.12.16).
        if (msiFrame is { } frame)
        {
            table.U8(0x0D).U8(24).U16(0).U32(0).U64(frame.Address).U32(1).U16(frame.Count).U16(frame.First);
        }

        if (its is { } translation)
        {
            table.U8(0x0F).U8(20).U16(0).U32(0).U64(translation).U32(0);
        }

        return new AcpiTable("APIC", 6, table.ToArray());
    }
}

namespace Vmm.Acpi.Tables;

/// <summary>Serial Port Console Redirection table, revision 2: a PL011 (interface type 3).</summary>
public static class Spcr
{
    public static AcpiTable Build(ulong uart, uint gsiv) => new("SPCR", 2, new TableWriter()
        .U8(3).Zeros(3).MemoryAddress(uart, 32, 3)
        .U8(8).U8(0).U32(gsiv)
        .U8(3).U8(0).U8(1).U8(0).U8(0).U8(0)
        .U16(0xFFFF).U16(0xFFFF).U8(0).U8(0).U8(0).U32(0).U8(0).U32(0).ToArray());
}

namespace Vmm.Acpi.Tables;

/// <summary>
/// I/O Remapping Table (Arm, DEN 0049): the messages of all devices behind the PCI root complex of segment 0 go to the one ITS, with bus,
/// device and function as DeviceID.
/// </summary>
public static class Iort
{
    private const int HeaderSize = 48;
    private const int GroupSize = 24;
    private const int RootComplexSize = 36;
    private const int MappingSize = 20;
    private const uint LastId = 0xFFFF;
    private const byte CoherentCacheableInnerShareable = 3;
    private const byte AddressBits = 64;

    public static AcpiTable Build() => new("IORT", 3, new TableWriter()
        .U32(2).U32(HeaderSize).U32(0)

        // ITS group: the ITS with identifier 0.
        .U8(0).U16(GroupSize).U8(1).U32(0).U32(0).U32(0)
        .U32(1).U32(0)

        // Root complex: cache coherent, no ATS, segment 0, and one mapping.
        .U8(2).U16(RootComplexSize + MappingSize).U8(3).U32(1).U32(1).U32(RootComplexSize)
        .U32(1).U8(0).U16(0).U8(CoherentCacheableInnerShareable).U32(0).U32(0).U8(AddressBits).Zeros(3)
        .U32(0).U32(LastId).U32(0).U32(HeaderSize).U32(0).ToArray());
}

using System.Text;

namespace Vmm.Acpi.Tables;

/// <summary>Debug Port Table 2 (Microsoft): the PL011 again, for early consoles.</summary>
public static class Dbg2
{
    private const ushort Serial = 0x8000;
    private const ushort Pl011 = 3;
    private const int DeviceHeader = 22;

    public static AcpiTable Build(ulong uart, uint size, string path)
    {
        byte[] name = [.. Encoding.ASCII.GetBytes(path), 0];
        int nameOffset = DeviceHeader + 12 + 4;
        return new AcpiTable("DBG2", 0, new TableWriter()
            .U32(AcpiTable.HeaderSize + 8).U32(1)
            .U8(0).U16((ushort)(nameOffset + name.Length)).U8(1)
            .U16((ushort)name.Length).U16((ushort)nameOffset)
            .U16(0).U16(0)
            .U16(Serial).U16(Pl011).U16(0)
            .U16(DeviceHeader).U16(DeviceHeader + 12)
            .MemoryAddress(uart, 32, 3)
            .U32(size)
            .Raw(name).ToArray());
    }
}

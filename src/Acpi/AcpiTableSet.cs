using System.Buffers.Binary;
using Vmm.Acpi.Tables;

namespace Vmm.Acpi;

/// <summary>Tables laid out in memory: RSDP, XSDT, FADT with its DSDT, and the others.</summary>
public sealed class AcpiTableSet
{
    /// <summary>Alignment of each table, in bytes. The RSDP takes the first such unit.</summary>
    public const int Alignment = 64;

    /// <summary>Bytes of the RSDP, with which <see cref="Bytes"/> begins.</summary>
    public const int RsdpSize = 36;

    private const int RsdpXsdt = 24;

    private readonly List<(AcpiTable Table, ulong Address)> _tables = [];
    private readonly List<ulong> _pointers = [];

    /// <param name="address">Guest physical address of the first byte.</param>
    /// <param name="dsdt">The DSDT.</param>
    /// <param name="fadt">Makes the FADT from the address of the DSDT.</param>
    /// <param name="others">MADT, GTDT and so on, in the order of the XSDT.</param>
    public AcpiTableSet(ulong address, AcpiTable dsdt, Func<ulong, AcpiTable> fadt, IEnumerable<AcpiTable> others)
    {
        ulong next = address + Alignment;
        ulong Place(AcpiTable table)
        {
            ulong at = next;
            _tables.Add((table, at));
            next += ((ulong)table.Bytes.Length + Alignment - 1) / Alignment * Alignment;
            return at;
        }

        ulong dsdtAddress = Place(dsdt);
        ulong fadtAddress = Place(fadt(dsdtAddress));
        _pointers.Add(fadtAddress + Fadt.DsdtPointer);
        var entries = new TableWriter().U64(fadtAddress);
        foreach (AcpiTable table in others)
        {
            entries.U64(Place(table));
        }

        byte[] addresses = entries.ToArray();
        ulong xsdt = Place(new AcpiTable("XSDT", 1, addresses));
        for (int i = 0; i < addresses.Length; i += sizeof(ulong))
        {
            _pointers.Add(xsdt + AcpiTable.HeaderSize + (ulong)i);
        }

        _pointers.Add(address + RsdpXsdt);
        Bytes = new byte[next - address];
        WriteRsdp(Bytes.AsSpan(0, RsdpSize), xsdt);
        foreach ((AcpiTable table, ulong at) in _tables)
        {
            table.Bytes.CopyTo(Bytes.AsSpan((int)(at - address)));
        }
    }

    public byte[] Bytes { get; }

    public IEnumerable<AcpiTable> Tables => _tables.Select(t => t.Table);

    /// <summary>Each table and its guest physical address.</summary>
    public IEnumerable<(AcpiTable Table, ulong Address)> Placed => _tables;

    /// <summary>Guest physical addresses of the 64-bit pointers to tables: in the FADT, the XSDT and the RSDP.</summary>
    public IEnumerable<ulong> Pointers => _pointers;

    // ACPI 6.5, 5.2.5.3: revision 2, two checksums.
    private static void WriteRsdp(Span<byte> rsdp, ulong xsdt)
    {
        "RSD PTR "u8.CopyTo(rsdp);
        "VMM   "u8.CopyTo(rsdp[9..]);
        rsdp[15] = 2;
        BinaryPrimitives.WriteInt32LittleEndian(rsdp[20..], RsdpSize);
        BinaryPrimitives.WriteUInt64LittleEndian(rsdp[RsdpXsdt..], xsdt);
        rsdp[8] = AcpiTable.Checksum(rsdp[..20]);
        rsdp[32] = AcpiTable.Checksum(rsdp);
    }
}

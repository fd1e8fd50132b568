using System.Buffers.Binary;

namespace Vmm.Acpi;

/// <summary>Tables laid out in memory: RSDP, XSDT, FADT with its DSDT, and the others.</summary>
public sealed class AcpiTableSet
{
    private const int Alignment = 64;

    /// <summary>Bytes of the RSDP, with which <see cref="Bytes"/> begins.</summary>
    public const int RsdpSize = 36;

    private readonly List<(AcpiTable Table, ulong Address)> _tables = [];

    /// <param name="address">Guest physical address of the first byte.</param>
    /// <param name="dsdt">The DSDT.</param>
    /// <param name="fadt">Makes the FADT from the address of the DSDT.</param>
    /// <param name="others">MADT, GTDT and so on, in the order of the XSDT.</param>
    public AcpiTableSet(ulong address, AcpiTable dsdt, Func<ulong, AcpiTable> fadt, IEnumerable<AcpiTable> others)
    {
        Address = address;
        ulong next = address + Alignment;
        ulong Place(AcpiTable table)
        {
            ulong at = next;
            _tables.Add((table, at));
            next += ((ulong)table.Bytes.Length + Alignment - 1) / Alignment * Alignment;
            return at;
        }

        ulong dsdtAddress = Place(dsdt);
        var entries = new TableWriter().U64(Place(fadt(dsdtAddress)));
        foreach (AcpiTable table in others)
        {
            entries.U64(Place(table));
        }

        ulong xsdt = Place(new AcpiTable("XSDT", 1, entries.ToArray()));
        Bytes = new byte[next - address];
        WriteRsdp(Bytes.AsSpan(0, RsdpSize), xsdt);
        foreach ((AcpiTable table, ulong at) in _tables)
        {
            table.Bytes.CopyTo(Bytes.AsSpan((int)(at - address)));
        }
    }

    /// <summary>Where the bytes go; the RSDP is the first of them.</summary>
    public ulong Address { get; }

    public byte[] Bytes { get; }

    public IEnumerable<AcpiTable> Tables => _tables.Select(t => t.Table);

    // ACPI 6.5, 5.2.5.3: revision 2, two checksums.
    private static void WriteRsdp(Span<byte> rsdp, ulong xsdt)
    {
        "RSD PTR "u8.CopyTo(rsdp);
        "VMM   "u8.CopyTo(rsdp[9..]);
        rsdp[15] = 2;
        BinaryPrimitives.WriteInt32LittleEndian(rsdp[20..], RsdpSize);
        BinaryPrimitives.WriteUInt64LittleEndian(rsdp[24..], xsdt);
        rsdp[8] = AcpiTable.Checksum(rsdp[..20]);
        rsdp[32] = AcpiTable.Checksum(rsdp);
    }
}

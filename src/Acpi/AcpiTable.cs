using System.Buffers.Binary;
using System.Text;

namespace Vmm.Acpi;

/// <summary>An ACPI table: the 36-byte header (ACPI 6.5, 5.2.6), a body, and the checksum that makes all bytes add up to zero.</summary>
public sealed class AcpiTable
{
    public const int HeaderSize = 36;

    private readonly byte[] _bytes;

    /// <param name="signature">Four characters.</param>
    /// <param name="revision">The revision of the table's layout.</param>
    /// <param name="body">The bytes behind the header.</param>
    public AcpiTable(string signature, byte revision, ReadOnlySpan<byte> body)
    {
        Signature = signature;
        _bytes = new byte[HeaderSize + body.Length];
        Encoding.ASCII.GetBytes(signature, _bytes);
        BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(4), _bytes.Length);
        _bytes[8] = revision;
        Encoding.ASCII.GetBytes("VMM   VMMVIRT ", _bytes.AsSpan(10));
        BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(24), 1);
        Encoding.ASCII.GetBytes("VMM ", _bytes.AsSpan(28));
        BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(32), 1);
        body.CopyTo(_bytes.AsSpan(HeaderSize));
        _bytes[9] = Checksum(_bytes);
    }

    public string Signature { get; }

    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>The byte that, added to the others, gives zero.</summary>
    public static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
        {
            sum += b;
        }

        return (byte)-sum;
    }
}

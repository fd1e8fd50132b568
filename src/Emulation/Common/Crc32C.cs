using System.Buffers.Binary;
using System.Numerics;

namespace Vmm.Emulation;

/// <summary>
/// CRC-32C (Castagnoli's polynomial, as in iSCSI, RFC 3720, section 12.1): reflected, begun with and finally inverted by all ones. It finds
/// every change of up to three bits in less than 256 MiB.
/// </summary>
public static class Crc32C
{
    /// <summary>The checksum of some bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes) => Append(0, bytes);

    /// <summary>The checksum of bytes of which the first ones have the checksum <paramref name="checksum"/>; 0 for none yet.</summary>
    public static uint Append(uint checksum, ReadOnlySpan<byte> bytes)
    {
        uint crc = ~checksum;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        foreach (byte b in bytes)
        {
            crc = BitOperations.Crc32C(crc, b);
        }

        return ~crc;
    }
}

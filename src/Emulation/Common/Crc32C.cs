using System.Numerics;
using System.Runtime.CompilerServices;

namespace Vmm.Emulation;

/// <summary>
/// CRC-32C (Castagnoli's polynomial, as in iSCSI, RFC 3720, section 12.1): reflected, begun with and finally inverted by all ones. It finds
/// every change of up to three bits in less than 256 MiB.
/// </summary>
public static class Crc32C
{
    // The host's instruction takes three cycles and can begin in each. So three lanes that lie behind each other are computed together,
    // and then put together. Three lanes are nearly a page.
    private const int Lanes = 3;
    private const int LaneWords = 168;

    // What a checksum becomes by the bytes of a lane that are zero, for each value of each of its four bytes.
    private static readonly uint[] s_pastLane = PastLane();

    /// <summary>The checksum of some bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes) => Append(0, bytes);

    /// <summary>The checksum of bytes of which the first ones have the checksum <paramref name="checksum"/>; 0 for none yet.</summary>
    public static unsafe uint Append(uint checksum, ReadOnlySpan<byte> bytes)
    {
        uint crc = ~checksum;
        fixed (byte* start = bytes)
        {
            byte* next = start;
            byte* end = start + bytes.Length;
            for (; end - next >= Lanes * LaneWords * sizeof(ulong); next += Lanes * LaneWords * sizeof(ulong))
            {
                crc = AppendLanes(crc, (ulong*)next);
            }

            for (; end - next >= sizeof(ulong); next += sizeof(ulong))
            {
                crc = BitOperations.Crc32C(crc, *(ulong*)next);
            }

            for (; next < end; next++)
            {
                crc = BitOperations.Crc32C(crc, *next);
            }
        }

        return ~crc;
    }

    // A checksum is linear: what comes before a lane counts as if the lane were zero, and the lane as if nothing came before it.
    private static unsafe uint AppendLanes(uint crc, ulong* words)
    {
        (uint a, uint b, uint c) = (crc, 0, 0);
        for (int i = 0; i < LaneWords; i++)
        {
            a = BitOperations.Crc32C(a, words[i]);
            b = BitOperations.Crc32C(b, words[LaneWords + i]);
            c = BitOperations.Crc32C(c, words[(2 * LaneWords) + i]);
        }

        return Past(Past(a) ^ b) ^ c;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Past(uint crc) =>
        s_pastLane[(byte)crc] ^ s_pastLane[256 + (byte)(crc >> 8)] ^ s_pastLane[512 + (byte)(crc >> 16)] ^ s_pastLane[768 + (crc >> 24)];

    private static uint[] PastLane()
    {
        uint[] table = new uint[4 * 256];
        for (int bit = 0; bit < 32; bit++)
        {
            uint crc = 1u << bit;
            for (int i = 0; i < LaneWords; i++)
            {
                crc = BitOperations.Crc32C(crc, 0ul);
            }

            // The values of a byte that have this bit and no higher one.
            int row = (bit / 8 * 256) + (1 << (bit % 8));
            for (int lower = 0; lower < 1 << (bit % 8); lower++)
            {
                table[row + lower] = table[(bit / 8 * 256) + lower] ^ crc;
            }
        }

        return table;
    }
}

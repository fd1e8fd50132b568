using System.Buffers.Binary;

namespace Vmm.Emulation.Net;

/// <summary>
/// The frame by which a host tells the switches of a network that a guest is behind it: a request of RARP (RFC 903) for its own address, to
/// all, as QEMU's net/announce.c makes it.
/// </summary>
public static class RarpFrame
{
    private const int Size = 60;

    /// <param name="mac">48 bits, the first byte the highest.</param>
    public static void Write(NetFrame frame, ulong mac)
    {
        Span<byte> bytes = stackalloc byte[Size];
        bytes.Clear();
        bytes[..6].Fill(0xFF);
        PutAddress(bytes[6..], mac);

        // Ethernet type RARP; Ethernet, IPv4, lengths of addresses; operation 3, request.
        ReadOnlySpan<byte> body = [0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3];
        body.CopyTo(bytes[12..]);
        PutAddress(bytes[22..], mac);
        PutAddress(bytes[32..], mac);
        frame.Set(bytes);
    }

    private static void PutAddress(Span<byte> place, ulong mac)
    {
        BinaryPrimitives.WriteUInt32BigEndian(place, (uint)(mac >> 16));
        BinaryPrimitives.WriteUInt16BigEndian(place[4..], (ushort)mac);
    }
}

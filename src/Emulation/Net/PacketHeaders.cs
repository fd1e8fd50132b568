using System.Buffers.Binary;

namespace Vmm.Emulation.Net;

/// <summary>Where the headers of an IP packet are in a frame (RFC 791, RFC 8200, RFC 9293, RFC 768).</summary>
internal readonly record struct PacketHeaders
{
    public const int VlanTag = 0x8100;
    public const int ServiceTag = 0x88A8;
    public const byte Tcp = 6;
    public const byte Udp = 17;

    // Offsets in the headers.
    public const int Ip4Total = 2;
    public const int Ip4Id = 4;
    public const int Ip4Fragment = 6;
    public const int Ip4Checksum = 10;
    public const int Ip6Length = 4;
    public const int Ip6Next = 6;
    public const int Ip6Header = 40;
    public const int TcpSequence = 4;
    public const int TcpFlags = 13;
    public const int TcpChecksum = 16;
    public const int UdpHeader = 8;
    public const int UdpChecksum = 6;

    private const int Ip4 = 0x0800;
    private const int Ip6 = 0x86DD;
    private const int Ip4Header = 20;
    private const int TcpHeader = 20;

    public bool IsIp6 { get; private init; }

    /// <summary>Where the IP header is.</summary>
    public int Network { get; private init; }

    public byte Protocol { get; private init; }

    /// <summary>Where the header of TCP or UDP is.</summary>
    public int Transport { get; private init; }

    /// <summary>Where its payload is.</summary>
    public int Payload { get; private init; }

    public int ChecksumOffset => Protocol == Tcp ? TcpChecksum : UdpChecksum;

    /// <summary>False for what is no whole packet of TCP or UDP with all its headers. Options of IPv6 are not looked through.</summary>
    public static bool TryFind(ReadOnlySpan<byte> frame, out PacketHeaders headers)
    {
        headers = default;
        int at = 12;
        for (int tags = 0; at + 2 <= frame.Length && tags < 2 && U16(frame, at) is VlanTag or ServiceTag; tags++)
        {
            at += 4;
        }

        int network = at + 2;
        if (network + Ip4Header > frame.Length)
        {
            return false;
        }

        bool isIp6 = U16(frame, at) == Ip6;
        int transport = network + (isIp6 ? Ip6Header : (frame[network] & 0xF) * 4);
        if ((!isIp6 && U16(frame, at) != Ip4) || transport < network + Ip4Header || transport + UdpHeader > frame.Length
            || (!isIp6 && (U16(frame, network + Ip4Fragment) & 0x3FFF) != 0))
        {
            return false;
        }

        byte protocol = frame[network + (isIp6 ? Ip6Next : 9)];
        int payload = protocol == Udp ? transport + UdpHeader
            : protocol == Tcp && transport + TcpHeader <= frame.Length ? transport + (frame[transport + 12] >> 4 << 2)
            : 0;
        if (payload < transport + UdpHeader || payload > frame.Length || (protocol == Tcp && payload < transport + TcpHeader))
        {
            return false;
        }

        headers = new PacketHeaders
        {
            IsIp6 = isIp6, Network = network, Protocol = protocol, Transport = transport, Payload = payload,
        };
        return true;
    }

    private static int U16(ReadOnlySpan<byte> frame, int at) => BinaryPrimitives.ReadUInt16BigEndian(frame[at..]);

    /// <summary>The sum of the pseudo header of a packet (RFC 9293, section 3.1; RFC 8200, section 8.1).</summary>
    /// <param name="length">Bytes behind the IP header.</param>
    public ushort PseudoSum(ReadOnlySpan<byte> frame, int length)
    {
        ReadOnlySpan<byte> addresses = IsIp6 ? frame.Slice(Network + 8, 32) : frame.Slice(Network + 12, 8);
        return InternetChecksum.Fold(InternetChecksum.Sum(addresses) + Protocol + (uint)length);
    }
}

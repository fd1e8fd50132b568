using System.Buffers.Binary;
using static Vmm.Emulation.Net.PacketHeaders;

namespace Vmm.Emulation.Net.User;

/// <summary>
/// Large frames on the way to and from libslirp, which knows no offloads: it takes segments as large as the driver makes them, and makes
/// them as large as the guest says that it takes. So the guest's offer of a segment size (MSS) is raised on its way, and what comes back is
/// marked to be cut by whoever can do it best.
/// </summary>
internal static class SlirpFrames
{
    /// <summary>The largest packet on the link (an MTU).</summary>
    public const int LinkMtu = 1500;

    private const int TcpHeader = 20;
    private const int Ip4Header = 20;
    private const int FragmentHeader = 8;
    private const byte Syn = 2;
    private const byte EndOfOptions = 0;
    private const byte NoOption = 1;
    private const byte SegmentSize = 2;

    /// <summary>A frame of the guest's becomes one to which nothing is left to do.</summary>
    public static void Finish(NetFrame frame)
    {
        RaiseSegmentSize(frame);
        InternetChecksum.Complete(frame);
    }

    /// <summary>A frame of libslirp's, which is whole, gets marks of what the link needs.</summary>
    public static void Mark(NetFrame frame)
    {
        frame.Flags = NetFrame.IsValid;
        if (frame.Length <= LinkMtu + NetFrame.EthernetSize || !TryFind(frame.Bytes, out PacketHeaders headers))
        {
            return;
        }

        if (headers.Protocol == Udp)
        {
            // IPv6 has a header of its own in each fragment.
            int room = LinkMtu - (headers.Transport - headers.Network) - (headers.IsIp6 ? FragmentHeader : 0);
            frame.SetGso(GsoType.Udp, headers.Transport, room & ~7);
            return;
        }

        int size = LinkMtu - (headers.Payload - headers.Network);
        frame.SetGso(headers.IsIp6 ? GsoType.Tcp6 : GsoType.Tcp4, headers.Payload, size);
        frame.SetChecksum(headers.Transport, TcpChecksum);
        BinaryPrimitives.WriteUInt16BigEndian(
            frame.Bytes[(headers.Transport + TcpChecksum)..], headers.PseudoSum(frame.Bytes, frame.Length - headers.Transport));
    }

    // An offer that is smaller than the link's is the guest's own wish.
    private static void RaiseSegmentSize(NetFrame frame)
    {
        if (!TryFind(frame.Bytes, out PacketHeaders headers) || headers.Protocol != Tcp
            || (frame.Bytes[headers.Transport + TcpFlags] & Syn) == 0)
        {
            return;
        }

        int header = headers.IsIp6 ? Ip6Header : Ip4Header;
        for (int at = headers.Transport + TcpHeader; at + 4 <= headers.Payload && frame.Bytes[at] != EndOfOptions;)
        {
            int length = frame.Bytes[at] == NoOption ? 1 : frame.Bytes[at + 1];
            if (frame.Bytes[at] == SegmentSize && length == 4)
            {
                if (BinaryPrimitives.ReadUInt16BigEndian(frame.Bytes[(at + 2)..]) >= LinkMtu - header - TcpHeader)
                {
                    Replace(frame, headers, at + 2, (ushort)(LibSlirp.MostMtu - header - TcpHeader));
                }

                return;
            }

            if (length == 0)
            {
                return;
            }

            at += length;
        }
    }

    // The checksum counts a word at an odd place with its bytes turned (RFC 1624, RFC 1071).
    private static void Replace(NetFrame frame, PacketHeaders headers, int at, ushort value)
    {
        ushort before = BinaryPrimitives.ReadUInt16BigEndian(frame.Bytes[at..]);
        BinaryPrimitives.WriteUInt16BigEndian(frame.Bytes[at..], value);
        if ((frame.Flags & NetFrame.NeedsChecksum) != 0)
        {
            return;
        }

        if ((at - headers.Transport) % 2 != 0)
        {
            before = BinaryPrimitives.ReverseEndianness(before);
            value = BinaryPrimitives.ReverseEndianness(value);
        }

        Span<byte> checksum = frame.Bytes[(headers.Transport + TcpChecksum)..];
        ushort sum = (ushort)~BinaryPrimitives.ReadUInt16BigEndian(checksum);
        sum = InternetChecksum.Fold((ulong)sum + (ushort)~before + value);
        BinaryPrimitives.WriteUInt16BigEndian(checksum, (ushort)~sum);
    }
}

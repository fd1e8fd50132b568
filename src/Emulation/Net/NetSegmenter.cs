using System.Buffers.Binary;
using static Vmm.Emulation.Net.PacketHeaders;

namespace Vmm.Emulation.Net;

/// <summary>
/// Cuts a frame that is larger than the link's into frames that are not: TCP into segments with their own checksums, UDP into fragments of
/// IP. One thread at a time.
/// </summary>
public sealed class NetSegmenter
{
    private const byte Fin = 1;
    private const byte Push = 8;
    private const byte Cwr = 0x80;
    private const ushort MoreFragments = 0x2000;
    private const int FragmentHeader = 8;
    private const byte FragmentProtocol = 44;

    private NetFrame? _frame;
    private PacketHeaders _headers;
    private int _at;
    private int _number;
    private uint _id;

    /// <summary>Whether there is more of a frame that was begun.</summary>
    public bool IsBusy => _frame != null;

    /// <summary>
    /// Begins a frame, which stays as it is until it has been cut. Nothing comes of one whose headers are not what its header says.
    /// </summary>
    public void Begin(NetFrame frame)
    {
        _frame = null;
        if (!TryFind(frame.Bytes, out PacketHeaders headers) || frame.GsoSize == 0
            || headers.Protocol != (frame.Gso == GsoType.Udp ? Udp : Tcp) || (frame.Gso == GsoType.Tcp6 && !headers.IsIp6)
            || (frame.Gso == GsoType.Tcp4 && headers.IsIp6) || (frame.Gso == GsoType.Udp && frame.GsoSize < FragmentHeader))
        {
            return;
        }

        if (frame.Gso == GsoType.Udp)
        {
            InternetChecksum.Complete(frame);
        }

        (_frame, _headers, _number) = (frame, headers, 0);
        _at = frame.Gso == GsoType.Udp ? headers.Transport : headers.Payload;
        _id++;
    }

    /// <summary>The next frame; false at the end.</summary>
    public bool Next(NetFrame part)
    {
        if (_frame == null)
        {
            return false;
        }

        int left = _frame.Length - _at;
        if (_frame.Gso == GsoType.Udp)
        {
            Fragment(_frame, part, Math.Min(left, _frame.GsoSize & ~7));
        }
        else
        {
            Segment(_frame, part, Math.Min(left, _frame.GsoSize));
        }

        _number++;
        _frame = _at == _frame.Length ? null : _frame;
        return true;
    }

    private void Segment(NetFrame frame, NetFrame part, int length)
    {
        int headers = _headers.Payload;
        int transport = _headers.Transport;
        Copy(frame, part, headers, headers, length);
        bool isLast = _at + length == frame.Length;
        Span<byte> bytes = part.Bytes;
        Span<byte> tcp = bytes[transport..];
        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(tcp[TcpSequence..]) + (uint)(_at - headers);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[TcpSequence..], sequence);
        tcp[TcpFlags] &= (byte)((isLast ? 0xFF : ~(Fin | Push)) & (_number == 0 ? 0xFF : ~Cwr));
        WriteLength(bytes, 0);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[TcpChecksum..], _headers.PseudoSum(bytes, tcp.Length));
        part.SetChecksum(transport, TcpChecksum);
        InternetChecksum.Complete(part);
        _at += length;
    }

    private void Fragment(NetFrame frame, NetFrame part, int length)
    {
        int headers = _headers.Transport;
        int offset = _at - headers;
        bool isLast = _at + length == frame.Length;
        if (_headers.IsIp6)
        {
            Copy(frame, part, headers, headers + FragmentHeader, length);
            Span<byte> fragment = part.Bytes.Slice(headers, FragmentHeader);
            fragment[0] = Udp;
            fragment[1] = 0;
            BinaryPrimitives.WriteUInt16BigEndian(fragment[2..], (ushort)(offset | (isLast ? 0 : 1)));
            BinaryPrimitives.WriteUInt32BigEndian(fragment[4..], _id);
            part.Bytes[_headers.Network + Ip6Next] = FragmentProtocol;
            WriteLength(part.Bytes, 0);
        }
        else
        {
            Copy(frame, part, headers, headers, length);
            WriteLength(part.Bytes, (ushort)((offset / 8) | (isLast ? 0 : MoreFragments)));
        }

        _at += length;
    }

    private void Copy(NetFrame frame, NetFrame part, int headers, int place, int length)
    {
        part.ClearHeader();
        part.Length = place + length;
        frame.Bytes[..headers].CopyTo(part.Bytes);
        frame.Bytes.Slice(_at, length).CopyTo(part.Bytes[place..]);
    }

    // The length of the packet; of IPv4 also which part it is. Segments count on from the packet's number, fragments share it.
    private void WriteLength(Span<byte> frame, ushort fragment)
    {
        Span<byte> ip = frame[_headers.Network..];
        if (_headers.IsIp6)
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[Ip6Length..], (ushort)(ip.Length - Ip6Header));
            return;
        }

        BinaryPrimitives.WriteUInt16BigEndian(ip[Ip4Total..], (ushort)ip.Length);
        if (_headers.Protocol == Tcp)
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[Ip4Id..], (ushort)(BinaryPrimitives.ReadUInt16BigEndian(ip[Ip4Id..]) + _number));
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(ip[Ip4Fragment..], fragment);
        }

        BinaryPrimitives.WriteUInt16BigEndian(ip[Ip4Checksum..], 0);
        int size = _headers.Transport - _headers.Network;
        BinaryPrimitives.WriteUInt16BigEndian(ip[Ip4Checksum..], (ushort)~InternetChecksum.Fold(InternetChecksum.Sum(ip[..size])));
    }
}

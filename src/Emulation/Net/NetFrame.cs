using System.Buffers.Binary;

namespace Vmm.Emulation.Net;

/// <summary>What is left to do for a frame that is larger than the link's frames (Virtual I/O Device 1.2, section 5.1.6).</summary>
public enum GsoType : byte
{
    None = 0,

    /// <summary>TCP over IPv4, to be cut into segments.</summary>
    Tcp4 = 1,

    /// <summary>UDP over IPv4 or IPv6, to be cut into fragments.</summary>
    Udp = 3,

    /// <summary>TCP over IPv6, to be cut into segments.</summary>
    Tcp6 = 4,
}

/// <summary>
/// An Ethernet frame without its checksum, behind the header that virtio has in front of it (<c>struct virtio_net_hdr</c>, section 5.1.6):
/// it says what of the frame is left to do. A frame with something to do may be far larger than the link's. It is filled again and again,
/// by one thread.
/// </summary>
public sealed class NetFrame
{
    /// <summary>Bytes of the header.</summary>
    public const int HeaderSize = 12;

    /// <summary>The largest frame: an IP packet of 65,535 bytes with two VLAN tags.</summary>
    public const int MostBytes = ushort.MaxValue + EthernetSize + 8;

    /// <summary>Bytes of the addresses and the type in front of a packet.</summary>
    public const int EthernetSize = 14;

    /// <summary>The bytes from <see cref="ChecksumStart"/> on are still to be summed up (VIRTIO_NET_HDR_F_NEEDS_CSUM).</summary>
    public const byte NeedsChecksum = 1;

    /// <summary>Somebody has looked at the checksums (VIRTIO_NET_HDR_F_DATA_VALID).</summary>
    public const byte IsValid = 2;

    // VIRTIO_NET_HDR_GSO_ECN, in the byte of the type.
    private const byte Ecn = 0x80;

    private readonly byte[] _bytes = new byte[HeaderSize + MostBytes];

    /// <summary>Bytes of the frame, without the header.</summary>
    public int Length { get; set; }

    /// <summary>The frame.</summary>
    public Span<byte> Bytes => _bytes.AsSpan(HeaderSize, Length);

    /// <summary>The header and the frame.</summary>
    public Span<byte> Message => _bytes.AsSpan(0, HeaderSize + Length);

    /// <summary>Room for the largest frame behind its header.</summary>
    public Span<byte> Room => _bytes;

    public ref byte Flags => ref _bytes[0];

    public GsoType Gso => (GsoType)(_bytes[1] & ~Ecn);

    /// <summary>Bytes of payload of each segment, or of data of each fragment.</summary>
    public int GsoSize => BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(4));

    public int ChecksumStart => BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(6));

    /// <summary>From <see cref="ChecksumStart"/> on.</summary>
    public int ChecksumOffset => BinaryPrimitives.ReadUInt16LittleEndian(_bytes.AsSpan(8));

    /// <summary>How many buffers of the driver the frame is in.</summary>
    public int Buffers
    {
        set => BinaryPrimitives.WriteUInt16LittleEndian(_bytes.AsSpan(10), (ushort)value);
    }

    /// <summary>Nothing is left to do.</summary>
    public void ClearHeader() => _bytes.AsSpan(0, HeaderSize).Clear();

    /// <summary>Takes a frame to which nothing is left to do; a larger one than there can be is cut off.</summary>
    public void Set(ReadOnlySpan<byte> frame)
    {
        ClearHeader();
        Length = Math.Min(frame.Length, MostBytes);
        frame[..Length].CopyTo(Bytes);
    }

    public void SetChecksum(int start, int offset)
    {
        Flags = NeedsChecksum;
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes.AsSpan(6), (ushort)start);
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes.AsSpan(8), (ushort)offset);
    }

    /// <param name="headers">Bytes of the frame in front of the payload.</param>
    public void SetGso(GsoType type, int headers, int size)
    {
        _bytes[1] = (byte)type;
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes.AsSpan(2), (ushort)headers);
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes.AsSpan(4), (ushort)size);
    }
}

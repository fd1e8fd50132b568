using System.Buffers.Binary;
using static Vmm.Emulation.Devices.Virtio.Vsock.VsockSpec;

namespace Vmm.Emulation.Devices.Virtio.Vsock;

/// <summary>
/// A packet of a socket device, its header (<c>struct virtio_vsock_hdr</c>, Virtual I/O Device 1.2, section 5.10.6) and its data. It is
/// filled again and again, by one thread.
/// </summary>
public sealed class VsockPacket
{
    /// <summary>The most data of a packet that is taken, as Linux sends it (VIRTIO_VSOCK_MAX_PKT_BUF_SIZE).</summary>
    public const int MostData = 64 << 10;

    private readonly byte[] _header = new byte[HeaderSize];

    // A byte more, by which a message of the host is found too long.
    private readonly byte[] _data = new byte[MostData + 1];

    /// <summary>Bytes of data.</summary>
    public int Count { get; set; }

    public Span<byte> Header => _header;

    public Span<byte> Data => _data.AsSpan(0, Count);

    /// <summary>Room for data, and a byte more than the most.</summary>
    public Span<byte> Room => _data;

    public ulong From => BinaryPrimitives.ReadUInt64LittleEndian(_header.AsSpan(SourceCid));

    public ulong To => BinaryPrimitives.ReadUInt64LittleEndian(_header.AsSpan(DestinationCid));

    public uint FromPort => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(SourcePort));

    public uint ToPort => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(DestinationPort));

    /// <summary>The length that the header says.</summary>
    public uint SaidLength => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(Length));

    public VsockType Type => (VsockType)BinaryPrimitives.ReadUInt16LittleEndian(_header.AsSpan(VsockSpec.Type));

    public VsockOperation Operation => (VsockOperation)BinaryPrimitives.ReadUInt16LittleEndian(_header.AsSpan(VsockSpec.Operation));

    public VsockShutdown Shutdown => (VsockShutdown)BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(Flags));

    /// <summary>Whether a message ends with the data.</summary>
    public bool EndsMessage => (BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(Flags)) & EndOfMessage) != 0;

    /// <summary>How many bytes the sender's side of the connection has room for, and how many it has passed on since it began.</summary>
    public uint BufferSize => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(BufferAllocation));

    public uint Forwarded => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(ForwardCount));

    /// <summary>Makes it one for the guest; its data are there already.</summary>
    internal void SetHeader(
        ulong guest, VsockEnds ends, VsockOperation operation, VsockShutdown shutdown, uint bufferSize, uint forwarded)
    {
        Span<byte> header = _header;
        BinaryPrimitives.WriteUInt64LittleEndian(header[SourceCid..], HostCid);
        BinaryPrimitives.WriteUInt64LittleEndian(header[DestinationCid..], guest);
        BinaryPrimitives.WriteUInt32LittleEndian(header[SourcePort..], ends.HostPort);
        BinaryPrimitives.WriteUInt32LittleEndian(header[DestinationPort..], ends.GuestPort);
        BinaryPrimitives.WriteUInt16LittleEndian(header[VsockSpec.Type..], (ushort)ends.Type);
        BinaryPrimitives.WriteUInt16LittleEndian(header[VsockSpec.Operation..], (ushort)operation);
        BinaryPrimitives.WriteUInt32LittleEndian(header[Flags..], (uint)shutdown);
        BinaryPrimitives.WriteUInt32LittleEndian(header[BufferAllocation..], bufferSize);
        BinaryPrimitives.WriteUInt32LittleEndian(header[ForwardCount..], forwarded);
    }

    /// <summary>Makes it one of some of its data: those with which they end also end the message, where it is one.</summary>
    internal void SetPart(int from, int length)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_header.AsSpan(Length), (uint)length);
        if (Type == VsockType.Messages && Operation == VsockOperation.Data)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(_header.AsSpan(Flags), from + length == Count ? EndOfMessage : 0);
        }
    }
}

/// <summary>The ends of a connection, and what it carries.</summary>
internal readonly record struct VsockEnds(uint GuestPort, uint HostPort, VsockType Type);

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
    private readonly byte[] _data = new byte[MostData];

    /// <summary>Bytes of data.</summary>
    public int Count { get; set; }

    public Span<byte> Header => _header;

    public Span<byte> Data => _data.AsSpan(0, Count);

    /// <summary>Room for the most data.</summary>
    public Memory<byte> Room => _data;

    public ulong From => BinaryPrimitives.ReadUInt64LittleEndian(_header.AsSpan(SourceCid));

    public ulong To => BinaryPrimitives.ReadUInt64LittleEndian(_header.AsSpan(DestinationCid));

    public uint FromPort => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(SourcePort));

    public uint ToPort => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(DestinationPort));

    /// <summary>The length that the header says.</summary>
    public uint SaidLength => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(Length));

    public bool IsStream => BinaryPrimitives.ReadUInt16LittleEndian(_header.AsSpan(VsockSpec.Type)) == TypeStream;

    public VsockOperation Operation => (VsockOperation)BinaryPrimitives.ReadUInt16LittleEndian(_header.AsSpan(VsockSpec.Operation));

    public VsockShutdown Shutdown => (VsockShutdown)BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(Flags));

    /// <summary>How many bytes the sender's side of the connection has room for, and how many it has passed on since it began.</summary>
    public uint BufferSize => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(BufferAllocation));

    public uint Forwarded => BinaryPrimitives.ReadUInt32LittleEndian(_header.AsSpan(ForwardCount));

    /// <summary>Makes it one for the guest; its data are there already.</summary>
    internal void SetHeader(
        ulong guest, uint guestPort, uint hostPort, VsockOperation operation, VsockShutdown shutdown, uint bufferSize, uint forwarded)
    {
        Span<byte> header = _header;
        BinaryPrimitives.WriteUInt64LittleEndian(header[SourceCid..], HostCid);
        BinaryPrimitives.WriteUInt64LittleEndian(header[DestinationCid..], guest);
        BinaryPrimitives.WriteUInt32LittleEndian(header[SourcePort..], hostPort);
        BinaryPrimitives.WriteUInt32LittleEndian(header[DestinationPort..], guestPort);
        BinaryPrimitives.WriteUInt16LittleEndian(header[VsockSpec.Type..], TypeStream);
        BinaryPrimitives.WriteUInt16LittleEndian(header[VsockSpec.Operation..], (ushort)operation);
        BinaryPrimitives.WriteUInt32LittleEndian(header[Flags..], (uint)shutdown);
        BinaryPrimitives.WriteUInt32LittleEndian(header[BufferAllocation..], bufferSize);
        BinaryPrimitives.WriteUInt32LittleEndian(header[ForwardCount..], forwarded);
    }

    internal void SetLength(int length) => BinaryPrimitives.WriteUInt32LittleEndian(_header.AsSpan(Length), (uint)length);
}

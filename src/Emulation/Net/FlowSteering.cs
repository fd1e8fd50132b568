using System.Buffers.Binary;

namespace Vmm.Emulation.Net;

/// <summary>
/// Which pair of queues a frame for the guest belongs to: the one on which the guest last sent of the same connection (Virtual I/O Device
/// 1.2, section 5.1.6.5.5). One thread.
/// </summary>
public sealed class FlowSteering
{
    private const int Flows = 256;

    private readonly byte[] _pairs = new byte[Flows];

    /// <summary>The guest has sent a frame on a pair of queues.</summary>
    public void Learn(NetFrame frame, int pair) => _pairs[FlowOf(frame)] = (byte)pair;

    public int PairOf(NetFrame frame, int pairs) => _pairs[FlowOf(frame)] % pairs;

    // The same in both directions: the two addresses and the two ports change places.
    private static byte FlowOf(NetFrame frame)
    {
        if (!PacketHeaders.TryFind(frame.Bytes, out PacketHeaders headers))
        {
            return 0;
        }

        ReadOnlySpan<byte> bytes = frame.Bytes;
        ReadOnlySpan<byte> addresses = headers.IsIp6 ? bytes.Slice(headers.Network + 8, 32) : bytes.Slice(headers.Network + 12, 8);
        uint mixed = (uint)BinaryPrimitives.ReadUInt16BigEndian(bytes[headers.Transport..])
            ^ BinaryPrimitives.ReadUInt16BigEndian(bytes[(headers.Transport + 2)..]);
        for (int i = 0; i < addresses.Length; i += sizeof(uint))
        {
            mixed ^= BinaryPrimitives.ReadUInt32BigEndian(addresses[i..]);
        }

        return (byte)((mixed * 2_654_435_769) >> 24);
    }
}

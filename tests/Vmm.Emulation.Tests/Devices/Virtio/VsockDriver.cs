using System.Buffers.Binary;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>A packet as a driver has it (Virtual I/O Device 1.2, section 5.10.6).</summary>
internal sealed record VsockMessage(
    uint GuestPort, uint HostPort, ushort Operation, byte[] Data, uint Flags = 0, uint Buffer = 1 << 16, uint Forwarded = 0)
{
    public const ushort Request = 1;
    public const ushort Response = 2;
    public const ushort Reset = 3;
    public const ushort Shutdown = 4;
    public const ushort Bytes = 5;
    public const ushort CreditUpdate = 6;
    public const ushort CreditRequest = 7;

    public ushort Type { get; init; } = 1;

    public ulong Cid { get; init; } = VsockDriver.Cid;

    public ulong HostCid { get; init; } = 2;

    public VsockMessage(uint guestPort, uint hostPort, ushort operation)
        : this(guestPort, hostPort, operation, [])
    {
    }
}

/// <summary>The driver's side of a socket device on virtio-mmio, written from the specification (section 5.10).</summary>
internal sealed class VsockDriver
{
    public const ulong Cid = 3;
    public const int HeaderSize = 44;

    private const ulong TxData = RingDriver.Base + 0x8_0000;
    private const ulong RxData = RingDriver.Base + 0xC_0000;
    private const int Buffers = 8;
    private const uint BufferSize = 4096;

    private readonly PhysicalAddressSpace _ram;
    private readonly bool _indirect;
    private readonly Dictionary<(uint Queue, int Id), ulong> _buffers = [];
    private int _sent;

    /// <param name="types">The features of streams (1) and of messages (2).</param>
    public VsockDriver(
        IMmioDevice slot, PhysicalAddressSpace ram, bool packed, bool indirect, bool eventIndex, int buffers = Buffers, ulong types = 3)
    {
        Slot = new MmioDriver(slot);
        (_ram, _indirect) = (ram, indirect);
        Assert.True(Slot.Negotiate(
            MmioDriver.Version1 | types | (packed ? 1ul << 34 : 0) | (indirect ? 1ul << 28 : 0) | (eventIndex ? 1ul << 29 : 0)));
        Rings = [.. Enumerable.Range(0, 3).Select(i => RingDriver.Create(
            ram, packed, 16, new VirtqueueFeatures(indirect, eventIndex), (uint)i))];
        for (uint i = 0; i < Rings.Length; i++)
        {
            Slot.Enable(i, Rings[i].Layout);
        }

        Slot.Go();
        for (int i = 0; i < buffers; i++)
        {
            Offer(0, RxData + ((ulong)i * BufferSize), BufferSize);
        }

        Offer(2, RxData + (Buffers * BufferSize), 4);
    }

    public MmioDriver Slot { get; }

    /// <summary>To the driver, from it, events.</summary>
    public RingDriver[] Rings { get; }

    /// <summary>Sends a packet in two buffers, and notifies; false where the ring is full.</summary>
    public bool Send(VsockMessage message, int? saidLength = null)
    {
        while (Rings[1].Take() != null)
        {
        }

        byte[] bytes = new byte[HeaderSize + message.Data.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, message.Cid);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), message.HostCid);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(16), message.GuestPort);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(20), message.HostPort);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(24), saidLength ?? message.Data.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(28), message.Type);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(30), message.Operation);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(32), message.Flags);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(36), message.Buffer);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(40), message.Forwarded);
        message.Data.CopyTo(bytes, HeaderSize);
        ulong at = TxData + ((ulong)(_sent++ % 8) * 0x8000);
        Assert.True(_ram.TryWrite(at, bytes));
        RingDriver.Part[] parts = [new(at, HeaderSize, false), new(at + HeaderSize, (uint)message.Data.Length, false)];
        bool added = Rings[1].Add(message.Data.Length > 0 ? parts : parts[..1], _indirect) != null;
        Slot.Notify(1);
        return added;
    }

    /// <summary>The next packet of the device; null for none. Its buffer is offered again.</summary>
    public VsockMessage? Receive()
    {
        if (Rings[0].Take() is not { } used)
        {
            return null;
        }

        Assert.True(_buffers.Remove((0, used.Id), out ulong at));
        Assert.InRange(used.Written, (uint)HeaderSize, BufferSize);
        byte[] bytes = new byte[used.Written];
        Assert.True(_ram.TryRead(at, bytes));
        Offer(0, at, BufferSize);
        Assert.Equal((2ul, Cid),
            (BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(8))));
        Assert.Equal(bytes.Length - HeaderSize, BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(24)));
        return new VsockMessage(
            BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(20)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(16)),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(30)), bytes[HeaderSize..],
            BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(32)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(36)),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(40)))
        {
            Type = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(28)),
        };
    }

    /// <summary>The next event; null for none.</summary>
    public uint? Event()
    {
        if (Rings[2].Take() is not { } used)
        {
            return null;
        }

        Assert.True(_buffers.Remove((2, used.Id), out ulong at));
        byte[] bytes = new byte[4];
        Assert.True(_ram.TryRead(at, bytes));
        Offer(2, at, 4);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    private void Offer(uint queue, ulong at, uint length)
    {
        uint first = length / 4;
        RingDriver.Part[] parts = [new(at, first, true), new(at + first, length - first, true)];
        if (Rings[queue].Add(parts, _indirect) is { } id)
        {
            _buffers[(queue, id)] = at;
            Slot.Notify(queue);
        }
    }
}

using System.Buffers.Binary;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>
/// The driver's side of a network device on virtio-mmio with one pair of queues, written from the specification (Virtual I/O Device 1.2,
/// section 5.1).
/// </summary>
internal sealed class NetDriver
{
    public const int HeaderSize = 12;

    private const ulong TxData = RingDriver.Base + 0x8_0000;
    private const ulong RxData = RingDriver.Base + 0xA_0000;
    private const ulong CommandData = RingDriver.Base + 0xF_0000;

    private readonly PhysicalAddressSpace _ram;
    private readonly bool _indirect;
    private readonly Dictionary<int, (ulong Address, uint Length)> _buffers = [];
    private ulong _next = RxData;

    /// <summary>Takes features and sets the three queues up.</summary>
    public NetDriver(IMmioDevice slot, PhysicalAddressSpace ram, bool packed, bool indirect, bool eventIndex, ulong features)
    {
        Slot = new MmioDriver(slot);
        (_ram, _indirect) = (ram, indirect);
        Assert.True(Slot.Negotiate(
            MmioDriver.Version1 | features | (packed ? 1ul << 34 : 0) | (indirect ? 1ul << 28 : 0) | (eventIndex ? 1ul << 29 : 0)));
        Rings = [.. Enumerable.Range(0, 3).Select(i => RingDriver.Create(
            ram, packed, 16, new VirtqueueFeatures(indirect, eventIndex), (uint)i))];
        for (uint i = 0; i < Rings.Length; i++)
        {
            Slot.Enable(i, Rings[i].Layout);
        }

        Slot.Go();
    }

    public MmioDriver Slot { get; }

    /// <summary>Receive, transmit, control.</summary>
    public RingDriver[] Rings { get; }

    /// <summary>Makes a frame available behind its header, in so many buffers, and notifies.</summary>
    public int Send(byte[] header, byte[] frame, int parts = 1)
    {
        byte[] all = [.. header, .. frame];
        Assert.True(_ram.TryWrite(TxData, all));
        int id = Rings[1].Add(Split(TxData, all.Length, parts, isWritable: false), _indirect)!.Value;
        Slot.Notify(1);
        return id;
    }

    /// <summary>Makes a buffer available for a frame, in so many parts.</summary>
    public void Offer(int length, int parts = 1)
    {
        int id = Rings[0].Add(Split(_next, length, parts, isWritable: true), _indirect)!.Value;
        _buffers[id] = (_next, (uint)length);
        _next += (ulong)length;
        _next = _next > RxData + 0x4_0000 ? RxData : _next;
        Slot.Notify(0);
    }

    /// <summary>The next frame behind its header, put together from as many buffers as the header says; null for none.</summary>
    public byte[]? Receive()
    {
        var bytes = new List<byte>();
        int buffers = 1;
        for (int i = 0; i < buffers; i++)
        {
            if (Rings[0].Take() is not { } used)
            {
                Assert.Equal(0, i);
                return null;
            }

            Assert.True(_buffers.Remove(used.Id, out (ulong Address, uint Length) buffer));
            Assert.InRange(used.Written, 1u, buffer.Length);
            byte[] part = new byte[used.Written];
            Assert.True(_ram.TryRead(buffer.Address, part));
            bytes.AddRange(part);
            buffers = BinaryPrimitives.ReadUInt16LittleEndian(bytes.ToArray().AsSpan(10));
        }

        return [.. bytes];
    }

    /// <summary>Makes a command available and notifies.</summary>
    public void Command(byte kind, byte number, params byte[] data)
    {
        Assert.True(_ram.TryWrite(CommandData, [kind, number]));
        Assert.True(_ram.TryWrite(CommandData + 0x100, data));
        Assert.True(_ram.TryWrite(CommandData + 0x8000, [0xFF]));
        RingDriver.Part[] parts =
        [
            new(CommandData, 2, false),
            .. Enumerable.Repeat(new RingDriver.Part(CommandData + 0x100, (uint)data.Length, false), data.Length > 0 ? 1 : 0),
            new(CommandData + 0x8000, 1, true),
        ];
        Assert.NotNull(Rings[2].Add(parts, _indirect));
        Slot.Notify(2);
    }

    /// <summary>The device's answer to the last command.</summary>
    public byte Answer()
    {
        Assert.NotNull(Rings[2].Take());
        byte[] answer = new byte[1];
        Assert.True(_ram.TryRead(CommandData + 0x8000, answer));
        return answer[0];
    }

    private static RingDriver.Part[] Split(ulong at, int length, int parts, bool isWritable) =>
        [.. Enumerable.Range(0, parts).Select(i => (From: length * i / parts, To: length * (i + 1) / parts)).Where(p => p.To > p.From)
            .Select(p => new RingDriver.Part(at + (ulong)p.From, (uint)(p.To - p.From), isWritable))];
}

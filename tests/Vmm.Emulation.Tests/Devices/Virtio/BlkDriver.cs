using System.Buffers.Binary;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>
/// The driver's side of a disk on virtio-mmio, written from the specification (Virtual I/O Device 1.2, section 5.2): one request at a time,
/// with its data in several buffers.
/// </summary>
internal sealed class BlkDriver
{
    public const uint In = 0;
    public const uint Out = 1;
    public const uint Flush = 4;
    public const uint GetId = 8;
    public const uint Discard = 11;
    public const uint WriteZeroes = 13;

    private const ulong Header = RingDriver.Base + 0x8_0000;
    private const ulong Data = RingDriver.Base + 0x9_0000;
    private const ulong Status = RingDriver.Base + 0x8_1000;

    private readonly PhysicalAddressSpace _ram;
    private readonly uint _queue;

    /// <summary>Takes features and sets a queue up.</summary>
    public BlkDriver(
        IMmioDevice slot, PhysicalAddressSpace ram, bool packed, bool indirect, bool eventIndex, ulong features, uint queue = 0)
    {
        Slot = new MmioDriver(slot);
        _ram = ram;
        _queue = queue;
        HasIndirect = indirect;
        Assert.True(Slot.Negotiate(
            MmioDriver.Version1 | features | (packed ? 1ul << 34 : 0) | (indirect ? 1ul << 28 : 0) | (eventIndex ? 1ul << 29 : 0)));
        Ring = RingDriver.Create(ram, packed, 16, new VirtqueueFeatures(indirect, eventIndex));
        Slot.Enable(queue, Ring.Layout);
        Slot.Go();
    }

    public MmioDriver Slot { get; }

    public RingDriver Ring { get; }

    public bool HasIndirect { get; }

    /// <summary>Makes a request available and notifies.</summary>
    /// <param name="data">What the device reads, or zeros that it writes.</param>
    /// <param name="parts">In how many buffers.</param>
    public int Submit(uint type, ulong sector, ReadOnlySpan<byte> data, bool deviceWrites, int parts = 1)
    {
        Span<byte> header = stackalloc byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(header, type);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], sector);
        Assert.True(_ram.TryWrite(Header, header));
        Assert.True(_ram.TryWrite(Data, data));
        Assert.True(_ram.TryWrite(Status, [0xFF]));
        var chain = new List<RingDriver.Part> { new(Header, 16, false) };
        for (int i = 0; i < parts && data.Length > 0; i++)
        {
            int from = data.Length * i / parts;
            chain.Add(new RingDriver.Part(Data + (ulong)from, (uint)((data.Length * (i + 1) / parts) - from), deviceWrites));
        }

        chain.Add(new RingDriver.Part(Status, 1, true));
        int id = Ring.Add([.. chain], HasIndirect)!.Value;
        Slot.Notify(_queue);
        return id;
    }

    /// <summary>The status byte.</summary>
    public byte StatusByte
    {
        get
        {
            byte[] status = new byte[1];
            Assert.True(_ram.TryRead(Status, status));
            return status[0];
        }
    }

    /// <summary>The data of the last request.</summary>
    public byte[] DataOf(int length)
    {
        byte[] data = new byte[length];
        Assert.True(_ram.TryRead(Data, data));
        return data;
    }

    public static byte[] Range(ulong sector, uint sectors, uint flags)
    {
        byte[] range = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(range, sector);
        BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(8), sectors);
        BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(12), flags);
        return range;
    }
}

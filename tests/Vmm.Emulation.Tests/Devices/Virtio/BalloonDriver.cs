using System.Buffers.Binary;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>The driver's side of a balloon with statistics and reporting of free pages (Virtual I/O Device 1.2, section 5.5).</summary>
internal sealed class BalloonDriver
{
    private const ulong Numbers = RingDriver.Base + 0x7_0000;

    private readonly PhysicalAddressSpace _ram;
    private readonly VirtioBalloon _balloon;
    private readonly RingDriver[] _rings = new RingDriver[4];
    private readonly bool _indirect;
    private readonly bool _serves;

    /// <param name="serves">Whether the test is the backend of the device.</param>
    public BalloonDriver(
        VirtioBalloon balloon, IMmioDevice slot, PhysicalAddressSpace ram, bool packed, bool indirect, bool eventIndex, bool serves = true)
    {
        (_balloon, _ram, _indirect, _serves) = (balloon, ram, indirect, serves);
        Slot = new MmioDriver(slot);
        Assert.True(Slot.Negotiate(MmioDriver.Version1 | (1 << 1) | (1 << 2) | (1 << 5)
            | (packed ? 1ul << 34 : 0) | (indirect ? 1ul << 28 : 0) | (eventIndex ? 1ul << 29 : 0)));
        for (uint queue = 0; queue < _rings.Length; queue++)
        {
            _rings[queue] = RingDriver.Create(ram, packed, 16, new VirtqueueFeatures(indirect, eventIndex), queue);
            Slot.Enable(queue, _rings[queue].Layout);
        }

        Slot.Go();
    }

    public MmioDriver Slot { get; }

    public void Inflate(params uint[] pages) => Tell(0, pages);

    /// <summary>Gives up the pages whose numbers are in RAM.</summary>
    public void Inflate(params RingDriver.Part[] lists) => Submit(0, lists);

    public void Deflate(params uint[] pages) => Tell(1, pages);

    public void Report(params RingDriver.Part[] ranges) => Submit(3, ranges);

    /// <summary>Tells statistics, each a tag and a value, and so much behind them.</summary>
    public void TellStatistics((ushort Tag, ulong Value)[] statistics, int more = 0)
    {
        byte[] bytes = new byte[(statistics.Length * 10) + more];
        for (int i = 0; i < statistics.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(i * 10), statistics[i].Tag);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan((i * 10) + 2), statistics[i].Value);
        }

        const ulong At = Numbers + 0x8000;
        Assert.True(_ram.TryWrite(At, bytes));
        Assert.NotNull(_rings[2].Add([new RingDriver.Part(At, (uint)bytes.Length, false)], _indirect));
        Slot.Notify(2);
    }

    /// <summary>Whether the device has given all back.</summary>
    public bool IsDone(uint queue) => _rings[queue].Take() != null;

    private void Tell(uint queue, uint[] pages)
    {
        byte[] numbers = new byte[pages.Length * 4];
        for (int i = 0; i < pages.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(numbers.AsSpan(i * 4), pages[i]);
        }

        Assert.True(_ram.TryWrite(Numbers, numbers));
        Submit(queue, [new RingDriver.Part(Numbers, (uint)numbers.Length, false)]);
    }

    // As a driver does it: the device is told only if it wants to be.
    private void Submit(uint queue, RingDriver.Part[] parts)
    {
        if (_rings[queue].Add(parts, _indirect) == null || !_rings[queue].MustNotify())
        {
            Assert.NotNull(_balloon.Fault);
            return;
        }

        Slot.Notify(queue);
        if (_serves)
        {
            _balloon.Notified.Acknowledge();
            while (_balloon.Serve())
            {
            }

            Assert.True(_balloon.Fault != null || _rings[queue].Take() != null);
        }
    }
}

using System.Buffers.Binary;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>The driver's side of a balloon with reporting of free pages (Virtual I/O Device 1.2, section 5.5).</summary>
internal sealed class BalloonDriver
{
    private const ulong Numbers = RingDriver.Base + 0x7_0000;

    private readonly PhysicalAddressSpace _ram;
    private readonly VirtioBalloon _balloon;
    private readonly RingDriver[] _rings = new RingDriver[3];
    private readonly bool _indirect;
    private readonly bool _serves;

    /// <param name="serves">Whether the test is the backend of the device.</param>
    public BalloonDriver(
        VirtioBalloon balloon, IMmioDevice slot, PhysicalAddressSpace ram, bool packed, bool indirect, bool eventIndex, bool serves = true)
    {
        (_balloon, _ram, _indirect, _serves) = (balloon, ram, indirect, serves);
        Slot = new MmioDriver(slot);
        Assert.True(Slot.Negotiate(MmioDriver.Version1 | (1 << 2) | (1 << 5)
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

    public void Deflate(params uint[] pages) => Tell(1, pages);

    public void Report(params RingDriver.Part[] ranges) => Submit(2, ranges);

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
            _balloon.Serve();
            Assert.True(_balloon.Fault != null || _rings[queue].Take() != null);
        }
    }
}

using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Interrupts;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>The core of a virtio device and its MMIO transport, with a device that has nothing of its own.</summary>
public sealed class VirtioMmioTests : DeviceFixture, IDisposable
{
    private const int Queues = 2;
    private const int Size = 8;
    private const ulong OwnFeature = 1;

    private readonly GuestMemory _memory = new(new GuestPhysicalAddress(RingDriver.Base), RingDriver.RamSize);
    private readonly PhysicalAddressSpace _ram = new();

    public VirtioMmioTests() => _ram.AddMemory(_memory);

    public void Dispose() => _memory.Dispose();

    /// <summary>Each ring, and each feature of rings off and on.</summary>
    public static TheoryData<bool, bool, bool> Rings()
    {
        var all = new TheoryData<bool, bool, bool>();
        for (int i = 0; i < 8; i++)
        {
            all.Add((i & 1) != 0, (i & 2) != 0, (i & 4) != 0);
        }

        return all;
    }

    internal override Subject Create()
    {
        (VirtioMmio slot, _, _) = Make();
        return new Subject(new AllUnits(slot.StateUnits), [slot], [VirtioMmio.WindowSize], slot.Reset, slot);
    }

    internal override void Disturb(Subject subject)
    {
        var driver = new MmioDriver((VirtioMmio)subject.Device);
        Assert.True(driver.Negotiate(MmioDriver.Version1 | OwnFeature));
        driver.Enable(1, new VirtqueueLayout(Size, RingDriver.Base, RingDriver.Base + 0x1000, RingDriver.Base + 0x2000));
        driver.Go();
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Chains_go_through_the_device_and_back_with_an_interrupt(bool packed, bool indirect, bool eventIndex)
    {
        (VirtioMmio slot, Plain device, Line line) = Make();
        var driver = new MmioDriver(slot);
        Assert.Equal((0x74726976u, 2u, 4u, 0x554D4551u), (driver[0], driver[4], driver[8], driver[12]));
        ulong wanted = MmioDriver.Version1 | (packed ? 1ul << 34 : 0) | (indirect ? 1ul << 28 : 0) | (eventIndex ? 1ul << 29 : 0);
        Assert.Equal(wanted, wanted & driver.Offered);
        Assert.True(driver.Negotiate(wanted));
        RingDriver ring = RingDriver.Create(_ram, packed, Size, new VirtqueueFeatures(indirect, eventIndex));
        driver.Enable(1, ring.Layout);
        int rung = 0;
        device.Notified.Connect(() => rung++);
        var chain = new DescriptorChain();

        // What is made available before DRIVER_OK need not be notified of again.
        int? first = ring.Add([new(RingDriver.Base + 0x8_0000, 16, true)], indirect);
        Assert.False(device.TryTake(1, chain));
        driver.Go();
        Assert.Equal(1, rung);
        device.Notified.Acknowledge();
        Assert.True(device.TakeNotified(1));
        Assert.False(device.TakeNotified(0));
        Assert.True(device.TryTake(1, chain));
        Assert.False(device.TryTake(1, new DescriptorChain()));
        ring.AllowInterrupts();
        device.Give(1, chain, 16);
        Assert.False(line.Level);
        device.Interrupt(1);
        Assert.True(line.Level);
        Assert.Equal((first!.Value, 16u), ring.Take());
        Assert.Equal(1u, driver.Interrupts());
        Assert.False(line.Level);

        // Nothing more was given back, so there is no interrupt.
        device.Interrupt(1);
        Assert.False(line.Level);
        driver.Notify(1);
        Assert.Equal(2, rung);
        Assert.Null(device.Fault);
    }

    [Theory]
    [InlineData(0)] // no VERSION_1: a legacy driver
    [InlineData(MmioDriver.Version1 | 2)] // not offered
    [InlineData(MmioDriver.Version1 | 1ul << 63)]
    [InlineData(MmioDriver.Version1 | OwnFeature | 4)] // makes no sense to the type
    public void Features_that_cannot_be_are_not_accepted(ulong features) => Assert.False(new MmioDriver(Make().Slot).Negotiate(features));

    [Fact]
    public void Features_stay_as_they_were_when_they_were_accepted()
    {
        (VirtioMmio slot, Plain device, _) = Make();
        var driver = new MmioDriver(slot);
        Assert.True(driver.Negotiate(MmioDriver.Version1 | OwnFeature));
        (driver[0x024], driver[0x020]) = (0, 0);
        Assert.Equal((uint)OwnFeature, device.ReadDriverFeatures(0));
    }

    [Fact]
    public void Reset_ends_when_what_was_taken_is_given_back_and_the_ring_is_left_alone()
    {
        (VirtioMmio slot, Plain device, Line line) = Make();
        var driver = new MmioDriver(slot);
        Assert.True(driver.Negotiate(MmioDriver.Version1));
        RingDriver ring = RingDriver.Create(_ram, false, Size, default);
        driver.Enable(0, ring.Layout);
        driver.Go();
        ring.Add([new(RingDriver.Base + 0x8_0000, 16, true)], false);
        var chain = new DescriptorChain();
        Assert.True(device.TryTake(0, chain));

        driver.Status = 0;
        Assert.True(device.IsResetting);
        Assert.NotEqual(0u, driver.Status);
        driver.Status = 1;
        driver.Notify(0);
        Assert.False(device.TryTake(0, new DescriptorChain()));
        device.Give(0, chain, 16);
        device.Interrupt(0);
        Assert.Equal(0u, driver.Status);
        Assert.False(device.IsResetting);
        Assert.Null(ring.Take());
        Assert.False(line.Level);
        driver[0x030] = 0;
        Assert.Equal(0u, driver[0x044]);
        Assert.True(driver.Negotiate(MmioDriver.Version1));
    }

    [Fact]
    public void Fault_of_the_driver_asks_for_a_reset_and_stops_the_queue()
    {
        (VirtioMmio slot, Plain device, Line line) = Make();
        var driver = new MmioDriver(slot);
        Assert.True(driver.Negotiate(MmioDriver.Version1));
        RingDriver ring = RingDriver.Create(_ram, false, Size, default);
        driver.Enable(0, ring.Layout);
        driver.Go();
        ring.Add([new(0x1000, 16, true)], false);
        driver.Notify(0);
        Assert.False(device.TryTake(0, new DescriptorChain()));
        Assert.Equal("a buffer of 16 bytes at 0x1000 is no RAM", device.Fault);
        Assert.Equal(0x4Fu, driver.Status);
        Assert.Equal(2u, driver.Interrupts());
        Assert.False(line.Level);
        driver.Status = 0;
        Assert.Equal(0u, driver.Status);
        Assert.Null(device.Fault);
    }

    [Fact]
    public void Saved_and_loaded_the_device_goes_on_in_its_rings()
    {
        (VirtioMmio slot, Plain device, _) = Make();
        var driver = new MmioDriver(slot);
        Assert.True(driver.Negotiate(MmioDriver.Version1 | (1ul << 34)));
        RingDriver ring = RingDriver.Create(_ram, true, 3, default);
        driver.Enable(1, ring.Layout);
        driver.Go();
        var chain = new DescriptorChain();
        RingDriver.Part[] part = [new(RingDriver.Base + 0x8_0000, 16, true)];
        for (int i = 0; i < 4; i++)
        {
            ring.Add(part, false);
            Assert.True(device.TryTake(1, chain));
            device.Give(1, chain, 0);
            Assert.NotNull(ring.Take());
        }

        ring.Add(part, false);
        (VirtioMmio loadedSlot, Plain loaded, _) = Make();
        using var stream = new MemoryStream();
        Archive.Save(stream, slot.StateUnits);
        stream.Position = 0;
        Archive.Load(stream, loadedSlot.StateUnits);
        Assert.True(loaded.TakeNotified(1));
        Assert.True(loaded.TryTake(1, chain));
        loaded.Give(1, chain, 7);
        Assert.Equal(7u, ring.Take()?.Written);
    }

    [Fact]
    public void Empty_slot_says_so_and_takes_nothing()
    {
        var driver = new MmioDriver(new VirtioMmio(3, new InterruptLine(new Line(), default), null));
        Assert.Equal((0x74726976u, 2u, 0u, 0x554D4551u), (driver[0], driver[4], driver[8], driver[12]));
        driver.Status = 1;
        Assert.Equal(0u, driver.Status);
        Assert.Equal(0u, driver[0x100]);
    }

    private (VirtioMmio Slot, Plain Device, Line Line) Make()
    {
        var device = new Plain(_ram);
        var line = new Line();
        return (new VirtioMmio(3, new InterruptLine(line, default), device), device, line);
    }

    private sealed class Line : IInterruptSink
    {
        public bool Level { get; private set; }

        public void SetInput(IntId id, bool level) => Level = level;
    }

    private sealed class Plain(IDmaMemory memory) : VirtioDevice(
        memory,
        OwnFeature | 4 | (ulong)(VirtioFeatures.IndirectDescriptors | VirtioFeatures.EventIndex | VirtioFeatures.PackedRings),
        [.. Enumerable.Repeat(Size, Queues)])
    {
        private readonly byte[] _configuration = new byte[8];

        public override string Name => "plain";

        public override VirtioDeviceId DeviceId => VirtioDeviceId.Entropy;

        protected override Span<byte> Configuration => _configuration;

        protected override bool MakeSense(ulong features) => (features & (OwnFeature | 4)) != (OwnFeature | 4);
    }
}

using System.Buffers.Binary;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Net;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Jit;
using Vmm.Tests;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>The core of a network device on virtio, with the test as its driver and its backend.</summary>
public sealed class VirtioNetTests(ITestOutputHelper output) : VirtioDeviceTests
{
    private const ulong Mac = 0x5254_0012_3456;
    private const byte Ok = 0;
    private const byte Error = 1;
    private const VirtioNetFeatures Control = VirtioNetFeatures.ControlQueue | VirtioNetFeatures.ControlRx
        | VirtioNetFeatures.ControlRxExtra | VirtioNetFeatures.ControlVlan | VirtioNetFeatures.ControlMac
        | VirtioNetFeatures.GuestAnnounce | VirtioNetFeatures.ControlOffloads;

    private readonly NetFrame _frame = new();

    [Theory]
    [MemberData(nameof(Rings))]
    public void Frames_of_the_driver_come_whole_in_their_order(bool packed, bool indirect, bool eventIndex)
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new NetDriver(slot, ram, packed, indirect, eventIndex, (ulong)VirtioNetFeatures.Checksum);
        var random = new Random(1);
        for (int i = 0; i < 100; i++)
        {
            byte[] frame = new byte[14 + random.Next(3000)];
            random.NextBytes(frame);
            byte[] header = new byte[NetDriver.HeaderSize];
            (header[0], header[6], header[8]) = (1, 34, 16);
            int id = driver.Send(header, frame, 1 + random.Next(5));
            Assert.True(net.TakeNotified(1));
            Assert.True(net.TryTransmit(0, _frame));
            Assert.Equal(frame, _frame.Bytes.ToArray());
            Assert.Equal((1, 34, 16), (_frame.Flags, _frame.ChecksumStart, _frame.ChecksumOffset));
            Assert.Equal((id, 0u), driver.Rings[1].Take());
            Assert.False(net.TryTransmit(0, _frame));
        }

        Assert.Null(net.Fault);
        Assert.False(net.HasTaken);
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Frame_for_the_driver_is_in_as_many_buffers_as_it_needs(bool packed, bool indirect, bool eventIndex)
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new NetDriver(slot, ram, packed, indirect, eventIndex, (ulong)VirtioNetFeatures.MergeableBuffers);
        var random = new Random(2);
        for (int i = 0; i < 100; i++)
        {
            byte[] frame = new byte[14 + random.Next(2000)];
            random.NextBytes(frame);
            _frame.Set(frame);

            // One buffer too few changes nothing: what was looked at is there for the next try, of which the driver notifies.
            int needed = ((frame.Length + NetDriver.HeaderSize - 1) / 512) + 1;
            for (int buffer = 0; buffer < needed; buffer++)
            {
                Assert.Equal(NetDelivery.NoBuffers, net.TryReceive(0, _frame));
                Assert.Null(driver.Receive());
                driver.Offer(512, 1 + random.Next(3));
                Assert.True(driver.Rings[0].MustNotify());
            }

            Assert.Equal(NetDelivery.Delivered, net.TryReceive(0, _frame));
            byte[] received = driver.Receive()!;
            Assert.Equal(frame, received[NetDriver.HeaderSize..]);
            Assert.Equal(needed, BinaryPrimitives.ReadUInt16LittleEndian(received.AsSpan(10)));
            Assert.Null(driver.Receive());
        }

        Assert.Null(net.Fault);
        Assert.False(net.HasTaken);
    }

    [Fact]
    public void Frame_that_one_buffer_cannot_take_is_dropped_without_mergeable_buffers()
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new NetDriver(slot, ram, false, false, false, 0);
        driver.Offer(512);
        _frame.Set(new byte[600]);
        Assert.Equal(NetDelivery.Dropped, net.TryReceive(0, _frame));
        _frame.Set(new byte[60]);
        Assert.Equal(NetDelivery.Delivered, net.TryReceive(0, _frame));
        Assert.Equal(NetDriver.HeaderSize + 60, driver.Receive()!.Length);
    }

    [Fact]
    public void Checksum_that_the_driver_does_not_complete_is_completed()
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new NetDriver(slot, ram, false, false, false, 0);
        driver.Offer(512);
        byte[] frame = [.. new byte[14], 1, 2, 3, 4, 5, 6, 0, 0];
        _frame.Set(frame);
        _frame.SetChecksum(14, 6);
        Assert.Equal(NetDelivery.Delivered, net.TryReceive(0, _frame));
        byte[] received = driver.Receive()!;
        Assert.Equal(0, received[0]);

        // The ones' complement of 0102 + 0304 + 0506.
        Assert.Equal([0xF6, 0xF3], received[^2..]);
    }

    [Fact]
    public void Commands_change_what_the_driver_gets()
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new NetDriver(slot, ram, true, true, true, (ulong)Control);
        byte[] own = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
        byte[] other = [0x52, 0x54, 0, 0, 0, 1];
        byte[] group = [1, 0, 0x5E, 0, 0, 1];
        byte[] all = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        bool hasBuffer = false;
        Assert.Equal("own other group all", Wanted());

        // Not all any more, and only what is in the tables.
        Assert.Equal(Ok, Do(0, 0, 0));
        Assert.Equal("own all", Wanted());
        Assert.Equal(Ok, Do(1, 0, [1, 0, 0, 0, .. other, 1, 0, 0, 0, .. group]));
        Assert.Equal("own other group all", Wanted());
        Assert.Equal(Ok, Do(1, 0, [0, 0, 0, 0, 0, 0, 0, 0]));
        Assert.Equal(Ok, Do(0, 1, 1));
        Assert.Equal("own group all", Wanted());
        Assert.Equal(Ok, Do(0, 5, 1));
        Assert.Equal("own group", Wanted());
        Assert.Equal(Ok, Do(0, 3, 1));
        Assert.Equal("own", Wanted());
        Assert.Equal(Ok, Do(0, 2, 1));
        Assert.Equal("own other", Wanted());
        Assert.Equal(Ok, Do(0, 4, 1));
        Assert.Equal("", Wanted());
        Assert.Equal(Ok, Do(0, 4, 0));
        Assert.Equal(Ok, Do(0, 2, 0));

        // Another address, and a VLAN.
        Assert.Equal(Ok, Do(1, 1, other));
        Assert.Equal((0x5254_0000_0001u, "other"), (net.Mac, Wanted()));
        byte[] tagged = [.. other, .. own, 0x81, 0, 0, 7, 8, 0];
        Assert.Equal(NetDelivery.Dropped, Deliver(tagged));
        Assert.Equal(Ok, Do(2, 0, 7, 0));
        Assert.Equal(NetDelivery.Delivered, Deliver(tagged));
        Assert.Equal(Ok, Do(2, 1, 7, 0));
        Assert.Equal(NetDelivery.Dropped, Deliver(tagged));

        byte Do(byte kind, byte number, params byte[] data)
        {
            driver.Command(kind, number, data);
            Assert.True(net.TakeNotified(2));
            Assert.True(net.ServeControl());
            return driver.Answer();
        }

        // A frame that is not wanted takes no buffer.
        NetDelivery Deliver(byte[] frame)
        {
            if (!hasBuffer)
            {
                driver.Offer(128);
            }

            _frame.Set(frame);
            NetDelivery delivery = net.TryReceive(0, _frame);
            hasBuffer = delivery != NetDelivery.Delivered;
            Assert.Equal(hasBuffer, driver.Receive() == null);
            return delivery;
        }

        string Wanted() => string.Join(' ', new[] { ("own", own), ("other", other), ("group", group), ("all", all) }
            .Where(a => Deliver([.. a.Item2, .. new byte[8]]) == NetDelivery.Delivered).Select(a => a.Item1));
    }

    [Theory]
    [InlineData(0, 6, 1)] // no such mode
    [InlineData(0, 0, 2)] // data of another length
    [InlineData(1, 0, 3)]
    [InlineData(1, 1, 5)]
    [InlineData(2, 0, 1)]
    [InlineData(3, 0, 0)] // nothing was asked for
    [InlineData(4, 0, 2)] // one pair alone
    [InlineData(5, 0, 7)]
    [InlineData(9, 9, 0)]
    public void Command_that_is_none_is_an_error(byte kind, byte number, int length)
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new NetDriver(slot, ram, false, false, false, (ulong)Control);
        driver.Command(kind, number, new byte[length]);
        Assert.True(net.ServeControl());
        Assert.Equal(Error, driver.Answer());
        Assert.Null(net.Fault);
    }

    [Fact]
    public void Driver_is_told_of_its_link_and_asked_to_announce_itself()
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new NetDriver(slot, ram, false, false, false, (ulong)(Control | VirtioNetFeatures.Status));
        Assert.Equal(1, (int)slot.Read(0x106, 2));
        net.SetLink(false);
        Assert.Equal((0, 2u), ((int)slot.Read(0x106, 2), driver.Slot.Interrupts()));
        net.SetLink(false);
        Assert.Equal(0u, driver.Slot.Interrupts());
        net.SetLink(true);
        Assert.True(net.AskToAnnounce());
        Assert.Equal((3, 2u), ((int)slot.Read(0x106, 2), driver.Slot.Interrupts()));
        driver.Command(3, 0);
        Assert.True(net.ServeControl());
        Assert.Equal((Ok, 1), (driver.Answer(), (int)slot.Read(0x106, 2)));
    }

    [Theory]
    [InlineData(GsoType.None, VirtioNetFeatures.None)]
    [InlineData(GsoType.Tcp4, VirtioNetFeatures.GuestTso4)]
    [InlineData(GsoType.Tcp6, VirtioNetFeatures.GuestTso6)]
    [InlineData(GsoType.Udp, VirtioNetFeatures.GuestUfo)]
    public void Large_frames_come_whole_to_a_driver_that_takes_them(GsoType type, VirtioNetFeatures feature)
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        _frame.SetGso(type, 54, 1460);
        _ = new NetDriver(slot, ram, false, false, false, 0);
        Assert.Equal(type == GsoType.None, net.TakesWhole(_frame));
        var driver = new NetDriver(slot, ram, false, false, false, (ulong)(feature | Control));
        Assert.True(net.TakesWhole(_frame));
        driver.Command(5, 0, new byte[8]);
        Assert.True(net.ServeControl());
        Assert.Equal((Ok, type == GsoType.None), (driver.Answer(), net.TakesWhole(_frame)));
    }

    [Fact]
    public void Features_are_those_of_the_properties()
    {
        foreach (VirtioNetFeatures feature in Enum.GetValues<VirtioNetFeatures>().Where(f => ulong.IsPow2((ulong)f)))
        {
            bool isDefault = VirtioNetConfig.DefaultFeatures.HasFlag(feature);
            var config = new VirtioNetConfig("", Mac);
            Assert.Equal(isDefault, (new VirtioNet(Ram, config).OfferedFeatures & (ulong)feature) != 0);
            Assert.Equal(0ul, new VirtioNet(Ram, config with { Features = config.Features & ~feature }).OfferedFeatures & (ulong)feature);
        }

        var large = new VirtioNet(Ram, new VirtioNetConfig("", Mac) { Pairs = 3, HostMtu = 9000, Speed = 1000, Duplex = 1 });
        Assert.Equal((ulong)(VirtioNetFeatures.MultipleQueues | VirtioNetFeatures.Mtu | VirtioNetFeatures.SpeedDuplex),
            large.OfferedFeatures & (ulong)(VirtioNetFeatures.MultipleQueues | VirtioNetFeatures.Mtu | VirtioNetFeatures.SpeedDuplex));
        Assert.Equal((7, 3u, 9000u, 1000u, 1u), (large.QueueCount, (uint)large.ReadConfiguration(8, 2),
            (uint)large.ReadConfiguration(10, 2), (uint)large.ReadConfiguration(12, 4), (uint)large.ReadConfiguration(16, 1)));
    }

    [Fact]
    public void Saved_device_goes_on_in_another_one()
    {
        VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
        var driver = new NetDriver(slot, ram, true, true, true, (ulong)(Control | VirtioNetFeatures.GuestTso4));
        driver.Command(0, 0, 0);
        Assert.True(net.ServeControl());
        driver.Answer();
        driver.Command(1, 1, 2, 0, 0, 0, 0, 9);
        Assert.True(net.ServeControl());
        driver.Answer();
        SavedUnit saved = SavedUnit.Of(net);
        VirtioNet loaded = Make(out _, out _);
        saved.LoadInto(loaded);
        Assert.Equal(0x0200_0000_0009u, loaded.Mac);
        _frame.SetGso(GsoType.Tcp4, 54, 1460);
        Assert.True(loaded.TakesWhole(_frame));
        driver.Send(new byte[NetDriver.HeaderSize], new byte[60]);
        Assert.True(loaded.TryTransmit(0, _frame));
        driver.Offer(512);
        _frame.Set([2, 0, 0, 0, 0, 8, .. new byte[8]]);
        Assert.Equal(NetDelivery.Dropped, loaded.TryReceive(0, _frame));
        _frame.Set([2, 0, 0, 0, 0, 9, .. new byte[8]]);
        Assert.Equal(NetDelivery.Delivered, loaded.TryReceive(0, _frame));
    }

    /// <summary>Whatever is in the rings, nobody is harmed: no exception, no access outside of RAM, and a reset ends.</summary>
    [Fact]
    public void Fuzzed_rings_take_nothing_down()
    {
        var run = new FuzzRun(300);
        var pump = new NetPump();
        long frames = 0;
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            VirtioNet net = Make(out VirtioMmio slot, out PhysicalAddressSpace ram);
            var driver = new NetDriver(slot, ram, random.Next(2) != 0, true, random.Next(2) != 0,
                (ulong)(Control | VirtioNetFeatures.MergeableBuffers | (VirtioNetFeatures)((uint)random.Next() & 0x7F83)
                    & VirtioNetConfig.DefaultFeatures));
            byte[] noise = new byte[64];
            for (int step = 0; step < 60; step++)
            {
                switch (random.Next(4))
                {
                    case 0:
                        byte[] header = new byte[NetDriver.HeaderSize];
                        random.NextBytes(header);
                        byte[] frame = new byte[random.Next(200)];
                        random.NextBytes(frame);
                        TryAdd(() => driver.Send(header, frame, 1 + random.Next(4)));
                        break;
                    case 1:
                        TryAdd(() => driver.Offer(1 + random.Next(600), 1 + random.Next(3)));
                        break;
                    case 2:
                        byte[] data = new byte[random.Next(20)];
                        random.NextBytes(data);
                        TryAdd(() => driver.Command((byte)random.Next(7), (byte)random.Next(7), data));
                        break;
                    default:
                        random.NextBytes(noise);
                        ulong at = RingDriver.Base + (ulong)random.Next(0x5_0000);
                        ram.TryWrite(at, noise.AsSpan(0, 1 + random.Next(16)));
                        break;
                }

                while (net.TryTransmit(0, _frame))
                {
                    frames++;
                    _frame.Message.CopyTo(pump.Frame.Room);
                    pump.Frame.Length = _frame.Length;
                    pump.Begin(whole: false);
                    Assert.True(pump.TryPass(part => part.Length <= NetFrame.MostBytes));
                }

                net.ServeControl();
                byte[] toGuest = new byte[14 + random.Next(1500)];
                random.NextBytes(toGuest);
                _frame.Set(toGuest);
                net.TryReceive(0, _frame);
                net.Interrupt(random.Next(3));
            }

            driver.Slot.Status = 0;
            Assert.Equal(0u, driver.Slot.Status);
            Assert.False(net.HasTaken, run.Name(program));
        }

        output.WriteLine(run.Figure("virtio-net", $"{frames} frames"));
        Assert.True(frames > run.Next, $"{frames} frames");

        // A driver that finds its own ring broken, or full, is no matter here.
        static void TryAdd(Action add)
        {
            try
            {
                add();
            }
            catch (Exception e) when (e is InvalidOperationException or Xunit.Sdk.XunitException or KeyNotFoundException)
            {
            }
        }
    }

    private VirtioNet Make(out VirtioMmio slot, out PhysicalAddressSpace ram)
    {
        ram = Ram;
        var config = new VirtioNetConfig("", Mac)
        {
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        };
        var net = (VirtioNet)config.Make(ram);
        slot = new VirtioMmio(31, UnconnectedLine.New(), net);
        return net;
    }
}

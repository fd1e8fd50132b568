using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Memory;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Jit;
using Vmm.Tests;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>A virtio console with ports: the test is its driver, its backend and the host's ends.</summary>
public sealed class VirtioSerialTests(ITestOutputHelper output) : VirtioDeviceTests
{
    /// <summary>The driver learns of the ports, opens them, and bytes go both ways, over either ring, each feature off and on.</summary>
    [Theory]
    [MemberData(nameof(Rings))]
    public async Task Ports_are_told_opened_and_carry_bytes_both_ways(bool packed, bool indirect, bool eventIndex)
    {
        VirtioSerial device = Make(Ram, out VirtioMmio slot);
        var opened = new List<(string Id, bool Open)>();
        device.GuestOpened = (port, open) => opened.Add((port.Id, open));
        var driver = new SerialDriver(device, slot, Ram, packed, indirect, eventIndex);
        Assert.Equal(4u, (uint)slot.Read(0x100 + 4, 4));
        driver.Say(0, VirtioSerialSpec.DeviceReady, 1);
        Assert.Equal([(0u, 1, 1, ""), (1u, 1, 1, ""), (3u, 1, 1, "")], driver.Heard());
        driver.Say(0, VirtioSerialSpec.PortReady, 1);
        driver.Say(1, VirtioSerialSpec.PortReady, 1);
        driver.Say(7, VirtioSerialSpec.PortReady, 1);
        Assert.Equal([(0u, 4, 1, ""), (1u, 7, 1, "org.example.agent")], driver.Heard());

        // Somebody comes to the host's end of port 1.
        PortLink link = device.Config.Ports[1].Link;
        link.SetHostOpen(true);
        device.Serve();
        Assert.Equal([(1u, 6, 1, "")], driver.Heard());

        // Input waits until a program of the guest has the port open.
        byte[] input = [.. Enumerable.Range(0, 10_000).Select(i => (byte)i)];
        await link.WriteAsync(input, default);
        Assert.Empty(driver.Receive(1));
        driver.Say(1, VirtioSerialSpec.PortOpen, 1);
        Assert.Equal([("agent", true)], opened);
        Assert.Equal(input, driver.Receive(1));

        // Output goes on as far as there is room at the host's end, and the rest afterwards.
        byte[] output = [.. Enumerable.Range(0, PortLink.Capacity + 5000).Select(i => (byte)(i * 7))];
        foreach (byte[] piece in output.Chunk(20_000))
        {
            driver.Send(1, piece);
        }

        Assert.True(driver.Out(1) > 0);
        byte[] buffer = new byte[output.Length];
        int read = 0;
        while (read < output.Length)
        {
            read += await link.ReadAsync(buffer.AsMemory(read), default);
            device.Serve();
        }

        Assert.Equal(output, buffer);
        Assert.Equal(0, driver.Out(1));

        // Without anybody there output goes nowhere, and the guest is told.
        link.SetHostOpen(false);
        device.Serve();
        Assert.Equal([(1u, 6, 0, "")], driver.Heard());
        driver.Send(1, output[..9000]);
        Assert.Equal(0, driver.Out(1));
        driver.Say(1, VirtioSerialSpec.PortOpen, 0);
        driver.Slot.Status = 0;
        device.Serve();
        Assert.Equal([("agent", true), ("agent", false)], opened);
        Assert.Null(device.Fault);
    }

    [Fact]
    public async Task Saved_ports_go_on_with_the_output_and_the_input_that_waited()
    {
        VirtioSerial saved = Make(Ram, out VirtioMmio slot);
        var driver = new SerialDriver(saved, slot, Ram, true, true, true);
        driver.Say(0, VirtioSerialSpec.DeviceReady, 1);
        driver.Say(1, VirtioSerialSpec.PortReady, 1);
        driver.Heard();
        PortLink link = saved.Config.Ports[1].Link;
        link.SetHostOpen(true);
        await link.WriteAsync("for the guest"u8.ToArray(), default);
        byte[] output = new byte[PortLink.Capacity + 3000];
        new Random(2).NextBytes(output);
        foreach (byte[] piece in output.Chunk(20_000))
        {
            driver.Send(1, piece);
        }

        Assert.True(driver.Out(1) > 0);
        using var archive = new MemoryStream();
        Archive.Save(archive, [slot, saved]);
        byte[] first = new byte[PortLink.Capacity];
        Assert.Equal(first.Length, await link.ReadAsync(first, default));

        VirtioSerial loaded = Make(Ram, out VirtioMmio other);
        loaded.Config.Ports[1].Link.SetHostOpen(true);
        archive.Position = 0;
        Archive.Load(archive, [other, loaded]);
        driver.MoveTo(loaded, other);
        loaded.Serve();
        byte[] rest = new byte[3000];
        Assert.Equal(3000, await loaded.Config.Ports[1].Link.ReadAsync(rest, default));
        Assert.Equal(output, (byte[])[.. first, .. rest]);
        Assert.Equal(0, driver.Out(1));
        driver.Say(1, VirtioSerialSpec.PortOpen, 1);
        Assert.Equal("for the guest"u8.ToArray(), driver.Receive(1));
    }

    /// <summary>The driver is told of a port that comes and goes; what it had sent and was not taken goes back to it.</summary>
    [Theory]
    [MemberData(nameof(Rings))]
    public async Task Port_comes_and_goes_while_the_driver_works(bool packed, bool indirect, bool eventIndex)
    {
        var device = new VirtioSerial(Ram, new VirtioSerialConfig("", 3, [])
        {
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        });
        var slot = new VirtioMmio(31, UnconnectedLine.New(), device);

        // Before the driver has begun there is nobody to tell.
        var early = new SerialPortConfig("", 2, "", false, "");
        Assert.Null(device.AddPort(early));
        var driver = new SerialDriver(device, slot, Ram, packed, indirect, eventIndex);
        Assert.Empty(driver.Heard());
        driver.Say(0, VirtioSerialSpec.DeviceReady, 1);
        Assert.Equal([(2u, 1, 1, "")], driver.Heard());
        for (int round = 0; round < 3; round++)
        {
            var port = new SerialPortConfig("agent", 1, "org.example", false, "");
            Assert.Null(device.AddPort(port));
            device.Serve();
            Assert.Equal([(1u, 1, 1, "")], driver.Heard());
            driver.Say(1, VirtioSerialSpec.PortReady, 1);
            Assert.Equal([(1u, 7, 1, "org.example")], driver.Heard());
            driver.Say(1, VirtioSerialSpec.PortOpen, 1);
            port.Link.SetHostOpen(true);
            await port.Link.WriteAsync("in"u8.ToArray(), default);
            device.Serve();
            Assert.Equal("in"u8.ToArray(), driver.Receive(1));
            foreach (int length in (int[])[20_000, 20_000, 20_000, 20_000])
            {
                driver.Send(1, new byte[length]);
            }

            Assert.Equal(1, driver.Out(1));
            driver.Heard();
            device.RemovePort(port);
            device.Serve();
            Assert.Equal([(1u, 2, 1, "")], driver.Heard());
            Assert.Equal(0, driver.Out(1));
            Assert.Equal([early], device.PresentPorts);
        }

        Assert.Equal("virtio-serial-bus: A port already exists at id 2", device.AddPort(new SerialPortConfig("", 2, "", false, "")));
        Assert.Equal("virtio-serial-bus: Maximum port limit for this device reached",
            device.AddPort(new SerialPortConfig("", 3, "", false, "")));
        Assert.Null(device.Fault);
    }

    /// <summary>A saved console with other ports is refused, and nothing of it is taken.</summary>
    [Fact]
    public void Saved_ports_must_be_there()
    {
        VirtioSerial saved = Make(Ram, out VirtioMmio slot);
        Assert.Null(saved.AddPort(new SerialPortConfig("", 2, "", false, "")));
        using var archive = new MemoryStream();
        Archive.Save(archive, [slot, saved]);
        VirtioSerial other = Make(Ram, out VirtioMmio otherSlot);
        archive.Position = 0;
        Assert.Contains("ports", Assert.Throws<StateException>(() => Archive.Load(archive, [otherSlot, other])).Message,
            StringComparison.Ordinal);
        Assert.Null(other.AddPort(new SerialPortConfig("", 2, "", false, "")));
        archive.Position = 0;
        Archive.Load(archive, [otherSlot, other]);
    }

    [Fact]
    public async Task Without_ports_the_console_is_there_and_an_emergency_character_needs_no_ring()
    {
        var config = new VirtioSerialConfig("", 1, [new SerialPortConfig("", 0, "", true, "")]);
        var device = new VirtioSerial(Ram, config);
        var slot = new VirtioMmio(31, UnconnectedLine.New(), device);
        Assert.Equal(2, device.QueueCount);
        config.Ports[0].Link.SetHostOpen(true);
        slot.Write(0x100 + 8, 4, 'x');
        byte[] buffer = new byte[10];
        Assert.Equal(1, await config.Ports[0].Link.ReadAsync(buffer, default));
        Assert.Equal((byte)'x', buffer[0]);
    }

    /// <summary>A driver that says and sends what it likes.</summary>
    [Fact]
    public void Fuzz_hostile_driver_of_ports()
    {
        var run = new FuzzRun(programs: 100);
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            Assert.True(Ram.TryZero(RingDriver.Base, RingDriver.RamSize));
            VirtioSerial device = Make(Ram, out VirtioMmio slot);
            var driver = new SerialDriver(device, slot, Ram, random.Next(2) == 0, random.Next(2) == 0, random.Next(2) == 0);
            for (int i = 0; i < 300; i++)
            {
                switch (random.Next(7))
                {
                    case 0 or 1:
                        driver.Say((uint)random.Next(6), (ushort)random.Next(10), (ushort)random.Next(3));
                        break;
                    case 2:
                        driver.Send(random.Next(2), new byte[random.Next(1, 5000)]);
                        break;
                    case 3:
                        driver.Receive(random.Next(2));
                        break;
                    case 4:
                        device.Config.Ports[random.Next(3)].Link.SetHostOpen(random.Next(2) == 0);
                        device.Serve();
                        break;
                    case 5:
                        driver.Heard();
                        break;
                    default:
                        slot.Write((ulong)random.Next(0x20) * 4 + 0x100, 4, (ulong)random.Next());
                        using (var archive = new MemoryStream())
                        {
                            Archive.Save(archive, [slot, device]);
                        }

                        break;
                }
            }

            // A ring of garbage, and a reset after which it works again.
            byte[] garbage = new byte[0x4000];
            random.NextBytes(garbage);
            Assert.True(Ram.TryWrite(RingDriver.Base + 0x1000, garbage));
            device.NotifyQueue((uint)random.Next(10));
            device.Serve();
            slot.Write(0x70, 4, 0);
            device.Serve();
            Assert.Equal(0u, slot.Read(0x70, 4));
            Assert.False(device.HasTaken);
        }

        output.WriteLine(run.Figure("ports", "300 steps each"));
    }

    internal static VirtioSerial Make(IDmaMemory ram, out VirtioMmio slot)
    {
        var device = new VirtioSerial(ram, new VirtioSerialConfig("", 4, [
            new SerialPortConfig("con", 0, "", true, ""), new SerialPortConfig("agent", 1, "org.example.agent", false, ""),
            new SerialPortConfig("", 3, "", true, ""),
        ])
        {
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        });
        slot = new VirtioMmio(31, UnconnectedLine.New(), device);
        return device;
    }
}

/// <summary>What every device core must do, of a console behind its slot.</summary>
public sealed class VirtioSerialFixtureTests : VirtioDeviceFixture
{
    internal override Subject Create()
    {
        VirtioSerial device = VirtioSerialTests.Make(Ram, out VirtioMmio slot);
        return new Subject(device, [slot], [0x200], slot.Reset, device);
    }

    internal override void Disturb(Subject subject)
    {
        var driver = new SerialDriver((VirtioSerial)subject.Device, subject.Frames[0], Ram, false, true, true);
        driver.Say(0, VirtioSerialSpec.DeviceReady, 1);
        driver.Say(1, VirtioSerialSpec.PortReady, 1);
        driver.Slot.Interrupts();
    }
}

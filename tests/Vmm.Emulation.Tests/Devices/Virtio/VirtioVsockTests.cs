using System.Net.Sockets;
using System.Text;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Vsock;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Net;
using Vmm.Emulation.State;
using Vmm.Emulation.Tests.Jit;
using Vmm.Tests;
using Xunit.Abstractions;

namespace Vmm.Emulation.Tests.Devices.Virtio;

/// <summary>A socket device, with the test as its driver, its thread and the host's programs.</summary>
public sealed class VirtioVsockTests(ITestOutputHelper output) : VirtioDeviceTests
{
    private const uint Guest = 1000;
    private const uint Port = 52;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vmm-vsock-");
    private readonly List<IDisposable> _made = [];
    private readonly NetPoll _poll = new();

    private string SocketPath => Path.Combine(_folder.FullName, "v");

    public override void Dispose()
    {
        _made.ForEach(m => m.Dispose());
        _poll.Dispose();
        _folder.Delete(recursive: true);
        base.Dispose();
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Guest_connects_to_a_socket_of_the_host(bool packed, bool indirect, bool eventIndex)
    {
        (VsockConnections connections, VsockDriver driver) = Make(packed, indirect, eventIndex);
        using Socket server = Listen(Port);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request));
        Turn(connections);
        Assert.Equal((Guest, Port, VsockMessage.Response), Ends(driver.Receive()!));
        using Socket host = server.Accept();

        // More than one packet each way, and in one that the driver's buffer has no room for.
        byte[] data = new byte[20_000];
        new Random(1).NextBytes(data);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Bytes, data));
        Turn(connections);
        Assert.Equal(data, Read(host, data.Length));
        host.Send(data);
        Turn(connections);
        var got = new List<byte>();
        while (got.Count < data.Length)
        {
            VsockMessage message = driver.Receive()!;
            Assert.Equal((Guest, Port, VsockMessage.Bytes), Ends(message));
            Assert.Equal((uint)data.Length, message.Forwarded);
            got.AddRange(message.Data);
            Turn(connections);
        }

        Assert.Equal(data, got);

        // The host ends, and then the guest.
        host.Shutdown(SocketShutdown.Send);
        Turn(connections);
        VsockMessage end = driver.Receive()!;
        Assert.Equal((VsockMessage.Shutdown, 2u), (end.Operation, end.Flags));
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Shutdown, [], Flags: 3));
        Turn(connections);
        Assert.Equal((Guest, Port, VsockMessage.Reset), Ends(driver.Receive()!));
        Assert.Null(driver.Receive());
        Assert.Empty(Read(host, 1));
    }

    [Fact]
    public void Host_connects_to_a_port_of_the_guest()
    {
        (VsockConnections connections, VsockDriver driver) = Make();
        using Socket host = Call("CONNECT 1000\nfirst");
        Turn(connections);
        VsockMessage request = driver.Receive()!;
        Assert.Equal((Guest, VsockMessage.Request), (request.GuestPort, request.Operation));
        Assert.True(request.HostPort >= 1 << 30);
        Assert.Equal(0, host.Available);
        driver.Send(new VsockMessage(Guest, request.HostPort, VsockMessage.Response));
        Turn(connections);
        string answer = $"OK {request.HostPort}\n";
        Assert.Equal(answer, Encoding.ASCII.GetString(Read(host, answer.Length)));
        Turn(connections);
        Assert.Equal("first", Encoding.ASCII.GetString(driver.Receive()!.Data));

        // One that the guest does not take is closed.
        using Socket other = Call("CONNECT 1001\n");
        Turn(connections);
        driver.Send(new VsockMessage(1001, driver.Receive()!.HostPort, VsockMessage.Reset));
        Turn(connections);
        Assert.Empty(Read(other, 1));
        Assert.Null(driver.Receive());
    }

    [Theory]
    [InlineData("CONNECT\n")]
    [InlineData("CONNECT -1\n")]
    [InlineData("CONNECT 4294967296\n")]
    [InlineData("GET / HTTP/1.1\n")]
    [InlineData("CONNECT 00000000000000000000000000000001")]
    public void Program_that_says_something_else_is_let_go(string call)
    {
        (VsockConnections connections, VsockDriver driver) = Make();
        using Socket host = Call(call);
        Turn(connections);
        Assert.Empty(Read(host, 1));
        Assert.Null(driver.Receive());
    }

    [Fact]
    public void Neither_side_gets_more_than_it_has_room_for()
    {
        (VsockConnections connections, VsockDriver driver) = Make();
        using Socket server = Listen(Port);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request, [], Buffer: 100));
        Turn(connections);
        driver.Receive();
        using Socket host = server.Accept();
        host.Send(new byte[1000]);
        Turn(connections);
        Assert.Equal(100, driver.Receive()!.Data.Length);
        Assert.Null(driver.Receive());
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.CreditUpdate, [], Buffer: 100, Forwarded: 60));
        Turn(connections);
        Assert.Equal(60, driver.Receive()!.Data.Length);
        Assert.Null(driver.Receive());

        // A host that takes nothing: the guest may send what there is room for, is told of more as the host takes it, and not earlier.
        uint sent = 0;
        uint room = 64 << 10;
        uint forwarded = 0;
        VsockMessage? told = null;
        for (int i = 0; i < 100 && sent - forwarded < room; i++)
        {
            uint part = Math.Min(8192, room - (sent - forwarded));
            driver.Send(new VsockMessage(Guest, Port, VsockMessage.Bytes, new byte[part], Buffer: 100, Forwarded: 60));
            sent += part;
            Turn(connections);
            while ((told = driver.Receive()) != null)
            {
                Assert.Equal(VsockMessage.CreditUpdate, told.Operation);
                (room, forwarded) = (told.Buffer, told.Forwarded);
            }
        }

        Assert.Equal(sent, forwarded + room);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.CreditRequest, [], Buffer: 100, Forwarded: 60));
        Turn(connections);
        Assert.Equal(VsockMessage.CreditUpdate, driver.Receive()!.Operation);
        Assert.Equal((int)sent, Read(host, (int)sent, connections).Length);
        Turn(connections);
        while (driver.Receive() is { } more)
        {
            forwarded = more.Forwarded;
        }

        Assert.InRange(sent - forwarded, 0u, room / 2);

        // One that sends more than that is let go.
        for (int i = 0; i < 100 && told?.Operation != VsockMessage.Reset; i++)
        {
            driver.Send(new VsockMessage(Guest, Port, VsockMessage.Bytes, new byte[8192], Buffer: 100, Forwarded: 60));
            Turn(connections);
            told = driver.Receive() ?? told;
        }

        Assert.Equal(VsockMessage.Reset, told?.Operation);
    }

    /// <summary>Each message arrives as a whole and alone, in however many packets it comes, and whoever connects.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Messages_stay_what_they_are(bool guestConnects)
    {
        // Messages of the host are taken while there is room for the longest.
        const uint Room = 1 << 20;
        (VsockConnections connections, VsockDriver driver) = Make();
        uint port = Port;
        Socket host;
        using Socket server = Listen(Port, SocketType.Seqpacket);
        if (guestConnects)
        {
            driver.Send(new VsockMessage(Guest, port, VsockMessage.Request) { Type = 2 });
            Turn(connections);
            Assert.Equal((VsockMessage.Response, (ushort)2), OperationOf(driver.Receive()!));
            host = server.Accept();
        }
        else
        {
            host = Call("CONNECT 1000", SocketType.Seqpacket);
            Turn(connections);
            VsockMessage request = driver.Receive()!;
            Assert.Equal((VsockMessage.Request, (ushort)2), OperationOf(request));
            port = request.HostPort;
            driver.Send(new VsockMessage(Guest, port, VsockMessage.Response) { Type = 2 });
            Turn(connections);
            Assert.Equal($"OK {port}\n", Encoding.ASCII.GetString(Message(host)));
        }

        using Socket connected = host;
        driver.Send(new VsockMessage(Guest, port, VsockMessage.Bytes, "be"u8.ToArray(), Buffer: Room) { Type = 2 });
        Turn(connections);
        Assert.Equal(0, host.Available);
        driver.Send(new VsockMessage(Guest, port, VsockMessage.Bytes, "ginning"u8.ToArray(), Flags: 1, Buffer: Room) { Type = 2 });
        driver.Send(new VsockMessage(Guest, port, VsockMessage.Bytes, [], Flags: 1, Buffer: Room) { Type = 2 });
        driver.Send(new VsockMessage(Guest, port, VsockMessage.Bytes, "end"u8.ToArray(), Flags: 1, Buffer: Room) { Type = 2 });
        Turn(connections);
        Assert.Equal("beginning"u8.ToArray(), Message(host));
        Assert.Equal("end"u8.ToArray(), Message(host));

        // Messages of the host, in buffers of 4 KiB: the last part of each says that it is.
        byte[] data = new byte[10_000];
        new Random(3).NextBytes(data);
        host.Send(data);
        host.Send("short"u8);
        Turn(connections);
        VsockMessage[] parts = [.. Enumerable.Range(0, 4).Select(_ => driver.Receive()!)];
        Assert.Equal([0u, 0u, 1u, 1u], parts.Select(p => p.Flags));
        Assert.All(parts, p => Assert.Equal((VsockMessage.Bytes, (ushort)2), OperationOf(p)));
        Assert.Equal(data, parts[..3].SelectMany(p => p.Data));
        Assert.Equal("short"u8.ToArray(), parts[3].Data);

        // A host that takes nothing meanwhile, until there is no room: no message is cut, and none is lost.
        uint sent = 12;
        var lengths = new List<int>();
        VsockMessage told = parts[3];
        for (int length = 4099; sent + (uint)length - told.Forwarded <= told.Buffer; length++)
        {
            byte[] message = [.. Enumerable.Repeat((byte)length, length)];
            driver.Send(new VsockMessage(Guest, port, VsockMessage.Bytes, message, Flags: 1, Buffer: Room) { Type = 2 });
            (sent, lengths) = (sent + (uint)length, [.. lengths, length]);
            Turn(connections);
            while (driver.Receive() is { } credit)
            {
                told = credit;
            }
        }

        Assert.True(lengths.Count > 16);
        foreach (int length in lengths)
        {
            Assert.Equal(Enumerable.Repeat((byte)length, length), Message(host));
            Turn(connections);
        }

        // One that is longer than a message may be ends the connection.
        while (driver.Receive() != null)
        {
        }

        host.Send(new byte[(64 << 10) + 1]);
        Turn(connections);
        Assert.Equal((VsockMessage.Reset, (ushort)2), OperationOf(driver.Receive()!));
        Assert.Empty(Message(host));
    }

    [Fact]
    public void Driver_that_knows_no_messages_gets_none()
    {
        VirtioVsock device = MakeDevice(out VirtioMmio slot);
        using var connections = new VsockConnections(device);
        Assert.Null(connections.Claim());
        var driver = new VsockDriver(slot, Ram, false, false, false, types: 1);
        using Socket server = Listen(Port, SocketType.Seqpacket);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request) { Type = 2 });
        Turn(connections);
        Assert.Equal((VsockMessage.Reset, (ushort)2), OperationOf(driver.Receive()!));
        Assert.False(server.Poll(0, SelectMode.SelectRead));
    }

    private static (ushort Operation, ushort Type) OperationOf(VsockMessage message) => (message.Operation, message.Type);

    private static byte[] Message(Socket host)
    {
        byte[] bytes = new byte[1 << 17];
        host.ReceiveTimeout = (int)Patience.Limit.TotalMilliseconds;
        return bytes[..host.Receive(bytes)];
    }

    [Theory]
    [InlineData(VsockMessage.Response)]
    [InlineData(VsockMessage.Shutdown)]
    [InlineData(VsockMessage.Bytes)]
    [InlineData(VsockMessage.CreditUpdate)]
    [InlineData(VsockMessage.CreditRequest)]
    [InlineData(0)]
    [InlineData(99)]
    [InlineData(VsockMessage.Request)] // nobody listens
    public void Packet_of_no_connection_is_answered_with_a_reset(ushort operation)
    {
        (VsockConnections connections, VsockDriver driver) = Make();
        driver.Send(new VsockMessage(Guest, Port, operation));
        Turn(connections);
        Assert.Equal((Guest, Port, VsockMessage.Reset), Ends(driver.Receive()!));
        Assert.Null(driver.Receive());
    }

    [Fact]
    public void Packets_of_another_kind_another_guest_or_a_wrong_length_lead_nowhere()
    {
        (VsockConnections connections, VsockDriver driver) = Make();
        using Socket server = Listen(Port);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request) { Type = 3 });
        Turn(connections);
        Assert.Equal((VsockMessage.Reset, (ushort)1), OperationOf(driver.Receive()!));
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request) { Type = 2 });
        Turn(connections);
        Assert.Equal((VsockMessage.Reset, (ushort)2), OperationOf(driver.Receive()!));
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request) { HostCid = 7 });
        Turn(connections);
        Assert.Equal(VsockMessage.Reset, driver.Receive()!.Operation);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request) { Cid = 4 });
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request), saidLength: 5);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request), saidLength: -1);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Reset));
        Turn(connections);
        Assert.Null(driver.Receive());
        Assert.False(server.Poll(0, SelectMode.SelectRead));
    }

    [Fact]
    public void Guest_without_buffers_makes_nothing_grow()
    {
        (VsockConnections connections, VsockDriver driver) = Make(buffers: 0);
        int taken = 0;
        for (int i = 0; i < 1000; i++)
        {
            taken += driver.Send(new VsockMessage((uint)i, Port, VsockMessage.Bytes)) ? 1 : 0;
            Turn(connections);
        }

        // 64 answers wait, one is on its way, and the ring is full.
        Assert.InRange(taken, 64, 64 + 1 + 16);
    }

    [Fact]
    public void Connections_end_with_a_reset_of_the_device_and_the_driver_is_told_of_a_load()
    {
        VirtioVsock device = MakeDevice(out VirtioMmio slot);
        using var connections = new VsockConnections(device);
        Assert.Null(connections.Claim());
        var driver = new VsockDriver(slot, Ram, false, false, false);
        using Socket server = Listen(Port);
        driver.Send(new VsockMessage(Guest, Port, VsockMessage.Request));
        Turn(connections);
        using Socket host = server.Accept();
        Assert.Equal(VsockMessage.Response, driver.Receive()!.Operation);
        SavedUnit saved = SavedUnit.Of(device);
        Turn(connections);
        Assert.Null(driver.Event());

        VirtioVsock loaded = MakeDevice(out _);
        using var others = new VsockConnections(loaded);
        saved.LoadInto(loaded);
        Turn(others);
        Assert.Equal(0u, driver.Event());
        Turn(others);
        Assert.Null(driver.Event());

        driver.Slot.Status = 0;
        Turn(connections);
        Assert.Empty(Read(host, 1));
    }

    /// <summary>Whatever is in the rings and packets, nobody is harmed: no exception, no access outside of RAM, and a reset ends.</summary>
    [Fact]
    public void Fuzzed_packets_take_nothing_down()
    {
        var run = new FuzzRun(100);
        using Socket server = Listen(Port);
        using Socket messages = Listen(Port + 1, SocketType.Seqpacket);
        long received = 0;
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            VirtioVsock device = MakeDevice(out VirtioMmio slot);
            using var connections = new VsockConnections(device);
            Assert.Null(connections.Claim());
            var driver = new VsockDriver(slot, Ram, random.Next(2) != 0, true, random.Next(2) != 0, random.Next(9));
            var hosts = new List<Socket>();
            for (int step = 0; step < 100; step++)
            {
                try
                {
                    Step(random, driver);
                    Turn(connections);
                    received += driver.Receive() != null ? 1 : 0;
                }
                catch (Exception e) when (e is InvalidOperationException or Xunit.Sdk.XunitException or KeyNotFoundException)
                {
                    // A driver that finds its own ring broken is no matter here.
                }

                while (Array.Find([server, messages], s => s.Poll(0, SelectMode.SelectRead)) is { } called)
                {
                    hosts.Add(called.Accept());
                    hosts[^1].Blocking = false;
                    hosts[^1].Send(new byte[random.Next(5000)], SocketFlags.None, out _);
                }

                if (hosts.Count > 0 && random.Next(8) == 0)
                {
                    hosts[^1].Dispose();
                    hosts.RemoveAt(hosts.Count - 1);
                }
            }

            driver.Slot.Status = 0;
            Assert.Equal(0u, driver.Slot.Status);
            Assert.False(device.HasTaken, run.Name(program));
            hosts.ForEach(h => h.Dispose());
        }

        output.WriteLine(run.Figure("virtio-vsock", $"{received} packets"));
        Assert.True(received > run.Next, $"{received} packets");
    }

    private void Step(Random random, VsockDriver driver)
    {
        if (random.Next(30) == 0)
        {
            byte[] noise = new byte[16];
            random.NextBytes(noise);
            Ram.TryWrite(RingDriver.Base + (ulong)random.Next(0x5_0000), noise.AsSpan(0, 1 + random.Next(16)));
            return;
        }

        byte[] data = new byte[random.Next(2) * random.Next(9000)];
        driver.Send(
            new VsockMessage((uint)random.Next(3), Port + (random.Next(4) == 0 ? 1u : 0), (ushort)random.Next(9), data,
                (uint)random.Next(5), (uint)random.Next(), (uint)random.Next())
            {
                Type = (ushort)(random.Next(20) == 0 ? 3 : 1 + random.Next(2)),
                Cid = random.Next(20) == 0 ? 9 : VsockDriver.Cid,
            },
            random.Next(20) == 0 ? random.Next() : null);
    }

    private (VsockConnections Connections, VsockDriver Driver) Make(
        bool packed = false, bool indirect = false, bool eventIndex = false, int buffers = 8)
    {
        VirtioVsock device = MakeDevice(out VirtioMmio slot);
        var connections = new VsockConnections(device);
        _made.Add(connections);
        Assert.Null(connections.Claim());
        return (connections, new VsockDriver(slot, Ram, packed, indirect, eventIndex, buffers));
    }

    private VirtioVsock MakeDevice(out VirtioMmio slot) => Make(Ram, SocketPath, out slot);

    /// <summary>A device in a slot, with all kinds of rings.</summary>
    internal static VirtioVsock Make(PhysicalAddressSpace ram, string path, out VirtioMmio slot)
    {
        var config = new VirtioVsockConfig("", (uint)VsockDriver.Cid, path)
        {
            Rings = VirtioFeatures.EventIndex | VirtioFeatures.IndirectDescriptors | VirtioFeatures.PackedRings,
        };
        var device = (VirtioVsock)config.Make(ram);
        slot = new VirtioMmio(31, UnconnectedLine.New(), device);
        return device;
    }

    private static (uint Guest, uint Host, ushort Operation) Ends(VsockMessage message) =>
        (message.GuestPort, message.HostPort, message.Operation);

    private Socket Listen(uint port, SocketType type = SocketType.Stream)
    {
        var server = new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified);
        server.Bind(new UnixDomainSocketEndPoint($"{SocketPath}_{port}"));
        server.Listen(64);
        return server;
    }

    private Socket Call(string text, SocketType type = SocketType.Stream)
    {
        var host = new Socket(AddressFamily.Unix, type, ProtocolType.Unspecified);
        host.Connect(new UnixDomainSocketEndPoint(type == SocketType.Stream ? SocketPath : SocketPath + VirtioVsockConfig.MessageSuffix));
        host.Send(Encoding.ASCII.GetBytes(text));
        return host;
    }

    // What the device's thread does in a turn.
    private void Turn(VsockConnections connections)
    {
        _poll.Clear();
        connections.AddTo(_poll);
        _poll.Wait(0);
        connections.Look(_poll);
        while (connections.Serve())
        {
        }
    }

    // So many bytes, or fewer at the end.
    private byte[] Read(Socket host, int count, VsockConnections? serving = null)
    {
        var bytes = new List<byte>();
        byte[] buffer = new byte[65536];
        while (bytes.Count < count)
        {
            if (serving != null && host.Available == 0)
            {
                Turn(serving);
            }

            Span<byte> room = buffer.AsSpan(0, Math.Min(buffer.Length, count - bytes.Count));
            int received = host.Receive(room, SocketFlags.None, out SocketError error);
            if (error != SocketError.Success || received == 0)
            {
                break;
            }

            bytes.AddRange(buffer[..received]);
        }

        return [.. bytes];
    }
}

/// <summary>What every device core must do, of a socket device behind its slot.</summary>
public sealed class VirtioVsockFixtureTests : VirtioDeviceFixture
{
    internal override Subject Create()
    {
        VirtioVsock device = VirtioVsockTests.Make(Ram, "/nowhere", out VirtioMmio slot);
        return new Subject(device, [slot], [0x200], slot.Reset, device);
    }

    internal override void Disturb(Subject subject)
    {
        var driver = new VsockDriver(subject.Frames[0], Ram, false, true, true);
        driver.Slot.Interrupts();
    }
}

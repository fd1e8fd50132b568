using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Devices;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.Devices.Virtio;
using Vmm.Tests;

namespace Vmm.Actors.Tests;

/// <summary>Ports of a console and a balloon through their actors, on the real cores.</summary>
public sealed class SerialPortsTests : PatientTestKit
{
    private const ushort DeviceReady = 0;
    private const ushort PortReady = 3;
    private const ushort PortOpen = 6;

    private static readonly TimeSpan s_patience = Patience.Limit;

    private readonly GuestMemory _memory = new(new GuestPhysicalAddress(RingDriver.Base), RingDriver.RamSize);
    private readonly PhysicalAddressSpace _ram = new();
    private readonly TestProbe _manager;

    public SerialPortsTests()
    {
        _ram.AddMemory(_memory);
        _manager = CreateTestProbe();
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        Shutdown(s_patience);
        _memory.Dispose();
    }

    [Fact]
    public async Task Bytes_go_both_ways_while_the_VM_runs_and_who_opens_a_port_is_told()
    {
        Sys.EventStream.Subscribe(TestActor, typeof(SerialPortChanged));
        var config = new VirtioSerialConfig("", 4, [
            new SerialPortConfig("con", 0, "", true, ""), new SerialPortConfig("agent", 1, "org.example.agent", false, ""),
        ]);
        var device = new VirtioSerial(_ram, config);
        var slot = new VirtioMmio(31, UnconnectedLine.New(), device);
        IActorRef actor = _manager.ChildActorOf(ActorProps.Of(() => new SerialPortsActor(device, slot)));
        actor.Tell(new ResumeDevices());
        var driver = new SerialDriver(device, slot, _ram, packed: false, indirect: true, eventIndex: true, serves: false);
        driver.Say(0, DeviceReady, 1);
        driver.Say(1, PortReady, 1);
        driver.Say(1, PortOpen, 1);
        ExpectMsg(new SerialPortChanged("agent", true), s_patience);
        PortLink link = config.Ports[1].Link;
        link.SetHostOpen(true);
        await link.WriteAsync("to the guest"u8.ToArray(), default);
        byte[] received = [];
        AwaitCondition(() => (received = driver.Receive(1)).Length > 0, s_patience);
        Assert.Equal("to the guest"u8.ToArray(), received);
        driver.Send(1, "to the host"u8.ToArray());
        byte[] buffer = new byte[100];
        Assert.Equal(11, await link.ReadAsync(buffer, default).WaitAsync(s_patience));

        // While the VM stands still nothing comes; it waits.
        actor.Tell(new PauseDevices(Close: false, 3), _manager);
        _manager.ExpectMsg(new DevicesPaused(3), s_patience);
        await link.WriteAsync("later"u8.ToArray(), default);
        actor.Tell(new Identify(1), _manager);
        _manager.ExpectMsg<ActorIdentity>(s_patience);
        Assert.Empty(driver.Receive(1));
        actor.Tell(new GetDeviceState("x"), _manager);
        DeviceState state = _manager.ExpectMsg<DeviceState>(s_patience);
        actor.Tell(new LoadDeviceState("x", state.Bytes), _manager);
        _manager.ExpectMsg<DeviceStateLoaded>(s_patience);
        actor.Tell(new ResumeDevices());
        AwaitCondition(() => (received = driver.Receive(1)).Length > 0, s_patience);
        Assert.Equal("later"u8.ToArray(), received);

        // A reset closes the port.
        actor.Tell(new ResetDevices(), _manager);
        _manager.ExpectMsg(new DevicesReset(""), s_patience);
        ExpectMsg(new SerialPortChanged("agent", false), s_patience);
    }

    [Fact]
    public void Balloon_is_asked_for_and_told_of()
    {
        Sys.EventStream.Subscribe(TestActor, typeof(BalloonChanged));
        var balloon = new VirtioBalloon(_ram, new VirtioBalloonConfig("") { DeflateOnOutOfMemory = true, FreePageReporting = true });
        var slot = new VirtioMmio(31, UnconnectedLine.New(), balloon);
        IActorRef actor = _manager.ChildActorOf(ActorProps.Of(() => new BalloonActor(balloon, slot, 1 << 20)));
        actor.Tell(new ResumeDevices());
        var driver = new BalloonDriver(balloon, slot, _ram, packed: false, indirect: false, eventIndex: true, serves: false);
        actor.Tell(new SetBalloon(1 << 19), _manager);
        _manager.ExpectMsg(new BalloonSize(1 << 20), s_patience);
        Assert.Equal(128u, (uint)slot.Read(0x100, 4));
        Assert.True(_ram.TryWrite(RingDriver.Base + 0x9_0000, [1, 2, 3]));
        driver.Inflate(0x4_0090);
        AwaitCondition(() => driver.IsDone(0), s_patience);
        byte[] bytes = new byte[3];
        Assert.True(_ram.TryRead(RingDriver.Base + 0x9_0000, bytes));
        Assert.Equal([0, 0, 0], bytes);
        slot.Write(0x104, 4, 1);
        ExpectMsg(new BalloonChanged((1 << 20) - 4096), s_patience);
        actor.Tell(new GetBalloon(), _manager);
        _manager.ExpectMsg(new BalloonSize((1 << 20) - 4096), s_patience);
        actor.Tell(new SetBalloon(long.MaxValue), _manager);
        _manager.ExpectMsg<BalloonSize>(s_patience);
        Assert.Equal(0u, (uint)slot.Read(0x100, 4));
    }
}

using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Protocol;
using Vmm.Emulation;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Memory;
using Vmm.Emulation.Tests.Devices.Virtio;

namespace Vmm.Actors.Tests;

/// <summary>Ports of a console and a balloon through their actors, on the real cores.</summary>
public sealed class SerialPortsTests : VirtioActorKit
{
    private const ushort DeviceReady = 0;
    private const ushort PortReady = 3;
    private const ushort PortOpen = 6;


    [Fact]
    public async Task Bytes_go_both_ways_while_the_VM_runs_and_who_opens_a_port_is_told()
    {
        Sys.EventStream.Subscribe(TestActor, typeof(SerialPortChanged));
        var config = new VirtioSerialConfig("", 4, [
            new SerialPortConfig("con", 0, "", true, ""), new SerialPortConfig("agent", 1, "org.example.agent", false, ""),
        ]);
        var device = new VirtioSerial(Ram, config);
        VirtioMmio slot = SlotOf(device);
        IActorRef actor = Start(() => new SerialPortsActor(device, slot));
        actor.Tell(new ResumeDevices());
        var driver = new SerialDriver(device, slot, Ram, packed: false, indirect: true, eventIndex: true, serves: false);
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
        Pause(actor, 3);
        await link.WriteAsync("later"u8.ToArray(), default);
        actor.Tell(new Identify(1), Manager);
        Manager.ExpectMsg<ActorIdentity>(s_patience);
        Assert.Empty(driver.Receive(1));
        byte[] state = Save(actor);
        Load(actor, state);
        actor.Tell(new ResumeDevices());
        AwaitCondition(() => (received = driver.Receive(1)).Length > 0, s_patience);
        Assert.Equal("later"u8.ToArray(), received);

        // A reset closes the port.
        Reset(actor);
        ExpectMsg(new SerialPortChanged("agent", false), s_patience);
    }

    [Fact]
    public void Balloon_is_asked_for_and_told_of()
    {
        Sys.EventStream.Subscribe(TestActor, typeof(BalloonChanged));
        var balloon = new VirtioBalloon(Ram, new VirtioBalloonConfig("") { DeflateOnOutOfMemory = true, FreePageReporting = true });
        VirtioMmio slot = SlotOf(balloon);
        IActorRef actor = Start(() => new BalloonActor(balloon, slot, 1 << 20));
        actor.Tell(new ResumeDevices());
        var driver = new BalloonDriver(balloon, slot, Ram, packed: false, indirect: false, eventIndex: true, serves: false);
        actor.Tell(new SetBalloon(1 << 19), Manager);
        Manager.ExpectMsg(new BalloonSize(1 << 20), s_patience);
        Assert.Equal(128u, (uint)slot.Read(0x100, 4));
        Assert.True(Ram.TryWrite(RingDriver.Base + 0x9_0000, [1, 2, 3]));
        driver.Inflate(0x4_0090);
        AwaitCondition(() => driver.IsDone(0), s_patience);
        byte[] bytes = new byte[3];
        Assert.True(Ram.TryRead(RingDriver.Base + 0x9_0000, bytes));
        Assert.Equal([0, 0, 0], bytes);
        slot.Write(0x104, 4, 1);
        ExpectMsg(new BalloonChanged((1 << 20) - 4096), s_patience);
        actor.Tell(new GetBalloon(), Manager);
        Manager.ExpectMsg(new BalloonSize((1 << 20) - 4096), s_patience);
        actor.Tell(new SetBalloon(long.MaxValue), Manager);
        Manager.ExpectMsg<BalloonSize>(s_patience);
        Assert.Equal(0u, (uint)slot.Read(0x100, 4));
    }

    /// <summary>
    /// A driver gives the device in one chain what it takes minutes to do. Whoever asks something else of the device does not wait for it,
    /// and what is left of the chain is part of the saved state.
    /// </summary>
    [Theory]
    [InlineData("console")]
    [InlineData("balloon")]
    public void Chain_without_end_keeps_nobody_waiting(string kind)
    {
        // 4 TiB of output, or 8 million pages to give up 32 times.
        const int Buffers = DescriptorChain.MostBuffers;
        const ulong Output = 0x10_0000_0000;
        const uint Most = 1 << 30;
        using var large = new GuestMemory(new GuestPhysicalAddress(Output), Most);
        Ram.AddMemory(large);
        VirtioMmio slot;
        Func<bool> isDone;
        IActorRef actor;
        if (kind == "console")
        {
            var device = new VirtioSerial(Ram, new VirtioSerialConfig("", 4, [new SerialPortConfig("p", 1, "", false, "")]));
            slot = SlotOf(device);
            actor = Start(() => new SerialPortsActor(device, slot));
            actor.Tell(new ResumeDevices());
            var driver = new SerialDriver(device, slot, Ram, packed: false, indirect: true, eventIndex: true, serves: false);
            driver.Send(1, Enumerable.Repeat(new RingDriver.Part(Output, Most, false), Buffers).ToArray());
            isDone = () => driver.Out(1) == 0;
        }
        else
        {
            var device = new VirtioBalloon(Ram, new VirtioBalloonConfig("") { DeflateOnOutOfMemory = true, FreePageReporting = true });
            slot = SlotOf(device);
            actor = Start(() => new BalloonActor(device, slot, 1 << 20));
            actor.Tell(new ResumeDevices());
            for (ulong at = 0; at < 1 << 20; at += 4)
            {
                Assert.True(Ram.TryWrite(Output + at, [0xF0, 0, 4, 0]));
            }

            var driver = new BalloonDriver(device, slot, Ram, packed: false, indirect: true, eventIndex: true, serves: false);
            driver.Inflate(Enumerable.Repeat(new RingDriver.Part(Output, 1 << 20, false), Buffers).ToArray());
            isDone = () => driver.IsDone(0);
        }

        actor.Tell(new Identify(1), Manager);
        Manager.ExpectMsg<ActorIdentity>(s_patience);
        Pause(actor, 1);
        Assert.False(isDone());
        byte[] state = Save(actor);
        Load(actor, state);
        Assert.Equal(state, Save(actor));
        actor.Tell(new ResumeDevices());
        Pause(actor, 2);
        Assert.NotEqual(state, Save(actor));
        Assert.False(isDone());

        // A driver that resets the device is answered too, while the VM runs.
        actor.Tell(new ResumeDevices());
        slot.Write(0x70, 4, 0);
        AwaitCondition(() => slot.Read(0x70, 4) == 0, s_patience);
        Reset(actor);
    }
}

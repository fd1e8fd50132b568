using System.Globalization;
using Akka.Actor;
using Vmm.Actors.Devices;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Rng;
using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Actors.Tests;

/// <summary>
/// PCI hotplug between real ports and device actors, with a guest that the test plays at the registers of the slots: whatever comes in
/// whatever order, each request ends once.
/// </summary>
public sealed class PciHotplugTests : PatientTestKit
{
    private const ushort On = GuestSlot.On;
    private const ushort Blinks = GuestSlot.Blinks;
    private const ushort Off = GuestSlot.Off;
    private const int NoTimeout = 3_600_000;

    private readonly FakeMachine _machine;
    private readonly FakeDeviceMaker _maker = new();
    private readonly GuestSlot _slot;
    private readonly ManualTime _time = new();
    private IActorRef _manager = ActorRefs.Nobody;

    public PciHotplugTests()
    {
        var config = new MachineConfig(
            CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 1, 1), 128 << 20, new BootConfig(default, null, ""))
        {
            PciDevices =
            [
                new RootPortConfig("rp1", null, null, 1), new RootPortConfig("rp2", null, null, 2),
                new RootPortConfig("rp3", null, null, 4),
                new RootPortConfig("fixed", null, null, 3, Hotplug: false), new VirtioPciConfig(new VirtioRngConfig("cold"), "fixed", null),
                new VirtioPciConfig(new VirtioSerialConfig("vs", 3, []), "rp2", null),
            ],
        };
        _machine = new FakeMachine(1, 1) { Board = new VirtBoard(config) };
        _slot = new GuestSlot(_machine.Board);
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
    }

    [Fact]
    public void Device_comes_when_the_guest_gives_it_power_and_goes_when_it_takes_it_away()
    {
        IActorRef coordinator = Coordinator();
        Plug(coordinator, "d");
        Assert.Equal(0x49u, Status() & 0x49);
        Control(Blinks);
        Control(On);
        ExpectEnd("d", HotplugOperation.Plug, HotplugOutcomeKind.Done);
        coordinator.Tell(new UnplugDevice("d"), TestActor);
        ExpectMsg(new HotplugAccepted("d", -1));
        Assert.Equal(1u, Status() & 1);
        Control(Blinks);
        ExpectNoMsg(50);
        Control(Off);

        // Off the bus in the very write.
        Assert.Equal(0u, Status() & 0x40);
        Assert.DoesNotContain(_machine.Board!.Pci.Report(), f => f.Function.Id.StartsWith("pci-d", StringComparison.Ordinal));
        ExpectEnd("d", HotplugOperation.Unplug, HotplugOutcomeKind.Done);
        Assert.Equal(["d"], _maker.Gone);
        Plug(coordinator, "d");
        Control(On);
        ExpectEnd("d", HotplugOperation.Plug, HotplugOutcomeKind.Done);
    }

    [Theory]
    [InlineData("id", "e", "bus", "pcie.0", "Bus 'pcie.0' does not support hotplugging")]
    [InlineData("id", "e", "bus", "nowhere", "Bus 'nowhere' not found")]
    [InlineData("id", "e", "bus", "fixed", "Hot-plug failed: unsupported by the port device 'fixed'")]
    [InlineData("id", "cold", "bus", "rp3", "Duplicate device ID 'cold'")]
    [InlineData("id", "e", "bus", "rp1", "PCI: no slot/function available for virtio-rng-pci, all in use or reserved")]
    public void What_cannot_come_is_refused_and_leaves_nothing(string key, string value, string place, string bus, string why)
    {
        IActorRef coordinator = Coordinator();
        Plug(coordinator, "d");
        coordinator.Tell(new PlugDevice([key, place], [value, bus]), TestActor);
        Assert.Equal(why, ExpectMsg<HotplugRejected>(s_hang).Reason);
        Assert.Equal([value], _maker.Gone);
    }

    [Theory]
    [InlineData("cold", "Hot-unplug failed: unsupported by the port device 'fixed'")]
    [InlineData("rp1", "Bus 'pcie.0' does not support hotplugging")]
    [InlineData("nobody", "Device 'nobody' not found")]
    public void What_cannot_leave_is_refused(string id, string why)
    {
        Coordinator().Tell(new UnplugDevice(id), TestActor);
        Assert.Equal(why, ExpectMsg<HotplugRejected>(s_hang).Reason);
    }

    [Fact]
    public void Unplug_that_is_repeated_too_soon_is_refused_and_later_joins_the_first()
    {
        IActorRef coordinator = Plugged("d");
        Unplug(coordinator, "d");
        coordinator.Tell(new UnplugDevice("d"), TestActor);
        Assert.Equal("Device d is already in the process of unplug", ExpectMsg<HotplugRejected>(s_hang).Reason);

        // The guest has not answered for long: the button is pressed again.
        _slot.Acknowledge();
        _time.Pass(TimeSpan.FromSeconds(6));
        var other = CreateTestProbe();
        coordinator.Tell(new UnplugDevice("/machine/peripheral/d"), other.Ref);
        other.ExpectMsg(new HotplugAccepted("d", -1));
        Assert.Equal(1u, Status() & 1);
        Control(Off);
        other.ExpectMsg<HotplugOutcome>(s_hang);
        ExpectEnd("d", HotplugOperation.Unplug, HotplugOutcomeKind.Done);
    }

    [Fact]
    public void Guest_that_is_busy_or_thinks_better_of_it_keeps_the_device()
    {
        IActorRef coordinator = Plugged("d");
        Unplug(coordinator, "d");
        Control(Blinks);
        AwaitAssert(() =>
        {
            _time.Pass(TimeSpan.FromSeconds(6));
            coordinator.Tell(new UnplugDevice("d"), TestActor);
            Assert.Equal("Hot-unplug failed: guest is busy (power indicator blinking)", ExpectMsg<HotplugRejected>(s_hang).Reason);
        });
        Control(On);
        ExpectEnd("d", HotplugOperation.Unplug, HotplugOutcomeKind.Refused);
        Assert.Empty(_maker.Gone);
    }

    [Fact]
    public void Guest_that_never_answers_is_told_of_once_and_may_still_answer()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 50);
        Plug(coordinator, "d");
        ExpectEnd("d", HotplugOperation.Plug, HotplugOutcomeKind.TimedOut);
        ExpectNoMsg(200);
        Control(On);
        ExpectEnd("d", HotplugOperation.Plug, HotplugOutcomeKind.Done);
    }

    [Fact]
    public void Guest_that_turns_a_slot_off_in_place_of_on_refuses_the_device()
    {
        IActorRef coordinator = Coordinator();
        Plug(coordinator, "d");
        Control(Blinks);
        Control(Off);
        ExpectEnd("d", HotplugOperation.Plug, HotplugOutcomeKind.Refused);
        Assert.Equal(HotplugOperation.Unplug, ExpectMsg<HotplugOutcome>(s_hang).Operation);
        Assert.Equal(["d"], _maker.Gone);
    }

    [Fact]
    public void Unplug_before_the_guest_has_taken_the_device_needs_no_guest()
    {
        IActorRef coordinator = Coordinator();
        Plug(coordinator, "d");
        coordinator.Tell(new UnplugDevice("d"), TestActor);
        ExpectEnd("d", HotplugOperation.Plug, HotplugOutcomeKind.Cancelled);
        ExpectMsg(new HotplugAccepted("d", -1));
        ExpectEnd("d", HotplugOperation.Unplug, HotplugOutcomeKind.Done);
    }

    [Fact]
    public void Reset_ends_what_is_under_way_and_the_device_stays()
    {
        IActorRef coordinator = Plugged("d");
        Unplug(coordinator, "d");
        coordinator.Tell(new PlugDevice(["id", "bus"], ["e", "rp3"]), TestActor);
        ExpectMsg(new HotplugAccepted("e", -1));
        _manager.Tell(new ResetDevices(), TestActor);
        ExpectMsg<DevicesReset>(s_hang);
        coordinator.Tell(new ResetDevices(), TestActor);
        HotplugOutcome[] ends =
            [.. ReceiveN(5, s_hang).OfType<HotplugOutcome>().Distinct().OrderBy(o => o.Id)];
        Assert.Equal(["d Unplug Cancelled", "e Plug Done"], ends.Select(o => $"{o.Id} {o.Operation} {o.Kind}"));
        ExpectNoMsg(50);
        Assert.Equal(0x40u, Status() & 0x40);
        Assert.Empty(_maker.Gone);

        // The slot has power, and the device can leave.
        Unplug(coordinator, "d");
        Control(Off);
        ExpectEnd("d", HotplugOperation.Unplug, HotplugOutcomeKind.Done);
    }

    [Fact]
    public void Device_that_left_unasked_is_told_of()
    {
        IActorRef coordinator = Plugged("d");
        Control(Off);
        HotplugOutcome told = ExpectMsg<HotplugOutcome>(s_hang);
        Assert.Equal(("d", HotplugOperation.Unplug, HotplugOutcomeKind.Done), (told.Id, told.Operation, told.Kind));
        Assert.Equal(["d"], _maker.Gone);
        coordinator.Tell(new UnplugDevice("d"), TestActor);
        Assert.Equal(RejectionCode.DeviceNotFound, ExpectMsg<HotplugRejected>(s_hang).Code);
    }

    [Fact]
    public void Coordinator_that_is_made_anew_clears_away_what_the_other_did_not()
    {
        IActorRef coordinator = Plugged("d");
        Unplug(coordinator, "d");
        Watch(coordinator);
        Sys.Stop(coordinator);
        ExpectEnd("d", HotplugOperation.Unplug, HotplugOutcomeKind.Cancelled);
        ExpectTerminated(coordinator);
        Control(Off);
        Assert.Empty(_maker.Gone);
        Make(NoTimeout);
        HotplugOutcome told = ExpectMsg<HotplugOutcome>(s_hang);
        Assert.Equal(("d", HotplugOperation.Unplug, HotplugOutcomeKind.Done), (told.Id, told.Operation, told.Kind));
        Assert.Equal(["d"], _maker.Gone);
    }

    [Fact]
    public void Port_of_a_console_comes_and_goes_without_the_guest()
    {
        IActorRef coordinator = Coordinator();
        for (int round = 0; round < 2; round++)
        {
            PlugPort(coordinator, "p", 1);
            ExpectEnd("p", HotplugOperation.Plug, HotplugOutcomeKind.Done);
            Assert.Equal([1], Ports());
            Unplug(coordinator, "p");
            ExpectEnd("p", HotplugOperation.Unplug, HotplugOutcomeKind.Done);
            Assert.Empty(Ports());
        }

        Assert.Equal(["p", "p"], _maker.Gone);
        coordinator.Tell(new UnplugDevice("p"), TestActor);
        Assert.Equal("Device 'p' not found", ExpectMsg<HotplugRejected>(s_hang).Reason);
    }

    [Theory]
    [InlineData("p", "2", "Duplicate device ID 'p'")]
    [InlineData("cold", "2", "Duplicate device ID 'cold'")]
    [InlineData("q", "1", "virtio-serial-bus: A port already exists at id 1")]
    [InlineData("q", "3", "virtio-serial-bus: Maximum port limit for this device reached")]
    public void Port_that_cannot_come_is_refused_and_leaves_nothing(string id, string number, string why)
    {
        IActorRef coordinator = Coordinator();
        PlugPort(coordinator, "p", 1);
        ExpectEnd("p", HotplugOperation.Plug, HotplugOutcomeKind.Done);
        coordinator.Tell(new PlugDevice(["id", "nr"], [id, number]), TestActor);
        Assert.Equal(why, ExpectMsg<HotplugRejected>(s_hang).Reason);
        Assert.Equal([1], Ports());
        coordinator.Tell(new PlugDevice(["id", "bus"], ["p", "rp1"]), TestActor);
        Assert.Equal("Duplicate device ID 'p'", ExpectMsg<HotplugRejected>(s_hang).Reason);
    }

    /// <summary>Its ports go with it, also one whose own unplug is under way: each is told of once.</summary>
    [Fact]
    public void Console_that_leaves_takes_its_ports_along()
    {
        IActorRef coordinator = Coordinator();
        PlugPort(coordinator, "p", 1);
        ExpectEnd("p", HotplugOperation.Plug, HotplugOutcomeKind.Done);
        PlugPort(coordinator, "q", 2);
        ExpectEnd("q", HotplugOperation.Plug, HotplugOutcomeKind.Done);
        Unplug(coordinator, "vs");
        coordinator.Tell(new UnplugDevice("p"), TestActor);
        ExpectMsg(new HotplugAccepted("p", -1), s_hang);
        ExpectEnd("p", HotplugOperation.Unplug, HotplugOutcomeKind.Done);

        // The console's slot is that of the second port.
        new GuestSlot(_machine.Board!, device: 2).Control = Off;
        HotplugOutcome[] ends = [.. ReceiveN(3, s_hang).Cast<HotplugOutcome>()];
        Assert.Equal(["q", "vs", "vs"], ends.Select(o => o.Id));
        Assert.All(ends, o => Assert.Equal((HotplugOperation.Unplug, HotplugOutcomeKind.Done), (o.Operation, o.Kind)));
        ExpectNoMsg(50);
        Assert.Equal(["p", "q", "vs"], _maker.Gone);
        coordinator.Tell(new UnplugDevice("q"), TestActor);
        Assert.Equal("Device 'q' not found", ExpectMsg<HotplugRejected>(s_hang).Reason);
    }

    [Fact]
    public void Objects_come_and_go_by_the_maker()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new AddObject("secret,id=s"), TestActor);
        ExpectMsg<ObjectCommandDone>(s_hang);
        Assert.Equal(["secret,id=s"], _maker.Objects);
        coordinator.Tell(new RemoveObject("t"), TestActor);
        Assert.Equal("object 't' not found", ExpectMsg<VmCommandRejected>(s_hang).Reason);
    }

    [Fact]
    public void Network_backends_come_and_go_by_the_maker()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new AddNetdev("user,id=n"), TestActor);
        Assert.Equal((RejectionCode.InvalidArgument, "user,id=n"), Rejected());
        coordinator.Tell(new RemoveNetdev("n"), TestActor);
        Assert.Equal((RejectionCode.DeviceNotFound, "Device 'n' not found"), Rejected());

        (RejectionCode, string) Rejected()
        {
            VmCommandRejected rejected = ExpectMsg<VmCommandRejected>(s_hang);
            return (rejected.Code, rejected.Reason);
        }
    }

    private int[] Ports() => [.. _machine.Devices.Select(d => (d.Device as IVirtioTransport)?.Device).OfType<VirtioSerial>()
        .Single().PresentPorts.Select(p => p.Number)];

    private void PlugPort(IActorRef coordinator, string id, int number)
    {
        coordinator.Tell(new PlugDevice(["id", "nr"], [id, number.ToString(CultureInfo.InvariantCulture)]), TestActor);
        ExpectMsg(new HotplugAccepted(id, -1), s_hang);
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        _machine.Board!.Dispose();
    }

    private static readonly TimeSpan s_hang = Vmm.Tests.Patience.Limit;

    private IActorRef Coordinator(int timeoutMs = NoTimeout)
    {
        Action<ReadOnlyMemory<byte>> nowhere = _ => { };
        _manager = Sys.ActorOf(Props.Create(() => new DeviceManager(_machine, nowhere)));
        _manager.Tell(new ResetDevices(), TestActor);
        ExpectMsg<DevicesReset>(s_hang);
        return Make(timeoutMs);
    }

    private IActorRef Make(int timeoutMs)
    {
        IActorRef manager = _manager;
        return Sys.ActorOf(Props.Create(() =>
            new PciHotplugCoordinator(_machine, _maker, manager, TimeSpan.FromMilliseconds(timeoutMs), _time)));
    }

    private IActorRef Plugged(string id)
    {
        IActorRef coordinator = Coordinator();
        Plug(coordinator, id);
        Control(On);
        ExpectEnd(id, HotplugOperation.Plug, HotplugOutcomeKind.Done);
        return coordinator;
    }

    private void Plug(IActorRef coordinator, string id)
    {
        coordinator.Tell(new PlugDevice(["id", "bus"], [id, "rp1"]), TestActor);
        ExpectMsg(new HotplugAccepted(id, -1), s_hang);
    }

    private void Unplug(IActorRef coordinator, string id)
    {
        coordinator.Tell(new UnplugDevice(id), TestActor);
        ExpectMsg(new HotplugAccepted(id, -1), s_hang);
    }

    // To the requester, and on the event stream.
    private void ExpectEnd(string id, HotplugOperation operation, HotplugOutcomeKind kind)
    {
        var end = new HotplugOutcome(id, -1, operation, kind, 0, $"/machine/peripheral/{id}");
        ExpectMsg(end, s_hang);
        ExpectMsg(end, s_hang);
    }

    private uint Status() => _slot.Status;

    private void Control(ushort value) => _slot.Control = value;

    private sealed class ManualTime : TimeProvider
    {
        private long _now;

        public override long GetTimestamp() => Volatile.Read(ref _now);

        public void Pass(TimeSpan time) => Interlocked.Add(ref _now, time.Ticks * (TimestampFrequency / TimeSpan.TicksPerSecond));
    }
}

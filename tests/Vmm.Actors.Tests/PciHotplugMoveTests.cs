using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Boot;
using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Rng;

namespace Vmm.Actors.Tests;

/// <summary>
/// A guest moves that was asked for something at a slot and has not answered: the request ends once, and on the side that runs.
/// </summary>
public sealed class PciHotplugMoveTests : MigrationTestKit
{
    private readonly FakeDeviceMaker _hereMaker = new();
    private readonly FakeDeviceMaker _thereMaker = new();
    private readonly FakeMachine _here = Machine();
    private readonly FakeMachine _there = Machine(new VirtioPciConfig(new VirtioRngConfig("d"), "rp1", null));
    private readonly TestProbe _people;

    public PciHotplugMoveTests()
    {
        _people = CreateTestProbe();
        Sys.EventStream.Subscribe(_people, typeof(HotplugOutcome));
        _target = _there;
    }

    private GuestSlot Here => new(_here.Board!);

    private GuestSlot There => new(_there.Board!);

    [Fact]
    public void Plug_ends_where_the_guest_runs()
    {
        OpenBoth();
        Plug();
        Migrate();
        Assert.Contains("handed over", ExpectMsg<HotplugRejected>(s_patience).Reason, StringComparison.Ordinal);
        AwaitStatus(_to, VmRunState.Running);
        _from.Tell(new PlugDevice(["id", "bus"], ["e", "rp2"]), TestActor);
        Assert.Contains("handed over", ExpectMsg<HotplugRejected>(s_patience).Reason, StringComparison.Ordinal);
        _people.ExpectNoMsg(50);
        There.Control = GuestSlot.Blinks;
        There.Control = GuestSlot.On;
        ExpectOnce(HotplugOperation.Plug, HotplugOutcomeKind.Done);
        Assert.Empty(_thereMaker.Gone);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Unplug_ends_where_the_guest_runs(bool began)
    {
        OpenBoth();
        Plug();
        Here.Control = GuestSlot.On;
        _people.ExpectMsg<HotplugOutcome>(s_patience);
        ExpectMsg<HotplugOutcome>(s_patience);
        _from.Tell(new UnplugDevice("d"), TestActor);
        ExpectMsg(new HotplugAccepted("d", -1), s_patience);
        if (began)
        {
            Here.Acknowledge();
            Here.Control = GuestSlot.Blinks;
        }

        Migrate();
        Assert.Contains("handed over", ExpectMsg<HotplugRejected>(s_patience).Reason, StringComparison.Ordinal);
        AwaitStatus(_to, VmRunState.Running);
        There.Control = GuestSlot.Blinks;
        There.Control = GuestSlot.Off;
        ExpectOnce(HotplugOperation.Unplug, HotplugOutcomeKind.Done);
        Assert.Equal(["d"], _thereMaker.Gone);
        Assert.Empty(_hereMaker.Gone);
    }

    /// <summary>What the guest did in its last moment here has ended here, and is not told of there.</summary>
    [Fact]
    public void Plug_that_the_guest_took_before_it_left_has_ended_here()
    {
        OpenBoth();
        Plug();
        _from.Tell(new StopVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        Here.Control = GuestSlot.On;
        _from.Tell(new StartMigration(_address, Resume: false), TestActor);
        FishForMessage(m => m is MigrationStarted, s_patience);
        Assert.Equal(HotplugOutcomeKind.Done, _people.ExpectMsg<HotplugOutcome>(s_patience).Kind);
        AwaitStatus(_to, VmRunState.Paused);
        _people.ExpectNoMsg(100);
    }

    [Fact]
    public void Plug_of_a_guest_that_does_not_leave_ends_here()
    {
        OpenBoth();
        Plug();
        Sys.Stop(_to);
        _from.Tell(new StartMigration(_address, Resume: false), TestActor);
        ExpectMsg<MigrationStarted>(s_patience);
        AwaitEnd(_from);
        AwaitStatus(_from, VmRunState.Running);
        _people.ExpectNoMsg(50);
        Here.Control = GuestSlot.On;
        Assert.Equal(HotplugOutcomeKind.Done, ExpectMsg<HotplugOutcome>(s_patience).Kind);
        ExpectOnce(HotplugOperation.Plug, HotplugOutcomeKind.Done);
    }

    protected override void AfterAll()
    {
        base.AfterAll();
        Shutdown(s_patience);
        _here.Board!.Dispose();
        _there.Board!.Dispose();
    }

    private static FakeMachine Machine(params PciDeviceConfig[] devices)
    {
        var config = new MachineConfig(
            CpuModel.Find("max")!, 1, new CpuTopology(1, 1, 1, 1), 128 << 20, new BootConfig(default, null, ""))
        {
            PciDevices = [new RootPortConfig("rp1", null, null, 1), new RootPortConfig("rp2", null, null, 2), .. devices],
        };
        return new FakeMachine(enabled: 2, possible: 4) { Board = new VirtBoard(config) };
    }

    private void OpenBoth()
    {
        _from = MakeVm(_here, _sourceJournal, _hereMaker);
        _from.Tell(new StartVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        _to = MakeVm(_there, _targetJournal, _thereMaker);
        _to.Tell(new PrepareIncoming(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.InMigrate, ""), s_patience);
        Listen();
    }

    private void Plug()
    {
        _from.Tell(new PlugDevice(["id", "bus"], ["d", "rp1"]), TestActor);
        ExpectMsg(new HotplugAccepted("d", -1), s_patience);
    }

    // Neither side tells of it again, not even when it ends.
    private void ExpectOnce(HotplugOperation operation, HotplugOutcomeKind kind)
    {
        Assert.Equal(
            new HotplugOutcome("d", -1, operation, kind, 0, "/machine/peripheral/d"), _people.ExpectMsg<HotplugOutcome>(s_patience));
        Watch(_from);
        Sys.Stop(_from);
        ExpectTerminated(_from, s_patience);
        _people.ExpectNoMsg(100);
    }
}

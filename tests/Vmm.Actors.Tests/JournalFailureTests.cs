using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Tests;

/// <summary>A journal that cannot be written: requests are refused and have no effect, facts wait, and the guest goes on.</summary>
public sealed class JournalFailureTests : HotplugTestKit
{
    [Fact]
    public void Request_that_cannot_be_written_is_refused_without_effect_and_works_when_it_can()
    {
        IActorRef coordinator = Coordinator();
        _journal.IsFull = true;
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg(new HotplugRejected("core4", RejectionCode.NotWritten, FakeJournal.Full));
        Assert.Empty(Plugged(coordinator));
        ExpectNoMsg(100);
        Assert.Empty(_machine.Log);
        _journal.IsFull = false;
        PlugAndConfirm(coordinator, "core4", 4);
        _journal.IsFull = true;
        coordinator.Tell(new UnplugVcpu("core4"), TestActor);
        ExpectMsg(new HotplugRejected("core4", RejectionCode.NotWritten, FakeJournal.Full));
        coordinator.Tell(new SetVcpuAdmin(4, false), TestActor);
        ExpectMsg(new HotplugRejected("core4", RejectionCode.NotWritten, FakeJournal.Full));
        Assert.DoesNotContain("remove 4", _machine.Log);
        _journal.IsFull = false;
        RequestUnplug(coordinator, "core4", 4);
    }

    [Fact]
    public void Eject_that_cannot_be_written_is_carried_out_and_told_when_it_can()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        TestProbe all = CreateTestProbe();
        Sys.EventStream.Subscribe(all, typeof(HotplugOutcome));
        Sys.EventStream.Subscribe(all, typeof(AcpiDeviceOst));
        _journal.IsFull = true;
        _machine.Port.Eject(4);
        _machine.Port.Ost(4, 3, 0);
        Await("executable 4 False");
        all.ExpectNoMsg(300);
        Assert.Equal(["core4"], Plugged(coordinator));
        Assert.True(_journal.Attempts >= 4);

        // By what is decided, not by what is written, the CPU has left.
        coordinator.Tell(new UnplugVcpu("core4"), TestActor);
        ExpectMsg(new HotplugRejected("core4", RejectionCode.DeviceNotFound, "Device 'core4' not found"));
        coordinator.Tell(new PlugVcpu("again", 4), TestActor);
        ExpectMsg(new HotplugRejected("again", RejectionCode.NotWritten, FakeJournal.Full));

        // The request takes with it what was waiting, or the next attempt was first.
        _journal.IsFull = false;
        coordinator.Tell(new PlugVcpu("again", 4), TestActor);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        ExpectMsg(new HotplugAccepted("again", 4));
        all.ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        all.ExpectMsg(new AcpiDeviceOst("again", 4, 3, 0));
    }

    [Fact]
    public void Fact_is_written_without_another_request()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("insert 4");
        _journal.IsFull = true;
        _machine.Port.Ost(4, 1, 0);
        ExpectNoMsg(300);
        _journal.IsFull = false;
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
    }

    [Fact]
    public void Reset_does_not_wait_for_the_journal_and_what_it_ends_is_told_later()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        coordinator.Tell(new PlugVcpu("core5", 5), TestActor);
        ExpectMsg(new HotplugAccepted("core5", 5));
        Await("insert 5");
        RequestUnplug(coordinator, "core4", 4);
        _journal.IsFull = true;
        _machine.Port.Ost(5, 1, 0);
        _machine.Port.Eject(4);
        TestProbe resetter = CreateTestProbe();
        coordinator.Tell(new ResetDevices(), resetter);
        resetter.ExpectMsg(new DevicesReset(""));
        Assert.False(_machine.IsEnabled(4));
        ExpectNoMsg(100);
        _journal.IsFull = false;
        ExpectMsg(new HotplugOutcome("core5", 5, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
    }

    [Fact]
    public void Coordinator_that_is_made_anew_tells_what_its_predecessor_could_not_write()
    {
        IActorRef first = Coordinator();
        PlugAndConfirm(first, "core4", 4);
        RequestUnplug(first, "core4", 4);
        _journal.IsFull = true;
        _machine.Port.Eject(4);
        Await("executable 4 False");
        StopAndWait(first);
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        IActorRef second = Coordinator();
        Assert.Equal(["core4"], Plugged(second));
        _journal.IsFull = false;
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        Assert.Empty(Plugged(second));
    }

    [Fact]
    public void Nothing_is_told_before_it_is_kept()
    {
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Assert.Contains("core4", _journal.State.Plugged.Values);
        Await("insert 4");
        _machine.Port.Ost(4, 1, 0);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        Assert.Empty(_journal.State.Pending);
    }
}

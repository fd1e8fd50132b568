using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Ged;

namespace Vmm.Actors.Tests;

public sealed class HotplugTests : HotplugTestKit
{
    [Fact]
    public void Plug_guest_confirms_done_in_the_order_actor_gic_enable()
    {
        PlugAndConfirm(Coordinator(), "core4", 4);

        Assert.Equal(["executable 4 True", "gic 4 True", "insert 4"], _machine.Log);
        Assert.True(_machine.IsEnabled(4));
        AwaitAssert(() => Assert.Equal((ulong)GedEvents.CpuHotplug, _machine.Ged.Read(0, 4)));
    }

    /// <summary>Each begins when the one before it ends. A request without a trace publishes none.</summary>
    [Fact]
    public void Steps_of_a_request_with_a_trace_are_published_in_their_order()
    {
        TestProbe steps = CreateTestProbe();
        Sys.EventStream.Subscribe(steps, typeof(CpuStepTaken));
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        coordinator.Tell(new UnplugVcpu("core4", "away"), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        Await("remove 4");
        _machine.Port.Ost(4, 3, 0x84);
        _machine.Port.Eject(4);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        coordinator.Tell(new PlugVcpu("core4", 4, "back"), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        Await("insert 4", times: 2);
        _machine.Port.Ost(4, 1, 0);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));

        // The guest turns it on, off and on again.
        Sys.EventStream.Publish(new PowerOnVcpu(4, 0, 0));
        Sys.EventStream.Publish(new PowerOnVcpu(4, 0, 0));
        coordinator.Tell(new SetVcpuAdmin(4, false, "off"), TestActor);
        CpuStepTaken last = new("", 0, default, 0, 0, 0);
        foreach ((string trace, CpuStep step, int status) in (ReadOnlySpan<(string, CpuStep, int)>)
        [
            ("away", CpuStep.Accepted, 0), ("away", CpuStep.GuestNotified, 0), ("away", CpuStep.GuestAnswered, 0x84),
            ("away", CpuStep.Ejected, 0), ("away", CpuStep.InterfaceDetached, 0), ("away", CpuStep.VcpuFreed, 0),
            ("back", CpuStep.Accepted, 0), ("back", CpuStep.VcpuMade, 0), ("back", CpuStep.InterfaceAttached, 0),
            ("back", CpuStep.GuestNotified, 0), ("back", CpuStep.GuestAnswered, 0), ("back", CpuStep.PoweredOn, 0),
            ("off", CpuStep.Accepted, 0), ("off", CpuStep.GuestNotified, 0),
        ])
        {
            CpuStepTaken taken = steps.ExpectMsg<CpuStepTaken>();
            Assert.Equal((trace, 4, step, status), (taken.Trace, taken.Cpu, taken.Step, taken.OstStatus));
            Assert.True(taken.StartedAt <= taken.EndedAt && (trace != last.Trace || taken.StartedAt == last.EndedAt), $"{last} {taken}");
            last = taken;
        }
    }

    [Fact]
    public void Plug_before_the_guest_answers_reports_nothing()
    {
        Coordinator().Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("insert 4");
        ExpectNoMsg(200);
    }

    [Fact]
    public void Unplug_guest_ejects_tears_down_and_is_done()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        _machine.Port.Ost(4, 3, 0x84);
        ExpectNoMsg(100);
        _machine.Port.Eject(4);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));

        Assert.Equal(["remove 4", "gic 4 False", "executable 4 False"], _machine.Log.Skip(3));
        Assert.Empty(Plugged(coordinator));
    }

    [Fact]
    public void Unplug_guest_refuses_reports_the_status_and_keeps_the_cpu()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        _machine.Port.Ost(4, 3, 0x82);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Refused, 0x82));
        Assert.True(_machine.IsEnabled(4));

        coordinator.Tell(new UnplugVcpu("core4"), TestActor);
        ExpectMsg<HotplugAccepted>();
    }

    [Fact]
    public void Plug_guest_fails_it_reports_refused_and_the_cpu_can_be_removed()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("insert 4");
        _machine.Port.Ost(4, 1, 1);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Refused, 1));
        RequestUnplug(coordinator, "core4", 4);
    }

    [Fact]
    public void Unplug_no_answer_times_out_still_pending_and_a_late_eject_completes_it()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 300);
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.TimedOut, 0));

        _machine.Port.Eject(4);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
    }

    [Fact]
    public void Requests_for_different_CPUs_do_not_wait_for_each_other()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        coordinator.Tell(new PlugVcpu("core5", 5), TestActor);
        ExpectMsg(new HotplugAccepted("core5", 5));
        Await("insert 5");
        _machine.Port.Ost(5, 1, 0);
        ExpectMsg(new HotplugOutcome("core5", 5, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        _machine.Port.Eject(4);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
    }

    [Fact]
    public void Unplug_of_a_CPU_whose_plug_has_no_answer_supersedes_it()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("insert 4");
        TestProbe unplugger = CreateTestProbe();
        coordinator.Tell(new UnplugVcpu("core4"), unplugger);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Cancelled, 0));
        unplugger.ExpectMsg(new HotplugAccepted("core4", 4));
        Await("remove 4");

        // Its answer to the plug means nothing any more.
        _machine.Port.Ost(4, 1, 0);
        _machine.Port.Eject(4);
        unplugger.ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        ExpectNoMsg(100);
    }

    [Fact]
    public void Unplug_twice_is_rejected()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        coordinator.Tell(new UnplugVcpu("core4"), TestActor);
        ExpectMsg(new HotplugRejected("core4", RejectionCode.InProgress, "Device core4 is already in the process of unplug"));
    }

    [Fact]
    public void Unplug_that_has_timed_out_can_be_asked_for_again_and_is_announced_again()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 300);
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.TimedOut, 0));
        RequestUnplug(coordinator, "core4", 4, times: 2);
        _machine.Port.Eject(4);
        Assert.Equal(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0), NextButTimedOut());
    }

    [Fact]
    public void Plug_that_has_timed_out_can_be_asked_for_again_and_is_announced_again()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 500);
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.TimedOut, 0));
        coordinator.Tell(new PlugVcpu("other", 4), TestActor);
        ExpectMsg(new HotplugRejected("other", RejectionCode.SlotInUse, "cpu(id4=0:0:4:0) with arch-id 4 exist"));
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        Await("insert 4", times: 2);
        _machine.Port.Ost(4, 1, 0);
        Assert.Equal(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0), NextButTimedOut());
    }

    [Fact]
    public void Guest_that_is_stopped_has_its_time_when_it_runs()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 300);
        Plugged(coordinator);
        coordinator.Tell(new VmStatus(VmRunState.Paused, ""), TestActor);
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        Await("insert 4");
        ExpectNoMsg(600);
        coordinator.Tell(new VmStatus(VmRunState.Running, ""), TestActor);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.TimedOut, 0));
    }

    // As QEMU: what the guest says, then what came of it; and what it says behind its eject, behind the end of the unplug.
    [Fact]
    public void Told_in_the_order_in_which_the_guest_did_it()
    {
        for (int round = 1; round <= 20; round++)
        {
            IActorRef coordinator = Coordinator();
            TestProbe all = CreateTestProbe();
            Sys.EventStream.Subscribe(all, typeof(HotplugOutcome));
            Sys.EventStream.Subscribe(all, typeof(AcpiDeviceOst));
            PlugAndConfirm(coordinator, "core4", 4, round);
            RequestUnplug(coordinator, "core4", 4, round);
            _machine.Port.Ost(4, 3, 0x84);
            _machine.Port.Eject(4);
            _machine.Port.Ost(4, 3, 0);
            ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
            all.ExpectMsg(new AcpiDeviceOst("core4", 4, 1, 0));
            all.ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
            all.ExpectMsg(new AcpiDeviceOst("core4", 4, 3, 0x84));
            all.ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
            all.ExpectMsg(new AcpiDeviceOst("", 4, 3, 0));
            Sys.EventStream.Unsubscribe(all);
            StopAndWait(coordinator);
        }
    }

    [Fact]
    public void Reset_during_unplug_cancels_it_and_keeps_the_cpu()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        coordinator.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Cancelled, 0));
        ExpectMsg(new DevicesReset(""));
        Assert.True(_machine.IsEnabled(4));
        RequestUnplug(coordinator, "core4", 4, times: 2);
    }

    [Fact]
    public void Coordinator_restarted_knows_what_is_plugged()
    {
        IActorRef first = Coordinator();
        PlugAndConfirm(first, "core4", 4);
        StopAndWait(first);
        RequestUnplug(Coordinator(), "core4", 4);
    }

    [Fact]
    public void Coordinator_restarted_in_the_middle_of_a_plug_finishes_it()
    {
        IActorRef first = Coordinator();
        first.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("insert 4");
        StopAndWait(first);
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        Coordinator();
        Await("insert 4", times: 2);
        _machine.Port.Ost(4, 1, 0);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
    }

    [Fact]
    public void Coordinator_restarted_after_the_eject_finishes_the_teardown()
    {
        IActorRef first = Coordinator();
        PlugAndConfirm(first, "core4", 4);
        RequestUnplug(first, "core4", 4);
        StopAndWait(first);
        _machine.Port.Eject(4);
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        Coordinator();
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        Assert.Contains("executable 4 False", _machine.Log);
    }

    [Theory]
    [InlineData("core9", 6, RejectionCode.InvalidArgument, "Invalid core-id 6 specified, correct range 0:5")]
    [InlineData("core9", -1, RejectionCode.InvalidArgument, "Invalid core-id -1 specified, correct range 0:5")]
    [InlineData("core9", 1, RejectionCode.SlotInUse, "cpu(id1=0:0:1:0) with arch-id 1 exist")]
    [InlineData("core9", 4, RejectionCode.SlotInUse, "cpu(id4=0:0:4:0) with arch-id 4 exist")]
    [InlineData("core4", 5, RejectionCode.DuplicateId, "Duplicate device ID 'core4'")]
    public void Plug_impossible_is_rejected_in_words(string id, int cpu, RejectionCode code, string reason)
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        coordinator.Tell(new PlugVcpu(id, cpu), TestActor);
        ExpectMsg(new HotplugRejected(id, code, reason));
    }

    [Theory]
    [InlineData(null, "")]
    [InlineData("", "")]
    [InlineData("4core", "4core")]
    [InlineData("core 4", "core 4")]
    [InlineData("core\u001b[2J4", "core[2J4")]
    public void Plug_under_a_name_that_is_none_is_rejected(string? id, string legible)
    {
        Coordinator().Tell(new PlugVcpu(id!, 4), TestActor);
        ExpectMsg(new HotplugRejected(legible, RejectionCode.InvalidArgument, "Parameter 'id' expects an identifier"));
    }

    [Fact]
    public void Huge_name_is_rejected_in_few_words()
    {
        IActorRef coordinator = Coordinator();
        string huge = new('x', 100_000);
        coordinator.Tell(new PlugVcpu(huge, 4), TestActor);
        ExpectMsg(new HotplugRejected(huge[..128], RejectionCode.InvalidArgument, "Parameter 'id' expects an identifier"));
        coordinator.Tell(new UnplugVcpu(huge), TestActor);
        ExpectMsg(new HotplugRejected(huge[..128], RejectionCode.DeviceNotFound, $"Device '{huge[..128]}' not found"));
    }

    [Fact]
    public void Unplug_of_an_unknown_id_is_rejected()
    {
        Coordinator().Tell(new UnplugVcpu("cpu9"), TestActor);
        ExpectMsg(new HotplugRejected("cpu9", RejectionCode.DeviceNotFound, "Device 'cpu9' not found"));
    }
}

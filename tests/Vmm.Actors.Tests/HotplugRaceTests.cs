using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Tests;

/// <summary>Requests, answers, resets and restarts that come in each other's way.</summary>
public sealed class HotplugRaceTests : HotplugTestKit
{
    [Fact]
    public void Two_plugs_at_once_both_complete()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        coordinator.Tell(new PlugVcpu("core5", 5), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        ExpectMsg(new HotplugAccepted("core5", 5));
        foreach ((string id, int cpu) in new[] { ("core5", 5), ("core4", 4) })
        {
            Await($"insert {cpu}");
            _machine.Port.Ost(cpu, 1, 0);
            ExpectMsg(new HotplugOutcome(id, cpu, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        }

        Assert.Equal(["core4", "core5"], Plugged(coordinator));
    }

    [Theory]
    [InlineData("core4", 5, RejectionCode.DuplicateId, "Duplicate device ID 'core4'")]
    [InlineData("core5", 4, RejectionCode.SlotInUse, "cpu(id4=0:0:4:0) with arch-id 4 exist")]
    public void Same_name_or_CPU_twice_at_once_the_second_is_rejected(string id, int cpu, RejectionCode code, string reason)
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        coordinator.Tell(new PlugVcpu(id, cpu), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        ExpectMsg(new HotplugRejected(id, code, reason));
    }

    [Fact]
    public void Unplug_of_a_CPU_whose_plug_timed_out_supersedes_the_plug()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 200);
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.TimedOut, 0));
        coordinator.Tell(new UnplugVcpu("core4"), TestActor);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Cancelled, 0));
        ExpectMsg(new HotplugAccepted("core4", 4));
        Await("remove 4");

        // Its late answer to the plug means nothing any more.
        _machine.Port.Ost(4, 1, 0);
        _machine.Port.Eject(4);
        Assert.Equal(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0), NextButTimedOut());
        Assert.Empty(Plugged(coordinator));
    }

    [Fact]
    public void Late_answer_completes_a_plug_that_timed_out()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 200);
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.TimedOut, 0));
        _machine.Port.Ost(4, 1, 0);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        ExpectNoMsg(300);
    }

    [Fact]
    public void Guest_that_answers_twice_completes_once()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("insert 4");
        for (int i = 0; i < 20; i++)
        {
            _machine.Port.Ost(4, 1, i % 2);
        }

        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        ExpectNoMsg(100);
        Assert.Equal(["core4"], Plugged(coordinator));
    }

    [Fact]
    public void Guest_that_ejects_unasked_gives_the_CPU_back()
    {
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), ActorRefs.NoSender);
        Await("insert 4");
        _machine.Port.Eject(4);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Cancelled, 0));
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        Assert.Contains("executable 4 False", _machine.Log);
        coordinator.Tell(new PlugVcpu("again", 4), ActorRefs.NoSender);
        Await("insert 4", times: 2);
    }

    [Fact]
    public void Guest_that_ejects_unasked_while_the_coordinator_is_down_gives_the_CPU_back()
    {
        IActorRef first = Coordinator();
        PlugAndConfirm(first, "core4", 4);
        StopAndWait(first);
        _machine.Port.Eject(4);
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        IActorRef second = Coordinator();
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        ExpectNoMsg(100);
        Assert.Empty(Plugged(second));
        second.Tell(new PlugVcpu("again", 4), ActorRefs.NoSender);
        Await("insert 4", times: 2);
    }

    [Fact]
    public void Reset_during_plug_ends_it_as_done_for_the_guest_boots_with_the_CPU()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("insert 4");
        coordinator.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        ExpectMsg(new DevicesReset(""));
        Assert.True(_machine.IsEnabled(4));
        RequestUnplug(coordinator, "core4", 4);
    }

    [Fact]
    public void Reset_before_the_vcpu_is_made_waits_for_it_and_enables_it_without_an_event()
    {
        TestProbe vcpus = CreateTestProbe();
        IActorRef coordinator = Coordinator(vcpus: vcpus);
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        vcpus.ExpectMsg(new CreateVcpu(4));
        coordinator.Tell(new ResetDevices(), TestActor);
        vcpus.ExpectNoMsg(100);
        coordinator.Tell(new VcpuReady(4), ActorRefs.NoSender);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        ExpectMsg(new DevicesReset(""));
        Assert.Contains("enable 4", _machine.Log);
        Assert.DoesNotContain("insert 4", _machine.Log);
    }

    [Fact]
    public void Reset_after_the_eject_waits_for_the_teardown()
    {
        TestProbe vcpus = CreateTestProbe();
        IActorRef coordinator = Coordinator(vcpus: vcpus);
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        vcpus.ExpectMsg(new CreateVcpu(4));
        vcpus.Reply(new VcpuReady(4));
        Await("insert 4");
        _machine.Port.Ost(4, 1, 0);
        ExpectMsg<HotplugOutcome>();
        RequestUnplug(coordinator, "core4", 4);
        _machine.Port.Eject(4);
        vcpus.ExpectMsg(new RemoveVcpu(4));
        coordinator.Tell(new ResetDevices(), TestActor);
        ExpectNoMsg(100);
        vcpus.Reply(new VcpuRemoved(4));
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        ExpectMsg(new DevicesReset(""));
        Assert.Empty(Plugged(coordinator));
    }

    [Fact]
    public void Answer_that_came_before_the_reset_counts()
    {
        TestProbe vcpus = CreateTestProbe();
        IActorRef coordinator = Coordinator(vcpus: vcpus);
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        vcpus.ExpectMsg(new CreateVcpu(4));
        vcpus.Reply(new VcpuReady(4));
        Await("insert 4");

        // The reset is in the mailbox before the doorbell rings.
        _machine.Port.Doorbell.Connect(null);
        _machine.Port.Ost(4, 1, 0);
        coordinator.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        ExpectMsg(new DevicesReset(""));
    }

    [Fact]
    public void Request_during_a_reset_begins_after_it()
    {
        TestProbe vcpus = CreateTestProbe();
        IActorRef coordinator = Coordinator(vcpus: vcpus);
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        vcpus.ExpectMsg(new CreateVcpu(4));
        TestProbe resetter = CreateTestProbe();
        coordinator.Tell(new ResetDevices(), resetter);
        coordinator.Tell(new PlugVcpu("core5", 5), TestActor);
        vcpus.ExpectNoMsg(100);
        coordinator.Tell(new VcpuReady(4), ActorRefs.NoSender);
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        resetter.ExpectMsg(new DevicesReset(""));
        ExpectMsg(new HotplugAccepted("core5", 5));
        vcpus.ExpectMsg(new CreateVcpu(5));
    }

    [Fact]
    public void Coordinator_restarted_after_the_eject_hears_of_it_once()
    {
        IActorRef first = Coordinator();
        PlugAndConfirm(first, "core4", 4);
        RequestUnplug(first, "core4", 4);
        StopAndWait(first);
        _machine.Port.Eject(4);
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        IActorRef second = Coordinator();
        ExpectMsg(new HotplugOutcome("core4", 4, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        ExpectNoMsg(100);

        // And it lives.
        Assert.Empty(Plugged(second));
    }

    [Fact]
    public void Messages_that_nobody_waits_for_are_ignored()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        string[] before = [.. _machine.Log];
        foreach (int cpu in new[] { -1, 0, 4, 5, 6, int.MaxValue })
        {
            coordinator.Tell(new CpuInterfaceDetached(cpu), ActorRefs.NoSender);
            coordinator.Tell(new VcpuRemoved(cpu), ActorRefs.NoSender);
        }

        foreach (int cpu in new[] { -1, 0, 5, 6, int.MaxValue })
        {
            coordinator.Tell(new VcpuReady(cpu), ActorRefs.NoSender);
            coordinator.Tell(new CpuInterfaceAttached(cpu), ActorRefs.NoSender);
        }

        Assert.Equal(["core4"], Plugged(coordinator));
        ExpectNoMsg(100);
        Assert.Equal(before, _machine.Log);
    }
}

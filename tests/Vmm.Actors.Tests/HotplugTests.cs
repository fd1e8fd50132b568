using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit.Xunit2;
using Vmm.Actors.Hosting;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Interrupts;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;

namespace Vmm.Actors.Tests;

public sealed class HotplugTests : TestKit
{
    private readonly FakeMachine _machine = new(enabled: 4, possible: 6);
    private readonly IActorRef _vcpus;
    private readonly IActorRef _gic;
    private readonly string _journal = Guid.NewGuid().ToString();

    public HotplugTests()
        : base(ConfigurationFactory.ParseString("akka.test.single-expect-default = 10s").WithFallback(VmConfiguration.Load()))
    {
        _vcpus = Sys.ActorOf(Props.Create(() => new VcpuManager(_machine, null)));
        _gic = Sys.ActorOf(Props.Create(() => new GicSupervisor(_machine)));
    }

    private IActorRef Coordinator(int timeoutMs = 60_000)
    {
        string journal = _journal;
        return Sys.ActorOf(Props.Create(() => new HotplugCoordinator(journal, _machine, _vcpus, _gic, TimeSpan.FromMilliseconds(timeoutMs))));
    }

    private void Await(string logged, int times = 1) => AwaitAssert(() => Assert.Equal(times, _machine.Log.Count(l => l == logged)), TimeSpan.FromSeconds(5));

    private void PlugAndConfirm(IActorRef coordinator, string id, int cpu)
    {
        coordinator.Tell(new PlugVcpu(id, cpu), TestActor);
        ExpectMsg(new HotplugAccepted(id, cpu));
        Await($"insert {cpu}");
        _machine.Port.Ost(cpu, 1, 0);
        ExpectMsg(new HotplugOutcome(id, cpu, true, "done", 0));
    }

    private void RequestUnplug(IActorRef coordinator, string id, int cpu)
    {
        coordinator.Tell(new UnplugVcpu(id), TestActor);
        ExpectMsg(new HotplugAccepted(id, cpu));
        Await($"remove {cpu}");
    }

    [Fact]
    public void Plug_guest_confirms_done_in_the_order_actor_gic_enable()
    {
        PlugAndConfirm(Coordinator(), "core4", 4);

        Assert.Equal(["executable 4 True", "gic 4 True", "insert 4"], _machine.Log);
        Assert.True(_machine.IsEnabled(4));
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
        ExpectMsg(new HotplugOutcome("core4", 4, false, "done", 0));

        Assert.Equal(["remove 4", "gic 4 False", "executable 4 False"], _machine.Log.Skip(3));
        coordinator.Tell(new GetPluggedVcpus(), TestActor);
        Assert.Empty(ExpectMsg<PluggedVcpus>().Ids);
    }

    [Fact]
    public void Unplug_guest_refuses_reports_the_status_and_keeps_the_cpu()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        _machine.Port.Ost(4, 3, 0x82);
        ExpectMsg(new HotplugOutcome("core4", 4, false, "refused", 0x82));
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
        ExpectMsg(new HotplugOutcome("core4", 4, true, "refused", 1));
        RequestUnplug(coordinator, "core4", 4);
    }

    [Fact]
    public void Unplug_no_answer_times_out_still_pending_and_a_late_eject_completes_it()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 300);
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        ExpectMsg(new HotplugOutcome("core4", 4, false, "timed-out", 0));

        coordinator.Tell(new UnplugVcpu("core4"), TestActor);
        ExpectMsg(new HotplugRejected("core4", "Device core4 is already in the process of unplug"));
        _machine.Port.Eject(4);
        ExpectMsg(new HotplugOutcome("core4", 4, false, "done", 0));
    }

    [Fact]
    public void Two_requests_the_second_waits_for_the_first()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        coordinator.Tell(new PlugVcpu("core5", 5), TestActor);
        ExpectMsg(new HotplugAccepted("core4", 4));
        Await("insert 4");
        ExpectNoMsg(100);
        Assert.DoesNotContain("insert 5", _machine.Log);

        _machine.Port.Ost(4, 1, 0);
        ExpectMsg(new HotplugOutcome("core4", 4, true, "done", 0));
        ExpectMsg(new HotplugAccepted("core5", 5));
        Await("insert 5");
    }

    [Fact]
    public void Unplug_during_plug_waits_until_the_guest_has_answered()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("core4", 4), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("insert 4");
        coordinator.Tell(new UnplugVcpu("core4"), TestActor);
        ExpectNoMsg(100);
        _machine.Port.Ost(4, 1, 0);
        ExpectMsg(new HotplugOutcome("core4", 4, true, "done", 0));
        ExpectMsg(new HotplugAccepted("core4", 4));
        Await("remove 4");
    }

    [Fact]
    public void Reset_during_unplug_cancels_it_and_keeps_the_cpu()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        RequestUnplug(coordinator, "core4", 4);
        coordinator.Tell(new MachineWasReset());
        ExpectMsg(new HotplugOutcome("core4", 4, false, "cancelled", 0));
        Assert.True(_machine.IsEnabled(4));
        RequestUnplugAgain(coordinator);
    }

    private void RequestUnplugAgain(IActorRef coordinator)
    {
        coordinator.Tell(new UnplugVcpu("core4"), TestActor);
        ExpectMsg<HotplugAccepted>();
        Await("remove 4", times: 2);
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
        ExpectMsg(new HotplugOutcome("core4", 4, true, "done", 0));
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
        ExpectMsg(new HotplugOutcome("core4", 4, false, "done", 0));
        Assert.Contains("executable 4 False", _machine.Log);
    }

    [Theory]
    [InlineData("core9", 6, "Invalid core-id 6 specified, correct range 0:5")]
    [InlineData("core9", -1, "Invalid core-id -1 specified, correct range 0:5")]
    [InlineData("core9", 1, "cpu1 exist")]
    [InlineData("core9", 4, "cpu4 exist")]
    [InlineData("core4", 5, "Duplicate device ID 'core4'")]
    public void Plug_impossible_is_rejected_in_words(string id, int cpu, string reason)
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core4", 4);
        coordinator.Tell(new PlugVcpu(id, cpu), TestActor);
        ExpectMsg(new HotplugRejected(id, reason));
    }

    [Fact]
    public void Unplug_of_an_unknown_id_is_rejected()
    {
        Coordinator().Tell(new UnplugVcpu("cpu9"), TestActor);
        ExpectMsg(new HotplugRejected("cpu9", "Device 'cpu9' not found"));
    }

    private void StopAndWait(IActorRef actor)
    {
        Watch(actor);
        Sys.Stop(actor);
        ExpectTerminated(actor);
    }
}

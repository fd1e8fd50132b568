using Akka.Actor;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Protocol;

namespace Vmm.Actors.Tests;

/// <summary>
/// <c>-smp cpus=3,disabledcpus=2,maxcpus=6</c>: CPU 0 is the boot CPU, 1 and 2 are enabled and may leave, 3 and 4 are disabled, 5 can be
/// plugged.
/// </summary>
public sealed class HotplugStandbyTests : HotplugTestKit
{
    public HotplugStandbyTests()
        : base(new FakeMachine(enabled: 3, possible: 6, disabled: 2, canLeave: true))
    {
    }

    private static HotplugOutcome Outcome(string id, int cpu, bool enabled, HotplugOutcomeKind kind, int status = 0) =>
        new(id, cpu, enabled ? HotplugOperation.Enable : HotplugOperation.Disable, kind, status);

    private void Enable(IActorRef coordinator, int cpu, int times = 1)
    {
        coordinator.Tell(new SetVcpuAdmin(cpu, true), TestActor);
        ExpectMsg(new HotplugAccepted($"cpu-{cpu}", cpu));
        Await($"insert {cpu}", times);
        _machine.Port.Ost(cpu, 1, 0);
        ExpectMsg(Outcome($"cpu-{cpu}", cpu, true, HotplugOutcomeKind.Done));
    }

    private void RequestDisable(IActorRef coordinator, int cpu, string? id = null)
    {
        coordinator.Tell(new SetVcpuAdmin(cpu, false), TestActor);
        ExpectMsg(new HotplugAccepted(id ?? $"cpu-{cpu}", cpu));
        Await($"remove {cpu}");
    }

    private void Disable(IActorRef coordinator, int cpu)
    {
        RequestDisable(coordinator, cpu);
        _machine.Port.Ost(cpu, 3, 0x84);
        _machine.Port.Eject(cpu);
        ExpectMsg(Outcome($"cpu-{cpu}", cpu, false, HotplugOutcomeKind.Done));
    }

    private string Admin(IActorRef coordinator)
    {
        coordinator.Tell(new GetCpusPowerState(), TestActor);
        return string.Join(' ', ExpectMsg<CpusPowerState>().Admin);
    }

    [Fact]
    public void Power_on_has_enabled_disabled_and_removed_CPUs()
    {
        Coordinator().Tell(new GetCpusPowerState(), TestActor);
        CpusPowerState state = ExpectMsg<CpusPowerState>();
        Assert.Equal("Enabled Enabled Enabled Disabled Disabled Removed", string.Join(' ', state.Admin));
        Assert.Equal("On On On Off Off Off", string.Join(' ', state.Oper));
        Assert.Equal(["cpu-0", "cpu-1", "cpu-2", "cpu-3", "cpu-4", ""], state.Ids);
    }

    [Fact]
    public void Enable_goes_the_way_of_a_plug()
    {
        IActorRef coordinator = Coordinator();
        Enable(coordinator, 4);
        Assert.Equal(["executable 4 True", "gic 4 True", "insert 4"], _machine.Log);
        Assert.Equal("Enabled Enabled Enabled Disabled Enabled Removed", Admin(coordinator));
        Assert.Empty(Plugged(coordinator));
    }

    [Fact]
    public void Disable_goes_the_way_of_an_unplug_and_the_CPU_stays_part_of_the_machine()
    {
        IActorRef coordinator = Coordinator();
        Disable(coordinator, 1);
        Assert.Equal(["remove 1", "gic 1 False", "executable 1 False"], _machine.Log);
        Assert.Equal("Enabled Disabled Enabled Disabled Disabled Removed", Admin(coordinator));
        Enable(coordinator, 1);
        Assert.Equal("Enabled Enabled Enabled Disabled Disabled Removed", Admin(coordinator));
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(4, false)]
    public void What_is_so_already_is_done_at_once(int cpu, bool enabled)
    {
        Coordinator().Tell(new SetVcpuAdmin(cpu, enabled), TestActor);
        ExpectMsg(new HotplugAccepted($"cpu-{cpu}", cpu));
        ExpectMsg(Outcome($"cpu-{cpu}", cpu, enabled, HotplugOutcomeKind.Done));
        ExpectNoMsg(50);
        Assert.Empty(_machine.Log);
    }

    [Theory]
    [InlineData(0, false, RejectionCode.CannotLeave, "can't power-off boot CPU (id0=0:0:0:0)")]
    [InlineData(5, true, RejectionCode.DeviceNotFound, "No device found for driver 'max-arm-cpu'")]
    [InlineData(5, false, RejectionCode.DeviceNotFound, "No device found for driver 'max-arm-cpu'")]
    [InlineData(6, true, RejectionCode.InvalidArgument, "Invalid core-id 6 specified, correct range 0:5")]
    [InlineData(-1, false, RejectionCode.InvalidArgument, "Invalid core-id -1 specified, correct range 0:5")]
    public void Impossible_is_rejected_in_the_words_of_the_series(int cpu, bool enabled, RejectionCode code, string reason)
    {
        Coordinator().Tell(new SetVcpuAdmin(cpu, enabled), TestActor);
        ExpectMsg(new HotplugRejected($"cpu-{cpu}", code, reason));
    }

    [Fact]
    public void Guest_that_refuses_keeps_the_CPU_enabled()
    {
        IActorRef coordinator = Coordinator();
        RequestDisable(coordinator, 2);
        _machine.Port.Ost(2, 3, 0x82);
        ExpectMsg(Outcome("cpu-2", 2, false, HotplugOutcomeKind.Refused, 0x82));
        Assert.Equal("Enabled Enabled Enabled Disabled Disabled Removed", Admin(coordinator));
    }

    [Fact]
    public void Reset_cancels_a_disable_and_keeps_what_was_decided()
    {
        IActorRef coordinator = Coordinator();
        Enable(coordinator, 3);
        Disable(coordinator, 1);
        RequestDisable(coordinator, 2);
        coordinator.Tell(new ResetDevices(), TestActor);
        ExpectMsg(Outcome("cpu-2", 2, false, HotplugOutcomeKind.Cancelled));
        ExpectMsg(new DevicesReset(""));
        Assert.Equal("Enabled Disabled Enabled Enabled Disabled Removed", Admin(coordinator));
        Assert.True(_machine.IsEnabled(3));
        Assert.False(_machine.IsEnabled(1));
    }

    [Fact]
    public void Plugged_CPU_is_disabled_enabled_and_unplugged_while_disabled()
    {
        IActorRef coordinator = Coordinator();
        PlugAndConfirm(coordinator, "core5", 5);
        RequestDisable(coordinator, 5, "core5");
        _machine.Port.Eject(5);
        ExpectMsg(Outcome("core5", 5, false, HotplugOutcomeKind.Done));
        Assert.Equal("Enabled Enabled Enabled Disabled Disabled Disabled", Admin(coordinator));
        coordinator.Tell(new PlugVcpu("other", 5), TestActor);
        ExpectMsg(new HotplugRejected("other", RejectionCode.SlotInUse, "cpu(id5=0:0:5:0) with arch-id 5 exist"));

        // The guest has given it back before: nobody is asked.
        coordinator.Tell(new UnplugVcpu("core5"), TestActor);
        ExpectMsg(new HotplugAccepted("core5", 5));
        ExpectMsg(new HotplugOutcome("core5", 5, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
        Await("remove 5");
        Assert.Equal("Enabled Enabled Enabled Disabled Disabled Removed", Admin(coordinator));
    }

    [Fact]
    public void CPU_of_power_on_is_unplugged_by_its_number_and_plugged_under_a_name()
    {
        IActorRef coordinator = Coordinator();
        for (int round = 1; round <= 2; round++)
        {
            string id = round == 1 ? "cpu-1" : "core1";
            RequestUnplug(coordinator, id, 1, round);
            _machine.Port.Eject(1);
            ExpectMsg(new HotplugOutcome(id, 1, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));
            Assert.Equal("Enabled Removed Enabled Disabled Disabled Removed", Admin(coordinator));
            coordinator.Tell(new PlugVcpu("core1", 1), TestActor);
            ExpectMsg(new HotplugAccepted("core1", 1));
            Await("insert 1", round);
            _machine.Port.Ost(1, 1, 0);
            ExpectMsg(new HotplugOutcome("core1", 1, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0));
        }
    }

    [Fact]
    public void Eject_that_nobody_asked_for_disables()
    {
        IActorRef coordinator = Coordinator();
        AwaitAssert(() => Admin(coordinator));
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        _machine.Port.Eject(2);
        ExpectMsg(Outcome("cpu-2", 2, false, HotplugOutcomeKind.Done));
        Sys.EventStream.Unsubscribe(TestActor);
        Assert.Equal("Enabled Enabled Disabled Disabled Disabled Removed", Admin(coordinator));
    }

    [Fact]
    public void Coordinator_restarted_in_the_middle_of_a_disable_finishes_it()
    {
        IActorRef first = Coordinator();
        Enable(first, 4);
        RequestDisable(first, 1);
        StopAndWait(first);
        _machine.Port.Eject(1);
        Sys.EventStream.Subscribe(TestActor, typeof(HotplugOutcome));
        IActorRef second = Coordinator();
        ExpectMsg(Outcome("cpu-1", 1, false, HotplugOutcomeKind.Done));
        Sys.EventStream.Unsubscribe(TestActor);
        Assert.Equal("Enabled Disabled Enabled Disabled Enabled Removed", Admin(second));
    }

    [Fact]
    public void Enable_while_a_disable_has_no_answer_is_rejected()
    {
        IActorRef coordinator = Coordinator(timeoutMs: 200);
        RequestDisable(coordinator, 1);
        ExpectMsg(Outcome("cpu-1", 1, false, HotplugOutcomeKind.TimedOut));
        coordinator.Tell(new SetVcpuAdmin(1, true), TestActor);
        ExpectMsg(new HotplugRejected("cpu-1", RejectionCode.InProgress, "Device cpu-1 is already in the process of unplug"));
        _machine.Port.Eject(1);
        ExpectMsg(Outcome("cpu-1", 1, false, HotplugOutcomeKind.Done));
    }
}

/// <summary>V5 of the series: CPUs of power-on never leave.</summary>
public sealed class HotplugFixedTests : HotplugTestKit
{
    private const string ColdBooted = "Hot-unplug of cold-booted CPU not supported! cpu-1 is Enabled in the MADT for good; "
        + "-machine online-capable-cpus=on makes it one that can leave";

    [Theory]
    [InlineData("cpu-0", RejectionCode.CannotLeave, "Boot CPU(id0=0:0:0:0) hot-unplug not supported")]
    [InlineData("cpu-1", RejectionCode.CannotLeave, ColdBooted)]
    [InlineData("cpu-4", RejectionCode.DeviceNotFound, "Device 'cpu-4' not found")]
    [InlineData("cpu-01", RejectionCode.DeviceNotFound, "Device 'cpu-01' not found")]
    [InlineData("cpu-99999999999", RejectionCode.DeviceNotFound, "Device 'cpu-99999999999' not found")]
    public void Unplug_by_number_is_rejected(string id, RejectionCode code, string reason)
    {
        Coordinator().Tell(new UnplugVcpu(id), TestActor);
        ExpectMsg(new HotplugRejected(id, code, reason));
    }

    [Fact]
    public void Disable_is_rejected()
    {
        Coordinator().Tell(new SetVcpuAdmin(1, false), TestActor);
        ExpectMsg(new HotplugRejected("cpu-1", RejectionCode.CannotLeave, ColdBooted));
    }

    [Fact]
    public void Name_of_a_CPU_of_power_on_is_taken()
    {
        IActorRef coordinator = Coordinator();
        coordinator.Tell(new PlugVcpu("cpu-1", 4), TestActor);
        ExpectMsg(new HotplugRejected("cpu-1", RejectionCode.DuplicateId, "Duplicate device ID 'cpu-1'"));
        PlugAndConfirm(coordinator, "cpu-4", 4);
    }
}

/// <summary><c>-device …,id=core5,core-id=5 -device …,id=core4,core-id=4</c>: plugged from power-on.</summary>
public sealed class HotplugFromPowerOnTests : HotplugTestKit
{
    public HotplugFromPowerOnTests()
        : base(new FakeMachine(4,
            6) { PowerOnCpus = FakeMachine.Cpus(4, 0, 6, false) with { Plugged = [new PlugVcpu("core5", 5), new PlugVcpu("core4", 4)] } })
    {
    }

    [Fact]
    public void They_are_enabled_at_the_first_reset_and_can_be_unplugged_for_good()
    {
        IActorRef first = Coordinator(poweredOn: false);
        first.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new DevicesReset(""));
        Assert.True(_machine.IsEnabled(4) && _machine.IsEnabled(5) && _machine.IsAccessible(5));
        Assert.DoesNotContain("insert 5", _machine.Log);
        Assert.Equal(["core4", "core5"], Plugged(first));
        RequestUnplug(first, "core5", 5);
        _machine.Port.Eject(5);
        ExpectMsg(new HotplugOutcome("core5", 5, HotplugOperation.Unplug, HotplugOutcomeKind.Done, 0));

        // Neither a reset nor a restart of the actor brings it back; the next power-on does.
        first.Tell(new ResetDevices(), TestActor);
        ExpectMsg(new DevicesReset(""));
        Assert.False(_machine.IsEnabled(5));
        StopAndWait(first);
        Assert.Equal(["core4"], Plugged(Coordinator()));
    }

    [Fact]
    public void State_that_has_another_CPU_there_is_refused()
    {
        HotplugState state = HotplugState.Empty.Apply([new PlugStarted("other", 5, 0), new PlugConfirmed("other", 5, 0)]);
        state.PowerOn(_machine.PowerOnCpus, 0, out string? refusal);
        Assert.Equal("the saved state has no room for 'core5': cpu(id5=0:0:5:0) with arch-id 5 exist", refusal);
    }
}

using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Cpu;

namespace Vmm.Actors.Tests;

/// <summary>What fails stops the VM with a report; a reset is the way out, and nothing else is.</summary>
public sealed class VmFailureTests : VmTestKit
{
    [Theory]
    [InlineData("gic", "gic")]
    [InlineData("executable", "vcpus")]
    [InlineData("insert", "hotplug")]
    public void Part_that_fails_stops_the_vm_with_a_report_and_a_reset_remakes_it(string broken, string part)
    {
        IActorRef vm = Start();
        PlugAndConfirm(vm, "first", 2);
        Volatile.Write(ref _machine.Broken, broken);
        vm.Tell(new PlugVcpu("core3", 3), TestActor);
        ExpectMsg(new HotplugAccepted("core3", 3), s_patience);

        string report = AwaitStatus(vm, VmRunState.InternalError);
        Assert.StartsWith($"{part}: System.InvalidOperationException: {broken} is broken", report, StringComparison.Ordinal);
        Assert.Contains("   at ", report, StringComparison.Ordinal);
        int runs = _machine.Vcpu(0).Runs;
        Assert.False(_machine.ClockRuns);

        // Requests are answered, not lost, until the reset.
        vm.Tell(new PlugVcpu("core3", 3), TestActor);
        ExpectMsg(new HotplugRejected("core3", RejectionCode.ResetRequired,
            $"Resetting the Virtual Machine is required ({part} has failed)"), s_patience);
        vm.Tell(new GetPluggedVcpus(), TestActor);
        ExpectMsg(new VmCommandRejected(RejectionCode.ResetRequired, $"Resetting the Virtual Machine is required ({part} has failed)"),
            s_patience);
        vm.Tell(new ContinueVm(), TestActor);
        ExpectMsg<VmCommandRejected>(s_patience);
        Assert.Equal(runs, _machine.Vcpu(0).Runs);

        // The new coordinator knows from its journal what is plugged: core3, whose plug was accepted, too.
        Volatile.Write(ref _machine.Broken, null);
        ResetAndGoOn(vm);
        vm.Tell(new GetPluggedVcpus(), TestActor);
        Assert.Equal(["first", "core3"], ExpectMsg<PluggedVcpus>(s_patience).Ids);
        Assert.True(_machine.IsEnabled(3));

        // The manager hears of a vCPU's state from its actor, a moment later.
        AwaitAssert(
            () =>
            {
                vm.Tell(new GetVcpuStates(), TestActor);
                Assert.Equal(4, ExpectMsg<VcpuStates>(s_patience).States.Count(s => s != VcpuState.None));
            },
            s_patience);
    }

    [Fact]
    public void Failure_that_lasts_makes_the_reset_fail_with_the_report()
    {
        IActorRef vm = Start();
        Volatile.Write(ref _machine.Broken, "gic");
        vm.Tell(new PlugVcpu("core3", 3), TestActor);
        ExpectMsg<HotplugAccepted>(s_patience);
        AwaitStatus(vm, VmRunState.InternalError);
        vm.Tell(new ResetVm(), TestActor);
        VmStatus status = ExpectMsg<VmStatus>(s_patience);
        Assert.Equal(VmRunState.InternalError, status.RunState);
        Assert.Contains("gic is broken", status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void First_failure_is_the_one_that_is_reported()
    {
        IActorRef vm = Start();
        vm.Tell(new VcpuFailed(0, "first"), TestActor);
        vm.Tell(new VcpuFailed(1, "second"), TestActor);
        Assert.Equal("first", AwaitStatus(vm, VmRunState.InternalError));
    }

    [Fact]
    public void Vcpu_that_crashed_runs_again_after_a_reset()
    {
        IActorRef vm = Start();
        _machine.Vcpu(0).Script.Add(() => throw new InvalidOperationException("boom"));
        AwaitStatus(vm, VmRunState.InternalError);
        ResetAndGoOn(vm);
    }

    [Fact]
    public void Supervisor_that_fails_is_not_restarted()
    {
        IActorRef vm = Start();
        Watch(vm);
        Volatile.Write(ref _machine.Broken, "clock");
        vm.Tell(new StopVm(), TestActor);
        ExpectTerminated(vm, s_patience);
    }

    [Fact]
    public void Guest_that_resets_on_two_vcpus_at_once_is_reset_once()
    {
        IActorRef vm = Start();
        using var together = new Barrier(2);
        vm.Tell(new PowerOnVcpu(1, 0, 0));
        for (int cpu = 0; cpu < 2; cpu++)
        {
            _machine.Vcpu(cpu).Script.Add(() =>
            {
                together.SignalAndWait(s_patience);
                return VcpuExit.SystemReset;
            });
        }

        AwaitCondition(() => Volatile.Read(ref _machine.Resets) >= 2, s_patience);
        AwaitStatus(vm, VmRunState.Running);
        ExpectNoMsg(100);
        Assert.Equal(2, _machine.Resets);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(4)]
    [InlineData(int.MaxValue)]
    [InlineData(int.MinValue)]
    public void CPU_that_cannot_be_is_rejected_by_every_part(int cpu)
    {
        IActorRef vm = Start();
        vm.Tell(new GetVcpuStatus(cpu), TestActor);
        ExpectMsg(new VmCommandRejected(RejectionCode.CpuNotFound, "CPU not found"), s_patience);
        vm.Tell(new GetVcpuRegisters(cpu), TestActor);
        ExpectMsg(new VcpuRegisters(cpu, ""), s_patience);
        vm.Tell(new PlugVcpu("core9", cpu), TestActor);
        ExpectMsg(new HotplugRejected("core9", RejectionCode.InvalidArgument, $"Invalid core-id {cpu} specified, correct range 0:3"),
            s_patience);
        IProtocolMessage[] toVcpus =
            [new CreateVcpu(cpu), new RemoveVcpu(cpu), new PowerOnVcpu(cpu, 0, 0), new VcpuStateChanged(cpu, VcpuState.Running)];
        foreach (IProtocolMessage message in toVcpus)
        {
            Sys.ActorSelection(vm.Path / "vcpus").Tell(message, TestActor);
            ExpectMsg(new VmCommandRejected(RejectionCode.CpuNotFound, "CPU not found"), s_patience);
        }

        foreach (IProtocolMessage message in (IProtocolMessage[])[new AttachCpuInterface(cpu), new DetachCpuInterface(cpu)])
        {
            Sys.ActorSelection(vm.Path / "gic").Tell(message, TestActor);
            ExpectMsg(new VmCommandRejected(RejectionCode.CpuNotFound, "CPU not found"), s_patience);
        }

        Sys.ActorSelection(vm.Path / "vcpus").Tell(new VcpuPaused(cpu), TestActor);
        Sys.ActorSelection(vm.Path / "vcpus").Tell(new VcpuReady(cpu), TestActor);
        AwaitStatus(vm, VmRunState.Running);
    }
}

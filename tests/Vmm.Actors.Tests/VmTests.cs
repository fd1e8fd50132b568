using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Cpu;

namespace Vmm.Actors.Tests;

public sealed class VmTests : VmTestKit
{
    [Fact]
    public void Start_runs_the_boot_cpu_alone()
    {
        Start();
        Assert.Equal(1, _machine.Resets);
        Assert.True(_machine.ClockRuns);
        Assert.Equal(0, _machine.Vcpu(1).Runs);
    }

    [Fact]
    public void Prepared_machine_executes_nothing_before_it_is_continued()
    {
        IActorRef vm = Make();
        vm.Tell(new ContinueVm(), TestActor);
        ExpectMsg<VmCommandRejected>(s_patience);
        vm.Tell(new PrepareVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Prelaunch, ""), s_patience);
        Thread.Sleep(50);
        Assert.Equal((1, 0), (_machine.Resets, _machine.Vcpu(0).Runs));
        vm.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        AwaitCondition(() => Volatile.Read(ref _machine.Vcpu(0).Runs) > 0, s_patience);
    }

    [Fact]
    public void Vcpu_in_WFI_is_in_standby_until_it_is_woken()
    {
        IActorRef vm = Start();
        _machine.Vcpu(0).Script.Add(() => VcpuExit.WaitForInterrupt);
        AwaitAssert(() => Assert.Equal((VcpuState.Parked, CpuOperationalState.Standby), StateOfBootCpu(vm)), s_patience);
        _machine.Vcpu(0).Wake();
        AwaitAssert(() => Assert.Equal((VcpuState.Running, CpuOperationalState.On), StateOfBootCpu(vm)), s_patience);
        vm.Tell(new StopVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
        Assert.Equal((VcpuState.Paused, CpuOperationalState.On), StateOfBootCpu(vm));
    }

    private (VcpuState State, CpuOperationalState Oper) StateOfBootCpu(IActorRef vm)
    {
        vm.Tell(new GetVcpuStates(), TestActor);
        VcpuState state = ExpectMsg<VcpuStates>(s_patience).States[0];
        vm.Tell(new GetCpusPowerState(), TestActor);
        return (state, ExpectMsg<CpusPowerState>(s_patience).Oper[0]);
    }

    [Fact]
    public void Administrative_state_has_one_vocabulary()
    {
        IActorRef vm = Start();
        vm.Tell(new GetCpusPowerState(), TestActor);
        CpuAdminState[] admin = ExpectMsg<CpusPowerState>(s_patience).Admin;
        Assert.Equal([CpuAdminState.Enabled, CpuAdminState.Enabled, CpuAdminState.Removed, CpuAdminState.Removed], admin);
        for (int cpu = 0; cpu < admin.Length; cpu++)
        {
            vm.Tell(new GetVcpuStatus(cpu), TestActor);
            Assert.Equal(admin[cpu], ExpectMsg<VcpuStatus>(s_patience).Admin);
        }
    }

    [Fact]
    public void BoardDevices_are_those_of_the_boards_list()
    {
        Start().Tell(new GetBoardDevices(), TestActor);
        BoardDevices devices = ExpectMsg<BoardDevices>(s_patience);
        Assert.Equal(["arm-gicv3", "pl011", "pl031", "acpi-ged"], devices.Types);
        Assert.All(devices.Names, Assert.Empty);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Reset_of_a_machine_that_does_not_reboot_shuts_it_down(bool guest)
    {
        IActorRef vm = Start(shutdownOnReset: true);
        var published = CreateTestProbe();
        Sys.EventStream.Subscribe(published, typeof(VmShutdown));
        if (guest)
        {
            _machine.Vcpu(0).Script.Add(() => VcpuExit.SystemReset);
            AwaitStatus(vm, VmRunState.Shutdown);
            published.ExpectMsg(new VmShutdown(Guest: true, ShutdownCause.GuestReset));
        }
        else
        {
            vm.Tell(new ResetVm(), TestActor);
            ExpectMsg(new VmStatus(VmRunState.Shutdown, ""), s_patience);
            published.ExpectMsg(new VmShutdown(Guest: false, ShutdownCause.HostReset));
        }

        Assert.Equal(1, _machine.Resets);
    }

    [Fact]
    public void CpuOn_runs_the_other_cpu()
    {
        Start().Tell(new PowerOnVcpu(1, 0x1000, 7));
        AwaitCondition(() => Volatile.Read(ref _machine.Vcpu(1).Runs) > 2, s_patience);
    }

    [Fact]
    public void Stop_answers_only_when_no_vcpu_runs()
    {
        IActorRef vm = Start();
        vm.Tell(new PowerOnVcpu(1, 0, 0));
        for (int round = 0; round < 50; round++)
        {
            vm.Tell(new StopVm(), TestActor);
            ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
            Assert.False(_machine.ClockRuns);
            int runs = _machine.Vcpu(0).Runs + _machine.Vcpu(1).Runs;
            Assert.Equal(0, _machine.Vcpu(0).InRun + _machine.Vcpu(1).InRun);
            Thread.Sleep(2);
            Assert.Equal(runs, _machine.Vcpu(0).Runs + _machine.Vcpu(1).Runs);
            vm.Tell(new ContinueVm(), TestActor);
            ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
            AwaitCondition(() => Volatile.Read(ref _machine.Vcpu(0).Runs) + Volatile.Read(ref _machine.Vcpu(1).Runs) > runs, s_patience);
        }
    }

    [Fact]
    public void Translator_is_described_while_a_vcpu_runs()
    {
        IActorRef vm = Start();
        using var gate = new ManualResetEventSlim();
        _machine.Vcpu(0).Script.Add(() =>
        {
            gate.Wait();
            return VcpuExit.BudgetSpent;
        });
        vm.Tell(new GetJitDescription(), TestActor);
        ExpectMsg(new JitDescription("Blocks 1"), s_patience);
        gate.Set();
    }

    [Fact]
    public void Parked_vcpu_does_not_run_until_woken()
    {
        Start();
        FakeMachine.FakeVcpu cpu = _machine.Vcpu(0);
        cpu.Script.Add(() => VcpuExit.WaitForInterrupt);
        AwaitCondition(() => cpu.IsParked, s_patience);
        int runs = cpu.Runs;
        Thread.Sleep(50);
        Assert.Equal(runs, cpu.Runs);
        cpu.Wake();
        AwaitCondition(() => Volatile.Read(ref cpu.Runs) > runs, s_patience);
    }

    [Theory]
    [InlineData(VcpuExit.WaitForInterrupt)]
    [InlineData(VcpuExit.PageMissing)]
    public void Parked_vcpu_paused_and_resumed_parks_again(VcpuExit exit)
    {
        IActorRef vm = Start();
        FakeMachine.FakeVcpu cpu = _machine.Vcpu(0);
        cpu.Script.Add(() => exit);
        AwaitCondition(() => cpu.IsParked, s_patience);
        vm.Tell(new StopVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
        vm.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        int runs = cpu.Runs;
        cpu.Wake();
        AwaitCondition(() => Volatile.Read(ref cpu.Runs) > runs, s_patience);
    }

    [Fact]
    public void Vcpu_crash_makes_the_vm_internal_error_with_registers()
    {
        IActorRef vm = Start();
        _machine.Vcpu(0).Script.Add(() => throw new InvalidOperationException("boom"));
        AwaitStatus(vm, VmRunState.InternalError);
        vm.Tell(new GetVmStatus(), TestActor);
        string report = ExpectMsg<VmStatus>().Detail;
        Assert.Contains("cpu0: InvalidOperationException: boom", report, StringComparison.Ordinal);
        Assert.Contains("PC=00000000deadbeef", report, StringComparison.Ordinal);

        vm.Tell(new ContinueVm(), TestActor);
        ExpectMsg<VmCommandRejected>();
    }

    [Fact]
    public void System_off_shuts_the_vm_down()
    {
        IActorRef vm = Start();
        _machine.Vcpu(0).Script.Add(() => VcpuExit.SystemOff);
        AwaitStatus(vm, VmRunState.Shutdown);
        int runs = _machine.Vcpu(0).Runs;
        Thread.Sleep(30);
        Assert.Equal(runs, _machine.Vcpu(0).Runs);
    }

    [Fact]
    public void Guest_reset_resets_the_machine_and_runs_the_boot_cpu_again()
    {
        IActorRef vm = Start();
        _machine.Vcpu(0).Script.Add(() => VcpuExit.SystemReset);
        AwaitCondition(() => Volatile.Read(ref _machine.Resets) == 2, s_patience);
        AwaitStatus(vm, VmRunState.Running);
        int runs = _machine.Vcpu(0).Runs;
        AwaitCondition(() => Volatile.Read(ref _machine.Vcpu(0).Runs) > runs, s_patience);
    }
}

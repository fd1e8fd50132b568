using Akka.Actor;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Tests;

/// <summary>A VM with all its actors on a <see cref="FakeMachine"/>.</summary>
public abstract class VmTestKit : PatientTestKit
{
    protected static readonly TimeSpan s_patience = Patience.Limit;
    private protected readonly FakeMachine _machine = new(enabled: 2, possible: 4);

    protected IActorRef Make(Action<ReadOnlyMemory<byte>>? serialOutput = null, bool shutdownOnReset = false)
    {
        var options =
            new VmOptions(VcpuManager.VcpuDispatcher, Patience.Limit, serialOutput ?? (_ => { })) { ShutdownOnReset = shutdownOnReset };
        return Sys.ActorOf(Props.Create(() => new VmSupervisor(_machine, options)));
    }

    protected IActorRef Start(Action<ReadOnlyMemory<byte>>? serialOutput = null, bool shutdownOnReset = false)
    {
        IActorRef vm = Make(serialOutput, shutdownOnReset);
        vm.Tell(new StartVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        AwaitCondition(() => Volatile.Read(ref _machine.Vcpu(0).Runs) > 0, s_patience);
        return vm;
    }

    /// <summary>Returns the detail.</summary>
    protected string AwaitStatus(IActorRef vm, VmRunState runState)
    {
        string detail = "";
        AwaitAssert(
            () =>
            {
                vm.Tell(new GetVmStatus(), TestActor);
                VmStatus status = ExpectMsg<VmStatus>(s_patience);
                Assert.Equal(runState, status.RunState);
                detail = status.Detail;
            },
            s_patience);
        return detail;
    }

    /// <summary>The way out of internal-error.</summary>
    protected void ResetAndGoOn(IActorRef vm)
    {
        vm.Tell(new ResetVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Paused, ""), s_patience);
        int runs = Volatile.Read(ref _machine.Vcpu(0).Runs);
        vm.Tell(new ContinueVm(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.Running, ""), s_patience);
        AwaitCondition(() => Volatile.Read(ref _machine.Vcpu(0).Runs) > runs, s_patience);
    }

    protected void AwaitLog(string logged) => AwaitAssert(() => Assert.Contains(logged, _machine.Log), s_patience);

    protected void PlugAndConfirm(IActorRef vm, string id, int cpu)
    {
        vm.Tell(new PlugVcpu(id, cpu), TestActor);
        ExpectMsg(new HotplugAccepted(id, cpu), s_patience);
        AwaitLog($"insert {cpu}");
        _machine.Port.Ost(cpu, 1, 0);
        ExpectMsg(new HotplugOutcome(id, cpu, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0), s_patience);
    }
}

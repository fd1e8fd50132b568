using Akka.Actor;
using Vmm.Actors.Journals;
using Vmm.Actors.Migration;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Tests;

/// <summary>Two VMs and what is between them.</summary>
public abstract class MigrationTestKit : VmTestKit
{
    private protected readonly CuttableTransport _transport = new();
    private protected readonly FakeMigrationJournal _sourceJournal = new();
    private protected readonly FakeMigrationJournal _targetJournal = new();
    private protected FakeMachine _target = new(enabled: 2, possible: 4);
    private protected IActorRef _from = ActorRefs.Nobody;
    private protected IActorRef _to = ActorRefs.Nobody;
    private protected string _address = "";
    private protected TimeSpan _helloTimeout = Patience.Limit;

    // The source runs, the target waits.
    private protected void Open(bool start = true)
    {
        _from = MakeVm(_machine, _sourceJournal);
        _from.Tell(start ? new StartVm() : new PrepareVm(), TestActor);
        ExpectMsg<VmStatus>(s_patience);
        OpenTarget();
    }

    private protected void OpenTarget()
    {
        _to = MakeVm(_target, _targetJournal);
        _to.Tell(new PrepareIncoming(), TestActor);
        ExpectMsg(new VmStatus(VmRunState.InMigrate, ""), s_patience);
        Listen();
    }

    private protected void Listen()
    {
        _to.Tell(new ReceiveMigration("tcp:0"), TestActor);
        _address = ExpectMsg<MigrationStarted>(s_patience).Address;
    }

    private protected IActorRef MakeVm(FakeMachine machine, FakeMigrationJournal migrations, IDeviceMaker? devices = null)
    {
        var journal = new FakeJournal();
        journal.PowerOn(machine);
        var options = new VmOptions(VcpuManager.VcpuDispatcher, Patience.Limit, _ => { })
        {
            Journal = journal,
            Migration = _transport,
            MigrationJournal = migrations,
            MigrationHelloTimeout = _helloTimeout,
        };
        options = devices == null ? options : options with { DeviceMaker = devices };
        return Sys.ActorOf(Props.Create(() => new VmSupervisor(machine, options)));
    }

    private protected void Migrate()
    {
        _from.Tell(new StartMigration(_address, Resume: false), TestActor);
        ExpectMsg<MigrationStarted>(s_patience);
    }

    private protected MigrationInfo Info(IActorRef vm)
    {
        vm.Tell(new GetMigration(), TestActor);
        return ExpectMsg<MigrationInfo>(s_patience);
    }

    private protected VmStatus Status(IActorRef vm)
    {
        vm.Tell(new GetVmStatus(), TestActor);
        return ExpectMsg<VmStatus>(s_patience);
    }

    private protected MigrationInfo AwaitEnd(IActorRef vm)
    {
        MigrationInfo? info = null;
        AwaitCondition(() => (info = Info(vm)).Status is MigrationStatus.Completed or MigrationStatus.Failed or MigrationStatus.Cancelled);
        return info!;
    }

    private protected void Done(IActorRef vm, IProtocolMessage command)
    {
        vm.Tell(command, TestActor);
        ExpectMsg<MigrationCommandDone>(s_patience);
    }

    private protected string Rejection(IActorRef vm, IProtocolMessage command)
    {
        vm.Tell(command, TestActor);
        return ExpectMsg<VmCommandRejected>(s_patience).Reason;
    }

    private protected void RequireRuns(IActorRef vm, FakeMachine machine)
    {
        Assert.Equal(new VmStatus(VmRunState.Running, ""), Status(vm));
        int runs = Volatile.Read(ref machine.Vcpu(0).Runs);
        AwaitCondition(() => Volatile.Read(ref machine.Vcpu(0).Runs) > runs);
        Assert.True(machine.ClockRuns);
    }

    private protected void FillRam()
    {
        for (ulong page = 3; page < 200; page += 3)
        {
            _machine.Ram.Span(_machine.Ram.Start + (page << 12), 4096).Fill((byte)page);
        }
    }
}

/// <summary>A journal of migrations in memory whose disk can be full.</summary>
internal sealed class FakeMigrationJournal : IMigrationJournal
{
    private IMigrationEvent? _last;

    public volatile bool IsFull;

    public IMigrationEvent? Last => Volatile.Read(ref _last);

    public void Append(IMigrationEvent happened)
    {
        if (IsFull)
        {
            throw new JournalException(FakeJournal.Full);
        }

        Volatile.Write(ref _last, happened);
    }
}

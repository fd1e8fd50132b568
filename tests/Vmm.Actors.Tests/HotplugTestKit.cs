using Akka.Actor;
using Akka.TestKit;
using Vmm.Actors.Devices;
using Vmm.Actors.Hotplug;
using Vmm.Actors.Interrupts;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vcpu;

namespace Vmm.Actors.Tests;

/// <summary>A coordinator between the real vCPU, GIC and device actors of a <see cref="FakeMachine"/> whose guest the test plays.</summary>
public abstract class HotplugTestKit : PatientTestKit
{
    /// <summary>For a request that the test answers, however slow the host is; ms.</summary>
    protected const int NoTimeout = 3_600_000;

    private protected readonly FakeMachine _machine;
    private readonly IActorRef _vcpus;
    private readonly IActorRef _gic;
    private readonly IActorRef _devices;
    private readonly IActorRef _journalActor;
    private protected readonly FakeJournal _journal = new();

    protected HotplugTestKit()
        : this(new FakeMachine(enabled: 4, possible: 6))
    {
    }

    private protected HotplugTestKit(FakeMachine machine)
    {
        _machine = machine;
        _journal.PowerOn(machine);
        _journalActor = Sys.ActorOf(Props.Create(() => new JournalActor(_journal)));
        _vcpus = Sys.ActorOf(Props.Create(() => new VcpuManager(_machine, null)));
        _gic = Sys.ActorOf(Props.Create(() => new GicSupervisor(_machine)));
        Action<ReadOnlyMemory<byte>> nowhere = _ => { };
        _devices = Sys.ActorOf(Props.Create(() => new DeviceManager(_machine, nowhere)));
    }

    protected IActorRef Coordinator(int timeoutMs = NoTimeout, bool poweredOn = true, IActorRef? vcpus = null)
    {
        (IActorRef journal, IActorRef manager) = (_journalActor, vcpus ?? _vcpus);
        return Sys.ActorOf(Props.Create(() => new HotplugCoordinator(
            journal, _machine, manager, _gic, _devices, TimeSpan.FromMilliseconds(timeoutMs), poweredOn)));
    }

    protected void Await(string logged, int times = 1) =>
        AwaitAssert(() => Assert.Equal(times, _machine.Log.Count(l => l == logged)));

    protected void PlugAndConfirm(IActorRef coordinator, string id, int cpu, int times = 1)
    {
        coordinator.Tell(new PlugVcpu(id, cpu), TestActor);
        ExpectMsg(new HotplugAccepted(id, cpu));
        Await($"insert {cpu}", times);
        _machine.Port.Ost(cpu, 1, 0);
        Assert.Equal(new HotplugOutcome(id, cpu, HotplugOperation.Plug, HotplugOutcomeKind.Done, 0), NextButTimedOut());
    }

    /// <summary>
    /// How a request ended: where the coordinator has a short time-out, the test may have been too slow with the guest's answer.
    /// </summary>
    protected HotplugOutcome NextButTimedOut()
    {
        HotplugOutcome outcome = ExpectMsg<HotplugOutcome>();
        return outcome.Kind == HotplugOutcomeKind.TimedOut ? ExpectMsg<HotplugOutcome>() : outcome;
    }

    protected void RequestUnplug(IActorRef coordinator, string id, int cpu, int times = 1)
    {
        coordinator.Tell(new UnplugVcpu(id), TestActor);
        ExpectMsg(new HotplugAccepted(id, cpu));
        Await($"remove {cpu}", times);
    }

    protected VcpuState[] VcpuStates(TestProbe asker)
    {
        _vcpus.Tell(new GetVcpuStates(), asker);
        return asker.FishForMessage<VcpuStates>(_ => true).States;
    }

    protected string[] Plugged(IActorRef coordinator)
    {
        coordinator.Tell(new GetPluggedVcpus(), TestActor);
        return ExpectMsg<PluggedVcpus>().Ids;
    }

    protected void StopAndWait(IActorRef actor)
    {
        Watch(actor);
        Sys.Stop(actor);
        ExpectTerminated(actor);
    }
}

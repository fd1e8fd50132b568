using Akka.Actor;
using Akka.Persistence;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Hotplug;

/// <summary>
/// Carries out plug and unplug, one at a time, and reports how each ended. What has happened is in the journal, so a restarted
/// coordinator goes on where it was: every step towards the machine may be repeated.
/// <code>
/// plug:   vCPU actor (PSCI off) → GIC attach → Enabled, insert pending, GED → guest's _OST → done
/// unplug: remove pending, GED → guest offlines (CPU_OFF), _EJ0 → GIC detach → vCPU actor stops → done
/// </code>
/// </summary>
public sealed class HotplugCoordinator : ReceivePersistentActor, IWithTimers
{
    private sealed record PortRang;

    private sealed record Deadline(int Cpu, long StartedAt);

    private readonly IVmMachine _machine;
    private readonly ICpuHotplugPort _port;
    private readonly IActorRef _vcpus;
    private readonly IActorRef _gic;
    private readonly TimeSpan _timeout;
    private readonly Dictionary<int, IActorRef> _requesters = [];
    private HotplugState _state = HotplugState.Empty;

    /// <param name="timeout">After which a request that the guest has not answered is reported as timed out, still pending.</param>
    public HotplugCoordinator(string persistenceId, IVmMachine machine, IActorRef vcpus, IActorRef gic, TimeSpan timeout)
    {
        PersistenceId = persistenceId;
        _machine = machine;
        _port = machine.Hotplug ?? throw new ArgumentException("the machine has no CPU hotplug", nameof(machine));
        _vcpus = vcpus;
        _gic = gic;
        _timeout = timeout;

        Recover<IProtocolMessage>(e => _state = _state.Apply(e));
        Recover<RecoveryCompleted>(_ => Continue());

        Command<PlugVcpu>(Plug);
        Command<UnplugVcpu>(Unplug);
        Command<GetPluggedVcpus>(_ => Sender.Tell(new PluggedVcpus([.. _state.Plugged.Values], [.. _state.Plugged.Keys])));
        Command<VcpuReady>(ready => _gic.Tell(new AttachCpuInterface(ready.Cpu)));
        Command<CpuInterfaceAttached>(attached => _port.Insert(attached.Cpu));
        Command<CpuInterfaceDetached>(detached => _vcpus.Tell(new RemoveVcpu(detached.Cpu)));
        Command<VcpuRemoved>(removed => Finish(new UnplugCompleted(_state.Plugged[removed.Cpu], removed.Cpu, Now)));
        Command<PortRang>(_ => TakeEvents());
        Command<Deadline>(OnDeadline);
        Command<MachineWasReset>(_ => Cancel());
    }

    public override string PersistenceId { get; }

    public ITimerScheduler Timers { get; set; } = null!;

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    protected override void PreStart()
    {
        IActorRef self = Self;
        _port.Doorbell.Connect(() => self.Tell(new PortRang()));
        base.PreStart();
    }

    protected override void PostStop()
    {
        _port.Doorbell.Connect(null);
        base.PostStop();
    }

    private void Plug(PlugVcpu plug)
    {
        if (_state.RefusePlug(plug, _machine.PossibleCpus, _machine.IsEnabled, _machine.SlotName) is { } reason)
        {
            Sender.Tell(new HotplugRejected(plug.Id, reason));
        }
        else if (_state.Busy)
        {
            Stash.Stash();
        }
        else
        {
            Begin(new PlugStarted(plug.Id, plug.Cpu, Now), plug.Id, plug.Cpu);
        }
    }

    private void Unplug(UnplugVcpu unplug)
    {
        if (_state.RefuseUnplug(unplug, out int cpu) is { } reason)
        {
            Sender.Tell(new HotplugRejected(unplug.Id, reason));
        }
        else if (_state.Busy || _state.Pending.ContainsKey(cpu))
        {
            Stash.Stash();
        }
        else
        {
            Begin(new UnplugStarted(unplug.Id, cpu, Now), unplug.Id, cpu);
        }
    }

    private void Begin(IProtocolMessage started, string id, int cpu)
    {
        IActorRef requester = Sender;
        Persist(started, e =>
        {
            _state = _state.Apply(e);
            _requesters[cpu] = requester;
            requester.Tell(new HotplugAccepted(id, cpu));
            Drive(cpu, _state.Pending[cpu]);
        });
    }

    // The first step towards the machine, and the clock of the guest's answer.
    private void Drive(int cpu, PendingOperation pending)
    {
        if (pending.Plug)
        {
            _vcpus.Tell(new CreateVcpu(cpu));
        }
        else if (_machine.IsEnabled(cpu))
        {
            _port.RequestRemoval(cpu);
        }
        else
        {
            // Ejected before a restart of this actor.
            _gic.Tell(new DetachCpuInterface(cpu));
        }

        if (!pending.TimedOut)
        {
            long left = pending.StartedAt + (long)_timeout.TotalMilliseconds - Now;
            Timers.StartSingleTimer(cpu, new Deadline(cpu, pending.StartedAt), TimeSpan.FromMilliseconds(Math.Max(left, 0)));
        }
    }

    private void Continue()
    {
        foreach ((int cpu, PendingOperation pending) in _state.Pending)
        {
            Drive(cpu, pending);
        }
    }

    private void TakeEvents()
    {
        _port.Doorbell.Acknowledge();
        while (_port.TryTake(out CpuHotplugEvent happened))
        {
            if (happened.Ejected)
            {
                // Also without a request: the guest may eject a CPU that it was once asked for.
                if (_state.Plugged.ContainsKey(happened.Cpu))
                {
                    _gic.Tell(new DetachCpuInterface(happened.Cpu));
                }
            }
            else if (_state.DecideOst(happened.Cpu, happened.OstSource, happened.OstStatus, Now) is { } answer)
            {
                Finish(answer);
            }
        }
    }

    private void OnDeadline(Deadline deadline)
    {
        if (_state.Pending.TryGetValue(deadline.Cpu, out PendingOperation? pending)
            && pending.StartedAt == deadline.StartedAt && !pending.TimedOut)
        {
            Finish(new HotplugTimedOut(pending.Id, deadline.Cpu, Now));
        }
    }

    private void Cancel()
    {
        foreach ((int cpu, PendingOperation pending) in _state.Pending)
        {
            // A CPU that the guest ejected just before is gone whatever the guest does now; its teardown is under way.
            if (pending.Plug || _machine.IsEnabled(cpu))
            {
                Finish(new HotplugCancelled(pending.Id, cpu, Now));
            }
        }
    }

    private void Finish(IProtocolMessage happened) => Persist(happened, e =>
    {
        HotplugOutcome outcome = _state.OutcomeOf(e)!;
        _state = _state.Apply(e);
        if (_requesters.TryGetValue(outcome.Cpu, out IActorRef? requester))
        {
            requester.Tell(outcome);
            if (!_state.Pending.ContainsKey(outcome.Cpu))
            {
                _requesters.Remove(outcome.Cpu);
            }
        }

        Context.System.EventStream.Publish(outcome);
        Stash.UnstashAll();
    });
}

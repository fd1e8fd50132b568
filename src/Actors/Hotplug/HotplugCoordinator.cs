using Akka.Actor;
using Akka.Persistence;
using Vmm.Actors.Protocol;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Hotplug;

/// <summary>
/// Carries out plug and unplug, one at a time, and reports how each ended; it is also the actor of the CPU hotplug block, whose doorbell
/// it hears and which it resets. What has happened is in the journal, so a restarted coordinator goes on where it was: every step towards the machine may
/// be repeated.
/// <code>
/// plug, enable:    vCPU actor (PSCI off) → GIC attach → Enabled, insert pending → GED → guest's _OST → done
/// unplug, disable: remove pending → GED → guest offlines (CPU_OFF), _EJ0 → GIC detach → vCPU actor stops → done
/// </code>
/// A plug and an enabling, an unplug and a disabling are the same for the guest; they differ in what the CPU is for the administrator afterwards
/// (<see cref="HotplugState"/>).
/// </summary>
public sealed class HotplugCoordinator : ReceivePersistentActor, IWithTimers
{
    private sealed record PortRang;

    private sealed record Deadline(int Cpu, long StartedAt);

    private readonly IVmMachine _machine;
    private readonly ICpuHotplugPort _port;
    private readonly IActorRef _vcpus;
    private readonly IActorRef _gic;
    private readonly IActorRef _devices;
    private readonly TimeSpan _timeout;
    private readonly bool _poweredOn;
    private readonly PowerOnCpus _cpus;
    private readonly Dictionary<int, IActorRef> _requesters = [];

    // CPUs that the guest has given back and whose teardown is under way.
    private readonly HashSet<int> _leaving = [];

    // Who waits for the end of a reset; requests wait for it too.
    private IActorRef? _resetter;

    // Why this machine cannot be that of the journal.
    private string? _refusal;
    private HotplugState _state = HotplugState.Empty;

    // The last _OST of each CPU.
    private readonly int[] _ostSources;
    private readonly int[] _ostStatuses;

    /// <param name="persistenceId">Of the machine's journal.</param>
    /// <param name="devices">Passes <see cref="AnnounceCpuEvent"/> to the GED.</param>
    /// <param name="timeout">After which a request that the guest has not answered is reported as timed out, still pending.</param>
    /// <param name="poweredOn">
    /// True: the machine of the journal is running. False: it was another process's, and this machine's first reset makes what was plugged
    /// there part of it.
    /// </param>
    public HotplugCoordinator(
        string persistenceId, IVmMachine machine, IActorRef vcpus, IActorRef gic, IActorRef devices, TimeSpan timeout, bool poweredOn)
    {
        PersistenceId = persistenceId;
        _machine = machine;
        _port = machine.Hotplug ?? throw new ArgumentException("the machine has no CPU hotplug", nameof(machine));
        _vcpus = vcpus;
        _gic = gic;
        _devices = devices;
        _timeout = timeout;
        _poweredOn = poweredOn;
        _cpus = machine.PowerOnCpus;
        _ostSources = new int[machine.PossibleCpus];
        _ostStatuses = new int[machine.PossibleCpus];

        Recover<IProtocolMessage>(e => _state = _state.Apply(e));
        Recover<RecoveryCompleted>(_ => Continue());

        Command<PlugVcpu>(Plug);
        Command<UnplugVcpu>(Unplug);
        Command<SetVcpuAdmin>(Set);
        Command<GetCpusPowerState>(_ => DescribePower());
        Command<GetPluggedVcpus>(_ => Sender.Tell(new PluggedVcpus([.. _state.Plugged.Values], [.. _state.Plugged.Keys])));
        Command<GetAcpiOspmStatus>(_ => Sender.Tell(
            new AcpiOspmStatus([.. Enumerable.Range(0, machine.PossibleCpus).Select(IdOf)], [.. _ostSources], [.. _ostStatuses])));
        Command<VcpuReady>(ready => IsComing(ready.Cpu), ready => _gic.Tell(new AttachCpuInterface(ready.Cpu)));
        Command<CpuInterfaceAttached>(attached => IsComing(attached.Cpu), attached => Enable(attached.Cpu));
        Command<CpuInterfaceDetached>(detached => _leaving.Contains(detached.Cpu), detached => _vcpus.Tell(new RemoveVcpu(detached.Cpu)));
        Command<VcpuRemoved>(removed =>
        {
            if (!_leaving.Remove(removed.Cpu))
            {
                return;
            }

            if (_state.DecideLeft(removed.Cpu, _cpus, Now) is { } left)
            {
                Finish(left);
            }
            else
            {
                AnswerReset();
            }
        });
        Command<PortRang>(_ => TakeEvents());
        Command<Deadline>(OnDeadline);
        Command<ResetDevices>(Reset);
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

    // After these the actor stops without its supervisor being asked.
    protected override void OnRecoveryFailure(Exception reason, object? message = null)
    {
        Context.Parent.Tell(new PartFailed(Self.Path.Name, $"the hotplug journal cannot be read: {reason}"));
        base.OnRecoveryFailure(reason, message);
    }

    protected override void OnPersistFailure(Exception cause, object @event, long sequenceNr)
    {
        Context.Parent.Tell(new PartFailed(Self.Path.Name, $"the hotplug journal cannot be written: {cause}"));
        base.OnPersistFailure(cause, @event, sequenceNr);
    }

    private string IdOf(int cpu) => _state.Plugged.GetValueOrDefault(cpu, "");

    private bool ShouldBeEnabled(int cpu) => _state.AdminOf(cpu, _cpus) == CpuAdminState.Enabled;

    // CPUs that nobody has touched since power-on are not made by this actor.
    private bool IsComing(int cpu) => (_state.Plugged.ContainsKey(cpu) || _state.Admin.ContainsKey(cpu)) && IsThere(cpu);

    private bool IsThere(int cpu) => ShouldBeEnabled(cpu) && !_leaving.Contains(cpu);

    // As QEMU's messages have it.
    private string PlaceOf(int cpu)
    {
        string slot = _machine.SlotName(cpu);
        int start = slot.IndexOf('(', StringComparison.Ordinal);
        int end = slot.IndexOf(')', StringComparison.Ordinal);
        return start < 0 || end < start ? slot : slot[(start + 1)..end];
    }

    private void Plug(PlugVcpu plug)
    {
        if (_state.RefusePlug(plug, _cpus, _machine.SlotName) is { } reason)
        {
            Sender.Tell(new HotplugRejected(HotplugState.Legible(plug.Id), reason));
        }
        else if (_resetter != null || _state.Busy)
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
        if (_state.RefuseUnplug(unplug, _cpus, PlaceOf, out int cpu) is { } reason)
        {
            Sender.Tell(new HotplugRejected(HotplugState.Legible(unplug.Id), reason));
        }
        else if (_resetter != null || _state.Busy || _leaving.Contains(cpu))
        {
            Stash.Stash();
        }
        else
        {
            CancelPlug(cpu);
            Begin(new UnplugStarted(unplug.Id, cpu, Now), unplug.Id, cpu);
        }
    }

    private void Set(SetVcpuAdmin set)
    {
        int cpu = set.Cpu;
        string id = _state.NameOf(cpu);
        if (_state.RefuseSet(set, _cpus, PlaceOf, _machine.Description.CpuModel) is { } reason)
        {
            Sender.Tell(new HotplugRejected(id, reason));
        }
        else if (_resetter != null || _state.Busy || _leaving.Contains(cpu))
        {
            Stash.Stash();
        }
        else if (ShouldBeEnabled(cpu) == set.Enabled)
        {
            Sender.Tell(new HotplugAccepted(id, cpu));
            Tell(new HotplugOutcome(id, cpu, set.Enabled, "done", 0, Standby: true), Sender);
        }
        else
        {
            CancelPlug(cpu);
            Begin(set.Enabled ? new EnableStarted(id, cpu, Now) : new DisableStarted(id, cpu, Now), id, cpu);
        }
    }

    // The guest never answered: now it is to give the CPU back, whatever it thinks of it.
    private void CancelPlug(int cpu)
    {
        if (_state.Pending.TryGetValue(cpu, out PendingOperation? pending))
        {
            Finish(new HotplugCancelled(pending.Id, cpu, Now));
        }
    }

    private void DescribePower()
    {
        CpuAdminState[] admin = [.. Enumerable.Range(0, _cpus.Possible).Select(cpu => _state.AdminOf(cpu, _cpus))];
        _vcpus.Forward(new DescribeCpusPower(
            [.. admin.Select((state, cpu) => state == CpuAdminState.Removed ? "" : _state.NameOf(cpu))],
            [.. admin.Select(state => state.ToString().ToLowerInvariant())]));
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
            _devices.Tell(new AnnounceCpuEvent());
        }
        else
        {
            // Ejected before a restart of this actor, or never enabled.
            Leave(cpu);
        }

        if (!pending.TimedOut)
        {
            long left = pending.StartedAt + (long)_timeout.TotalMilliseconds - Now;
            Timers.StartSingleTimer(cpu, new Deadline(cpu, pending.StartedAt), TimeSpan.FromMilliseconds(Math.Max(left, 0)));
        }
    }

    private void Enable(int cpu)
    {
        if (_state.Pending.TryGetValue(cpu, out PendingOperation? pending) && pending.Plug)
        {
            _port.Insert(cpu);
            _devices.Tell(new AnnounceCpuEvent());
        }
        else
        {
            // A reset came first, or this is power-on: the guest looks at all CPUs when it boots.
            _port.Enable(cpu);
        }

        AnswerReset();
    }

    private void Leave(int cpu)
    {
        if (_leaving.Add(cpu))
        {
            _gic.Tell(new DetachCpuInterface(cpu));
        }
    }

    private void Continue()
    {
        if (!_poweredOn)
        {
            _refusal = _state.RefusePowerOn(_cpus);
            PlugFromPowerOn();
            return;
        }

        for (int cpu = 0; cpu < _cpus.Possible; cpu++)
        {
            if (_state.Pending.TryGetValue(cpu, out PendingOperation? pending))
            {
                Drive(cpu, pending);
            }
            else if (ShouldBeEnabled(cpu) && !_machine.IsEnabled(cpu))
            {
                // Given back without having been asked for, before a restart of this actor.
                Leave(cpu);
            }
        }
    }

    // What the machine is made with, if it is not there from its predecessor.
    private void PlugFromPowerOn()
    {
        foreach (PlugVcpu plug in _cpus.Plugged.Where(p => _refusal == null && _state.Plugged.GetValueOrDefault(p.Cpu) != p.Id))
        {
            if (_state.RefusePlug(plug, _cpus, _machine.SlotName) is { } reason)
            {
                _refusal = $"the saved state has no room for '{plug.Id}': {reason}";
                return;
            }

            // In the state at once, for the next of them; in the journal before the first reset.
            IProtocolMessage[] happened = [new PlugStarted(plug.Id, plug.Cpu, Now), new PlugConfirmed(plug.Id, plug.Cpu, Now)];
            _state = happened.Aggregate(_state, (state, e) => state.Apply(e));
            PersistAll(happened, _ => { });
        }
    }

    // False: it stopped at an event that is being written, and goes on with the others in another turn, for they are to be seen in the state after it.
    private bool TakeEvents()
    {
        _port.Doorbell.Acknowledge();
        while (_port.TryTake(out CpuHotplugEvent happened))
        {
            if (Decide(happened) is { } decided)
            {
                Finish(decided);
                Self.Tell(new PortRang());
                return false;
            }
        }

        return true;
    }

    private IProtocolMessage? Decide(CpuHotplugEvent happened)
    {
        int cpu = happened.Cpu;
        if (!happened.Ejected)
        {
            _ostSources[cpu] = happened.OstSource;
            _ostStatuses[cpu] = happened.OstStatus;
            Context.System.EventStream.Publish(new AcpiDeviceOst(IdOf(cpu), cpu, happened.OstSource, happened.OstStatus));
            return _state.DecideOst(cpu, happened.OstSource, happened.OstStatus, Now);
        }

        // Also without a request: the guest may eject a CPU that it was once asked for.
        if (IsThere(cpu))
        {
            Leave(cpu);
            if (_state.Pending.TryGetValue(cpu, out PendingOperation? pending) && pending.Plug)
            {
                return new HotplugCancelled(pending.Id, cpu, Now);
            }
        }

        return null;
    }

    private void OnDeadline(Deadline deadline)
    {
        if (_state.Pending.TryGetValue(deadline.Cpu, out PendingOperation? pending)
            && pending.StartedAt == deadline.StartedAt && !pending.TimedOut)
        {
            Finish(new HotplugTimedOut(pending.Id, deadline.Cpu, Now));
        }
    }

    // What the guest did before the reset counts; what it was asked is forgotten. The machine goes on when each plugged CPU is enabled, and no other.
    private void Reset(ResetDevices reset)
    {
        if (!TakeEvents())
        {
            Self.Forward(reset);
            return;
        }

        if (_refusal != null)
        {
            Sender.Tell(new DevicesReset(_refusal));
            return;
        }

        _resetter = Sender;
        _port.Reset();
        Array.Clear(_ostSources);
        Array.Clear(_ostStatuses);
        foreach ((int cpu, PendingOperation pending) in _state.Pending)
        {
            // A CPU that the guest ejected just before is gone whatever the guest does now.
            if (!_leaving.Contains(cpu))
            {
                Finish(new HotplugCancelled(pending.Id, cpu, Now));
            }
        }

        for (int cpu = 0; cpu < _cpus.Possible; cpu++)
        {
            if (ShouldBeEnabled(cpu) == _machine.IsEnabled(cpu) || _leaving.Contains(cpu))
            {
                continue;
            }

            if (ShouldBeEnabled(cpu))
            {
                _vcpus.Tell(new CreateVcpu(cpu));
            }
            else
            {
                // Power-on after another process's machine: it was disabled or unplugged there.
                _port.Disable(cpu);
                Leave(cpu);
            }
        }

        AnswerReset();
    }

    private void AnswerReset()
    {
        if (_resetter != null && _state.Pending.IsEmpty && _leaving.Count == 0
            && Enumerable.Range(0, _cpus.Possible).All(cpu => ShouldBeEnabled(cpu) == _machine.IsEnabled(cpu)))
        {
            _resetter.Tell(new DevicesReset(""));
            _resetter = null;
            Stash.UnstashAll();
        }
    }

    private void Finish(IProtocolMessage happened) => Persist(happened, e =>
    {
        HotplugOutcome outcome = _state.OutcomeOf(e)!;
        _state = _state.Apply(e);
        Tell(outcome, _requesters.GetValueOrDefault(outcome.Cpu, ActorRefs.Nobody));
        if (!_state.Pending.ContainsKey(outcome.Cpu))
        {
            _requesters.Remove(outcome.Cpu);
        }

        Stash.UnstashAll();
        AnswerReset();
    });

    private static void Tell(HotplugOutcome outcome, IActorRef requester)
    {
        requester.Tell(outcome);
        Context.System.EventStream.Publish(outcome);
    }
}

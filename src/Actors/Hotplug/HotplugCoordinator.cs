using Akka.Actor;
using Vmm.Actors.Hosting;
using Vmm.Actors.Protocol;
using Vmm.Actors.Snapshots;
using Vmm.Actors.Vm;

namespace Vmm.Actors.Hotplug;

/// <summary>
/// Carries out plugs and unplugs, those of different CPUs independently of each other, and reports how each ended. It is also the actor of
/// the CPU hotplug block: it hears the block's doorbell and resets the block. The journal (<see cref="JournalActor"/>) holds what has
/// happened, so a restarted coordinator goes on where the last one was. For that every step towards the machine may be repeated.
/// <code>
/// plug, enable:    vCPU actor (PSCI off) → GIC attach → Enabled, insert pending → GED → guest's _OST → done
/// unplug, disable: remove pending → GED → guest offlines (CPU_OFF), _EJ0 → GIC detach → vCPU actor stops → done
/// </code>
/// A plug is the same as an enabling for the guest, and an unplug the same as a disabling. They differ in what the CPU is for the
/// administrator afterwards (<see cref="HotplugState"/>).
/// <para>
/// <b>Requests are answered at once</b>, whether or not the machine runs, and whatever other requests wait for. A request waits only for a
/// write that is under way and for a reset, which are both short. A request that cannot be written is rejected and has no effect.
/// </para>
/// <para>
/// <b>Events of one CPU are told in the order in which the guest caused them</b>, each outcome as soon as it is in the journal. The _OST
/// that answers a plug comes before the plug's outcome. The _OST in which the guest says that it ejects comes before the unplug's outcome,
/// and the _OST after _EJ0 comes behind it, as with QEMU.
/// </para>
/// </summary>
public sealed partial class HotplugCoordinator : MessageActor, IWithTimers, IWithUnboundedStash
{
    private sealed record PortRang;

    private sealed record Deadline(int Cpu, long StartedAt);

    // A request that is being written: its events, and whoever is to be answered.
    private sealed record Request(IReadOnlyList<IHotplugEvent> Events, IActorRef Requester, string Id, int Cpu);

    private readonly IVmMachine _machine;
    private readonly ICpuHotplugPort _port;
    private readonly IActorRef _journal;
    private readonly IActorRef _vcpus;
    private readonly IActorRef _gic;
    private readonly IActorRef _devices;
    private readonly TimeSpan _timeout;
    private readonly bool _poweredOn;
    private readonly bool _loaded;
    private readonly PowerOnCpus _cpus;
    private readonly Dictionary<int, IActorRef> _requesters = [];

    // CPUs whose vCPU and GIC interface are being made.
    private readonly HashSet<int> _coming = [];

    // CPUs that the guest has given back and whose teardown is under way.
    private readonly HashSet<int> _leaving = [];

    // By CPU: how many facts are not in the journal yet.
    private readonly int[] _untold;

    // True while the journal cannot be written and facts wait for it.
    private bool _factsWait;

    private readonly WaitingEvents _waiting = new();

    // The state by the journal. Only this may be told.
    private HotplugState _written = HotplugState.Empty;

    // The state of the journal with the facts that are still to be written. Every decision is made by it.
    private HotplugState _state = HotplugState.Empty;

    // The sender of the reset that is under way, or null. Requests wait for its end too.
    private IActorRef? _resetter;
    private Request? _request;

    // Whether the guest runs. The time that the guest has for an answer counts only then.
    private bool _running = true;

    private readonly LastOst _lastOst;
    private readonly CpuSteps _steps = new(Context.System.EventStream);

    /// <param name="journal">A <see cref="JournalActor"/>, which outlives this actor.</param>
    /// <param name="devices">Passes <see cref="AnnounceCpuEvent"/> to the GED.</param>
    /// <param name="timeout">How long the guest has for an answer. After that the request is reported as timed out, and stays
    /// pending.</param>
    /// <param name="loaded">
    /// Null, or what the guest said last of each CPU in a snapshot. Its machine was loaded: all that the guest has been told is in it.
    /// </param>
    /// <param name="poweredOn">
    /// Whether the machine that the journal tells of is running. If not, it was another process's machine, and the first reset of this one
    /// makes the CPUs that were plugged there part of it.
    /// </param>
    public HotplugCoordinator(
        IActorRef journal, IVmMachine machine, IActorRef vcpus, IActorRef gic, IActorRef devices, TimeSpan timeout, bool poweredOn,
        LastOst? loaded = null)
    {
        _machine = machine;
        _port = machine.Hotplug ?? throw new ArgumentException("the machine has no CPU hotplug", nameof(machine));
        _journal = journal;
        _vcpus = vcpus;
        _gic = gic;
        _devices = devices;
        _timeout = timeout;
        _poweredOn = poweredOn;
        _cpus = machine.PowerOnCpus;
        _untold = new int[machine.PossibleCpus];
        _loaded = loaded != null;
        _lastOst = loaded ?? new LastOst(machine.PossibleCpus);
        Become(Reading);
    }

    public ITimerScheduler Timers { get; set; } = null!;

    public IStash Stash { get; set; } = null!;

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    protected override void PreStart()
    {
        _journal.Tell(new ReadJournal());
        Context.System.EventStream.Subscribe(Self, typeof(VmStatus));
        Context.System.EventStream.Subscribe(Self, typeof(PowerOnVcpu));
        IActorRef self = Self;
        _port.Doorbell.Connect(() => self.Tell(new PortRang()));
    }

    protected override void PostStop()
    {
        _port.Doorbell.Connect(null);
        Context.System.EventStream.Unsubscribe(Self);
    }

    // A request that makes this actor fail is answered too. Nothing of it has been written.
    protected override bool AroundReceive(Receive receive, object message)
    {
        try
        {
            return base.AroundReceive(receive, message);
        }
        catch (Exception e) when (message is PlugVcpu or UnplugVcpu or SetVcpuAdmin)
        {
            Sender.Tell(new HotplugRejected("", RejectionCode.InternalError, e.Message));
            throw;
        }
    }

    private void Reading()
    {
        Receive<JournalContents>(journal =>
        {
            _written = journal.Written;
            _state = _written.Apply(journal.Unwritten);
            _factsWait = !journal.Unwritten.IsEmpty;
            foreach (IHotplugEvent fact in journal.Unwritten)
            {
                _untold[fact.Cpu]++;
            }

            Become(Ready);
            Continue();
            Stash.UnstashAll();
        });
        ReceiveAny(_ => Stash.Stash());
    }

    private void Ready()
    {
        Receive<PlugVcpu>(Plug);
        Receive<UnplugVcpu>(Unplug);
        Receive<SetVcpuAdmin>(Set);
        Receive<VcpuReady>(ready => IsComing(ready.Cpu), Attach);
        Receive<CpuInterfaceAttached>(attached => IsComing(attached.Cpu), attached => Enable(attached.Cpu));
        Receive<CpuInterfaceDetached>(detached => _leaving.Contains(detached.Cpu), Free);
        Receive<VcpuRemoved>(removed => _leaving.Contains(removed.Cpu), removed => Left(removed.Cpu));
        Receive<PortRang>(_ => TakeEvents());
        Receive<Deadline>(TimeOut);
        Receive<VmStatus>(status => FollowRunState(status.RunState == VmRunState.Running));
        Receive<ResetDevices>(_ => Reset());
        Receive<FreezeHotplug>(_ => BeginFreeze());
        Receive<ThawHotplug>(_ => Thaw());
        Receive<EventsWritten>(TellWritten);
        Receive<FactsNotWritten>(_ => LetFactsWait());
        Queries();
    }

    private void LetFactsWait()
    {
        _factsWait = true;
        AnswerReset();
    }

    private void Writing()
    {
        Receive<EventsWritten>(written => written.OfRequest, written =>
        {
            Request request = _request!;
            _state = _state.Apply(request.Events);
            TellWritten(written);
            _requesters[request.Cpu] = request.Requester;
            request.Requester.Tell(new HotplugAccepted(request.Id, request.Cpu));
            _steps.Take(request.Cpu, CpuStep.Accepted);
            Drive(request.Cpu, _state.Pending[request.Cpu]);
            EndWriting();
        });
        Receive<EventsWritten>(TellWritten);
        Receive<FactsNotWritten>(_ => LetFactsWait());
        Receive<RequestNotWritten>(not =>
        {
            _request!.Requester.Tell(new HotplugRejected(_request.Id, RejectionCode.NotWritten, not.Reason));
            EndWriting();
        });
        Queries();
        ReceiveAny(_ => Stash.Stash());
    }

    private void EndWriting()
    {
        _request = null;
        Become(Ready);
        foreach (int cpu in _waiting.Cpus)
        {
            TakeWaiting(cpu);
        }

        Stash.UnstashAll();
    }

    // Queries are answered by what is in the journal.
    private void Queries()
    {
        Receive<PowerOnVcpu>(on => _steps.Take(on.Cpu, CpuStep.PoweredOn));
        Receive<GetCpusPowerState>(_ => _vcpus.Forward(_written.DescribePower(_cpus)));
        Receive<GetVcpuStatus>(get => _vcpus.Forward(new DescribeVcpuStatus(get.Cpu, _written.AdminOf(get.Cpu, _cpus))));
        Receive<GetPluggedVcpus>(_ => Sender.Tell(new PluggedVcpus([.. _written.Plugged.Values], [.. _written.Plugged.Keys])));
        Receive<GetAcpiOspmStatus>(_ =>
        {
            string[] ids = [.. Enumerable.Range(0, _machine.PossibleCpus).Select(cpu => IdOf(_written, cpu))];
            Sender.Tell(new AcpiOspmStatus(ids, _lastOst.Sources, _lastOst.Statuses));
        });
    }

    private static string IdOf(HotplugState state, int cpu) => state.Plugged.GetValueOrDefault(cpu, "");

    private bool ShouldBeEnabled(int cpu) => _state.AdminOf(cpu, _cpus) == CpuAdminState.Enabled;

    private bool IsComing(int cpu) => _coming.Contains(cpu) && IsThere(cpu);

    private bool IsThere(int cpu) => ShouldBeEnabled(cpu) && !_leaving.Contains(cpu);

    private void Plug(PlugVcpu plug) =>
        Begin(_state.RefusePlug(plug, _cpus), HotplugState.Legible(plug.Id), new PlugStarted(plug.Id, plug.Cpu, Now), plug.Trace);

    private void Unplug(UnplugVcpu unplug)
    {
        Rejection? why = _state.RefuseUnplug(unplug, _cpus, out int cpu) ?? RefuseLeaving(cpu);
        Begin(why, HotplugState.Legible(unplug.Id), new UnplugStarted(unplug.Id, cpu, Now), unplug.Trace);
    }

    private void Set(SetVcpuAdmin set)
    {
        int cpu = set.Cpu;
        string id = _state.NameOf(cpu);
        Rejection? why = _state.RefuseSet(set, _cpus) ?? RefuseLeaving(cpu);
        if (why == null && ShouldBeEnabled(cpu) == set.Enabled && !_state.Pending.ContainsKey(cpu))
        {
            Sender.Tell(new HotplugAccepted(id, cpu));
            Tell(new HotplugOutcome(id, cpu, HotplugOperations.Of(set), HotplugOutcomeKind.Done, 0), Sender);
        }
        else
        {
            Begin(why, id, set.Enabled ? new EnableStarted(id, cpu, Now) : new DisableStarted(id, cpu, Now), set.Trace);
        }
    }

    private Rejection? RefuseLeaving(int cpu) => _leaving.Contains(cpu) ? _state.AlreadyLeaving(cpu) : null;

    // Rejects the request with `why`; if that is null, writes it to the journal.
    private void Begin(Rejection? why, string id, IHotplugEvent started, string trace)
    {
        if (why != null)
        {
            Sender.Tell(HotplugRejected.Of(id, why));
            return;
        }

        if (_resetter != null || _freezer != null)
        {
            Stash.Stash();
            return;
        }

        _steps.Begin(started.Cpu, trace);

        // The guest has not answered a plug, and is now asked to give the CPU back. The unplug replaces the plug, which is cancelled.
        bool leaves = started is UnplugStarted or DisableStarted;
        IHotplugEvent[] events = leaves && _state.Pending.TryGetValue(started.Cpu, out PendingOperation? pending) && pending.Comes
            ? [new HotplugCancelled(pending.Id, started.Cpu, Now), started]
            : [started];
        _request = new Request(events, Sender, started.Id, started.Cpu);
        _journal.Tell(new WriteRequest(events));
        Become(Writing);
    }

    // Takes the first step towards the machine, and starts the time that the guest has for an answer.
    private void Drive(int cpu, PendingOperation pending)
    {
        if (pending.Comes && _machine.IsEnabled(cpu))
        {
            Announce(cpu);
        }
        else if (pending.Comes)
        {
            Come(cpu);
        }
        else if (_machine.IsEnabled(cpu))
        {
            _port.RequestRemoval(cpu);
            Notify(cpu);
        }
        else
        {
            // The CPU was ejected before this actor was restarted, or it was never enabled.
            Leave(cpu);
        }

        StartClock(cpu, pending);
    }

    private void StartClock(int cpu, PendingOperation pending)
    {
        if (_running && !pending.TimedOut)
        {
            Timers.StartSingleTimer(cpu, new Deadline(cpu, pending.StartedAt), _timeout);
        }
    }

    private void FollowRunState(bool running)
    {
        if (running == _running)
        {
            return;
        }

        _running = running;
        foreach ((int cpu, PendingOperation pending) in _state.Pending)
        {
            Timers.Cancel(cpu);
            StartClock(cpu, pending);
        }
    }

    private void TimeOut(Deadline deadline)
    {
        int cpu = deadline.Cpu;
        if (!_state.Pending.TryGetValue(cpu, out PendingOperation? pending) || pending.TimedOut || pending.StartedAt != deadline.StartedAt)
        {
            return;
        }

        var late = new HotplugTimedOut(pending.Id, cpu, Now);
        HotplugOutcome outcome = _state.OutcomeOf(late)!;
        _state = _state.Apply(late);
        _written = _written.Apply(late);
        Tell(outcome, Requester(cpu));
    }

    private void Come(int cpu)
    {
        if (_coming.Add(cpu))
        {
            _vcpus.Tell(new CreateVcpu(cpu));
        }
    }

    private void Attach(VcpuReady ready)
    {
        _steps.Take(ready.Cpu, CpuStep.VcpuMade);
        _gic.Tell(new AttachCpuInterface(ready.Cpu));
    }

    private void Enable(int cpu)
    {
        _steps.Take(cpu, CpuStep.InterfaceAttached);

        // The guest may have given the CPU back before this actor was restarted. It is not enabled again then.
        TakeEvents();
        if (!IsComing(cpu) || _waiting.HasEject(cpu))
        {
            return;
        }

        _coming.Remove(cpu);
        if (_resetter == null && _state.Pending.TryGetValue(cpu, out PendingOperation? pending) && pending.Comes)
        {
            Announce(cpu);
            AnswerFreeze();
            return;
        }

        // A reset came first, or this is the power-on. The guest looks at all CPUs when it boots, so no event tells it of this one.
        _port.Enable(cpu);
        ConfirmPlug(cpu);
        AnswerReset();
    }

    private void Announce(int cpu)
    {
        _port.Insert(cpu);
        Notify(cpu);
    }

    private void Notify(int cpu)
    {
        _devices.Tell(new AnnounceCpuEvent());
        _steps.Take(cpu, CpuStep.GuestNotified);
    }

    // A reset ends a plug as done: the guest that boots finds the CPU enabled, whether or not the last guest had noticed it.
    private void ConfirmPlug(int cpu)
    {
        if (_state.Pending.TryGetValue(cpu, out PendingOperation? pending) && pending.Comes)
        {
            Record(new PlugConfirmed(pending.Id, cpu, Now));
        }
    }

    private void Leave(int cpu)
    {
        if (_leaving.Add(cpu))
        {
            _coming.Remove(cpu);
            _gic.Tell(new DetachCpuInterface(cpu));
        }
    }

    private void Free(CpuInterfaceDetached detached)
    {
        _steps.Take(detached.Cpu, CpuStep.InterfaceDetached);
        _vcpus.Tell(new RemoveVcpu(detached.Cpu));
    }

    private void Left(int cpu)
    {
        _steps.Take(cpu, CpuStep.VcpuFreed);
        _leaving.Remove(cpu);
        if (_state.DecideLeft(cpu, _cpus, Now) is { } left)
        {
            Record(left);
        }

        TakeWaiting(cpu);
        AnswerReset();
    }

    private void Continue()
    {
        if (!_poweredOn)
        {
            return;
        }

        for (int cpu = 0; cpu < _cpus.Possible; cpu++)
        {
            if (_state.Pending.TryGetValue(cpu, out PendingOperation? pending))
            {
                if (_loaded)
                {
                    StartClock(cpu, pending);
                }
                else
                {
                    Drive(cpu, pending);
                }
            }
            else if (ShouldBeEnabled(cpu) && !_machine.IsEnabled(cpu))
            {
                // The guest gave the CPU back without a request, before this actor was restarted.
                Leave(cpu);
            }
        }
    }

    // Takes what the guest did before the reset, and forgets what the guest was asked. The machine goes on when exactly the CPUs that
    // should be enabled are.
    private void Reset()
    {
        TakeEvents();
        foreach (int cpu in _waiting.Cpus)
        {
            // Events no longer wait for the journal, not even an eject.
            while (_waiting.TryTake(cpu, out CpuHotplugEvent happened))
            {
                Take(happened);
            }
        }

        _resetter = Sender;
        _port.Reset();
        _lastOst.Clear();
        foreach ((int cpu, PendingOperation pending) in _state.Pending)
        {
            // A CPU that the guest ejected just before the reset leaves. A CPU that is being plugged and is not enabled yet comes.
            if (!_leaving.Contains(cpu) && !pending.Comes)
            {
                Record(new HotplugCancelled(pending.Id, cpu, Now));
            }
            else if (!_leaving.Contains(cpu) && _machine.IsEnabled(cpu))
            {
                ConfirmPlug(cpu);
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
                Come(cpu);
            }
            else
            {
                // This is the power-on after another process's machine, in which the CPU was disabled or unplugged.
                _port.Disable(cpu);
                Leave(cpu);
            }
        }

        AnswerReset();
    }

    // Ends the reset when every CPU is where it should be. Outcomes are told before that, unless the journal cannot be written.
    private void AnswerReset()
    {
        AnswerFreeze();
        if (_resetter != null && _state.Pending.IsEmpty && _leaving.Count == 0 && (_factsWait || !Array.Exists(_untold, facts => facts > 0))
            && Enumerable.Range(0, _cpus.Possible).All(cpu => ShouldBeEnabled(cpu) == _machine.IsEnabled(cpu)))
        {
            _resetter.Tell(new DevicesReset(""));
            _resetter = null;
            Stash.UnstashAll();
        }
    }

    // Notes a fact. It counts at once, and is told when it is written.
    private void Record(IHotplugEvent happened)
    {
        _state = _state.Apply(happened);
        _untold[happened.Cpu]++;
        Timers.Cancel(happened.Cpu);
        _journal.Tell(new WriteFact(happened));
    }

    private void TellWritten(EventsWritten written)
    {
        _factsWait = false;
        foreach (IHotplugEvent happened in written.Events)
        {
            int cpu = happened.Cpu;
            HotplugOutcome? outcome = _written.OutcomeOf(happened);
            _written = _written.Apply(happened);
            if (outcome != null)
            {
                Tell(outcome, Requester(cpu));
            }

            if (!_written.Pending.ContainsKey(cpu))
            {
                _requesters.Remove(cpu);
            }
        }

        int facts = written.Events.Count - (written.OfRequest ? _request!.Events.Count : 0);
        foreach (IHotplugEvent fact in written.Events.Take(facts))
        {
            _untold[fact.Cpu]--;
            TakeWaiting(fact.Cpu);
        }

        AnswerReset();
    }

    private IActorRef Requester(int cpu) => _requesters.GetValueOrDefault(cpu, ActorRefs.Nobody);

    private static void Tell(HotplugOutcome outcome, IActorRef requester)
    {
        requester.Tell(outcome);
        Context.System.EventStream.Publish(outcome);
    }
}

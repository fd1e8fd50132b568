using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Persistence;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Scaling;
using Vmm.Fleet.Telemetry;

namespace Vmm.Fleet.Records;

/// <summary>
/// The record of one VM: who owns it, what it is to be, and each request with its outcome. It is the only one that asks agents for
/// anything: it repeats a step of an operation until the agent has told of its end, and starts by the VM's policy what has failed.
/// </summary>
internal sealed partial class VmEntity : UntypedPersistentActor, IWithTimers
{
    private const string PersistencePrefix = "vm-";
    private const int MostOpen = 32;

    // How long an agent is waited for before it is asked again; it answers a request that is known with its end.
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(5);

    // A VM that fails again and again is started again after one second, two, four and so on, at most after one minute.
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMinutes(1);

    // How long nobody has spoken to a record that is looked at.
    private static readonly TimeSpan s_rest = TimeSpan.FromMinutes(1);

    private readonly string _vm;
    private readonly INodes _nodes;
    private readonly ICanTell _accounts;
    private readonly VmState _state = new();
    private readonly Dictionary<string, OperationStep> _steps = new(StringComparer.Ordinal);
    private readonly OpenSpans _spans = new();
    private CpuGrants _grants;

    // What the node that owns the VM has told; null until it has.
    private VmReport? _seen;

    // Starts by the policy since the VM was asked for, or last ran for long enough.
    private int _failures;

    // The step that waits until all that the VM has used is counted.
    private (string Operation, OperationStep Step)? _last;

    /// <param name="accounts">The accounts of owners, which take <see cref="IAccountMessage"/>.</param>
    public VmEntity(string vm, INodes nodes, ICanTell accounts)
    {
        (_vm, _nodes, _accounts) = (vm, nodes, accounts);
        _grants = new CpuGrants(vm, accounts, Self);
    }

    public override string PersistenceId => PersistenceIdOf(_vm);

    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>The id under which the events of a VM are kept.</summary>
    public static string PersistenceIdOf(string vm) => $"{PersistencePrefix}{vm}";

    /// <summary>The VM whose events are kept under an id; null if it is of something else.</summary>
    public static string? VmOf(string persistenceId) =>
        persistenceId.StartsWith(PersistencePrefix, StringComparison.Ordinal) ? persistenceId[PersistencePrefix.Length..] : null;

    protected override void PreStart()
    {
        base.PreStart();
        Context.SetReceiveTimeout(s_rest);
        Timers.StartPeriodicTimer(nameof(LookAfter), new LookAfter(), s_lookAfter);
    }

    private sealed record SendAgain;

    private sealed record FollowPolicy;

    /// <summary>A VM that is to be made where the placement says.</summary>
    private sealed record Placed(CreateVm Create);

    /// <summary>The VM has run for so long that it is as good as one that was just started.</summary>
    private sealed record Healthy;

    private sealed record MakeScaler;

    private VmLocated Nowhere => new(_vm, "", 0, 0, IsWanted: false, null);

    // A scaler that has failed is made anew: it keeps nothing that is not told again.
    protected override SupervisorStrategy SupervisorStrategy() => Akka.Actor.SupervisorStrategy.StoppingStrategy;

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    protected override void OnRecover(object message)
    {
        switch (message)
        {
            case IVmRecordEvent happened:
                _state.Apply(_vm, happened);
                break;
            case RecoveryCompleted when _state.Exists:
                TellScaler();
                foreach (VmOperation operation in _state.Open)
                {
                    Begin(operation);
                }

                break;
        }
    }

    protected override void OnCommand(object message)
    {
        switch (message)
        {
            case CreateVm create:
                Create(create, isPlaced: false);
                break;
            case Placed placed:
                Create(placed.Create, isPlaced: true);
                break;
            case CommandVm command:
                Take(command);
                break;
            case LookAfter:
                Watch();
                break;
            case NodeFenced fenced:
                Lose(fenced);
                break;
            case Replaced replaced:
                Replace(replaced);
                break;
            case ReceiveTimeout:
                Rest();
                break;
            case EndEntity:
                Context.Stop(Self);
                break;
            case GetVm:
                Sender.Tell(_state.Exists ? Describe() : NotFound());
                break;
            case GetVmHistory:
                Sender.Tell(_state.Exists ? History() : NotFound());
                break;
            case VmScaled decided:
                Note(decided);
                break;
            case GetOperation get:
                Sender.Tell(_state.Find(get.Id)
                    ?? (object)new VmRejected(_vm, VmRejectionCode.NotFound, $"VM '{_vm}' has no operation '{get.Id}'"));
                break;
            case SetScaling set:
                Set(set);
                break;
            case VmRejected nowhere:
                Sender.Tell(nowhere);
                break;
            case RequestEnded ended:
                EndStep(ended);
                break;
            case CpusAnswered answer:
                TakeGrant(answer);
                break;
            case ScalingDecision decision:
                Scale(decision);
                break;
            case VmScaler.Drained when _last is { } last:
                _last = null;
                Step(last.Operation, last.Step);
                break;
            case VmSeen seen:
                See(seen);
                break;
            case VmReport report when Sender.Equals(_nodes.Find(_state.Node)):
                See(new VmSeen(_vm, _state.Node, report));
                break;
            case Healthy:
                _failures = 0;
                break;
            case Terminated ended when ended.ActorRef.Equals(_scaler):
                _scaler = null;
                Timers.StartSingleTimer(nameof(MakeScaler), new MakeScaler(), s_again);
                break;
            case Terminated:
                break;
            case MakeScaler when _state.Exists:
                TellScaler();
                break;
            case MakeScaler:
                break;
            case SendAgain:
                BeginWaiting();
                foreach (OperationStep step in _steps.Values)
                {
                    Send(step);
                }

                _grants.AskAgain();
                break;
            case FollowPolicy:
                Follow();
                break;
            default:
                Unhandled(message);
                break;
        }
    }

    // A record without a VM is not kept in memory, nor made again with its node.
    private void Rest()
    {
        if (!_state.Exists)
        {
            _nodes.Tell(Nowhere);
            Context.Parent.Tell(new Passivate(EndEntity.Instance));
        }
    }

    private VmRejected NotFound() => new(_vm, VmRejectionCode.NotFound, $"there is no VM '{_vm}'");

    private VmRecord Describe() => new(
        _vm, LastSequenceNr, _state.Owner, _state.Node, _state.Policy, _state.Spec, _state.IsWanted,
        _seen?.State ?? ProcessState.Stopped, _seen?.Detail ?? "", _seen?.EnabledCpus ?? 0, [.. _state.Snapshots]);

    private void Create(CreateVm create, bool isPlaced)
    {
        if (_state.Find(create.Id) is { } known)
        {
            Sender.Tell(known);
            return;
        }

        string? problem = !FleetNames.IsVm(_vm) ? $"the name of a VM is {FleetNames.VmRule}"
            : !FleetNames.IsRequest(create.Id) ? $"the id of a request is {FleetNames.RequestRule}"
            : !FleetNames.IsOwner(create.Owner) ? $"owner: give {FleetNames.OwnerRule}" : create.Spec.FindProblem();
        object? refusal = problem != null ? new VmRejected(_vm, VmRejectionCode.Invalid, problem)
            : _state.Exists ? new VmRejected(_vm, VmRejectionCode.Exists, $"there is a VM '{_vm}' already")
            : create.Node.Length == 0 || _nodes.Find(create.Node) != null ? null
            : isPlaced ? new VmRejected(
                _vm, VmRejectionCode.NotWritten, $"node '{create.Node}', which was chosen for it, has gone: repeat the request")
            : NoNode(create.Node);
        if (refusal != null)
        {
            Sender.Tell(refusal);
            if (!_state.Exists)
            {
                // The placement may have kept room for it.
                _nodes.Tell(Nowhere);
            }

            return;
        }

        if (create.Node.Length == 0)
        {
            // The request comes again when there is a node for it.
            _nodes.PlaceAsync(ToPlace(create.Spec)).PipeTo(
                Self, Sender,
                placed => placed.Node.Length > 0 ? new Placed(create with { Node = placed.Node })
                    : new VmRejected(_vm, VmRejectionCode.Invalid, placed.Refusal),
                _ => new VmRejected(
                    _vm, VmRejectionCode.NotWritten, "the placement does not answer: repeat the request, or name a node"));
            return;
        }

        Persist(new VmCreated(create.Id, create.Owner, create.Node, create.Policy, create.Spec, Now), created =>
        {
            _state.Apply(_vm, created);
            _seen = null;
            _decisions.Clear();
            TellScaler();
            Sender.Tell(_state.Find(created.Id)!);
        });
    }

    private VmRejected NoNode(string node) => new(_vm, VmRejectionCode.NotFound, $"there is no node '{node}' now");

    private void Take(CommandVm command)
    {
        if (_state.Find(command.Id) is { } known)
        {
            Sender.Tell(known);
        }
        else if (RefusalOf(command) is { } refusal)
        {
            Sender.Tell(refusal);
        }
        else
        {
            _spans.Begin(command.Id, $"record: {command.Action}", command.Trace, _vm);
            Persist(new OperationBegun(command.Id, command.Action, command.Number, command.Text, Now), begun =>
            {
                _failures = 0;
                Sender.Tell(Begin(begun));
            });
        }
    }

    private VmRejected? RefusalOf(CommandVm command)
    {
        if (!_state.Exists)
        {
            return NotFound();
        }

        if (command.Action is VmAction.Start or VmAction.Restore && !_state.IsWanted && Migration != null)
        {
            // The placement moves VMs by itself: nothing is wrong with the request.
            return new VmRejected(_vm, VmRejectionCode.NotWritten, "the VM is on its way to another node: repeat the request");
        }

        string? problem = command.FindProblem(_state.Spec.MaxCpus) is { } wrong ? wrong
            : command.Action == VmAction.Migrate && command.Text == _state.Node ? $"the VM is at node '{_state.Node}' already"
            : command.Action == VmAction.Migrate && Migration != null ? "the VM is moving already"
            : _state.Open.Any(o => o.Action == VmAction.Delete) ? "the VM is being deleted"
            : _state.Open.Count() >= MostOpen ? $"{MostOpen} operations of the VM are under way"
            : null;
        return problem != null ? new VmRejected(_vm, VmRejectionCode.Invalid, problem)
            : command.Match.Length > 0 && command.Match != Describe().Tag()
                ? new VmRejected(_vm, VmRejectionCode.Changed, "the VM has changed since")
            : command.Action == VmAction.Migrate && _nodes.Find(command.Text) == null ? NoNode(command.Text) : null;
    }

    private VmOperation Begin(OperationBegun begun)
    {
        _state.Apply(_vm, begun);
        VmOperation operation = _state.Find(begun.Id)!;
        Begin(operation);
        return operation;
    }

    private void Begin(VmOperation operation)
    {
        if (operation.Action == VmAction.Migrate)
        {
            _arriving = null;
        }

        if (_seen == null && CpuGrants.BringsCpus(operation))
        {
            // What is asked for depends on how many CPUs there are.
            _nodes.Find(_state.Node)?.Tell(new GetVmReport(_vm), Self);
            AskAgainLater();
        }
        else if (_grants.AskFor(_state, operation, _seen?.EnabledCpus ?? 0))
        {
            AskAgainLater();
        }
        else
        {
            StepFirst(operation);
        }
    }

    // Those whose node has told meanwhile how many CPUs the VM has.
    private void BeginWaiting()
    {
        VmOperation[] waiting =
            [.. _state.Open.Where(o => !_steps.ContainsKey(o.Id) && !_grants.Has(o.Id) && _last?.Operation != o.Id)];
        Array.ForEach(waiting, Begin);
    }

    private void TakeGrant(CpusAnswered answer)
    {
        if (_grants.Take(answer) is not { } id || _state.Find(id) is not { IsDone: false } operation)
        {
            return;
        }

        if (answer.Refusal.Length == 0)
        {
            StepFirst(operation);
        }
        else
        {
            End(operation, RequestOutcome.Rejected, answer.Refusal, []);
        }
    }

    private void StepFirst(VmOperation operation) =>
        Step(operation.Id, OperationSteps.First(_state, operation, _spans.TraceOf(operation.Id)));

    private void Step(string operation, OperationStep step)
    {
        _steps[operation] = step;
        Send(step);
        AskAgainLater();
    }

    private void AskAgainLater()
    {
        if (!Timers.IsTimerActive(nameof(SendAgain)))
        {
            Timers.StartPeriodicTimer(nameof(SendAgain), new SendAgain(), s_again);
        }
    }

    private void Send(OperationStep step) => _nodes.Find(step.Node)?.Tell(step.Request, Self);

    private void EndStep(RequestEnded ended)
    {
        if (_steps.FirstOrDefault(s => s.Value.Request.Id == ended.Id) is not { Value: { } step, Key: { } id })
        {
            return;
        }

        if (ended.EnabledCpus is { } enabled && _seen is { Process: not 0 } && step.Node == _state.Node)
        {
            // The node tells that, too, but later.
            _seen = _seen with { EnabledCpus = enabled };
        }

        VmOperation operation = _state.Find(id)!;
        if (ended.Outcome == RequestOutcome.Done && OperationSteps.Next(_state, operation, step.Request, ended.Detail) is { } next)
        {
            if (next.Request is RemoveVm)
            {
                // What is removed cannot be counted any more.
                _steps.Remove(id);
                _last = (id, next);
                _scaler?.Tell(new VmScaler.Drain());
                return;
            }

            Step(id, next);
            return;
        }

        bool isAborted = operation.Action == VmAction.Migrate && step.Request is EndVm && !OperationSteps.IsLeave(step.Request);
        End(
            operation, isAborted ? RequestOutcome.Failed : ended.Outcome,
            isAborted ? $"node '{_state.Node}' is lost, and the VM had not arrived" : ended.Detail, ended.Cpus);
    }

    private void End(VmOperation operation, RequestOutcome outcome, string detail, CpuOutcome[] cpus)
    {
        _steps.Remove(operation.Id);
        var end = new OperationEnded(operation.Id, outcome, detail, cpus, Now);
        IVmRecordEvent[] events = (operation.Action, outcome) switch
        {
            (VmAction.Migrate, RequestOutcome.Done) => [new VmMoved(operation.Text, Now), end],
            (VmAction.Delete, RequestOutcome.Done) =>
            [
                .. _state.Open.Where(o => o.Id != operation.Id)
                    .Select(o => new OperationEnded(o.Id, RequestOutcome.Cancelled, "the VM was deleted", [], Now)),
                end, new VmDeleted(Now),
            ],
            _ => [end],
        };
        PersistAll(events, happened =>
        {
            _state.Apply(_vm, happened);
            if (happened is VmMoved)
            {
                // What was seen is of the node that had it.
                _seen = null;
                TellScaler();
                Locate();
            }
            else if (happened is VmDeleted)
            {
                Context.Stop(_scaler);
                _scaler = null;
                _grants = new CpuGrants(_vm, _accounts, Self);
                _nodes.Tell(Nowhere);
            }
            else if (happened is OperationEnded other && other != end)
            {
                _steps.Remove(other.Id);
                EndFor(_state.Find(other.Id)!, other);
            }

            if (happened == events[^1])
            {
                EndFor(operation, end);
            }
        });
    }

    private void EndFor(VmOperation operation, OperationEnded end)
    {
        _spans.End(end.Id, end.Outcome, end.Detail);
        if (!_state.Open.Any())
        {
            Timers.Cancel(nameof(SendAgain));
        }

        if (VmState.IsOfOurOwn(operation.Id) && operation.Action is VmAction.Plug or VmAction.Unplug)
        {
            _scaler?.Tell(new VmScaler.CpuEnded(operation.Number, end.Outcome switch
            {
                RequestOutcome.Done => ScalingOutcome.Done,
                RequestOutcome.Refused or RequestOutcome.TimedOut => ScalingOutcome.Refused,

                // The VM has refused, as for a CPU that cannot leave; without a CPU it was the account.
                RequestOutcome.Rejected when end.Cpus.Length > 0 => ScalingOutcome.Refused,
                _ => ScalingOutcome.Cancelled,
            }));
        }

        Context.System.EventStream.Publish(_state.Find(operation.Id)!);
        Compare();
    }

    private void See(VmSeen seen)
    {
        if (!_state.Exists || seen.Node != _state.Node)
        {
            EndStray(seen);
            return;
        }

        _seen = seen.Report;
        if (_seen.State != ProcessState.Running)
        {
            Timers.Cancel(nameof(Healthy));
        }
        else if (_failures > 0 && !Timers.IsTimerActive(nameof(Healthy)))
        {
            Timers.StartSingleTimer(nameof(Healthy), new Healthy(), s_longestPause);
        }

        BeginWaiting();
        Compare();
    }

    // Nobody but the owner has the VM, unless it is on its way. What a node has left of one that was moved or deleted is ended there.
    private void EndStray(VmSeen seen)
    {
        bool moves = _state.Exists && _state.Open.Any(o => o.Action == VmAction.Migrate && o.Text == seen.Node);
        _arriving = moves ? seen.Report : null;
        if (!moves && seen.Report.Process != 0)
        {
            Serilog.Log.Warning("{Vm}: node {Node} has a process of it, which is ended: {State}", _vm, seen.Node, seen.Report.State);
            _nodes.Find(seen.Node)?.Tell(new EndVm(_vm, $"stray-{Now}", 0), ActorRefs.NoSender);
        }
    }

    // What is wanted against what there is, once nothing is under way.
    private void Compare()
    {
        if (_seen == null || !_state.Exists || _state.Open.Any())
        {
            return;
        }

        // A process that has not yet said how many it has, and a VM that is to be started again, keep what they have.
        if (_seen.EnabledCpus > 0 || (_seen.Process == 0 && !_state.IsWanted))
        {
            _grants.Match(_state, _seen.EnabledCpus);
        }

        if (!_state.IsWanted)
        {
            return;
        }

        if (_seen.State == ProcessState.PoweredOff)
        {
            Persist(new GuestPoweredDown(Now), happened => _state.Apply(_vm, happened));
        }
        else if (_seen.State is ProcessState.Failed or ProcessState.Stopped && _state.Policy != FailurePolicy.Leave
            && !Timers.IsTimerActive(nameof(FollowPolicy)))
        {
            double seconds = Math.Min(Math.Pow(2, _failures++), s_longestPause.TotalSeconds);
            Timers.StartSingleTimer(nameof(FollowPolicy), new FollowPolicy(), TimeSpan.FromSeconds(seconds));
        }
    }

    private void Follow()
    {
        if (_seen is not { State: ProcessState.Failed or ProcessState.Stopped } || !_state.Exists || !_state.IsWanted || _state.Open.Any())
        {
            return;
        }

        string? snapshot = _state.Policy == FailurePolicy.Restore && _state.Snapshots.Count > 0 ? _state.Snapshots[^1] : null;
        Persist(
            new OperationBegun(
                VmState.OwnId(LastSequenceNr + 1), snapshot == null ? VmAction.Start : VmAction.Restore, 0, snapshot ?? "", Now),
            begun => Begin(begun));
    }
}

using Akka.Actor;
using Akka.Cluster;
using Serilog;
using Vmm.Actors.Hosting;
using Vmm.Fleet.Messages;

namespace Vmm.Fleet.Placement;

/// <summary>
/// Says where VMs are to be, and has them moved. There is one in the cluster. It keeps nothing: nodes and records tell it what there is
/// every few seconds, and another one knows as much soon after its start.
/// </summary>
internal sealed class PlacementCoordinator : MessageActor, IWithTimers
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(2);

    // Within it every record and every node has told where it is.
    private static readonly TimeSpan s_settle = TimeSpan.FromSeconds(12);

    // A VM that could not be moved is left alone for so long.
    private static readonly TimeSpan s_rest = TimeSpan.FromMinutes(1);

    private readonly IActorRef _records;
    private readonly Func<Member, string?> _nameOf;
    private readonly FleetPlan _plan = new(new PlacementOptions());
    private readonly HashSet<string> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (VmLocated Where, DateTimeOffset MovedAt)> _vms = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DateTimeOffset> _resting = new(StringComparer.Ordinal);

    // Requests for moves by the VM.
    private readonly Dictionary<string, string> _moves = new(StringComparer.Ordinal);
    private readonly List<(PlaceVm Vm, IActorRef Asker)> _waiting = [];
    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;

    /// <param name="records">Takes messages for the records of VMs.</param>
    /// <param name="nameOf">The name of the node that a member is; null for none.</param>
    public PlacementCoordinator(IActorRef records, Func<Member, string?> nameOf)
    {
        (_records, _nameOf) = (records, nameOf);
        Receive<NodeStatus>(SetNode);
        Receive<VmLocated>(Locate);
        Receive<PlaceVm>(vm =>
        {
            _waiting.Add((vm, Sender));
            PlaceWaiting();
        });
        Receive<ClusterEvent.MemberRemoved>(removed =>
        {
            // Its next run may be a member already; it tells so soon.
            if (_nameOf(removed.Member) is { } node && _nodes.Remove(node))
            {
                _plan.RemoveNode(node);
            }
        });
        Receive<Look>(_ => Move());
        Receive<VmOperation>(operation =>
        {
            if (operation.IsDone)
            {
                EndMove(operation.Vm, operation.Id, operation.Outcome == RequestOutcome.Done, operation.Detail);
            }
        });
        Receive<VmRejected>(rejected =>
        {
            if (_moves.TryGetValue(rejected.Vm, out string? id))
            {
                EndMove(rejected.Vm, id, moved: false, rejected.Reason);
            }
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    private sealed record Look;

    private static DateTimeOffset Now => DateTimeOffset.UtcNow;

    protected override void PreStart()
    {
        Akka.Cluster.Cluster.Get(Context.System).Subscribe(Self, typeof(ClusterEvent.MemberRemoved));
        Timers.StartPeriodicTimer(nameof(Look), new Look(), s_look);
    }

    protected override void PostStop() => Akka.Cluster.Cluster.Get(Context.System).Unsubscribe(Self);

    private void SetNode(NodeStatus status)
    {
        _plan.SetNode(new NodeFacts(
            status.Node, status.MemoryBytes, status.Cores, PlacementSpec.ByKey(status.Labels), status.TakesVms));
        if (_nodes.Add(status.Node))
        {
            foreach ((VmLocated where, DateTimeOffset movedAt) in _vms.Values.Where(vm => vm.Where.Node == status.Node))
            {
                Set(where, movedAt);
            }
        }

        PlaceWaiting();
    }

    private void Locate(VmLocated where)
    {
        if (where.Node.Length == 0)
        {
            _vms.Remove(where.Vm);
            _resting.Remove(where.Vm);
            _plan.RemoveVm(where.Vm);
            return;
        }

        bool isKnown = _vms.TryGetValue(where.Vm, out (VmLocated Where, DateTimeOffset MovedAt) before);
        if (isKnown && before.Where == where && !_resting.ContainsKey(where.Vm))
        {
            return;
        }

        // One that is heard of for the first time rests, too: it was placed just now, or what moved it before is not known.
        DateTimeOffset movedAt = isKnown && before.Where.Node == where.Node ? before.MovedAt : Now;
        _vms[where.Vm] = (where, movedAt);
        Set(where, movedAt);
    }

    private void Set(VmLocated where, DateTimeOffset movedAt)
    {
        if (_nodes.Contains(where.Node))
        {
            bool rests = _resting.TryGetValue(where.Vm, out DateTimeOffset until) && Now < until;
            if (!rests)
            {
                _resting.Remove(where.Vm);
            }

            VmFacts facts = Facts(where.Vm, where.MemoryBytes, where.Cpus, where.Placement);
            _plan.SetVm(facts with { MovedAt = movedAt, IsMovable = !rests, IsRunning = where.IsWanted }, where.Node);
        }
    }

    private static VmFacts Facts(string vm, long memory, int cpus, PlacementSpec? placement) => new(
        vm, memory, cpus, PlacementSpec.ByKey(placement?.Labels ?? []), placement is { Group.Length: > 0 } ? placement.Group : null);

    // As soon as every member has told what it is.
    private void PlaceWaiting()
    {
        bool isComplete = Akka.Cluster.Cluster.Get(Context.System).State.Members.Where(m => m.Status == MemberStatus.Up)
            .Select(_nameOf).OfType<string>().All(_nodes.Contains);
        if (!isComplete)
        {
            return;
        }

        foreach ((PlaceVm vm, IActorRef asker) in _waiting)
        {
            _plan.RemoveVm(vm.Vm);
            string? node = _plan.Place(Facts(vm.Vm, vm.MemoryBytes, vm.Cpus, vm.Placement), out string? refusal);
            if (node != null)
            {
                // It has its room from here on; its record tells when it is there.
                Locate(new VmLocated(vm.Vm, node, vm.MemoryBytes, vm.Cpus, IsWanted: false, vm.Placement));
            }

            asker.Tell(new VmPlaced(vm.Vm, node ?? "", refusal ?? ""));
        }

        _waiting.Clear();
    }

    private void Move()
    {
        PlaceWaiting();
        foreach ((string vm, string id) in _moves)
        {
            _records.Tell(new GetOperation(vm, id));
        }

        if (Now - _started < s_settle)
        {
            return;
        }

        foreach (PlannedMove move in _plan.BeginMoves(Now))
        {
            string id = $"move-{Guid.NewGuid():N}";
            Log.Information("{Vm} is to move from node {From} to node {To}", move.Vm, move.From, move.To);
            _moves[move.Vm] = id;
            _records.Tell(new CommandVm(move.Vm, id, VmAction.Migrate, 0, move.To));
        }
    }

    private void EndMove(string vm, string id, bool moved, string detail)
    {
        if (!_moves.TryGetValue(vm, out string? underWay) || underWay != id)
        {
            return;
        }

        _moves.Remove(vm);
        _plan.EndMove(vm, moved, Now);
        if (!moved)
        {
            Log.Warning("{Vm} was not moved: {Reason}", vm, detail);
            _resting[vm] = Now + s_rest;
            if (_vms.TryGetValue(vm, out (VmLocated Where, DateTimeOffset MovedAt) known))
            {
                Set(known.Where, known.MovedAt);
            }
        }

        Move();
    }
}

namespace Vmm.Fleet.Placement;

/// <summary>
/// Where the VMs of a fleet are, where a new one goes, and which are to move. It moves nothing itself: it is told what has happened. One
/// thread at a time.
/// <para>
/// A new VM goes to the node that has the least load with it. To even loads out, a VM of the node with the most load moves to one with
/// less: of all such moves the one after which the higher of the two loads is lowest, and of equal ones that with the least memory. A move
/// must gain something, and its VM rests afterwards, so loads that stay as they are come to rest, and loads that swing move nothing to and
/// fro.
/// </para>
/// </summary>
public sealed class FleetPlan
{
    // Nodes that a refusal names.
    private const int MostNamed = 4;

    private readonly SortedDictionary<string, NodeLoad> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (VmFacts Vm, NodeLoad Node)> _vms = new(StringComparer.Ordinal);

    // Where VMs are on their way to.
    private readonly Dictionary<string, NodeLoad> _moves = new(StringComparer.Ordinal);
    private readonly PlacementOptions _options;

    /// <exception cref="ArgumentException">The options are wrong: one line.</exception>
    public FleetPlan(PlacementOptions options)
    {
        if (options.Refuse() is { } why)
        {
            throw new ArgumentException(why, nameof(options));
        }

        _options = options;
    }

    /// <summary>The load of each node, 0 to 1, by name. A VM that moves is load of the node that it moves to.</summary>
    public IEnumerable<KeyValuePair<string, double>> Loads => _nodes.Select(n => KeyValuePair.Create(n.Key, n.Value.Load));

    /// <summary>The node of a VM; null when it is nowhere. A VM that moves is at the node that it leaves.</summary>
    public string? NodeOf(string vm) => _vms.TryGetValue(vm, out (VmFacts Vm, NodeLoad Node) at) ? at.Node.Facts.Name : null;

    /// <summary>A node is there, or is another than before. Its VMs stay.</summary>
    public void SetNode(NodeFacts facts)
    {
        if (_nodes.TryGetValue(facts.Name, out NodeLoad? node))
        {
            node.Facts = facts;
        }
        else
        {
            _nodes[facts.Name] = new NodeLoad(facts, _options);
        }
    }

    /// <summary>A node is gone, and its VMs are nowhere. They are returned, those with the most memory first.</summary>
    public IReadOnlyList<VmFacts> RemoveNode(string name)
    {
        if (!_nodes.TryGetValue(name, out NodeLoad? node))
        {
            return [];
        }

        foreach (string arriving in _moves.Where(m => m.Value == node).Select(m => m.Key).ToArray())
        {
            EndMove(arriving, moved: false, default);
        }

        VmFacts[] vms = [.. node.Vms.OrderByDescending(vm => vm.MemoryBytes)];
        Array.ForEach(vms, vm => RemoveVm(vm.Name));
        _nodes.Remove(name);
        return vms;
    }

    /// <summary>
    /// A VM is at a node, whether or not it fits there. One that moves goes on moving if it is still at the node that it leaves.
    /// </summary>
    /// <exception cref="ArgumentException">There is no such node.</exception>
    public void SetVm(VmFacts vm, string node)
    {
        NodeLoad there = _nodes.GetValueOrDefault(node) ?? throw new ArgumentException($"there is no node '{node}'", nameof(node));
        NodeLoad? to = NodeOf(vm.Name) == node ? _moves.GetValueOrDefault(vm.Name) : null;
        RemoveVm(vm.Name);
        there.Add(vm);
        _vms[vm.Name] = (vm, there);
        if (to != null)
        {
            BeginMove(vm, there, to);
        }
    }

    /// <summary>A VM is nowhere.</summary>
    public void RemoveVm(string name)
    {
        if (_vms.TryGetValue(name, out (VmFacts Vm, NodeLoad Node) at))
        {
            EndMove(name, moved: false, default);
            at.Node.Remove(at.Vm);
            _vms.Remove(name);
        }
    }

    /// <summary>The node at which a VM is to start, which is nowhere now. Null: there is none.</summary>
    /// <param name="refusal">Why there is none: one line.</param>
    public string? Place(VmFacts vm, out string? refusal)
    {
        NodeLoad? best = BestFor(vm);
        refusal = best != null ? null : $"no node can take VM '{vm.Name}': {(_nodes.Count == 0 ? "the fleet has none" : WhyNot(vm))}";
        return best?.Facts.Name;
    }

    /// <summary>
    /// Moves to make now, which count as under way until <see cref="EndMove"/>. VMs leave nodes that take none; then loads are evened out.
    /// </summary>
    public IReadOnlyList<PlannedMove> BeginMoves(DateTimeOffset now)
    {
        var moves = new List<PlannedMove>();
        while (_moves.Count < _options.MostMoves && (NextToLeave() ?? NextToEvenOut(now)) is var (vm, from, to))
        {
            BeginMove(vm, from, to);
            moves.Add(new PlannedMove(vm.Name, from.Facts.Name, to.Facts.Name));
        }

        return moves;
    }

    /// <summary>A move has ended. Nothing happens if there was none.</summary>
    /// <param name="moved">True: the VM is at the node that it moved to. False: it has stayed.</param>
    public void EndMove(string vm, bool moved, DateTimeOffset now)
    {
        if (!_moves.Remove(vm, out NodeLoad? to))
        {
            return;
        }

        (VmFacts facts, NodeLoad from) = _vms[vm];
        to.Remove(facts);
        from.Stay(facts);
        if (moved)
        {
            VmFacts arrived = facts with { MovedAt = now };
            from.Remove(facts);
            to.Add(arrived);
            _vms[vm] = (arrived, to);
        }
    }

    private void BeginMove(VmFacts vm, NodeLoad from, NodeLoad to)
    {
        from.Leave(vm);
        to.Add(vm);
        _moves[vm.Name] = to;
    }

    private string WhyNot(VmFacts vm) =>
        string.Join("; ", _nodes.Values.Take(MostNamed).Select(n => $"'{n.Facts.Name}' {n.Refuse(vm)}"))
        + (_nodes.Count > MostNamed ? $"; and {_nodes.Count - MostNamed} more" : "");

    private NodeLoad? BestFor(VmFacts vm)
    {
        NodeLoad? best = null;
        double least = double.MaxValue;
        foreach (NodeLoad node in _nodes.Values)
        {
            double load = node.LoadWith(vm);
            if (load < least && node.Refuse(vm) == null)
            {
                (best, least) = (node, load);
            }
        }

        return best;
    }

    private (VmFacts Vm, NodeLoad From, NodeLoad To)? NextToLeave()
    {
        foreach (NodeLoad node in _nodes.Values)
        {
            if (node.Facts.TakesVms)
            {
                continue;
            }

            foreach (VmFacts vm in node.Staying)
            {
                if (IsFree(vm, node) && BestFor(vm) is { } to)
                {
                    return (vm, node, to);
                }
            }
        }

        return null;
    }

    private (VmFacts Vm, NodeLoad From, NodeLoad To)? NextToEvenOut(DateTimeOffset now)
    {
        NodeLoad[] byLoad = [.. _nodes.Values.Where(n => n.Facts.TakesVms).OrderBy(n => n.Load)];
        for (int i = byLoad.Length - 1; i > 0; i--)
        {
            NodeLoad from = byLoad[i];
            if (from.Load - byLoad[0].Load <= _options.Tolerance)
            {
                return null;
            }

            (VmFacts Vm, NodeLoad From, NodeLoad To)? best = null;
            double lowest = from.Load - _options.LeastGain;
            foreach (VmFacts vm in from.Staying)
            {
                if (!vm.IsRunning || !IsFree(vm, from) || now - vm.MovedAt < _options.MoveCoolDown)
                {
                    continue;
                }

                // A node that VMs are on their way from would have its room to spare only later.
                double without = from.LoadWithout(vm);
                foreach (NodeLoad to in byLoad.AsSpan(0, i))
                {
                    double higher = Math.Max(without, to.LoadWith(vm));
                    bool better = higher < lowest || (higher == lowest && best is var (other, _, _) && vm.MemoryBytes < other.MemoryBytes);
                    if (better && !to.IsLeft && to.Refuse(vm) == null)
                    {
                        (best, lowest) = ((vm, from, to), higher);
                    }
                }
            }

            if (best != null)
            {
                return best;
            }
        }

        return null;
    }

    // Whether a VM can begin to move from a node: it can move, and has not only just set out for that node.
    private bool IsFree(VmFacts vm, NodeLoad node) => vm.IsMovable && _vms[vm.Name].Node == node;
}

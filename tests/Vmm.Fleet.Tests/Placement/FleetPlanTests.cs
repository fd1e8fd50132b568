using System.Collections.Immutable;
using Vmm.Fleet.Placement;

namespace Vmm.Fleet.Tests.Placement;

public sealed class FleetPlanTests
{
    private const long MiB = 1 << 20;

    private static readonly ImmutableDictionary<string, string> s_none = ImmutableDictionary<string, string>.Empty;
    private static readonly DateTimeOffset s_now = DateTimeOffset.UnixEpoch;

    private readonly FleetPlan _plan = new(new PlacementOptions { MostMoves = 2 });

    private static NodeFacts Node(string name, int memory = 1000, int cores = 4, string? zone = null) =>
        new(name, memory * MiB, cores, zone == null ? s_none : s_none.Add("zone", zone));

    private static VmFacts Vm(string name, int memory = 100, int cpus = 1, string? zone = null, string? group = null) =>
        new(name, memory * MiB, cpus, zone == null ? s_none : s_none.Add("zone", zone), group);

    private string Place(VmFacts vm)
    {
        string? node = _plan.Place(vm, out string? refusal);
        if (node != null)
        {
            _plan.SetVm(vm, node);
        }

        return node ?? refusal!;
    }

    [Fact]
    public void VMs_go_to_the_node_with_the_least_load_by_memory_and_CPUs()
    {
        _plan.SetNode(Node("a"));
        _plan.SetNode(Node("b", memory: 2000));
        Assert.Equal("b", Place(Vm("1", memory: 400)));
        Assert.Equal("a", Place(Vm("2", memory: 200)));
        Assert.Equal("b", Place(Vm("3", memory: 100)));
        Assert.Equal("a", Place(Vm("4", memory: 1, cpus: 8)));
        Assert.Equal("b", Place(Vm("5", memory: 300)));
        Assert.Equal([("a", 0.5625), ("b", 0.4)], _plan.Loads.Select(n => (n.Key, n.Value)));
    }

    [Fact]
    public void A_VM_that_fits_nowhere_is_refused_with_the_reason_of_each_node()
    {
        Assert.Equal("no node can take VM 'x': the fleet has none", Place(Vm("x")));
        _plan.SetNode(Node("a", memory: 50, zone: "b"));
        _plan.SetNode(Node("b", zone: "a"));
        _plan.SetNode(Node("c", cores: 0, zone: "b"));
        _plan.SetNode(Node("d", zone: "b") with { TakesVms = false });
        _plan.SetVm(Vm("y", group: "db"), "b");
        Assert.Equal(
            "no node can take VM 'x': 'a' has 50 MiB of memory free, and 100 are needed; 'b' has not the label zone=b; "
            + "'c' has room for 0 CPUs, and 1 are needed; 'd' takes no VMs",
            Place(Vm("x", zone: "b")));
        _plan.SetNode(Node("e"));
        Assert.Equal("e", Place(Vm("z", group: "db")));
        Assert.EndsWith("; and 1 more", Place(Vm("w", group: "db")), StringComparison.Ordinal);
        _plan.RemoveVm("z");
        Assert.Equal("e", Place(Vm("w", group: "db")));
    }

    [Fact]
    public void A_VM_that_moves_has_room_on_both_nodes_until_it_has_arrived()
    {
        _plan.SetNode(Node("a"));
        _plan.SetNode(Node("b"));
        _plan.SetVm(Vm("1", memory: 600), "a");
        _plan.SetVm(Vm("2", memory: 300), "a");
        Assert.Equal([new PlannedMove("2", "a", "b")], _plan.BeginMoves(s_now));
        Assert.Equal("no node can take VM 'x': 'a' has 100 MiB of memory free, and 800 are needed; 'b' has 700 MiB of memory free, "
            + "and 800 are needed", Place(Vm("x", memory: 800)));
        Assert.Equal("a", _plan.NodeOf("2"));
        _plan.SetVm(Vm("2", memory: 310), "a");
        Assert.Equal([("a", 0.6), ("b", 0.31)], _plan.Loads.Select(n => (n.Key, n.Value)));
        _plan.EndMove("2", moved: true, s_now);
        Assert.Equal("b", _plan.NodeOf("2"));
        Assert.Equal("b", Place(Vm("y", memory: 600)));
        Assert.Equal("a", Place(Vm("z", memory: 400)));
    }

    [Fact]
    public void A_move_that_failed_leaves_the_VM_where_it_was()
    {
        _plan.SetNode(Node("a"));
        _plan.SetNode(Node("b"));
        _plan.SetVm(Vm("1", memory: 300), "a");
        _plan.SetVm(Vm("2", memory: 300), "a");
        PlannedMove move = Assert.Single(_plan.BeginMoves(s_now));
        _plan.EndMove(move.Vm, moved: false, s_now);
        Assert.Equal("a", _plan.NodeOf(move.Vm));
        Assert.Equal([("a", 0.6), ("b", 0)], _plan.Loads.Select(n => (n.Key, n.Value)));
        Assert.Equal(move, Assert.Single(_plan.BeginMoves(s_now)));
    }

    [Fact]
    public void A_node_that_takes_no_VMs_is_emptied_a_few_at_a_time_also_of_VMs_that_rest()
    {
        _plan.SetNode(Node("a"));
        _plan.SetNode(Node("b", memory: 250));
        for (int i = 0; i < 4; i++)
        {
            _plan.SetVm(Vm($"{i}") with { MovedAt = s_now }, "a");
        }

        _plan.SetNode(Node("a") with { TakesVms = false });
        IReadOnlyList<PlannedMove> moves = _plan.BeginMoves(s_now);
        Assert.Equal([new("0", "a", "b"), new("1", "a", "b")], moves);
        Assert.Empty(_plan.BeginMoves(s_now));
        _plan.EndMove("0", moved: true, s_now);
        Assert.Empty(_plan.BeginMoves(s_now));
        _plan.SetNode(Node("c"));
        Assert.Equal([new PlannedMove("2", "a", "c")], _plan.BeginMoves(s_now));
    }

    [Fact]
    public void A_VM_that_has_moved_rests_and_one_that_cannot_move_stays()
    {
        _plan.SetNode(Node("a"));
        _plan.SetNode(Node("b"));
        _plan.SetVm(Vm("1", memory: 400) with { IsMovable = false }, "a");
        _plan.SetVm(Vm("2", memory: 300) with { MovedAt = s_now }, "a");
        Assert.Empty(_plan.BeginMoves(s_now.AddMinutes(9)));
        Assert.Equal([new PlannedMove("2", "a", "b")], _plan.BeginMoves(s_now.AddMinutes(10)));
    }

    [Fact]
    public void VMs_of_a_node_that_is_gone_are_returned_and_moves_to_it_end()
    {
        _plan.SetNode(Node("a"));
        _plan.SetNode(Node("b"));
        _plan.SetVm(Vm("1", memory: 300), "a");
        _plan.SetVm(Vm("2", memory: 400), "a");
        _plan.SetVm(Vm("3", memory: 100), "b");
        Assert.Equal("b", Assert.Single(_plan.BeginMoves(s_now)).To);
        Assert.Equal(["3"], _plan.RemoveNode("b").Where(vm => _plan.NodeOf(vm.Name) == null).Select(vm => vm.Name));
        Assert.Equal(0.7, Assert.Single(_plan.Loads).Value);
        Assert.Equal(["2", "1"], _plan.RemoveNode("a").Select(vm => vm.Name));
        Assert.Empty(_plan.RemoveNode("a"));
        Assert.Throws<ArgumentException>(() => _plan.SetVm(Vm("4"), "a"));
    }

    [Fact]
    public void Options_that_are_wrong_are_refused_in_words() => Assert.StartsWith(
        "0 moves at one time are not possible: at least 1 is expected",
        Assert.Throws<ArgumentException>(() => new FleetPlan(new PlacementOptions { MostMoves = 0 })).Message,
        StringComparison.Ordinal);
}

using System.Collections.Immutable;
using System.Diagnostics;
using CsCheck;
using Vmm.Fleet.Placement;
using Xunit.Abstractions;

namespace Vmm.Fleet.Tests.Placement;

/// <summary>What holds for each fleet. The bookkeeping of the test is its own.</summary>
public sealed class FleetPlanPropertyTests(ITestOutputHelper output)
{
    private static readonly ImmutableDictionary<string, string> s_none = ImmutableDictionary<string, string>.Empty;
    private static readonly DateTimeOffset s_start = DateTimeOffset.UnixEpoch;

    // A fleet, and where the test knows its VMs to be. A VM that moves is at both nodes.
    private sealed class World
    {
        private readonly Random _random;
        private readonly PlacementOptions _options;

        public World(int seed, int nodes, PlacementOptions options)
        {
            _random = new Random(seed);
            _options = options;
            Plan = new FleetPlan(options);
            for (int i = 0; i < nodes; i++)
            {
                Set(new NodeFacts($"n{i}", _random.Next(1000, 8000), _random.Next(2, 16), s_none.Add("zone", $"{i % 2}")));
            }
        }

        public FleetPlan Plan { get; }

        public Dictionary<string, NodeFacts> Nodes { get; } = [];

        public Dictionary<string, (VmFacts Vm, string Node)> Vms { get; } = [];

        public List<PlannedMove> Moves { get; } = [];

        public void Set(NodeFacts node)
        {
            Nodes[node.Name] = node;
            Plan.SetNode(node);
        }

        public VmFacts NewVm(string name) => new(
            name, _random.Next(10, 500), _random.Next(1, 5),
            _random.Next(3) == 0 ? s_none.Add("zone", $"{_random.Next(2)}") : s_none,
            _random.Next(3) == 0 ? $"g{_random.Next(20)}" : null);

        public void Set(VmFacts vm, string node)
        {
            Vms[vm.Name] = (vm, node);
            Plan.SetVm(vm, node);
        }

        public IEnumerable<VmFacts> At(string node) => Vms.Values.Where(v => v.Node == node).Select(v => v.Vm)
            .Concat(Moves.Where(m => m.To == node).Select(m => Vms[m.Vm].Vm));

        public bool Fits(VmFacts vm, NodeFacts node) => node.TakesVms
            && vm.Labels.All(l => node.Labels[l.Key] == l.Value)
            && (vm.AntiAffinity == null || At(node.Name).All(v => v.AntiAffinity != vm.AntiAffinity))
            && At(node.Name).Sum(v => v.MemoryBytes) + vm.MemoryBytes <= node.MemoryBytes
            && At(node.Name).Sum(v => v.Cpus) + vm.Cpus <= node.Cores * _options.CpusPerCore;

        public void Begin(DateTimeOffset now)
        {
            foreach (PlannedMove move in Plan.BeginMoves(now))
            {
                (VmFacts vm, string node) = Vms[move.Vm];
                Assert.Equal(node, move.From);
                Assert.DoesNotContain(Moves, m => m.Vm == move.Vm);
                Assert.True(Fits(vm, Nodes[move.To]), $"{move}");
                Assert.True(!Nodes[move.From].TakesVms || !(now - vm.MovedAt < _options.MoveCoolDown));
                Moves.Add(move);
            }

            Assert.True(Moves.Count <= _options.MostMoves);
        }

        public void End(int index, bool moved, DateTimeOffset now)
        {
            PlannedMove move = Moves[index];
            Moves.RemoveAt(index);
            if (moved)
            {
                Vms[move.Vm] = (Vms[move.Vm].Vm with { MovedAt = now }, move.To);
            }

            Plan.EndMove(move.Vm, moved, now);
            Assert.Equal(Vms[move.Vm].Node, Plan.NodeOf(move.Vm));
        }
    }

    private static Gen<(int Seed, int Nodes, PlacementOptions Options)> Fleets =>
        from seed in Gen.Int
        from nodes in Gen.Int[2, 12]
        from most in Gen.Int[1, 5]
        from tolerance in Gen.Double[0, 0.3]
        from gain in Gen.Double[0.001, 0.1]
        select (seed, nodes, new PlacementOptions { MostMoves = most, Tolerance = tolerance, LeastGain = gain });

    /// <summary>
    /// VMs come, go, grow, and move; moves fail; nodes are drained and die. Whatever is placed or moved fits where it goes, by memory,
    /// CPUs, labels and groups, and what is refused fits nowhere.
    /// </summary>
    [Fact]
    public void What_is_placed_or_moved_fits_and_what_is_refused_fits_nowhere() => Fleets.Sample(fleet =>
    {
        var world = new World(fleet.Seed, fleet.Nodes, fleet.Options);
        var random = new Random(fleet.Seed);
        DateTimeOffset now = s_start;
        for (int step = 0; step < 300; step++)
        {
            now = now.AddSeconds(random.Next(60));
            string? any = world.Vms.Count == 0 ? null : world.Vms.Keys.ElementAt(random.Next(world.Vms.Count));
            switch (random.Next(12))
            {
                case < 6:
                    VmFacts vm = world.NewVm($"v{step}");
                    string? node = world.Plan.Place(vm, out string? refusal);
                    Assert.Equal(node == null, refusal != null);
                    Assert.Equal(node != null, world.Nodes.Values.Any(n => world.Fits(vm, n)));
                    Assert.True(node == null || world.Fits(vm, world.Nodes[node]));
                    if (node != null)
                    {
                        world.Set(vm with { MovedAt = now }, node);
                    }

                    break;
                case 6 when any != null:
                    world.Moves.RemoveAll(m => m.Vm == any);
                    world.Vms.Remove(any);
                    world.Plan.RemoveVm(any);
                    break;
                case 7 when any != null:
                    world.Set(world.Vms[any].Vm with { Cpus = random.Next(1, 5) }, world.Vms[any].Node);
                    break;
                case 8 when world.Moves.Count > 0:
                    world.End(random.Next(world.Moves.Count), random.Next(3) > 0, now);
                    break;
                case 9:
                    NodeFacts changed = world.Nodes.Values.ElementAt(random.Next(world.Nodes.Count));
                    world.Set(changed with { TakesVms = random.Next(3) > 0 });
                    break;
                case 10 when random.Next(10) == 0 && world.Nodes.Count > 2:
                    string dead = world.Nodes.Keys.ElementAt(random.Next(world.Nodes.Count));
                    string[] there = [.. world.Vms.Where(v => v.Value.Node == dead).Select(v => v.Key)];
                    Assert.Equal(there.Order(), world.Plan.RemoveNode(dead).Select(v => v.Name).Order());
                    world.Moves.RemoveAll(m => m.To == dead || there.Contains(m.Vm));
                    world.Nodes.Remove(dead);
                    Array.ForEach(there, gone => world.Vms.Remove(gone));
                    break;
                default:
                    world.Begin(now);
                    break;
            }
        }
    }, iter: 100);

    /// <summary>
    /// All VMs are on one node at first. Each round of moves makes the highest load lower, or of equal ones the next: so no fleet is ever
    /// as it was before, and loads that stay as they are come to rest.
    /// </summary>
    [Fact]
    public void Loads_are_evened_out_and_come_to_rest() => Fleets.Sample(fleet =>
    {
        var world = new World(fleet.Seed, fleet.Nodes, fleet.Options);
        foreach (int i in Enumerable.Range(0, 40))
        {
            world.Set(world.NewVm($"v{i}"), "n0");
        }

        double[] Loads() => [.. world.Plan.Loads.Select(n => n.Value).OrderDescending()];
        DateTimeOffset now = s_start;
        int moves = 0;
        bool last;
        do
        {
            double[] before = Loads();
            now += fleet.Options.MoveCoolDown;
            world.Begin(now);
            while (world.Moves.Count > 0)
            {
                world.End(0, moved: true, now);
                moves++;
            }

            int differs = Loads().Zip(before, (after, then) => after == then).TakeWhile(same => same).Count();
            last = differs == before.Length;
            Assert.True(last || Loads()[differs] < before[differs]);
        }
        while (!last);
        Assert.True(moves <= 40 * fleet.Nodes, $"{moves} moves");
    }, iter: 100);

    /// <summary>The CPUs of all VMs swing at random all the time: what moves has rested, so an hour of it has few moves.</summary>
    [Fact]
    public void Loads_that_swing_move_a_VM_at_most_once_in_its_cool_down() => Fleets.Sample(fleet =>
    {
        var world = new World(fleet.Seed, fleet.Nodes, fleet.Options);
        var random = new Random(fleet.Seed);
        for (int i = 0; i < 30; i++)
        {
            VmFacts vm = world.NewVm($"v{i}");
            if (world.Plan.Place(vm, out _) is { } node)
            {
                world.Set(vm, node);
            }
        }

        var moved = new Dictionary<string, DateTimeOffset>();
        for (DateTimeOffset now = s_start; now < s_start.AddHours(1); now = now.AddSeconds(10))
        {
            foreach (string name in world.Vms.Keys.ToArray())
            {
                (VmFacts vm, string node) = world.Vms[name];
                world.Set(vm with { Cpus = random.Next(1, 5) }, node);
            }

            world.Begin(now);
            while (world.Moves.Count > 0)
            {
                string vm = world.Moves[0].Vm;
                Assert.True(!moved.TryGetValue(vm, out DateTimeOffset last) || now - last >= fleet.Options.MoveCoolDown);
                moved[vm] = now;
                world.End(0, moved: true, now);
            }
        }
    }, iter: 50);

    /// <summary>
    /// A day of a fleet of 100 nodes: 10,000 VMs are placed, grow and shrink, five nodes are drained and emptied, five die and their VMs
    /// are placed elsewhere, and loads are evened out.
    /// </summary>
    [Fact]
    public void Ten_thousand_VMs_are_placed_moved_and_placed_anew()
    {
        const int Nodes = 100, Vms = 10_000;
        long memory = GC.GetTotalMemory(forceFullCollection: true);
        var plan = new FleetPlan(new PlacementOptions { MostMoves = 20 });
        var random = new Random(1);
        for (int i = 0; i < Nodes; i++)
        {
            plan.SetNode(new NodeFacts($"n{i}", 256L << 30, 64, s_none.Add("zone", $"{i % 4}")));
        }

        VmFacts[] vms = [.. Enumerable.Range(0, Vms).Select(i => new VmFacts(
            $"vm{i}", random.NextInt64(256L << 20, 2L << 30), random.Next(1, 3), i % 5 == 0 ? s_none.Add("zone", $"{i % 4}") : s_none,
            i % 3 == 0 ? $"group{i / 30}" : null, s_start))];
        var time = Stopwatch.StartNew();
        Array.ForEach(vms, Place);
        TimeSpan placed = time.Elapsed;

        time.Restart();
        int moves = 0, again = 0;
        for (DateTimeOffset now = s_start.AddHours(1); now < s_start.AddDays(1); now = now.AddMinutes(5))
        {
            for (int i = 0; i < 500; i++)
            {
                int grown = random.Next(Vms);
                vms[grown] = vms[grown] with { Cpus = random.Next(1, 4) };
                plan.SetVm(vms[grown], plan.NodeOf(vms[grown].Name)!);
            }

            if (now == s_start.AddHours(6))
            {
                foreach (int node in Enumerable.Range(0, 5))
                {
                    plan.SetNode(new NodeFacts($"n{node}", 256L << 30, 64, s_none.Add("zone", $"{node % 4}"), TakesVms: false));
                }
            }

            if (now == s_start.AddHours(12))
            {
                foreach (VmFacts vm in Enumerable.Range(5, 5).SelectMany(node => plan.RemoveNode($"n{node}")))
                {
                    Place(vm);
                    again++;
                }
            }

            foreach (PlannedMove move in plan.BeginMoves(now))
            {
                plan.EndMove(move.Vm, moved: true, now);
                moves++;
            }
        }

        TimeSpan day = time.Elapsed;
        output.WriteLine($"[figure] 10,000 VMs on 100 nodes: placed in {placed.TotalMilliseconds:0} ms; a day of 276 rounds with {moves} "
            + $"moves, and {again} VMs placed anew, in {day.TotalMilliseconds:0} ms; {(GC.GetTotalMemory(true) - memory) >> 10} KiB");
        Assert.All(vms, vm => Assert.NotNull(plan.NodeOf(vm.Name)));
        Assert.DoesNotContain(vms, vm => plan.NodeOf(vm.Name) is "n0" or "n1" or "n2" or "n3" or "n4");
        GC.KeepAlive(plan);

        void Place(VmFacts vm)
        {
            string? node = plan.Place(vm, out string? refusal);
            Assert.True(node != null, refusal);
            plan.SetVm(vm, node);
        }
    }
}

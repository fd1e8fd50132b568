using System.Collections.Concurrent;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Records;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>Nodes in one process, that speak TLS to each other and share PostgreSQL, and real VMs.</summary>
public sealed class SeveralNodesTests(PostgresServer postgres) : IClassFixture<PostgresServer>
{
    private const string Vm = "vm1";

    [Fact]
    public async Task Any_node_takes_requests_for_VMs_of_all()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 3);
        await using FleetNode first = fleet.Start(1);
        await using (FleetNode second = fleet.Start(2))
        {
            await using FleetNode third = fleet.Start(3);
            await TestFleet.AwaitAllAsync(first, second, third);
            var happened = new ConcurrentQueue<IFleetMessage>();
            using IDisposable following = first.Follow(happened.Enqueue);
            await TestFleet.AskAsync<VmOperation>(first, new CreateVm(Vm, "create", "alice", "node2", FailurePolicy.Leave, fleet.Idle));
            Assert.Equal(RequestOutcome.Done, (await TestFleet.DoAsync(third, Vm, VmAction.Start)).Outcome);
            await TestFleet.AwaitAsync(first, Vm, r => r is { State: ProcessState.Running, Node: "node2" });
            Assert.Equal(Vm, Assert.Single((await second.ReportAsync(CancellationToken.None)).Vms).Vm);
            Assert.Equal([Vm], await third.ListAsync());
            Assert.Equal(RequestOutcome.Done, (await TestFleet.DoAsync(second, Vm, VmAction.Migrate, text: "node3")).Outcome);
            await TestFleet.AwaitAsync(first, Vm, r => r is { State: ProcessState.Running, Node: "node3" });

            // Events of all nodes are told by any of them.
            foreach (string node in (string[])["node2", "node3"])
            {
                Patience.Until(
                    () => happened.OfType<VmSeen>().Any(s => s.Node == node && s.Report.State == ProcessState.Running),
                    $"an event of {node} is told");
            }

            Patience.Until(
                () => happened.OfType<VmOperation>().Any(o => o is { Action: VmAction.Migrate, Outcome: RequestOutcome.Done }),
                "the end of the migration is told");
        }

        // Nodes that leave hand their records on.
        Assert.Equal("node3", (await TestFleet.AskAsync<VmRecord>(first, new GetVm(Vm))).Node);
    }

    /// <summary>A database that is away for a moment is told as that, and no error of the node.</summary>
    [Fact]
    public async Task List_without_the_database_is_to_be_asked_for_again()
    {
        using var server = new PostgresServer();
        using var fleet = new TestFleet(server.NewDatabase(), 1);
        await using FleetNode node = fleet.Start(1);
        await TestFleet.AwaitAllAsync(node);
        await TestFleet.AskAsync<VmOperation>(node, new CreateVm(Vm, "create", "alice", "node1", FailurePolicy.Leave, fleet.Idle));
        Assert.Equal([Vm], await node.ListAsync());

        // Once with connections that break, and once without any.
        server.Kill();
        await Assert.ThrowsAsync<RecordsException>(node.ListAsync);
        await Assert.ThrowsAsync<RecordsException>(node.ListAsync);
        server.Start();
        await Patience.UntilAsync(
            async () =>
            {
                try
                {
                    return (await node.ListAsync()).SequenceEqual([Vm]);
                }
                catch (RecordsException)
                {
                    return false;
                }
            },
            "the VM is listed again");
    }

    /// <summary>
    /// A node that is drained has no VM any more, neither one that ran nor one that was stopped; both are as they were at another node.
    /// </summary>
    [Fact]
    public async Task Drain_moves_VMs_that_are_stopped_too()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 2);
        await using FleetNode first = fleet.Start(1), second = fleet.Start(2);
        await TestFleet.AwaitAllAsync(first, second);
        foreach (string vm in (string[])["runs", "new", "was"])
        {
            await TestFleet.AskAsync<VmOperation>(first, new CreateVm(vm, vm, "alice", "node2", default, fleet.Idle));
        }

        Assert.Equal(RequestOutcome.Done, (await TestFleet.DoAsync(first, "was", VmAction.Start)).Outcome);
        Assert.Equal(RequestOutcome.Done, (await TestFleet.DoAsync(first, "was", VmAction.Stop)).Outcome);
        Assert.Equal(RequestOutcome.Done, (await TestFleet.DoAsync(first, "runs", VmAction.Start)).Outcome);
        await first.SetTakesVmsAsync("node2", false, CancellationToken.None);
        foreach (string vm in (string[])["runs", "new", "was"])
        {
            VmRecord moved = await TestFleet.AwaitAsync(first, vm, r => r.Node == "node1");
            Assert.Equal(vm == "runs", moved.IsWanted);
        }

        await TestFleet.AwaitAsync(first, "runs", r => r.State == ProcessState.Running);
        Assert.Equal(RequestOutcome.Done, (await TestFleet.DoAsync(second, "was", VmAction.Start)).Outcome);
        await TestFleet.AwaitAsync(first, "was", r => r is { State: ProcessState.Running, Node: "node1" });
        Assert.Equal((2, 0), (fleet.Files.CountVms(1), fleet.Files.CountVms(2)));
    }

    /// <summary>
    /// When all nodes have ended, one that is no seed makes the cluster anew, and others, also the first seed, join it: they have the
    /// records that there were.
    /// </summary>
    [Fact]
    public async Task Any_node_makes_the_cluster_when_there_is_none()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 3);
        await using (FleetNode first = fleet.Start(1), second = fleet.Start(2))
        {
            await TestFleet.AwaitAllAsync(first, second);
            await TestFleet.AskAsync<VmOperation>(first, new CreateVm(Vm, Vm, "alice", "node1", default, fleet.Idle));
        }

        await using FleetNode third = fleet.Start(3);
        Patience.Until(() => third.IsUp, "node3 makes the cluster");
        Assert.Equal(Vm, (await TestFleet.AskAsync<VmRecord>(third, new GetVm(Vm))).Vm);
        await using FleetNode again = fleet.Start(1);
        await TestFleet.AwaitAllAsync(third, again);
    }

    /// <summary>Labels and groups say where VMs may be, and one for which there is no node is refused in words.</summary>
    [Fact]
    public async Task VM_goes_where_its_labels_and_its_group_allow()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 2);
        await using FleetNode first = fleet.Start(1);
        await using FleetNode second = fleet.Start(2, "zone=b", "disk=ssd");
        await TestFleet.AwaitAllAsync(first, second);

        async Task<IFleetMessage> CreateAsync(string vm, string[] labels, string group) => await first.AskAsync(
            new CreateVm(vm, vm, "alice", "", default, fleet.Idle with { Placement = new PlacementSpec(labels, group) }),
            CancellationToken.None);
        async Task<string> NodeOfAsync(string vm) => (await TestFleet.AskAsync<VmRecord>(second, new GetVm(vm))).Node;

        Assert.IsType<VmOperation>(await CreateAsync("b", ["zone=b"], "db"));
        Assert.Equal("node2", await NodeOfAsync("b"));
        Assert.IsType<VmOperation>(await CreateAsync("a", [], "db"));
        Assert.Equal("node1", await NodeOfAsync("a"));
        Assert.Equal(
            "no node can take VM 'c': 'node1' has a VM of the group 'db'; 'node2' has a VM of the group 'db'",
            Assert.IsType<VmRejected>(await CreateAsync("c", [], "db")).Reason);
        Assert.Equal(
            "no node can take VM 'd': 'node1' has not the label zone=c; 'node2' has not the label zone=c",
            Assert.IsType<VmRejected>(await CreateAsync("d", ["zone=c"], "")).Reason);
        Assert.Equal(
            "placement: the label 'zone' is not KEY=VALUE", Assert.IsType<VmRejected>(await CreateAsync("e", ["zone"], "")).Reason);
        Assert.NotNull(await first.SetTakesVmsAsync("node2", false, CancellationToken.None));
        Patience.Until(
            () => CreateAsync($"f{Guid.NewGuid():N}", ["zone=b"], "").GetAwaiter().GetResult() is VmRejected { Reason: var reason }
                && reason.EndsWith("'node2' takes no VMs", StringComparison.Ordinal),
            "the drained node takes none");
    }
}

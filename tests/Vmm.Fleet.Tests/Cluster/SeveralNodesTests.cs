using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;

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
            await TestFleet.AskAsync<VmOperation>(first, new CreateVm(Vm, "create", "alice", "node2", FailurePolicy.Leave, fleet.Idle));
            Assert.Equal(RequestOutcome.Done, (await TestFleet.DoAsync(third, Vm, VmAction.Start)).Outcome);
            await TestFleet.AwaitAsync(first, Vm, r => r is { State: ProcessState.Running, Node: "node2" });
            Assert.Equal(Vm, Assert.Single((await second.ReportAsync(CancellationToken.None)).Vms).Vm);
            Assert.Equal([Vm], await third.ListAsync());
            Assert.Equal(RequestOutcome.Done, (await TestFleet.DoAsync(second, Vm, VmAction.Migrate, text: "node3")).Outcome);
            await TestFleet.AwaitAsync(first, Vm, r => r is { State: ProcessState.Running, Node: "node3" });
        }

        // Nodes that leave hand their records on.
        Assert.Equal("node3", (await TestFleet.AskAsync<VmRecord>(first, new GetVm(Vm))).Node);
    }
}

using System.Collections.Concurrent;
using Akka.Configuration;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>Records that go from a node to another and back, while somebody asks them all the time.</summary>
public sealed class HandOverTests(PostgresServer postgres) : IClassFixture<PostgresServer>
{
    private const int Records = 30;

    // Of those that a third of three nodes has.
    private const int Moved = 4;

    // A record keeps its last 200 operations. A request whose answer is lost is repeated after five seconds, in which another client asks
    // for at most a hundred.
    private const int Kept = 50;
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);

    // Akka moves a tenth of the shards at a time.
    private static readonly Config s_often = "akka.cluster.sharding.rebalance-interval = 1s";

    /// <summary>
    /// A node that joins gets records of the others, and one that leaves hands its own on. Akka drops what comes to a shard in the middle
    /// of that, and every request is answered all the same. What was answered is known to those who read the records anew.
    /// </summary>
    [Fact]
    public async Task Requests_are_answered_and_kept_while_records_go_to_another_node_and_back()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 3);
        FleetNode Start(int node) => FleetNode.Start(TestFleet.NodeName(node), fleet.Settings(node), s_often, fleet.Config(node));
        List<(string Vm, string Id)> answered = await HandOverAsync(fleet, Start);
        await using FleetNode again = Start(1);
        await TestFleet.AwaitAllAsync(again);
        foreach ((string vm, string id) in answered)
        {
            await TestFleet.AskAsync<VmOperation>(again, new GetOperation(vm, id));
        }
    }

    /// <returns>The last requests of each record, which it keeps.</returns>
    private static async Task<List<(string Vm, string Id)>> HandOverAsync(TestFleet fleet, Func<int, FleetNode> start)
    {
        await using FleetNode first = start(1), second = start(2);
        await TestFleet.AwaitAllAsync(first, second);
        string[] vms = [.. Enumerable.Range(1, Records).Select(i => $"vm{i}")];
        foreach (string vm in vms)
        {
            await TestFleet.AskAsync<VmOperation>(first, new CreateVm(vm, "create", "alice", "node1", FailurePolicy.Leave, fleet.Idle));
        }

        using var stop = new CancellationTokenSource();
        ConcurrentQueue<string>[] answered = [.. vms.Select(_ => new ConcurrentQueue<string>())];
        Task asking = Task.WhenAll(
            vms.SelectMany((vm, i) => new[] { AskAsync(first, vm, "a", answered[i]), AskAsync(second, vm, "b", answered[i]) }));
        await using (FleetNode third = start(3))
        {
            await TestFleet.AwaitAllAsync(first, second, third);
            var here = new ConcurrentDictionary<string, bool>(StringComparer.Ordinal);
            using IDisposable following = third.Subscribe(happened =>
            {
                if (happened is VmOperation operation)
                {
                    here[operation.Vm] = true;
                }
            });
            Patience.Until(() => asking.IsCompleted || here.Count >= Moved, "records are at the third node");
        }

        await stop.CancelAsync();
        await asking;
        return [.. vms.SelectMany((vm, i) => answered[i].TakeLast(Kept).Select(id => (vm, id)))];

        async Task AskAsync(FleetNode by, string vm, string prefix, ConcurrentQueue<string> ids)
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                string id = $"{prefix}-{i}";
                await TestFleet.AskAsync<VmOperation>(by, new CommandVm(vm, id, VmAction.Stop, 0, ""));
                ids.Enqueue(id);
                await Task.Delay(s_pause);
            }
        }
    }
}

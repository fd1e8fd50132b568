using System.Diagnostics;
using System.Net;
using Akka.Configuration;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>
/// A fleet on this machine with nodes in this process or in their own, and its guests.
/// </summary>
internal sealed class TestFleet : IDisposable
{
    private readonly IPEndPoint[] _addresses;

    /// <param name="connection">The connection string of an empty database.</param>
    /// <param name="nodes">How many nodes there may be: node1 and so on.</param>
    public TestFleet(string connection, int nodes)
    {
        _addresses = HostTools.FreeAddresses(nodes);
        Files = new LocalFleet(connection, _addresses);
        Directory.CreateDirectory(FolderOf(1));
        string image = IdleGuest.WriteImage(FolderOf(1));
        Idle = new VmSpec(1, 4, 64 << 20, "max", image, "", "", "", []);
    }

    /// <summary>What its nodes have in common.</summary>
    public LocalFleet Files { get; }

    public FleetAuthority Authority => Files.Authority;

    /// <summary>A guest without an operating system that waits for interrupts.</summary>
    public VmSpec Idle { get; }

    public static string NodeName(int number) => LocalFleet.NodeName(number);

    public string FolderOf(int node) => Files.FolderOf(node);

    public int PortOf(int node) => _addresses[node - 1].Port;

    public NodeSettings Settings(int node) =>
        new(FolderOf(node), ["dotnet", VmmProcess.Program]) { StartLimit = Patience.Limit, QuitLimit = Patience.Limit };

    public ClusterConfig Config(int node) => Files.ConfigOf(node);

    /// <summary>Starts a node in this process.</summary>
    public FleetNode Start(int node, params string[] labels) => FleetNode.Start(
        NodeName(node), Settings(node) with { Labels = labels }, Akka.Configuration.Config.Empty, Config(node));

    /// <summary>Waits until each of some nodes knows all of them.</summary>
    public static async Task AwaitAllAsync(params FleetNode[] nodes)
    {
        var start = Stopwatch.StartNew();
        foreach (FleetNode node in nodes)
        {
            while ((await node.NodesAsync(CancellationToken.None)).Count < nodes.Length)
            {
                Assert.False(node.Ended.IsCompleted, node.Ended.IsCompleted ? await node.Ended : "");
                Assert.True(start.Elapsed < Patience.Limit, "the nodes know each other");
                await Task.Delay(20);
            }
        }
    }

    /// <summary>Writes the file of a node that is a process of its own.</summary>
    public string WriteConfig(int node) => Files.WriteConfig(node);

    public static async Task<T> AskAsync<T>(FleetNode node, IVmRecordMessage message) =>
        Assert.IsType<T>(await node.AskAsync(message, CancellationToken.None).WaitAsync(Patience.Limit));

    /// <summary>Does something with a VM, and waits for its end.</summary>
    public static async Task<VmOperation> DoAsync(
        FleetNode node, string vm, VmAction action, int number = 0, string text = "", string? id = null)
    {
        id ??= Guid.NewGuid().ToString("N");
        var operation = await AskAsync<VmOperation>(node, new CommandVm(vm, id, action, number, text));
        for (var start = Stopwatch.StartNew(); !operation.IsDone && start.Elapsed < Patience.Limit;)
        {
            await Task.Delay(20);
            operation = await AskAsync<VmOperation>(node, new GetOperation(vm, id));
        }

        return operation;
    }

    /// <summary>Waits for a state of a VM.</summary>
    public static async Task<VmRecord> AwaitAsync(FleetNode node, string vm, Predicate<VmRecord> condition)
    {
        var start = Stopwatch.StartNew();
        while (true)
        {
            var record = await AskAsync<VmRecord>(node, new GetVm(vm));
            if (condition(record))
            {
                return record;
            }

            Assert.True(start.Elapsed < Patience.Limit, record.ToString());
            await Task.Delay(20);
        }
    }

    public void Dispose() => Files.Dispose();
}

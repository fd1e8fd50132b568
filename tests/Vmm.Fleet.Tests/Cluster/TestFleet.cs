using System.Diagnostics;
using System.Text.Json;
using Akka.Configuration;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Messages;
using Vmm.Fleet.Nodes;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>
/// What nodes of a fleet on this machine have in common: an authority, a database, ports, and a folder for each node. Its VMs are killed at
/// the end.
/// </summary>
internal sealed class TestFleet : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-").FullName;
    private readonly int[] _ports;
    private readonly string _database;

    /// <param name="connection">The connection string of an empty database.</param>
    /// <param name="nodes">How many nodes there may be: node1 and so on.</param>
    public TestFleet(string connection, int nodes)
    {
        _ports = [.. Enumerable.Range(0, nodes).Select(_ => PostgresServer.FreePort())];
        _database = Path.Combine(_folder, "database");
        PrivateFile.Write(_database, connection, isPublic: false);
        Authority = FleetAuthority.Init(Path.Combine(_folder, "ca"), "test", DateTimeOffset.UtcNow.AddDays(-10));
        for (int i = 1; i <= nodes; i++)
        {
            Authority.Issue(
                new FleetIdentity(NodeName(i), CertificateKind.Node, null), ["127.0.0.1"], DateTimeOffset.UtcNow, TimeSpan.FromDays(30));
        }

        string image = Path.Combine(_folder, "image");
        File.WriteAllBytes(image, [.. BitConverter.GetBytes(0xD503207Fu), .. BitConverter.GetBytes(0x17FFFFFFu)]);
        Idle = new VmSpec(1, 4, 64 << 20, "max", image, "", "", "", []);
    }

    public FleetAuthority Authority { get; }

    /// <summary>A guest without an operating system that waits for interrupts.</summary>
    public VmSpec Idle { get; }

    public static string NodeName(int number) => $"node{number}";

    public string FolderOf(int node) => Path.Combine(_folder, NodeName(node));

    public int PortOf(int node) => _ports[node - 1];

    public NodeSettings Settings(int node) =>
        new(FolderOf(node), ["dotnet", VmmProcess.Program]) { StartLimit = Patience.Limit, QuitLimit = Patience.Limit };

    public ClusterConfig Config(int node)
    {
        (string certificate, string key) = Authority.FilesOf(NodeName(node));
        return new ClusterConfig(
            $"127.0.0.1:{PortOf(node)}", [.. _ports.Take(2).Select(port => $"127.0.0.1:{port}")],
            Path.Combine(_folder, "ca", FleetAuthority.CertificateFile), certificate, key, _database);
    }

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
                Assert.True(start.Elapsed < Patience.Limit, "the nodes know each other");
                await Task.Delay(20);
            }
        }
    }

    /// <summary>Writes the file of a node that is a process of its own.</summary>
    public string WriteConfig(int node)
    {
        string path = Path.Combine(_folder, $"{NodeName(node)}.json");
        File.WriteAllText(path, JsonSerializer.Serialize(
            new NodeConfig(NodeName(node), FolderOf(node), Listen: ["http://127.0.0.1:0"], Cluster: Config(node)),
            NodeJson.Default.NodeConfig));
        return path;
    }

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

    public void Dispose()
    {
        Authority.Dispose();
        foreach (string vm in Directory.EnumerateDirectories(_folder, "vms", SearchOption.AllDirectories)
            .SelectMany(Directory.EnumerateDirectories))
        {
            VmProcess.Find(new VmFolder("", vm))?.Kill();
        }

        Directory.Delete(_folder, recursive: true);
    }
}

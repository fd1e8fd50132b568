using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>Nodes that are processes, with a PostgreSQL of their own, and what becomes of VMs when one of them is lost.</summary>
public sealed class LostNodeTests : IDisposable
{
    private const int Nodes = 3;
    private const string Writer = "writer", Left = "left", Other = "other";

    private readonly PostgresServer _postgres = new();
    private readonly TestFleet _fleet;
    private readonly NodeProcess?[] _nodes = new NodeProcess?[Nodes + 1];

    public LostNodeTests() => _fleet = new TestFleet(_postgres.NewDatabase(), Nodes);

    public void Dispose()
    {
        foreach (NodeProcess? node in _nodes)
        {
            node?.Dispose();
        }

        _fleet.Dispose();
        _postgres.Dispose();
    }

    private async Task StartAsync()
    {
        for (int node = 1; node <= Nodes; node++)
        {
            _nodes[node] = await NodeProcess.StartAsync(_fleet, node);
        }

        for (int node = 1; node <= Nodes; node++)
        {
            await _nodes[node]!.AwaitAsync("/v1/nodes", all => all.AsArray().Count == Nodes);
        }
    }

    private async Task CreateAsync(NodeProcess by, string vm, int node, string policy, byte[]? guest = null)
    {
        string image = _fleet.Idle.Kernel;
        if (guest != null)
        {
            image = $"{image}-{vm}";
            await File.WriteAllBytesAsync(image, guest);
        }

        string spec = JsonSerializer.Serialize(_fleet.Idle with { Kernel = image }, Fleet.Rest.RestJson.Default.VmSpec);
        await by.PostAsync(
            "/v1/vms", $$"""{"name":"{{vm}}","spec":{{spec}},"node":"{{TestFleet.NodeName(node)}}","policy":"{{policy}}"}""");
        await DoAsync(by, vm, """{"action":"Start"}""");
    }

    private static async Task DoAsync(NodeProcess by, string vm, string body)
    {
        JsonNode end = await by.DoAsync(vm, body);
        Assert.True((string?)end["outcome"] == "Done", end.ToJsonString());
    }

    private static bool Runs(JsonNode vm) => (string?)vm["state"] == "Running";

    private static void AwaitWriter(RunningVms writer, Predicate<int> at) => Patience.Until(
        () => writer.Last() is var (node, age) && at(node) && age < TimeSpan.FromSeconds(1), "the writer writes");

    /// <summary>
    /// A node is killed. Its VMs go on until its lease ends, and are elsewhere then as their
    /// policies say: at no moment does one run twice. The first node has the coordinators of shards and of placement.
    /// </summary>
    [Fact]
    public Task VMs_of_the_coordinators_node_start_elsewhere_and_never_twice() => LoseAsync(1);

    [LongFact]
    public Task VMs_of_a_killed_node_start_elsewhere_and_never_twice() => LoseAsync(2);

    private async Task LoseAsync(int lost)
    {
        await StartAsync();
        NodeProcess stays = _nodes[3]!;
        await CreateAsync(stays, Writer, lost, "Restart", RunningVms.Writer);
        await CreateAsync(stays, Left, lost, "Leave");
        await CreateAsync(stays, Other, 3, "Restart");
        using var writer = new RunningVms(_fleet.Files, Writer, Nodes);
        AwaitWriter(writer, node => node == lost);
        int process = (int)(await stays.AwaitAsync("/v1/node", n => n["vms"]!.AsArray().Count == 1))["vms"]![0]!["process"]!;

        var start = Stopwatch.StartNew();
        _nodes[lost]!.Kill();
        AwaitWriter(writer, node => node != lost);
        TimeSpan away = start.Elapsed;
        JsonNode moved = await stays.AwaitAsync($"/v1/vms/{Writer}", Runs);
        Assert.NotEqual(TestFleet.NodeName(lost), (string?)moved["node"]);
        System.Console.WriteLine(
            $"[figure] node {lost} killed: its VM runs elsewhere after {away.TotalSeconds:0.0} s, "
            + $"the guest stood still for {writer.LongestGap().TotalSeconds:0.0} s");
        JsonNode left = await stays.AwaitAsync($"/v1/vms/{Left}", vm => (string?)vm["state"] == "Failed");
        Assert.Equal(TestFleet.NodeName(lost), (string?)left["node"]);
        JsonNode here = (await stays.GetAsync("/v1/node"))!;
        Assert.Equal(process, (int)here["vms"]!.AsArray().Single(vm => (string?)vm!["vm"] == Other)!["process"]!);

        // The node comes back, without VMs; what was left runs there when it is asked to.
        _nodes[lost]!.Dispose();
        _nodes[lost] = await NodeProcess.StartAsync(_fleet, lost);
        await stays.AwaitAsync("/v1/nodes", all => all.AsArray().Count == Nodes);
        await DoAsync(stays, Left, """{"action":"Start"}""");
        await stays.AwaitAsync($"/v1/vms/{Left}", Runs);
        Assert.Null(writer.FindOverlap());
        Assert.Equal(2, writer.Boots());
    }

    /// <summary>A node is drained by <c>vmm node drain</c>: its VMs move live, and it is alone then.</summary>
    [Fact]
    public async Task Drained_node_has_no_VM()
    {
        await StartAsync();
        NodeProcess node = _nodes[3]!;
        await CreateAsync(node, Writer, 2, "Restart", RunningVms.Writer);
        await CreateAsync(node, Other, 2, "Restart");
        using var writer = new RunningVms(_fleet.Files, Writer, Nodes);
        AwaitWriter(writer, at => at == 2);
        string[] client = ["--server", node.Server, "--token-file", Path.Combine(_fleet.FolderOf(3), "tokens")];
        Assert.Equal((0, "done\n", ""), await VmmProcess.RunAsync(["node", "drain", "node2", .. client]));
        AwaitWriter(writer, at => at != 2);
        Assert.Null(writer.FindOverlap());
        Assert.Equal((1, 2), (writer.Boots(), writer.Places().Count));
        (int code, string output, string errors) = await VmmProcess.RunAsync(["fleet", "nodes", .. client]);
        Assert.Equal((0, ""), (code, errors));
        Assert.Matches("(?m)^node2 +0 +.*no *$", output);
        foreach (string vm in (string[])[Writer, Other])
        {
            JsonNode moved = await node.AwaitAsync($"/v1/vms/{vm}", Runs);
            Assert.NotEqual("node2", (string?)moved["node"]);
        }

        Assert.Equal((1, "", "vmm: there is no node 'node9' now\n"), await VmmProcess.RunAsync(["node", "drain", "node9", .. client]));
        Assert.Equal((0, "done\n", ""), await VmmProcess.RunAsync(["node", "undrain", "node2", .. client]));
    }
}

using System.Text.Json.Nodes;
using Vmm.Fleet.Tests.Cluster;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Telemetry;

/// <summary>Nodes that are processes of their own, and share PostgreSQL.</summary>
public sealed class TwoNodeTraceTests(PostgresServer postgres) : IClassFixture<PostgresServer>
{
    private const string Plug = """{"action":"Plug","number":1}""";

    /// <summary>REST and the record are at one node, the VM is at the other.</summary>
    [Fact]
    public async Task Trace_goes_from_node_to_node()
    {
        await using OtlpCollector collector = await OtlpCollector.StartAsync();
        using var fleet = new TestFleet(postgres.NewDatabase(), 2);
        using NodeProcess first = await NodeProcess.StartAsync(fleet, 1, collector.Address);
        using NodeProcess second = await NodeProcess.StartAsync(fleet, 2, collector.Address);
        await first.AwaitAsync("/v1/nodes", nodes => nodes.AsArray().Count == 2);

        string kernel = IdleGuest.WriteKernel(fleet.FolderOf(1));

        // Records are spread over both. A request that ends without a process says where one is.
        string[] vms = [.. Enumerable.Range(1, 8).Select(n => $"vm{n}")];
        foreach (string name in vms)
        {
            JsonNode made = new JsonObject
            {
                ["name"] = name, ["node"] = "node2", ["policy"] = "Leave",
                ["spec"] = new JsonObject
                {
                    ["cpus"] = 1, ["maxCpus"] = 4, ["memoryBytes"] = 64 << 20, ["cpuModel"] = "max", ["kernel"] = kernel,
                    ["initrd"] = "", ["append"] = "", ["firmware"] = "", ["disks"] = new JsonArray(),
                },
            };
            await first.PostAsync("/v1/vms", made.ToJsonString());
            await first.DoAsync(name, Plug);
        }

        string vm = collector.Await("record: Plug", vms.Length).First(s => s.Node == "node1").Tags["vmm.vm"];
        await first.DoAsync(vm, """{"action":"Start"}""");
        await first.PostAsync($"/v1/vms/{vm}/operations", Plug);
        string trace = collector.Await("guest notified by the GED")[0].Trace;

        // Its guest does not answer: the stop ends the plug.
        await first.DoAsync(vm, """{"action":"Stop"}""");
        ReceivedSpan[] spans = collector.Await(s => s.Trace == trace, found => found.Length == 8, "of the plug");
        Assert.Equal(
            ["node1 record: Plug", "node2 agent: ChangeCpu", "node2 cpu: Plug", "node2 request in the journal", "node2 vCPU made",
                "node2 GIC CPU interface accessible", "node2 guest notified by the GED"],
            spans[1..].Select(s => $"{s.Node} {s.Name}"));
        Assert.Equal(["", .. spans[..3].Select(s => s.Id)], spans[..4].Select(s => s.Parent));
        Assert.All(spans[4..], step => Assert.Equal(spans[3].Id, step.Parent));
    }
}

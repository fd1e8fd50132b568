using System.Text.Json.Nodes;
using Vmm.Management.Hmp;
using Vmm.Management.Tests.Qmp;

namespace Vmm.Management.Tests;

/// <summary>Snapshots by HMP and by the jobs of QMP, in the words of QEMU 10.0.2, which were recorded from one with a disk.</summary>
public sealed class SnapshotCommandsTests : IDisposable
{
    private readonly FakeVm _vm = new();

    public void Dispose() => _vm.DisposeAsync().AsTask().GetAwaiter().GetResult();

    private static async Task<string[]> StatusesAsync(QmpTestClient client, string id, string request)
    {
        client.Send(request);
        var statuses = new List<string>();
        bool answered = false;
        while (!answered || statuses[^1] != "concluded")
        {
            JsonNode message = (await client.ReceiveAsync())!;
            if (message["return"] != null)
            {
                answered = true;
                continue;
            }

            Assert.Equal("JOB_STATUS_CHANGE", message["event"]!.ToString());
            Assert.Equal(id, message["data"]!["id"]!.ToString());
            statuses.Add(message["data"]!["status"]!.ToString());
        }

        return [.. statuses];
    }

    private static string Request(string command, string id, string tag, string rest = ",\"vmstate\":\"snapshots\"",
        string devices = "\"snapshots\"") =>
        $$$"""{"execute":"{{{command}}}","arguments":{"job-id":"{{{id}}}","tag":"{{{tag}}}"{{{rest}}},"devices":[{{{devices}}}]}}""";

    [Fact]
    public async Task Jobs_go_through_QEMUs_states_and_stay_until_they_are_dismissed()
    {
        string[] good = ["created", "running", "waiting", "pending", "concluded"];
        string[] bad = ["created", "running", "aborting", "concluded"];
        using QmpTestClient client = await QmpTestClient.NegotiateAsync(_vm.Path);
        Assert.Equal(good, await StatusesAsync(client, "j1", Request("snapshot-save", "j1", "new")));
        Assert.Equal(bad, await StatusesAsync(client, "j2", Request("snapshot-save", "j2", "there")));
        Assert.Equal(good, await StatusesAsync(client, "j3", Request("snapshot-load", "j3", "there")));
        Assert.Equal(good, await StatusesAsync(client, "j4", Request("snapshot-delete", "j4", "there", "")));
        Assert.Equal(bad, await StatusesAsync(client, "j5", Request("snapshot-save", "j5", "new", devices: "")));
        Assert.Equal(bad, await StatusesAsync(client, "j6", Request("snapshot-save", "j6", "new", devices: "\"disk0\"")));
        JsonArray jobs = (await client.AskAsync("""{"execute":"query-jobs"}"""))[0]["return"]!.AsArray();
        Assert.Equal(
            ["j6 No block device node 'disk0'", "j5 At least one device is required for snapshot", "j4 ", "j3 ",
                "j2 Snapshot 'there' already exists", "j1 "],
            jobs.Select(j => $"{j!["id"]} {j["error"]}"));
        Assert.Equal(
            """{"id":"j1","type":"snapshot-save","status":"concluded","current-progress":1,"total-progress":1}""",
            jobs[^1]!.ToJsonString());

        async Task<string> Answer(string request) =>
            (await client.AskAsync(request)).Single(a => a["event"] == null)["error"]!["desc"]!.ToString();
        Assert.Contains("Job ID 'j1' already in use", await Answer(Request("snapshot-save", "j1", "new")));
        Assert.Contains("Job 'j2' in state 'concluded' cannot accept command verb 'cancel'",
            await Answer("""{"execute":"job-cancel","arguments":{"id":"j2"}}"""));
        Assert.Contains("Can't resume a job that was not paused", await Answer("""{"execute":"job-resume","arguments":{"id":"j2"}}"""));
        List<JsonNode> dismissed = await client.AskAsync("""{"execute":"job-dismiss","arguments":{"id":"j1"}}""");
        Assert.Equal("null", dismissed[0]["data"]!["status"]!.ToString());
        Assert.Contains("Job not found", await Answer("""{"execute":"job-dismiss","arguments":{"id":"j1"}}"""));
    }

    [Fact]
    public async Task People_have_QEMUs_commands()
    {
        var monitor = new HmpMonitor(_vm.Commands);
        Assert.Equal("", await monitor.Execute("savevm"));
        Assert.Equal("", await monitor.Execute("savevm -z one"));
        Assert.Equal("", await monitor.Execute("savevm -z -d there one"));
        Assert.Equal("savevm: string expected\nTry \"help savevm\" for more information", await monitor.Execute("savevm -d"));
        Assert.Equal("Error: Snapshot 'none' does not exist", await monitor.Execute("savevm -d none one"));
        Assert.Equal("Error: VM Generation ID device not found", await monitor.Execute("info vm-generation-id"));
        Assert.Equal("", await monitor.Execute("loadvm there"));
        Assert.Equal("", await monitor.Execute("delvm there"));
        Assert.Equal("Error: Snapshot 'none' does not exist", await monitor.Execute("loadvm none"));
        string date = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d";
        Assert.Matches(
            "^" + string.Join("\n", "List of snapshots present on all disks:",
                "ID      TAG               VM_SIZE                DATE        VM_CLOCK     ICOUNT",
                $"--      there             532 KiB {date}  0000:00:00.000         --",
                $"--      vm-20261128150411 84.4 MiB {date}  0001:02:03.004         --") + "$",
            await monitor.Execute("info snapshots"));
        Assert.Equal(["there"], await monitor.Complete("loadvm t"));
    }
}

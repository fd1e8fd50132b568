using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace Vmm.Fleet.Tests.Rest;

/// <summary>Policies, quotas, invoices, tokens and the audit log, by REST.</summary>
public sealed class AccountRestTests : RestTestKit
{
    private const string Owner = "/v1/owners/ada";

    [Fact]
    public async Task Policy_of_a_VM_is_set_told_and_taken_away()
    {
        await CreateAsync("vm1", "create");
        var set = await SendAsync(HttpMethod.Put, $"{Vms}/vm1/scaling", Operator, """{"maximum":4,"upAfter":1.5}""");
        Assert.Equal((HttpStatusCode.OK, 4, 1.5, 300), (set.Status, (int)set.Body!["spec"]!["scaling"]!["maximum"]!,
            (double)set.Body["spec"]!["scaling"]!["upAfter"]!, (double)set.Body["spec"]!["scaling"]!["downAfter"]!));
        var wrong = await SendAsync(HttpMethod.Put, $"{Vms}/vm1/scaling", Operator, """{"maximum":5}""");
        Assert.Equal(HttpStatusCode.UnprocessableEntity, wrong.Status);
        Assert.Equal("scaling: a maximum of 5 CPUs is not possible: the VM can have 4", (string?)wrong.Body!["detail"]);
        Assert.Equal(
            HttpStatusCode.Forbidden, (await SendAsync(HttpMethod.Put, $"{Vms}/vm1/scaling", Viewer, """{"maximum":4}""")).Status);
        Assert.Null((await SendAsync(HttpMethod.Delete, $"{Vms}/vm1/scaling", Operator)).Body!["spec"]!["scaling"]);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Delete, $"{Vms}/vm9/scaling", Operator)).Status);
    }

    [Fact]
    public async Task Quota_refuses_a_start_in_words()
    {
        await CreateAsync("vm1", "create");
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(HttpMethod.Put, $"{Owner}/quota", Operator, "{}")).Status);
        var set = await SendAsync(HttpMethod.Put, $"{Owner}/quota", Admin, """{"cpus":0,"cpuSecondsPerMonth":null}""");
        Assert.Equal((HttpStatusCode.OK, 0), (set.Status, (int)set.Body!["quota"]!["cpus"]!));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await SendAsync(
            HttpMethod.Put, $"{Owner}/quota", Admin, """{"cpus":-1,"cpuSecondsPerMonth":null}""")).Status);
        await SendAsync(HttpMethod.Post, $"{Vms}/vm1/operations", Operator, """{"action":"Start"}""", headers: ("Idempotency-Key", "a"));
        JsonNode end = await AwaitAsync("vm1", "a");
        Assert.Equal(
            ("Rejected", "owner 'ada' may have 0 CPUs and has 0: 1 more for VM 'vm1' would be over quota"),
            ((string?)end["outcome"], (string?)end["detail"]));
        Assert.Equal(0, (int)(await SendAsync(HttpMethod.Get, Owner, Viewer)).Body!["grantedCpus"]!);
        Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync(HttpMethod.Get, "/v1/owners/a%20b", Viewer)).Status);
    }

    [Fact]
    public async Task Invoice_is_JSON_or_CSV()
    {
        var json = await SendAsync(HttpMethod.Get, $"{Owner}/invoice?first=2026-01-01&last=2026-01-31", Viewer);
        Assert.Equal(("ada", "2026-01-31", 0m, "EUR"), ((string?)json.Body!["owner"], (string?)json.Body["last-day"],
            (decimal)json.Body["total"]!, (string?)json.Body["currency"]));
        var csv = await SendAsync(HttpMethod.Get, $"{Owner}/invoice", Viewer, headers: ("Accept", "text/csv"));
        Assert.Equal("owner,day,vm,busy_cpu_seconds,idle_cpu_seconds,standby_cpu_seconds,amount,currency\r\n", (string?)csv.Body);
        foreach (string query in new[] { "first=yesterday", "first=2026-02-01&last=2026-01-01", "last=2026-13-01" })
        {
            Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync(HttpMethod.Get, $"{Owner}/invoice?{query}", Viewer)).Status);
        }
    }

    [Fact]
    public async Task Tokens_that_change_hold_without_a_restart()
    {
        string file = Path.Combine(Folder, "tokens"), other = new('n', 24);
        await WriteTokensAsync(file, $"admin ada {Admin}\nviewer nina {other}\n");
        await AwaitStatusAsync(other, HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(HttpMethod.Get, Vms, Viewer)).Status);

        // One that is wrong changes nothing.
        await WriteTokensAsync(file, "nonsense\n");
        await WriteTokensAsync(file, $"admin ada {Admin}\n");
        await AwaitStatusAsync(other, HttpStatusCode.Unauthorized);
        await WriteTokensAsync(file, "nonsense\n");
        await Task.Delay(1500);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(HttpMethod.Get, Vms, Admin)).Status);
    }

    [Fact]
    public async Task Audit_log_has_who_did_what_with_which_outcome_and_no_token()
    {
        await CreateAsync("vm1", "create");
        await SendAsync(HttpMethod.Delete, $"{Vms}/vm1", Operator);
        await SendAsync(HttpMethod.Post, $"{Vms}/vm1/operations", Operator, """{"action":"Start"}""", headers: ("Idempotency-Key", "a"));
        await AwaitAsync("vm1", "a");
        string file = Path.Combine(Folder, "audit");
        JsonNode[] Lines() => [.. ReadLines(file).Select(line => JsonNode.Parse(line)!)];
        Patience.Until(() => Lines().Length >= 4, "the end of the operation is in the audit log");
        JsonNode[] lines = Lines();
        Assert.Equal(
            [("ada", 201), ("oscar", 403), ("oscar", 202)],
            lines.Where(l => l["name"] != null).Select(l => ((string)l["name"]!, (int)l["status"]!)));
        Assert.Equal("it takes the role Admin; yours is Operator", (string?)lines[1]["detail"]);
        JsonNode end = Assert.Single(lines, l => l["operation"] != null);
        Assert.Equal(("vm1", "a", "Start", "Failed"), (
            (string?)end["vm"], (string?)end["operation"], (string?)end["action"], (string?)end["outcome"]));
        Assert.DoesNotContain(
            ReadLines(file), l => l.Contains(Admin, StringComparison.Ordinal) || l.Contains(Operator, StringComparison.Ordinal));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(file).UnixFileMode);
    }

    /// <summary>The names are those of the dashboard in docs.</summary>
    [Fact]
    public async Task Metrics_have_what_the_dashboard_shows()
    {
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(HttpMethod.Get, "/metrics", null)).Status);
        await CreateAsync("vm1", "create");
        await SendAsync(HttpMethod.Post, $"{Vms}/vm1/operations", Operator, """{"action":"Start"}""", headers: ("Idempotency-Key", "a"));
        await AwaitAsync("vm1", "a");
        string text = "";
        for (var start = System.Diagnostics.Stopwatch.StartNew(); !text.Contains("vmm_operations_total{", StringComparison.Ordinal);)
        {
            Assert.True(start.Elapsed < Patience.Limit, text);
            await Task.Delay(100);
            text = (string)(await SendAsync(HttpMethod.Get, "/metrics", Viewer)).Body!;
        }

        string dashboard = await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "grafana-fleet.json"));
        string[] names = [.. text.Split('\n').Where(l => l.Length > 0 && l[0] != '#').Select(l => l.Split('{', ' ')[0])];
        foreach (string name in new[]
        {
            "vmm_vm_state", "vmm_vm_cpus", "vmm_operations_total", "vmm_operation_duration_seconds_bucket", "vmm_node_member",
            "http_server_request_duration_seconds_bucket", "dotnet_process_memory_working_set_bytes",
            "dotnet_process_cpu_time_seconds_total", "dotnet_thread_pool_queue_length_total",
        })
        {
            Assert.True(names.Contains(name), $"{name}: {string.Join(' ', names.Distinct())}");
            Assert.Contains(name, dashboard, StringComparison.Ordinal);
        }
    }

    private static string[] ReadLines(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    // The time of the file is later than before, however coarse the clock of the file system is.
    private static async Task WriteTokensAsync(string file, string text)
    {
        DateTime before = File.GetLastWriteTimeUtc(file);
        do
        {
            await File.WriteAllTextAsync(file, text);
        }
        while (File.GetLastWriteTimeUtc(file) == before);
    }

    private async Task AwaitStatusAsync(string token, HttpStatusCode status)
    {
        for (var start = System.Diagnostics.Stopwatch.StartNew(); (await SendAsync(HttpMethod.Get, Vms, token)).Status != status;)
        {
            Assert.True(start.Elapsed < Patience.Limit);
            await Task.Delay(50);
        }
    }

    private async Task<JsonNode> AwaitAsync(string vm, string operation)
    {
        JsonNode now;
        do
        {
            now = (await SendAsync(HttpMethod.Get, $"{Vms}/{vm}/operations/{operation}?wait=60", Viewer)).Body!;
        }
        while (!(bool)now["isDone"]!);
        return now;
    }
}

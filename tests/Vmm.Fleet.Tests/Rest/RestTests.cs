using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Vmm.Emulation.Tests.Jit;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Rest;

namespace Vmm.Fleet.Tests.Rest;

public sealed class RestTests : RestTestKit
{
    /// <summary>
    /// Random bytes, requests and bodies. Whatever was sent, the node is healthy, no answer is an error of its own, and each that has a
    /// status of 400 or more is problem details.
    /// </summary>
    [Fact]
    public async Task Fuzz_REST()
    {
        string[] pieces =
        [
            "GET", "POST", "PUT", "DELETE", " ", "/", Vms, "/vm1", "/operations", "?wait=", "HTTP/1.1", "\r\n", "\r\n\r\n", "Host: a",
            "Content-Type: application/json", "Content-Length: ", "Transfer-Encoding: chunked", $"Authorization: Bearer {Admin}",
            "If-Match: \"", "{\"name\":", "\"vm1\"", Spec, "{\"action\":\"Resize\",\"number\":", "-1", "99999999999", "null", "\0",
            "%00", "..",
        ];
        HttpMethod[] methods = [HttpMethod.Get, HttpMethod.Post, HttpMethod.Put, HttpMethod.Delete, HttpMethod.Patch];
        var run = new FuzzRun(150);
        foreach (int program in run.Programs())
        {
            var random = new Random(run.SeedOf(program));
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => pieces[random.Next(pieces.Length)]));
            if (random.Next(3) == 0)
            {
                using var raw = new TcpClient();
                await raw.ConnectAsync(IPAddress.Loopback, Client.BaseAddress!.Port);
                await raw.GetStream().WriteAsync(Encoding.Latin1.GetBytes(text));
            }
            else
            {
                string path = random.Next(2) == 0 ? Vms : $"{Vms}/vm1/operations{(random.Next(2) == 0 ? "/a" : "")}?wait=0";
                var (status, _, _) = await SendAsync(
                    methods[random.Next(methods.Length)], path, random.Next(4) == 0 ? null : Admin, text,
                    random.Next(4) == 0 ? "text/plain" : "application/json", ("Idempotency-Key", random.Next(2) == 0 ? "a" : "b c"));
                Assert.True((int)status < 500, $"{run.Name(program)}: {status}: {text}");
            }

            Assert.Equal(HttpStatusCode.OK, (await SendAsync(HttpMethod.Get, "/health/ready", null)).Status);
        }

        System.Console.WriteLine(run.Figure("REST", $"{run.Next} requests"));
    }

    [Fact]
    public async Task Health_needs_no_token_and_all_else_does()
    {
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(HttpMethod.Get, "/health/live", null)).Status);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(HttpMethod.Get, "/health/ready", null)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(HttpMethod.Get, Vms, null)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(HttpMethod.Get, Vms, $"{Admin}x")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(HttpMethod.Get, "/nothing", null)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Get, "/nothing", Viewer)).Status);
    }

    [Theory]
    [InlineData("viewer", "POST", Vms + "/a/operations")]
    [InlineData("viewer", "POST", Vms + "/a/console")]
    [InlineData("viewer", "DELETE", Vms + "/a")]
    [InlineData("viewer", "POST", Vms)]
    [InlineData("operator", "POST", Vms)]
    [InlineData("operator", "DELETE", Vms + "/a")]
    public async Task Role_that_may_not_is_refused(string role, string method, string path)
    {
        (HttpStatusCode status, JsonNode? body, _) = await SendAsync(
            new HttpMethod(method), path, role == "viewer" ? Viewer : Operator, method == "POST" ? "{}" : null);
        Assert.Equal(HttpStatusCode.Forbidden, status);
        Assert.EndsWith($"; yours is {role}", (string?)body!["detail"], StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task VM_is_created_once_and_told_with_its_version()
    {
        var created = await CreateAsync("vm1", "first");
        Assert.Equal((HttpStatusCode.Created, "/v1/vms/vm1"), (created.Status, created.Headers.Location?.ToString()));
        Assert.Equal(("ada", "node1", "Stopped"), (
            (string?)created.Body!["owner"], (string?)created.Body["node"], (string?)created.Body["state"]));
        Assert.Equal(HttpStatusCode.Created, (await CreateAsync("vm1", "first")).Status);
        Assert.Equal(HttpStatusCode.Conflict, (await CreateAsync("vm1", "second")).Status);

        string tag = created.Headers.ETag!.ToString();
        Assert.Equal(HttpStatusCode.NotModified, (await SendAsync(
            HttpMethod.Get, $"{Vms}/vm1", Viewer, headers: ("If-None-Match", tag))).Status);
        await CreateAsync("vm0", "third");
        var listed = await SendAsync(HttpMethod.Get, Vms, Viewer);
        Assert.Equal(["vm0", "vm1"], listed.Body!.AsArray().Select(vm => (string?)vm!["vm"]));

        var asked = await SendAsync(
            HttpMethod.Post, $"{Vms}/vm1/operations", Operator, """{"action":"Start"}""",
            headers: [("Idempotency-Key", "start"), ("If-Match", tag)]);
        Assert.Equal((HttpStatusCode.Accepted, "/v1/vms/vm1/operations/start"), (asked.Status, asked.Headers.Location?.ToString()));
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync(
            HttpMethod.Post, $"{Vms}/vm1/operations", Operator, """{"action":"Stop"}""", headers: ("If-Match", tag))).Status);

        // Whoever repeats a request has changed the VM himself.
        Assert.Equal(HttpStatusCode.Accepted, (await SendAsync(
            HttpMethod.Post, $"{Vms}/vm1/operations", Operator, """{"action":"Start"}""",
            headers: [("Idempotency-Key", "start"), ("If-Match", tag)])).Status);

        // There is no kernel /k: the operation ends, and says so.
        JsonNode operation;
        do
        {
            operation = (await SendAsync(HttpMethod.Get, $"{Vms}/vm1/operations/start?wait=60", Viewer)).Body!;
        }
        while (!(bool)operation["isDone"]!);
        Assert.Equal("Failed", (string?)operation["outcome"]);
        Assert.Contains("/k", (string?)operation["detail"], StringComparison.Ordinal);

        // What is seen of the VM is no event of its record, and changes the tag, too.
        var tags = new HashSet<string>();
        string? state = null;
        while (state != "Failed")
        {
            var now = await SendAsync(HttpMethod.Get, $"{Vms}/vm1", Viewer);
            string told = $"{now.Body!["state"]} {now.Body["detail"]} {now.Body["version"]}";
            state = (string?)now.Body["state"];
            Assert.Equal(tags.Add(told), tags.Add(now.Headers.ETag!.ToString()));
        }
        Assert.Equal(HttpStatusCode.Accepted, (await SendAsync(HttpMethod.Delete, $"{Vms}/vm1", Admin)).Status);
    }

    [Theory]
    [InlineData("", 400)]
    [InlineData("{", 400)]
    [InlineData("null", 400)]
    [InlineData("[]", 400)]
    [InlineData("""{"name":"vm1"}""", 400)]
    [InlineData("""{"name":"vm1","spec":null}""", 400)]
    [InlineData("""{"name":"Vm 1","spec":SPEC}""", 400)]
    [InlineData("""{"name":"vm1","spec":SPEC,"color":"red"}""", 400)]
    [InlineData("""{"name":"vm1","spec":SPEC,"node":"nowhere"}""", 404)]
    [InlineData("""{"name":"vm1","spec":SPEC,"owner":""}""", 422)]
    [InlineData("""{"name":"vm1","spec":SPEC,"policy":1}""", 400)]
    [InlineData("""{"name":"vm1","spec":{START,"memoryBytes":67108864,"disks":[null]}}""", 422)]
    [InlineData("""{"name":"vm1","spec":{START,"memoryBytes":67108864,"disks":[],"placement":{"labels":[null],"group":""}}}""", 422)]
    [InlineData("""{"name":"vm1","spec":{START,"memoryBytes":9223372036854775807,"disks":[]}}""", 422)]
    public async Task Body_that_is_wrong_is_refused_in_words(string body, int status)
    {
        const string Start = """
            "cpus":1,"maxCpus":4,"cpuModel":"max","kernel":"/k","initrd":"","append":"","firmware":""
            """;
        var answer = await SendAsync(HttpMethod.Post, Vms, Admin, body.Replace("SPEC", Spec, StringComparison.Ordinal)
            .Replace("START", Start, StringComparison.Ordinal));
        Assert.Equal(status, (int)answer.Status);
        Assert.False(string.IsNullOrEmpty((string?)answer.Body!["detail"]));
    }

    [Fact]
    public async Task What_is_too_large_or_of_another_type_or_missing_is_refused()
    {
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await SendAsync(HttpMethod.Post, Vms, Admin, "{}", "text/plain")).Status);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await SendAsync(
            HttpMethod.Post, Vms, Admin, new string(' ', 100_000))).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Get, $"{Vms}/vm9", Viewer)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Get, $"{Vms}/vm9/operations/x", Viewer)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(
            HttpMethod.Post, $"{Vms}/vm9/operations", Operator, """{"action":"Start"}""")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync(
            HttpMethod.Post, $"{Vms}/vm9/operations", Operator, """{"action":"Delete"}""")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync(
            HttpMethod.Post, $"{Vms}/vm9/operations", Operator, """{"action":99}""")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync(
            HttpMethod.Get, $"{Vms}/vm9/operations/x?wait=1000", Viewer)).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await SendAsync(HttpMethod.Put, $"{Vms}/vm9", Admin, "{}")).Status);
    }

    [Fact]
    public async Task Events_tell_what_becomes_of_a_VM()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/events");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Viewer);
        using HttpResponseMessage response = await Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var events = new StreamReader(await response.Content.ReadAsStreamAsync());
        await CreateAsync("vm1", "create");
        await SendAsync(HttpMethod.Post, $"{Vms}/vm1/operations", Operator, """{"action":"Start"}""");
        string? line;
        do
        {
            line = await events.ReadLineAsync().WaitAsync(Patience.Limit);
            Assert.NotNull(line);
        }
        while (!line.StartsWith("data: ", StringComparison.Ordinal) || (string?)JsonNode.Parse(line[6..])!["state"] != "Failed");
        JsonNode told = JsonNode.Parse(line[6..])!;
        Assert.Equal(("node1", "vm1"), ((string?)told["node"], (string?)told["vm"]));
    }

    [Theory]
    [InlineData("http://0.0.0.0:7480")]
    [InlineData("http://192.0.2.1:7480")]
    [InlineData("http://localhost:7480")]
    [InlineData("ftp://127.0.0.1")]
    [InlineData("https://127.0.0.1:7480")]
    public void Address_that_would_let_others_in_is_refused(string address)
    {
        string file = Path.Combine(Folder, "config");
        File.WriteAllText(file, $$"""{"name":"node1","folder":"{{Folder}}","listen":["{{address}}"]}""");
        Assert.StartsWith(
            "listen: ", Assert.Throws<NodeConfigException>(() => NodeConfig.Load(file)).Message, StringComparison.Ordinal);
    }

    /// <summary>A file that is missing or wrong, and a key that others may read.</summary>
    [Theory]
    [InlineData(null, UnixFileMode.UserRead, "certificate: cannot read ")]
    [InlineData("nothing", UnixFileMode.UserRead, "certificate: ")]
    [InlineData("nothing", UnixFileMode.UserRead | UnixFileMode.OtherRead, "may be used by others than its owner")]
    public async Task Certificate_that_cannot_be_used_is_told_in_one_line(string? text, UnixFileMode mode, string reason)
    {
        string file = Path.Combine(Folder, "tls.pem");
        if (text != null)
        {
            using (Process change = Process.Start("install", ["-m", Convert.ToString((int)mode, 8), "/dev/null", file]))
            {
                await change.WaitForExitAsync();
            }

            await File.WriteAllTextAsync(file, text);
        }

        string message = (await Assert.ThrowsAsync<NodeConfigException>(() => RestServer.StartAsync(
            new NodeConfig("node1", Folder) { Listen = ["https://127.0.0.1:0"], Certificate = file, Key = file }, Node))).Message;
        Assert.Contains(reason, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Tokens_that_others_can_read_are_refused()
    {
        string file = Path.Combine(Folder, "open");
        File.WriteAllText(file, $"admin ada {Admin}\n");
        Assert.Contains(
            "others can read it", Assert.Throws<NodeConfigException>(() => RestTokens.Open(file)).Message, StringComparison.Ordinal);
    }
}

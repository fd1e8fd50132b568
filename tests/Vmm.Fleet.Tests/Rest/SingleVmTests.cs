using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using Microsoft.OpenApi.Reader;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Rest;

/// <summary><c>vmm run -api</c>: REST of one VM in a process of its own, asked by an HTTP client over its Unix socket.</summary>
public sealed class SingleVmTests : IAsyncLifetime, IDisposable
{
    private const string Vm = "/v1/vms/web";

    private readonly string _folder = Directory.CreateTempSubdirectory("vmm-api-").FullName;
    private readonly HttpClient _client;
    private Process _vm = null!;

    public SingleVmTests() => _client = new HttpClient(new SocketsHttpHandler
    {
        ConnectCallback = async (_, stop) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Api), stop);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    {
        BaseAddress = new Uri("http://vm"), Timeout = Patience.Limit,
    };

    private string Api => Path.Combine(_folder, "api");

    public Task InitializeAsync()
    {
        _vm = VmmProcess.Start(
        [
            "-name", "web", "-m", "64M", "-smp", "cpus=1,maxcpus=3", "-kernel", IdleGuest.WriteImage(_folder),
            "-state", Path.Combine(_folder, "state"), "-serial", "none",
            "-sandbox", "on,elevateprivileges=deny,spawn=deny", "-api", "unix:api",
        ], _folder);
        return Patience.UntilAsync(async () => _vm.HasExited || await AnswersAsync(), "REST of the VM");
    }

    public void Dispose() => _client.Dispose();

    public async Task DisposeAsync()
    {
        if (!_vm.HasExited)
        {
            _vm.Kill();
            await _vm.WaitForExitAsync();
        }

        _vm.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Socket_is_its_owners_alone() =>
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(Api).UnixFileMode);

    [Fact]
    public async Task Document_has_what_one_VM_has()
    {
        ReadResult read = OpenApiDocument.Parse(await _client.GetStringAsync("/openapi.json"), "json");
        Assert.Empty(read.Diagnostic!.Errors);
        Assert.Contains("/v1/vms/{vm}/operations", read.Document!.Paths.Keys);
        Assert.DoesNotContain("/v1/nodes", read.Document.Paths.Keys);
        Assert.Equal([HttpMethod.Get], read.Document.Paths["/v1/vms"].Operations!.Keys);
        Assert.Contains("/v1/vms/{vm}/watch", await _client.GetStringAsync("/docs"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task VM_is_described_as_that_of_a_fleet()
    {
        using HttpResponseMessage response = await _client.GetAsync(Vm);
        JsonNode vm = await JsonOf(response);
        Assert.Equal("web", (string?)vm["vm"]);
        Assert.Equal("Running", (string?)vm["state"]);
        Assert.Equal(1, (int?)vm["enabledCpus"]);
        Assert.Equal(3, (int?)vm["spec"]!["maxCpus"]);
        Assert.Equal(64 << 20, (long?)vm["spec"]!["memoryBytes"]);
        using var known = new HttpRequestMessage(HttpMethod.Get, Vm);
        known.Headers.IfNoneMatch.Add(response.Headers.ETag!);
        using HttpResponseMessage same = await _client.SendAsync(known);
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        Assert.Equal("web", (string?)JsonNode.Parse(await _client.GetStringAsync("/v1/vms"))!.AsArray().Single()!["vm"]);
        using HttpResponseMessage other = await _client.GetAsync("/v1/vms/other");
        Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
        Assert.Equal("application/problem+json", other.Content.Headers.ContentType?.MediaType);
    }

    /// <summary>
    /// A snapshot is there for whoever asks, a request with a known id is not carried out again, and what cannot be is refused.
    /// </summary>
    [Fact]
    public async Task Operations_end_once()
    {
        JsonNode saved = await DoAsync("""{"action":"Save","text":"one"}""", "save-1");
        Assert.Equal("Done", (string?)saved["outcome"]);
        Assert.Equal(["one"], JsonNode.Parse(await _client.GetStringAsync(Vm))!["snapshots"]!.AsArray().Select(s => (string?)s));
        JsonNode again = await DoAsync("""{"action":"Save","text":"two"}""", "save-1");
        Assert.Equal(saved["endedAt"]!.ToJsonString(), again["endedAt"]!.ToJsonString());
        Assert.Equal("Done", (string?)(await DoAsync("""{"action":"Restore","text":"one"}""", "restore-1"))["outcome"]);
        JsonNode none = await DoAsync("""{"action":"Restore","text":"none"}""", "restore-2");
        Assert.Equal("Failed", (string?)none["outcome"]);
        Assert.NotEqual("", (string?)none["detail"]);
        foreach (string refused in (string[])["""{"action":"Migrate","text":"node2"}""", """{"action":"Plug","number":3}"""])
        {
            using HttpResponseMessage response = await PostAsync(refused, "refused");
            Assert.Equal(HttpStatusCode.UnprocessableEntity, response.StatusCode);
        }

        using var stale = new HttpRequestMessage(HttpMethod.Post, $"{Vm}/operations")
        {
            Content = new StringContent("""{"action":"Save","text":"x"}""", Encoding.UTF8, "application/json"),
        };
        stale.Headers.TryAddWithoutValidation("If-Match", "\"1-0\"");
        using HttpResponseMessage changed = await _client.SendAsync(stale);
        Assert.Equal(HttpStatusCode.PreconditionFailed, changed.StatusCode);
    }

    /// <summary>
    /// Whoever watches hears of the VM, of its CPUs, and of the end of an operation that begins meanwhile. Of its beginning only if it
    /// takes long enough.
    /// </summary>
    [Fact]
    public async Task Watch_tells_what_happens()
    {
        using HttpResponseMessage response = await _client.GetAsync($"{Vm}/watch", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        var told = new List<string>();
        Task<JsonNode>? save = null;
        bool hasEnded = false;
        while (!told.Contains("vm") || !told.Contains("view") || !hasEnded)
        {
            string line = await reader.ReadLineAsync().WaitAsync(Patience.Limit) ?? throw new EndOfStreamException();
            if (line.StartsWith("event: ", StringComparison.Ordinal))
            {
                told.Add(line[7..]);
                save ??= DoAsync("""{"action":"Save","text":"seen"}""", "save-2");
            }

            hasEnded |= told.LastOrDefault() == "operation" && line.Contains("\"isDone\":true", StringComparison.Ordinal);
        }

        Assert.Equal("Done", (string?)(await save!)["outcome"]);
    }

    /// <summary>The answer to a stop comes before the process ends.</summary>
    [Fact]
    public async Task Stop_ends_the_process_and_is_answered()
    {
        JsonNode stopped = await DoAsync("""{"action":"Stop","number":1}""", "stop-1");
        Assert.Equal("Done", (string?)stopped["outcome"]);
        await _vm.WaitForExitAsync().WaitAsync(Patience.Limit);
        Assert.Equal(0, _vm.ExitCode);
        Assert.False(File.Exists(Api));
    }

    /// <summary>A Linux guest takes a CPU, and what is typed; whoever watches reads what it writes.</summary>
    [Fact]
    public async Task Guest_is_plugged_and_typed_at()
    {
        // The socket that is left is replaced.
        _vm.Kill();
        await _vm.WaitForExitAsync().WaitAsync(Patience.Limit);
        _vm.Dispose();
        GuestFiles files = await GuestAssets.EnsureAsync(new GuestKernel(GuestFlavour.Cloud));
        _vm = VmmProcess.Start(
        [
            "-name", "web", "-m", "256M", "-smp", "cpus=1,maxcpus=3", "-kernel", files.Kernel, "-initrd", files.Initramfs,
            "-append", "console=ttyAMA0 quiet", "-serial", "none", "-api", "unix:api",
        ], _folder);
        await Patience.UntilAsync(async () => _vm.HasExited || await AnswersAsync(), "REST of the VM");
        using HttpResponseMessage response = await _client.GetAsync($"{Vm}/watch", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        await AwaitAsync(reader, "guest is up");

        // The guest that boots has not answered yet, or does so later: the end says which.
        JsonNode end;
        int tries = 0;
        do
        {
            end = await DoAsync("""{"action":"Resize","number":2}""", $"resize-{++tries}");
        }
        while ((string?)end["outcome"] == "TimedOut");
        Assert.Equal("Done", (string?)end["outcome"]);
        Assert.Equal(2, (int?)JsonNode.Parse(await _client.GetStringAsync(Vm))!["enabledCpus"]);
        using HttpResponseMessage typed = await _client.PostAsync(
            $"{Vm}/console", new StringContent("""{"text":"echo typed-$((6*7))\n"}""", Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.OK, typed.StatusCode);
        await AwaitAsync(reader, "typed-42");
    }

    // Reads events until the guest has written a text.
    private static async Task AwaitAsync(StreamReader events, string text)
    {
        const string Bytes = "data: {\"bytes\":\"";
        for (string written = ""; !written.Contains(text, StringComparison.Ordinal);)
        {
            string line = await events.ReadLineAsync().WaitAsync(Patience.Limit) ?? throw new EndOfStreamException();
            written += line.StartsWith(Bytes, StringComparison.Ordinal)
                ? Encoding.UTF8.GetString(Convert.FromBase64String(line[Bytes.Length..^2])) : "";
        }
    }

    private async Task<JsonNode> DoAsync(string body, string id)
    {
        using HttpResponseMessage response = await PostAsync(body, id);
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        return JsonNode.Parse(await _client.GetStringAsync($"{response.Headers.Location}?wait=60"))!;
    }

    private async Task<HttpResponseMessage> PostAsync(string body, string id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{Vm}/operations")
        {
            Content = new StringContent(body, Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("Idempotency-Key", id);
        return await _client.SendAsync(request);
    }

    private static async Task<JsonNode> JsonOf(HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
    }

    private async Task<bool> AnswersAsync()
    {
        try
        {
            return (string?)JsonNode.Parse(await _client.GetStringAsync(Vm))!["state"] == "Running";
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}

using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Akka.Configuration;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Nodes;
using Vmm.Fleet.Rest;

namespace Vmm.Fleet.Tests.Rest;

/// <summary>REST of a node in this process.</summary>
public abstract class RestTestKit : IAsyncLifetime, IDisposable
{
    protected const string Vms = "/v1/vms";
    protected const string Spec =
        """{"cpus":1,"maxCpus":4,"memoryBytes":67108864,"cpuModel":"max","kernel":"/k","initrd":"","append":"","firmware":"","disks":[]}""";

    protected static string Viewer { get; } = new('v', 24);
    protected static string Operator { get; } = new('o', 24);
    protected static string Admin { get; } = new('a', 24);

    protected string Folder { get; } = Directory.CreateTempSubdirectory("vmm-").FullName;
    protected HttpClient Client { get; } = new() { Timeout = Patience.Limit };
    private protected FleetNode Node => _node;
    private FleetNode _node = null!;
    private RestServer _server = null!;

    /// <summary>The configuration of the node, with what a test adds.</summary>
    protected virtual NodeConfig Configure(NodeConfig config) => config;

    public virtual async Task InitializeAsync()
    {
        string tokens = Path.Combine(Folder, "tokens");
        await File.WriteAllTextAsync(tokens, $"viewer eve {Viewer}\noperator oscar {Operator}\nadmin ada {Admin}\n");
        var options = new FileInfo(tokens);
        if (!OperatingSystem.IsWindows())
        {
            options.UnixFileMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        _node = FleetNode.Start("node1", new NodeSettings(Folder, ["dotnet", VmmProcess.Program]), Config.Empty);
        _server = await RestServer.StartAsync(Configure(new NodeConfig("node1", Folder)
        {
            Listen = ["http://127.0.0.1:0"], Tariff = new Tariff(0.04m, 0.02m, 0, "EUR"),
        }), _node);
        Client.BaseAddress = new Uri(_server.Addresses[0]);
        Patience.Until(() => _node.IsUp, "the node is up");
    }

    public void Dispose()
    {
        Client.Dispose();
        GC.SuppressFinalize(this);
    }

    public virtual async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        await _node.DisposeAsync();
        LocalFleet.RemoveNodes(Folder);
    }

    protected async Task<(HttpStatusCode Status, JsonNode? Body, HttpResponseHeaders Headers)> SendAsync(
        HttpMethod method, string path, string? token, string? body = null, string type = "application/json",
        params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (token != null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        if (body != null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, type);
        }

        foreach ((string name, string value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using HttpResponseMessage response = await Client.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        if (!response.IsSuccessStatusCode && response.StatusCode != HttpStatusCode.NotModified)
        {
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        }

        JsonNode? answer = text.Length > 0 && text[0] is '{' or '[' ? JsonNode.Parse(text) : JsonValue.Create(text);
        return (response.StatusCode, answer, response.Headers);
    }

    protected Task<(HttpStatusCode Status, JsonNode? Body, HttpResponseHeaders Headers)> CreateAsync(string name, string key) =>
        SendAsync(
            HttpMethod.Post, Vms, Admin, $$"""{"name":"{{name}}","spec":{{Spec}}}""", headers: ("Idempotency-Key", key));
}

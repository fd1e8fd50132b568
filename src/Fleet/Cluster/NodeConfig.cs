using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Ledger;
using Vmm.Fleet.Messages;
using Vmm.Management.Text;

namespace Vmm.Fleet.Cluster;

/// <summary>What is wrong with the file of a node, or with a file that it names: one line.</summary>
public sealed class NodeConfigException(string message) : Exception(message);

/// <summary>The file of <c>vmm node --config</c>: JSON with comments. A member that is not known is an error.</summary>
/// <param name="Name">The name of the node, by the rule for names of VMs.</param>
/// <param name="Folder">Where the VMs and the records are kept.</param>
/// <param name="Listen">Where REST is served: <see cref="DefaultAddress"/> without.</param>
/// <param name="Tokens">The file of the tokens: <c>tokens</c> in the folder without.</param>
/// <param name="Certificate">The certificate of https addresses: PEM, with what it was issued by.</param>
/// <param name="Key">Its key: PEM.</param>
/// <param name="Labels">What VMs may ask for: each is a key, <c>=</c> and a value.</param>
/// <param name="Cluster">How it is one of several nodes; a node alone without.</param>
/// <param name="Tariff">What CPU-hours cost, for invoices.</param>
/// <param name="Landlock">Whether VMs reach no files of the machine but their own: where it can be so without.</param>
/// <param name="VmUser">The user of the processes of VMs, a name or UID:GID, where the node is root's; the node's own without.</param>
/// <param name="Cgroup">Whether processes of VMs have limits by cgroup: where the host lets the node set them without.</param>
/// <param name="Traces">The address of a collector that takes traces (OTLP over HTTP); nothing is traced without.</param>
public sealed record NodeConfig(
    string Name, string Folder, string[]? Listen = null, string? Tokens = null, string? Certificate = null, string? Key = null,
    string[]? Labels = null, ClusterConfig? Cluster = null, Tariff? Tariff = null,
    IsolationUse Landlock = IsolationUse.Auto, string? VmUser = null, IsolationUse Cgroup = IsolationUse.Auto, string? Traces = null)
{
    private const string DefaultAddress = "http://127.0.0.1:7480";

    /// <summary>Where REST is served.</summary>
    internal IEnumerable<Uri> Addresses => (Listen ?? [DefaultAddress]).Select(ParseAddress);

    /// <summary>Reads a file.</summary>
    /// <exception cref="NodeConfigException">It cannot be read, or is wrong.</exception>
    public static NodeConfig Load(string path)
    {
        try
        {
            return Check(JsonSerializer.Deserialize(File.ReadAllBytes(path), NodeJson.Default.NodeConfig)
                ?? throw new NodeConfigException($"'{path}' is empty"));
        }
        catch (JsonException e)
        {
            throw new NodeConfigException($"'{UserText.Legible(path)}': {e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NodeConfigException($"cannot read '{UserText.Legible(path)}': {SystemError.Describe(e, path)}");
        }
    }

    /// <summary>Writes the file.</summary>
    internal void Save(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, NodeJson.Default.NodeConfig));

    private static Uri ParseAddress(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? address) || address.Scheme is not ("http" or "https")
            || !IPAddress.TryParse(address.DnsSafeHost, out IPAddress? host) || address.PathAndQuery != "/")
        {
            throw new NodeConfigException(
                $"listen: '{UserText.Legible(text)}' is not http://ADDRESS:PORT of this machine alone, or https://ADDRESS:PORT");
        }

        return address.Scheme == "https" || IPAddress.IsLoopback(host) ? address
            : throw new NodeConfigException(
                $"listen: '{text}' would let others in without TLS: give https:// with certificate and key, or 127.0.0.1");
    }

    private static NodeConfig Check(NodeConfig config)
    {
        config.Cluster?.Check();
        bool hasTls = config.Addresses.Any(a => a.Scheme == "https");
        return !FleetNames.IsVm(config.Name) ? throw new NodeConfigException($"name: a node is called {FleetNames.VmRule}")
            : Array.Find(config.Labels ?? [], label => !PlacementSpec.IsLabel(label)) is { } label
                ? throw new NodeConfigException($"labels: '{UserText.Legible(label)}' is not {PlacementSpec.LabelRule}")
            : !Path.IsPathRooted(config.Folder) ? throw new NodeConfigException("folder: give a whole path, which begins with /")
            : hasTls && (config.Certificate == null || config.Key == null)
                ? throw new NodeConfigException("listen: https needs certificate and key")
            : config.Traces is { } collector && !IsCollector(collector) ? throw new NodeConfigException(
                "traces: give http://HOST:PORT or https://HOST:PORT of a collector (OTLP over HTTP), without a name, password or query")
            : config;
    }

    // Nothing that is secret: the file can be read by others.
    private static bool IsCollector(string text) => Uri.TryCreate(text, UriKind.Absolute, out Uri? address)
        && address is { Scheme: "http" or "https", Host.Length: > 0, UserInfo: "", Query: "", Fragment: "" };
}

/// <summary>The JSON form of <see cref="NodeConfig"/>.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true, UseStringEnumConverter = true)]
[JsonSerializable(typeof(NodeConfig))]
internal sealed partial class NodeJson : JsonSerializerContext;

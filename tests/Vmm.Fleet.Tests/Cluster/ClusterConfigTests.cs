using System.Text.Json;
using Vmm.Fleet.Cluster;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>What is wrong with the configuration of one of several nodes, in one line.</summary>
public sealed class ClusterConfigTests : IDisposable
{
    private const string Password = "open-sesame";

    private readonly TestFleet _fleet = new($"Host=127.0.0.1;Username=vmm;Password={Password}", 2);

    public void Dispose() => _fleet.Dispose();

    private static string Refusal(Action act)
    {
        string message = Assert.Throws<NodeConfigException>(act).Message;
        Assert.DoesNotContain('\n', message);
        Assert.DoesNotContain(Password, message, StringComparison.Ordinal);
        return message;
    }

    private string Refusal(ClusterConfig config) => Refusal(() => ClusterLinks.Read("node1", config));

    [Fact]
    public void Files_are_read_and_no_secret_is_in_the_nodes_own()
    {
        string path = _fleet.WriteConfig(1);
        Assert.Equal(JsonSerializer.Serialize(_fleet.Config(1)), JsonSerializer.Serialize(NodeConfig.Load(path).Cluster));
        Assert.DoesNotContain(Password, File.ReadAllText(path), StringComparison.Ordinal);
        Assert.Contains(Password, ClusterLinks.Read("node1", _fleet.Config(1)).Database, StringComparison.Ordinal);
    }

    [Fact]
    public void Certificates_and_secrets_that_are_not_right_are_refused()
    {
        ClusterConfig config = _fleet.Config(1);
        Assert.Equal("cluster.certificate: it is of node 'node2', and this one is 'node1'", Refusal(_fleet.Config(2)));
        Assert.Contains("cannot read /nonexistent", Refusal(config with { Key = "/nonexistent" }), StringComparison.Ordinal);
        Assert.Contains("no certificate with its key", Refusal(config with { Key = _fleet.Config(2).Key }), StringComparison.Ordinal);
        Assert.Contains(
            "was not issued by this fleet's authority", Refusal(config with { Authority = config.Certificate, Revoked = null }),
            StringComparison.Ordinal);
        Assert.Contains("cannot read the list", Refusal(config with { Revoked = "/nonexistent" }), StringComparison.Ordinal);
        (string certificate, string key) = (config.Certificate + ".old", config.Key + ".old");
        File.Copy(config.Certificate, certificate);
        File.Copy(config.Key, key);
        _fleet.Authority.Revoke("node1", DateTimeOffset.UtcNow);
        Assert.Contains(
            "cluster.certificate: the certificate of 'node1' was revoked on ",
            Refusal(config with { Certificate = certificate, Key = key }), StringComparison.Ordinal);
        config = config with { Certificate = _fleet.Config(2).Certificate, Key = _fleet.Config(2).Key };
        File.WriteAllText(config.Database, $"color=red;Password={Password}");
        Assert.Contains("has no connection string", Refusal(() => ClusterLinks.Read("node2", config)), StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(config.Database, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        }

        Assert.Contains("chmod 600", Refusal(() => ClusterLinks.Read("node2", config)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.0.1", "10.0.0.1:1", "cluster.listen: '10.0.0.1' is not HOST:PORT")]
    [InlineData("10.0.0.1:0", "10.0.0.1:1", "cluster.listen: '10.0.0.1:0' is not HOST:PORT")]
    [InlineData("a b:1", "10.0.0.1:1", "cluster.listen: 'a b:1' is not HOST:PORT")]
    [InlineData("10.0.0.1:1", ":1", "cluster.seeds: ':1' is not HOST:PORT")]
    [InlineData("10.0.0.1:1", "", "cluster.seeds: give HOST:PORT of at least one node")]
    public void Addresses_that_are_none_are_refused(string listen, string seed, string said)
    {
        string path = _fleet.WriteConfig(1);
        ClusterConfig config = _fleet.Config(1) with { Listen = listen, Seeds = seed.Length == 0 ? [] : [seed] };
        File.WriteAllText(path, JsonSerializer.Serialize(
            new NodeConfig("node1", _fleet.FolderOf(1), Cluster: config), NodeJson.Default.NodeConfig));
        Assert.Equal(said, Refusal(() => NodeConfig.Load(path)));
    }
}

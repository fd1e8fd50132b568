using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Tests.Certificates;
using Vmm.Host.Guest;

namespace Vmm.Fleet.Tests.Cluster;

/// <summary>Who is let in at the port of a cluster.</summary>
public sealed class ClusterPortTests(PostgresServer postgres) : IClassFixture<PostgresServer>
{
    private static readonly TimeSpan s_day = TimeSpan.FromDays(1);

    private static DateTimeOffset Now => DateTimeOffset.UtcNow;

    private static X509Certificate2 Issue(FleetAuthority authority, FleetIdentity identity, DateTimeOffset at)
    {
        authority.Issue(identity, identity.Kind == CertificateKind.Node ? ["127.0.0.1"] : [], at, s_day);
        (string certificate, string key) = authority.FilesOf(identity.Name);
        return FleetAuthority.ReadPair(certificate, key);
    }

    private static async Task<bool> IsLetInAsync(int port, X509Certificate2? certificate) =>
        (await ConnectAsync(port, certificate)).IsLetIn;

    // Whether the node takes a link of somebody with a certificate, for it ends one that it does not take; and its own serial number.
    private static async Task<(bool IsLetIn, string? Shown)> ConnectAsync(int port, X509Certificate2? certificate)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port);
        await using var tls = new SslStream(client.GetStream(), false, (_, shown, _, _) => shown != null);
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "127.0.0.1",
                ClientCertificates = certificate == null ? null : [certificate],
                EnabledSslProtocols = SslProtocols.Tls12,
            }).WaitAsync(Patience.Limit);
            Task<int> read = tls.ReadAsync(new byte[1]).AsTask();
            return (
                await Task.WhenAny(read, Task.Delay(TimeSpan.FromSeconds(2))) != read || await read > 0,
                ((X509Certificate2)tls.RemoteCertificate!).SerialNumber);
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            return (false, null);
        }
    }

    /// <summary>
    /// A running node shows a certificate that was renewed, and lets nobody in whose certificate was revoked; a member that has one is
    /// removed from the cluster.
    /// </summary>
    [Fact]
    public async Task Renewed_and_revoked_certificates_hold_while_nodes_run()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 3);
        await using FleetNode one = fleet.Start(1), two = fleet.Start(2);
        await TestFleet.AwaitAllAsync(one, two);
        (string certificate, string key) = fleet.Authority.FilesOf("node3");
        using X509Certificate2 stranger = FleetAuthority.ReadPair(certificate, key);
        (bool isLetIn, string? before) = await ConnectAsync(fleet.PortOf(1), stranger);
        Assert.True(isLetIn);
        string serial = fleet.Authority.Renew("node1", Now).Serial;
        Assert.NotEqual(serial, before);
        await Patience.UntilAsync(
            async () => (await ConnectAsync(fleet.PortOf(1), stranger)).Shown == serial, "the renewed certificate is shown");
        fleet.Authority.Revoke("node3", Now);
        await Patience.UntilAsync(async () => !await IsLetInAsync(fleet.PortOf(1), stranger), "the revoked certificate is refused");
        Assert.Equal(
            await File.ReadAllTextAsync(fleet.Authority.FilesOf("node1").Certificate),
            await File.ReadAllTextAsync(Path.Combine(fleet.FolderOf(1), "tls", "server-cert.pem")));
        fleet.Authority.Revoke("node2", Now);
        Assert.Equal("the others have removed it from the cluster", await two.Ended.WaitAsync(Patience.Limit));
        await TestFleet.AwaitAllAsync(one);
    }

    [Fact]
    public async Task Nodes_of_the_fleet_are_let_in_and_nobody_else()
    {
        using var fleet = new TestFleet(postgres.NewDatabase(), 2);
        await using FleetNode node = fleet.Start(1);
        await TestFleet.AwaitAllAsync(node);
        int port = fleet.PortOf(1);
        string folder = Directory.CreateTempSubdirectory("vmm-").FullName;
        try
        {
            using FleetAuthority foreign = FleetAuthority.Init(folder, "other", Now - s_day);
            var identity = new FleetIdentity("node2", CertificateKind.Node, null);
            (string certificate, string key) = fleet.Authority.FilesOf("node2");
            Assert.True(await IsLetInAsync(port, FleetAuthority.ReadPair(certificate, key)));
            Assert.False(await IsLetInAsync(port, null), "without a certificate");
            Assert.False(await IsLetInAsync(port, SelfMade.Node("node2")), "self-made");
            Assert.False(await IsLetInAsync(port, Issue(foreign, identity, Now)), "of another fleet");
            Assert.False(
                await IsLetInAsync(port, Issue(fleet.Authority, identity with { Name = "expired" }, Now - (2 * s_day))), "expired");
            Assert.False(
                await IsLetInAsync(port, Issue(fleet.Authority, new FleetIdentity("ada", CertificateKind.Client, FleetRole.Admin), Now)),
                "an administrator's, who is no node");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        // It is as well as before.
        Assert.Single(await node.NodesAsync(CancellationToken.None));
    }
}

using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Cluster;
using Vmm.Fleet.Rest;
using Vmm.Fleet.Tests.Certificates;

namespace Vmm.Fleet.Tests.Rest;

/// <summary>REST over TLS: whom it lets in with which certificate, and what becomes of certificates that change.</summary>
public sealed class RestTlsTests : RestTestKit
{
    private static readonly TimeSpan s_day = TimeSpan.FromDays(1);

    private string Ca => Path.Combine(Folder, "ca");

    private static DateTimeOffset Now => DateTimeOffset.UtcNow;

    private static X509Certificate2 Issue(FleetAuthority authority, string name, FleetRole role, DateTimeOffset at)
    {
        authority.Issue(new FleetIdentity(name, CertificateKind.Client, role), [], at, s_day);
        (string certificate, string key) = authority.FilesOf(name);
        return FleetAuthority.ReadPair(certificate, key);
    }

    // What the server has shown is put into the list.
    private static HttpClient Connect(string address, X509Certificate2? certificate, List<string> shown) => new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions
        {
            ClientCertificates = certificate == null ? null : [certificate],
            LocalCertificateSelectionCallback = (_, _, _, _, _) => certificate!,
            RemoteCertificateValidationCallback = (_, server, _, _) =>
            {
                shown.Add(((X509Certificate2)server!).SerialNumber);
                return server != null;
            },
        },
    })
    {
        BaseAddress = new Uri(address), Timeout = Patience.Limit,
    };

    private static async Task<HttpStatusCode?> StatusAsync(string address, X509Certificate2? certificate, List<string>? shown = null)
    {
        using HttpClient client = Connect(address, certificate, shown ?? []);
        try
        {
            using HttpResponseMessage response = await client.GetAsync("/v1/me");
            return response.StatusCode;
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    [Fact]
    public async Task Certificates_of_the_fleet_are_let_in_and_no_others()
    {
        using FleetAuthority ours = FleetAuthority.Init(Ca, "ours", Now - (3 * s_day));
        using FleetAuthority theirs = FleetAuthority.Init(Path.Combine(Folder, "theirs"), "theirs", Now - s_day);
        string serial = ours.Issue(new FleetIdentity("node1", CertificateKind.Node, null), ["127.0.0.1"], Now, s_day).Serial;
        (string certificate, string key) = ours.FilesOf("node1");
        var cluster = new ClusterConfig(
            "127.0.0.1:1", ["127.0.0.1:1"], Path.Combine(Ca, FleetAuthority.CertificateFile), certificate, key, "",
            Path.Combine(Ca, FleetAuthority.RevokedFile));
        await using RestServer server = await RestServer.StartAsync(
            new NodeConfig("node1", Folder)
            {
                Listen = ["https://127.0.0.1:0"], Certificate = certificate, Key = key, Cluster = cluster,
            }, Node);
        string address = server.Addresses[0];
        using X509Certificate2 ada = Issue(ours, "ada", FleetRole.Operator, Now);
        using HttpClient client = Connect(address, ada, []);
        JsonNode me = JsonNode.Parse(await client.GetStringAsync("/v1/me"))!;
        Assert.Equal(("ada", "Operator"), ((string?)me["name"], (string?)me["role"]));
        using HttpResponseMessage drained = await client.PutAsync("/v1/nodes/node1", null);
        Assert.Equal(HttpStatusCode.Forbidden, drained.StatusCode);

        // Without a certificate a token is as good; a node is nobody who asks.
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(address, null));
        using (HttpClient token = Connect(address, null, []))
        {
            token.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Viewer);
            Assert.Contains("eve", await token.GetStringAsync("/v1/me"), StringComparison.Ordinal);
        }

        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(address, FleetAuthority.ReadPair(certificate, key)));
        Assert.Null(await StatusAsync(address, Issue(theirs, "ada", FleetRole.Admin, Now)));
        Assert.Null(await StatusAsync(address, Issue(ours, "old", FleetRole.Admin, Now - (2 * s_day))));
        Assert.Null(await StatusAsync(address, SelfMade.Client("ada", FleetRole.Admin)));

        // `vmm fleet` comes with a certificate, too, and knows a node by the fleet's authority.
        (string ofAda, string keyOfAda) = ours.FilesOf("ada");
        Task<(int ExitCode, string Output, string Errors)> ListAsync(string authority) => VmmProcess.RunAsync(
            ["fleet", "list", "--server", address, "--certificate", ofAda, "--key", keyOfAda, "--authority", authority]);
        (int code, string output, string errors) = await ListAsync(cluster.Authority);
        Assert.Equal((0, ""), (code, errors));
        Assert.StartsWith("NAME", output, StringComparison.Ordinal);
        (code, _, errors) = await ListAsync(Path.Combine(Folder, "theirs", FleetAuthority.CertificateFile));
        Assert.Equal(
            (1, $"vmm: no node answers at {address}/: the certificate of 'node1' was not issued by this fleet's authority\n"),
            (code, errors));
        Assert.Equal(
            (1, "", "vmm: a certificate and its key come together: --certificate FILE --key FILE\n"),
            await VmmProcess.RunAsync(["fleet", "list", "--server", address, "--certificate", ofAda]));

        // One that is revoked is refused at the next request of a link that there is, and in the handshake of another.
        ours.Revoke("ada", Now);
        await Patience.UntilAsync(async () =>
        {
            using HttpResponseMessage response = await client.GetAsync("/v1/me");
            return response.StatusCode == HttpStatusCode.Unauthorized;
        }, "the revoked certificate is refused");
        Assert.Null(await StatusAsync(address, ada));

        List<string> shown = [];
        await StatusAsync(address, null, shown);
        Assert.Equal([serial], shown);
        string renewed = ours.Renew("node1", Now).Serial;
        await Patience.UntilAsync(async () =>
        {
            await StatusAsync(address, null, shown);
            return shown[^1] == renewed;
        }, "the renewed certificate is shown");
    }
}

using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Serilog;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Cluster;
using Vmm.Management.Certificates;

namespace Vmm.Fleet.Rest;

/// <summary>
/// TLS of REST. The server's certificate is read again when its files change. A client may show one of the fleet's authority in place of a
/// token, where the node is one of several; a client with another one is not let in. Any thread.
/// </summary>
internal sealed class RestTls
{
    private readonly WatchedFiles<SslStreamCertificateContext> _own;

    // Null where no client shows a certificate.
    private readonly FleetTrust? _clients;

    private RestTls(WatchedFiles<SslStreamCertificateContext> own, FleetTrust? clients) => (_own, _clients) = (own, clients);

    /// <summary>For each link anew.</summary>
    public TlsHandshakeCallbackOptions Options => new()
    {
        OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _own.Value,
            ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            ClientCertificateRequired = _clients != null,
            RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate == null || Admits(certificate),
        }),
    };

    /// <summary>Null without https.</summary>
    /// <exception cref="NodeConfigException">A file is missing or wrong: one line.</exception>
    public static RestTls? Open(NodeConfig config)
    {
        if (config.Addresses.All(a => a.Scheme != "https"))
        {
            return null;
        }

        try
        {
            return new RestTls(
                new WatchedFiles<SslStreamCertificateContext>(
                    "the certificate of REST", [config.Certificate!, config.Key!], () => ReadOwn(config.Certificate!, config.Key!)),
                config.Cluster is { } cluster ? FleetTrust.Read(cluster.Authority, cluster.Revoked) : null);
        }
        catch (CertificateException e)
        {
            throw new NodeConfigException($"certificate: {e.Message}");
        }
    }

    /// <summary>Who shows a certificate, and may ask with it now; null for nobody.</summary>
    public Asker? Find(X509Certificate2? certificate) =>
        certificate != null && _clients?.Client(certificate, DateTimeOffset.UtcNow, out _) is { Role: { } role } client
            ? new Asker(client.Name, (RestRole)role) : null;

    private bool Admits(X509Certificate certificate)
    {
        string? refusal = null;
        if (_clients?.Client(certificate, DateTimeOffset.UtcNow, out refusal) != null)
        {
            return true;
        }

        Log.Warning("A client of REST is not let in: {Reason}", refusal);
        return false;
    }

    // All of the file is told to clients: what issued the certificate, too.
    private static SslStreamCertificateContext ReadOwn(string certificate, string key)
    {
        X509Certificate2 own = FleetAuthority.ReadPair(certificate, key);
        var issuers = new X509Certificate2Collection();
        issuers.ImportFromPemFile(certificate);
        return SslStreamCertificateContext.Create(own, issuers, offline: true);
    }
}

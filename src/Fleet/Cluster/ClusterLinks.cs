using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Akka.Remote.Transport.DotNetty;
using Npgsql;
using Serilog;
using Vmm.Fleet.Certificates;
using Vmm.Fleet.Isolation;
using Vmm.Fleet.Nodes;
using Vmm.Management.Certificates;
using Vmm.Management.Text;

namespace Vmm.Fleet.Cluster;

/// <summary>
/// What connects a node with others: its certificate, whom it lets in, and the database that all share. Nodes speak TLS to each other and
/// both show a certificate; who may join is decided by that alone. The files of the certificate and of what is revoked may change while
/// the node runs. Any thread.
/// </summary>
internal sealed class ClusterLinks
{
    private readonly FleetTrust _trust;
    private readonly WatchedFiles<X509Certificate2> _own;
    private readonly ClusterConfig _config;

    // The serial number of the certificate that each node has shown last, by the node's name.
    private readonly ConcurrentDictionary<string, string> _shown = new(StringComparer.Ordinal);

    private ClusterLinks(FleetTrust trust, WatchedFiles<X509Certificate2> own, ClusterConfig config, string database) =>
        (_trust, _own, _config, Database) = (trust, own, config, database);

    /// <summary>The connection string of PostgreSQL: it may have a password.</summary>
    public string Database { get; }

    /// <summary>The node's certificate as it is now.</summary>
    public X509Certificate2 Own => _own.Value;

    /// <summary>What is revoked now; null if nothing is known of that.</summary>
    public RevocationList? Revoked => _trust.Revoked;

    /// <summary>The nodes whose certificates were revoked after they had been let in.</summary>
    public IEnumerable<string> RevokedNodes => _shown.Where(s => Revoked?.Find(s.Value) != null).Select(s => s.Key);

    /// <summary>For the actor system.</summary>
    public DotNettySslSetup Ssl => new(
        Own, suppressValidation: false, requireMutualAuthentication: true, validateCertificateHostname: true,
        (certificate, _, peer, errors, _) => Admits(certificate, peer, errors));

    /// <summary>Reads the files that a configuration names.</summary>
    /// <param name="node">The name of the node.</param>
    /// <exception cref="NodeConfigException">One is missing or wrong, or others may read a secret: one line.</exception>
    public static ClusterLinks Read(string node, ClusterConfig config)
    {
        try
        {
            var trust = FleetTrust.Read(config.Authority, config.Revoked);
            return new ClusterLinks(
                trust,
                new WatchedFiles<X509Certificate2>(
                    "the node's certificates", [config.Certificate, config.Key], () => ReadOwn(node, config, trust)),
                config, ReadDatabase(config.Database));
        }
        catch (CertificateException e)
        {
            throw new NodeConfigException($"cluster: {e.Message}");
        }
    }

    /// <summary>Writes what VMs need to move, and only this user may read.</summary>
    /// <param name="folder">Is made.</param>
    /// <param name="reader">The user of the VMs; null for this one.</param>
    /// <exception cref="NodeConfigException">It cannot be written: one line.</exception>
    public MigrationLink WriteMigrationLink(string folder, HostUser? reader)
    {
        try
        {
            Directory.CreateDirectory(folder);
            PrivateFile.Write(Path.Combine(folder, "ca-cert.pem"), File.ReadAllText(_config.Authority), isPublic: true);
            if (_config.Revoked != null)
            {
                PrivateFile.Write(Path.Combine(folder, "ca-crl.pem"), File.ReadAllText(_config.Revoked), isPublic: true);
            }

            foreach (string side in (string[])["server", "client"])
            {
                PrivateFile.Write(Path.Combine(folder, $"{side}-cert.pem"), File.ReadAllText(_config.Certificate), isPublic: true);
                PrivateFile.Write(Path.Combine(folder, $"{side}-key.pem"), PrivateFile.Read(_config.Key), isPublic: false);
            }

            foreach (string path in Directory.EnumerateFileSystemEntries(folder).Append(folder))
            {
                reader?.Share(path);
            }

            return new MigrationLink(_config.Own.Host, folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NodeConfigException($"cannot write the certificates for migrations: {SystemError.Describe(e, folder)}");
        }
    }

    private static X509Certificate2 ReadOwn(string node, ClusterConfig config, FleetTrust trust)
    {
        X509Certificate2 own = FleetAuthority.ReadPair(config.Certificate, config.Key);
        FleetIdentity? identity = trust.Server(own, DateTimeOffset.UtcNow, out string? refusal);
        return identity == null ? throw new NodeConfigException($"cluster.certificate: {refusal}")
            : identity.Name != node ? throw new NodeConfigException(
                $"cluster.certificate: it is of node '{identity.Name}', and this one is '{node}'")
            : own;
    }

    private static string ReadDatabase(string path)
    {
        try
        {
            // Nothing of the text is told: it has a password.
            return new NpgsqlConnectionStringBuilder(PrivateFile.Read(path).Trim()) { ApplicationName = "vmm node" }.ConnectionString;
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            throw new NodeConfigException(
                $"cluster.database: {path} has no connection string, such as Host=db;Database=vmm;Username=vmm;Password=SECRET");
        }
    }

    // Both sides are asked: of a node that connects the certificate's hosts are not known to matter, of one that is connected to they are.
    private bool Admits(X509Certificate2? certificate, string peer, SslPolicyErrors errors)
    {
        string? refusal = (errors & SslPolicyErrors.RemoteCertificateNameMismatch) != 0 ? "its certificate is for other hosts" : null;
        if (refusal != null || _trust.Server(certificate, DateTimeOffset.UtcNow, out refusal) is not { } node)
        {
            Log.Warning("A node is not let in, {Peer}: {Reason}", peer, refusal);
            return false;
        }

        _shown[node.Name] = certificate!.SerialNumber;
        return true;
    }
}

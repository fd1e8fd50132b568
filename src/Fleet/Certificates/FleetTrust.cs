using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Vmm.Management.Certificates;

namespace Vmm.Fleet.Certificates;

/// <summary>
/// Whom a fleet trusts: holders of certificates that its own authority has issued and not revoked, whatever the host's store of roots has.
/// Any thread.
/// </summary>
/// <param name="authority">The certificate of the authority.</param>
/// <param name="revoked">What it has revoked, which may change; null if nothing is known of that.</param>
public sealed class FleetTrust(X509Certificate2 authority, WatchedFiles<RevocationList>? revoked = null)
{
    private const string ServerAuth = "1.3.6.1.5.5.7.3.1", ClientAuth = "1.3.6.1.5.5.7.3.2";

    /// <summary>What is revoked now; null if nothing is known of that.</summary>
    public RevocationList? Revoked => revoked?.Value;

    /// <summary>Reads the certificate of the authority.</summary>
    /// <param name="list">The file of what it has revoked, which is read again when it changes; null for none.</param>
    /// <exception cref="CertificateException">One is missing or wrong: one line.</exception>
    public static FleetTrust Read(string path, string? list)
    {
        try
        {
            X509Certificate2 authority = X509Certificate2.CreateFromPem(File.ReadAllText(path));
            return new FleetTrust(authority, list == null ? null : new WatchedFiles<RevocationList>(
                "the revoked certificates", [list], () => ReadList(list, authority)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new CertificateException($"cannot read the certificate of the fleet's authority, {path}: {e.Message}", e);
        }
    }

    /// <summary>Reads a list of revoked certificates.</summary>
    /// <exception cref="CertificateException">There is none, or the authority has not signed it: one line.</exception>
    public static RevocationList ReadList(string path, X509Certificate2 authority)
    {
        try
        {
            return RevocationList.Read(File.ReadAllText(path), [authority]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new CertificateException($"cannot read the list of revoked certificates, {path}: {e.Message}", e);
        }
    }

    /// <summary>Who a server is. It must be a node.</summary>
    /// <inheritdoc cref="Check"/>
    public FleetIdentity? Server(X509Certificate? certificate, DateTimeOffset now, out string? refusal) =>
        Check(certificate, ServerAuth, now, out refusal);

    /// <summary>Who a client is: a node or a person.</summary>
    /// <inheritdoc cref="Check"/>
    public FleetIdentity? Client(X509Certificate? certificate, DateTimeOffset now, out string? refusal) =>
        Check(certificate, ClientAuth, now, out refusal);

    /// <summary>Who holds a certificate.</summary>
    /// <param name="now">The moment at which it must be valid.</param>
    /// <param name="refusal">Why it is not trusted: one line; null when it is.</param>
    /// <returns>Null when it is not trusted.</returns>
    private FleetIdentity? Check(X509Certificate? certificate, string purpose, DateTimeOffset now, out string? refusal)
    {
        if (certificate == null)
        {
            refusal = "there is no certificate";
            return null;
        }

        using var copy = new X509Certificate2(certificate);
        FleetCertificate found = FleetCertificate.Of(copy);
        string who = $"the certificate of '{copy.GetNameInfo(X509NameType.SimpleName, forIssuer: false)}'";
        refusal = Refuse(copy, purpose, now) is { } why ? $"{who} {why}"
            : Revoked?.Find(copy) is { } when ? $"{who} was revoked on {Time(when.UtcDateTime)}"
            : found.Identity == null ? $"{who} is neither a node's nor a client's"
            : purpose == ServerAuth && found.Identity.Kind != CertificateKind.Node ? $"{who} is not a node's" : null;
        return refusal == null ? found.Identity : null;
    }

    private string? Refuse(X509Certificate2 certificate, string purpose, DateTimeOffset now)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = now.UtcDateTime;
        chain.ChainPolicy.VerificationTimeIgnored = false;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(purpose));
        if (chain.Build(certificate))
        {
            return null;
        }

        X509ChainStatusFlags all = default;
        foreach (X509ChainStatus status in chain.ChainStatus)
        {
            all |= status.Status;
        }

        const X509ChainStatusFlags Foreign =
            X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.NotSignatureValid;
        return (all & Foreign) != 0
                ? certificate.Subject == certificate.Issuer ? "was made by its holder" : "was not issued by this fleet's authority"
            : (all & X509ChainStatusFlags.NotTimeValid) != 0
                ? now < certificate.NotBefore ? $"is valid from {Time(certificate.NotBefore)} only"
                    : $"has expired on {Time(certificate.NotAfter)}"
            : (all & X509ChainStatusFlags.NotValidForUsage) != 0 ? $"is not for a {(purpose == ServerAuth ? "server" : "client")}"
            : $"is not valid ({all})";
    }

    private static string Time(DateTime time) => time.ToUniversalTime().ToString("yyyy-MM-dd HH:mm 'UTC'", null);
}

using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Vmm.Host.Options;
using Vmm.Management.Certificates;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// The certificates of one side of a link (<c>tls-creds-x509</c>). Behind the handshake the sender sends one byte and the receiver answers
/// with one: in TLS 1.3, as .NET has it, each side has done its part before the other has looked at its certificate, and by the byte it
/// knows that it was let in. Files that change are read again.
/// </summary>
internal sealed class X509Credentials : TlsCredentials
{
    private const string AuthorityFile = "ca-cert.pem";
    private const string RevokedFile = "ca-crl.pem";
    private const byte Welcome = 1;

    private readonly WatchedFiles<Loaded> _files;

    /// <exception cref="OptionException">A file is missing or damaged: one line.</exception>
    public X509Credentials(TlsX509Option option)
        : base(option)
    {
        VerifiesCertificates = option.VerifyPeer;
        string side = IsServer ? "server" : "client";
        _files = new WatchedFiles<Loaded>(
            "the certificates for migrations",
            [
                .. new[] { AuthorityFile, RevokedFile, $"{side}-cert.pem", $"{side}-key.pem" }
                    .Select(file => Path.Combine(option.Folder, file)),
            ],
            () => Load(option.Folder, side));
    }

    /// <summary>What is in the files.</summary>
    /// <param name="Revoked">Null if nothing is known of revoked certificates.</param>
    /// <param name="Own">Null for a sender without a certificate.</param>
    private sealed record Loaded(X509Certificate2Collection Authorities, RevocationList? Revoked, SslStreamCertificateContext? Own);

    public override bool VerifiesCertificates { get; }

    public override Task<Stream> ConnectAsync(Stream link, string host, CancellationToken stop)
    {
        string? refusal = null;
        Loaded files = _files.Value;
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            EnabledSslProtocols = SslProtocols.Tls13,
            ClientCertificateContext = files.Own,
            CertificateChainPolicy = Policy(files),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                !VerifiesCertificates || (refusal = RefusalOf(files, Receiver, certificate, chain, errors, host)) == null,
        };
        return ShakeAsync(link, Receiver, () => refusal, async (tls, patience) =>
        {
            await tls.AuthenticateAsClientAsync(options, patience).ConfigureAwait(false);
            await tls.WriteAsync(new[] { Welcome }, patience).ConfigureAwait(false);
            await ExpectAsync(tls, patience).ConfigureAwait(false);
        }, stop);
    }

    public override Task<Stream> AcceptAsync(Stream link, AuthzOption? authz, CancellationToken stop)
    {
        string? refusal = null;
        Loaded files = _files.Value;
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = files.Own,
            ClientCertificateRequired = VerifiesCertificates,
            EnabledSslProtocols = SslProtocols.Tls13,
            CertificateChainPolicy = Policy(files),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                !VerifiesCertificates || (refusal = RefusalOf(files, Sender, certificate, chain, errors, host: null)
                    ?? RefusalOf(authz, certificate!)) == null,
        };
        return ShakeAsync(link, Sender, () => refusal, async (tls, patience) =>
        {
            await tls.AuthenticateAsServerAsync(options, patience).ConfigureAwait(false);
            await ExpectAsync(tls, patience).ConfigureAwait(false);
            await tls.WriteAsync(new[] { Welcome }, patience).ConfigureAwait(false);
        }, stop);
    }

    private Loaded Load(string folder, string side)
    {
        try
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(Existing(folder, AuthorityFile));
            string list = Path.Combine(folder, RevokedFile), certificate = Path.Combine(folder, $"{side}-cert.pem");
            RevocationList? revoked = File.Exists(list) ? RevocationList.Read(File.ReadAllText(list), [.. authorities]) : null;

            // A sender may have no certificate of its own.
            if (!IsServer && !File.Exists(certificate))
            {
                return new Loaded(authorities, revoked, null);
            }

            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(Existing(folder, $"{side}-cert.pem"));
            return new Loaded(authorities, revoked, SslStreamCertificateContext.Create(
                X509Certificate2.CreateFromPemFile(certificate, Existing(folder, $"{side}-key.pem")), chain, offline: true));
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new OptionException($"Unable to import the certificates in {UserText.Legible(folder)}: {SystemError.Describe(e)}");
        }
    }

    private static async Task ExpectAsync(SslStream tls, CancellationToken patience)
    {
        byte[] welcome = new byte[1];
        if (await tls.ReadAsync(welcome, patience).ConfigureAwait(false) != 1 || welcome[0] != Welcome)
        {
            throw new IOException("it closed the link before it had let this side in");
        }
    }

    private static X509ChainPolicy Policy(Loaded files)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(files.Authorities);
        return policy;
    }

    private static Task<Stream> ShakeAsync(
        Stream link, string peer, Func<string?> refusal, Func<SslStream, CancellationToken, Task> shake, CancellationToken stop)
    {
        var tls = new SslStream(link, leaveInnerStreamOpen: false);
        return WithPatienceAsync(tls, peer, async patience =>
        {
            await shake(tls, patience).ConfigureAwait(false);
            return tls;
        }, e => refusal() ?? (e is IOException or AuthenticationException ? ReasonOf(e) : null), stop);
    }

    // OpenSSL's reason, such as "tlsv13 alert certificate required", stands behind the last colons of the innermost message.
    private static string ReasonOf(Exception e)
    {
        const string Separator = "::";
        string message = e.GetBaseException().Message;
        int at = message.LastIndexOf(Separator, StringComparison.Ordinal);
        return at < 0 ? SystemError.Describe(e.GetBaseException()) : message[(at + Separator.Length)..];
    }

    // Why a peer is not the one that it should be; null if it is.
    private static string? RefusalOf(
        Loaded files, string peer, X509Certificate? shown, X509Chain? chain, SslPolicyErrors errors, string? host)
    {
        if (shown is not X509Certificate2 certificate)
        {
            return $"{peer} has no certificate";
        }

        if (errors == SslPolicyErrors.None)
        {
            return files.Revoked?.Find(certificate) is { } when ? $"the certificate of {peer} was revoked at {when.UtcDateTime:u}" : null;
        }

        if (DateTime.Now > certificate.NotAfter)
        {
            return $"the certificate of {peer} has expired at {certificate.NotAfter.ToUniversalTime():u}";
        }

        if (DateTime.Now < certificate.NotBefore)
        {
            return $"the certificate of {peer} is not valid before {certificate.NotBefore.ToUniversalTime():u}";
        }

        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
        {
            X509ChainStatusFlags status = chain?.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, s) => all | s.Status) ?? default;
            return (status & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain)) != 0
                ? $"the certificate of {peer} is not signed by the authority of {AuthorityFile}"
                : $"the certificate of {peer} is not valid for this: {status}";
        }

        return $"the certificate of {peer} is for {Names(certificate)}, not for '{UserText.Legible(host ?? "")}' (tls-hostname)";
    }

    // QEMU's words (crypto/tlssession.c).
    private static string? RefusalOf(AuthzOption? authz, X509Certificate certificate)
    {
        string name = DistinguishedName.Of(((X509Certificate2)certificate).SubjectName);
        return authz?.Allows(name) != false ? null : $"TLS x509 authz check for {UserText.Legible(name)} is denied";
    }

    private static string Names(X509Certificate2 certificate)
    {
        X509SubjectAlternativeNameExtension? names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        string[] all = names == null ? [certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false)]
            : [.. names.EnumerateDnsNames(), .. names.EnumerateIPAddresses().Select(a => a.ToString())];
        return all.Length == 0 ? "no host" : UserText.Legible(string.Join(", ", all));
    }
}

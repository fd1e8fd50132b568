using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// The certificates of one side of a link (<c>tls-creds-x509</c>). Behind the handshake the sender sends one byte and the receiver answers
/// with one: in TLS 1.3, as .NET has it, each side has done its part before the other has looked at its certificate, and by the byte it
/// knows that it was let in.
/// </summary>
internal sealed class X509Credentials : TlsCredentials
{
    private const string AuthorityFile = "ca-cert.pem";
    private const byte Welcome = 1;

    private readonly X509Certificate2Collection _authorities = [];
    private readonly SslStreamCertificateContext? _own;

    /// <exception cref="OptionException">A file is missing or damaged: one line.</exception>
    public X509Credentials(TlsX509Option option)
        : base(option)
    {
        VerifiesCertificates = option.VerifyPeer;
        try
        {
            _authorities.ImportFromPemFile(Existing(option.Folder, AuthorityFile));
            if (File.Exists(Path.Combine(option.Folder, "ca-crl.pem")))
            {
                throw new OptionException(
                    $"not supported: a list of revoked certificates, {UserText.Legible(Path.Combine(option.Folder, "ca-crl.pem"))}");
            }

            string side = IsServer ? "server" : "client";
            string certificate = Path.Combine(option.Folder, $"{side}-cert.pem");

            // A sender may have no certificate of its own.
            if (IsServer || File.Exists(certificate))
            {
                var chain = new X509Certificate2Collection();
                chain.ImportFromPemFile(Existing(option.Folder, $"{side}-cert.pem"));
                _own = SslStreamCertificateContext.Create(
                    X509Certificate2.CreateFromPemFile(certificate, Existing(option.Folder, $"{side}-key.pem")), chain, offline: true);
            }
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new OptionException($"Unable to import the certificates in {UserText.Legible(option.Folder)}: {SystemError.Describe(e)}");
        }
    }

    public override bool VerifiesCertificates { get; }

    public override Task<Stream> ConnectAsync(Stream link, string host, CancellationToken stop)
    {
        string? refusal = null;
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            EnabledSslProtocols = SslProtocols.Tls13,
            ClientCertificateContext = _own,
            CertificateChainPolicy = Policy(),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                !VerifiesCertificates || (refusal = RefusalOf(Receiver, certificate, chain, errors, host)) == null,
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
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _own,
            ClientCertificateRequired = VerifiesCertificates,
            EnabledSslProtocols = SslProtocols.Tls13,
            CertificateChainPolicy = Policy(),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                !VerifiesCertificates || (refusal = RefusalOf(Sender, certificate, chain, errors, host: null)
                    ?? RefusalOf(authz, certificate!)) == null,
        };
        return ShakeAsync(link, Sender, () => refusal, async (tls, patience) =>
        {
            await tls.AuthenticateAsServerAsync(options, patience).ConfigureAwait(false);
            await ExpectAsync(tls, patience).ConfigureAwait(false);
            await tls.WriteAsync(new[] { Welcome }, patience).ConfigureAwait(false);
        }, stop);
    }

    private static async Task ExpectAsync(SslStream tls, CancellationToken patience)
    {
        byte[] welcome = new byte[1];
        if (await tls.ReadAsync(welcome, patience).ConfigureAwait(false) != 1 || welcome[0] != Welcome)
        {
            throw new IOException("it closed the link before it had let this side in");
        }
    }

    private X509ChainPolicy Policy()
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(_authorities);
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
    private static string? RefusalOf(string peer, X509Certificate? shown, X509Chain? chain, SslPolicyErrors errors, string? host)
    {
        if (shown is not X509Certificate2 certificate)
        {
            return $"{peer} has no certificate";
        }

        if (errors == SslPolicyErrors.None)
        {
            return null;
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

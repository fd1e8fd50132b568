using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// The certificates of one side of a link, and the handshake of TLS 1.3 with them. Behind the handshake the sender sends one byte and the
/// receiver answers with one: in TLS 1.3, as .NET has it, each side has done its part before the other has looked at its certificate, and
/// by the byte it knows that it was let in.
/// </summary>
internal sealed class TlsCredentials
{
    private const string AuthorityFile = "ca-cert.pem";
    private const byte Welcome = 1;

    // A peer that says nothing must not keep others waiting for ever.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly X509Certificate2Collection _authorities = [];
    private readonly SslStreamCertificateContext? _own;

    private TlsCredentials(TlsCredentialsOption option)
    {
        IsServer = option.IsServer;
        VerifiesPeer = option.VerifyPeer;
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

    public bool IsServer { get; }

    /// <summary>Whether the other side must show who it is.</summary>
    public bool VerifiesPeer { get; }

    /// <exception cref="OptionException">A file is missing or damaged: one line.</exception>
    public static TlsCredentials Load(TlsCredentialsOption option)
    {
        try
        {
            return new TlsCredentials(option);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new OptionException($"Unable to import the certificates in {UserText.Legible(option.Folder)}: {SystemError.Describe(e)}");
        }
    }

    /// <summary>The sender's part. The link belongs to the stream; it is closed if the handshake fails.</summary>
    /// <param name="host">The name that the receiver's certificate must have.</param>
    /// <exception cref="IOException">The other side is not the one that it should be, or does not let this side in: one line.</exception>
    public Task<Stream> ConnectAsync(Stream link, string host, CancellationToken stop)
    {
        string? refusal = null;
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            EnabledSslProtocols = SslProtocols.Tls13,
            ClientCertificateContext = _own,
            CertificateChainPolicy = Policy(),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                !VerifiesPeer || (refusal = RefusalOf("the receiver", certificate, chain, errors, host)) == null,
        };
        return Shake(link, "the receiver", () => refusal, async (tls, patience) =>
        {
            await tls.AuthenticateAsClientAsync(options, patience).ConfigureAwait(false);
            await tls.WriteAsync(new[] { Welcome }, patience).ConfigureAwait(false);
            await ExpectAsync(tls, patience).ConfigureAwait(false);
        }, stop);
    }

    /// <summary>The receiver's part, as <see cref="ConnectAsync"/>.</summary>
    /// <exception cref="IOException">The sender is not let in: one line.</exception>
    public Task<Stream> AcceptAsync(Stream link, CancellationToken stop)
    {
        string? refusal = null;
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _own,
            ClientCertificateRequired = VerifiesPeer,
            EnabledSslProtocols = SslProtocols.Tls13,
            CertificateChainPolicy = Policy(),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                !VerifiesPeer || (refusal = RefusalOf("the sender", certificate, chain, errors, host: null)) == null,
        };
        return Shake(link, "the sender", () => refusal, async (tls, patience) =>
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

    private static string Existing(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? path
            : throw new OptionException($"Unable to access credentials {UserText.Legible(path)}: "
                + SystemError.Describe(new FileNotFoundException(), path));
    }

    private X509ChainPolicy Policy()
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(_authorities);
        return policy;
    }

    private static async Task<Stream> Shake(
        Stream link, string peer, Func<string?> refusal, Func<SslStream, CancellationToken, Task> shake, CancellationToken stop)
    {
        var tls = new SslStream(link, leaveInnerStreamOpen: false);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(s_patience);
        try
        {
            await shake(tls, patience.Token).ConfigureAwait(false);
            return tls;
        }
        catch (Exception e)
        {
            await tls.DisposeAsync().ConfigureAwait(false);
            string? reason = refusal() ?? e switch
            {
                OperationCanceledException when !stop.IsCancellationRequested =>
                    $"it said nothing for {s_patience.TotalSeconds:F0} seconds",
                IOException or AuthenticationException => ReasonOf(e),
                _ => null,
            };
            if (reason == null)
            {
                throw;
            }

            throw new IOException($"TLS handshake with {peer} failed: {reason}");
        }
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

    private static string Names(X509Certificate2 certificate)
    {
        X509SubjectAlternativeNameExtension? names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        string[] all = names == null ? [certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false)]
            : [.. names.EnumerateDnsNames(), .. names.EnumerateIPAddresses().Select(a => a.ToString())];
        return all.Length == 0 ? "no host" : UserText.Legible(string.Join(", ", all));
    }
}

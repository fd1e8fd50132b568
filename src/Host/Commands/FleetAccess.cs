using System.CommandLine;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Vmm.Fleet.Certificates;
using Vmm.Management.Text;

namespace Vmm.Host.Commands;

/// <summary>With what <c>vmm fleet</c> comes to a node, and how it knows that it is one.</summary>
/// <param name="TokenFile">A file with a token as its last word, such as a line of the node's own file; null for none.</param>
/// <param name="Certificate">The client's certificate (PEM), with its key: in place of a token; null for none.</param>
/// <param name="Key">Its key (PEM).</param>
/// <param name="Authority">
/// The certificate of the fleet's authority (PEM), which has issued the node's; null for the host's store of roots.
/// </param>
internal sealed record FleetAccess(string? TokenFile, string? Certificate = null, string? Key = null, string? Authority = null)
{
    private static readonly Option<string?> s_token = Make("--token-file", "VMM_FLEET_TOKEN_FILE", "a file with a token");
    private static readonly Option<string?> s_certificate =
        Make("--certificate", "VMM_FLEET_CERTIFICATE", "a client's certificate of the fleet, in place of a token");

    private static readonly Option<string?> s_key = Make("--key", "VMM_FLEET_KEY", "its key");
    private static readonly Option<string?> s_authority =
        Make("--authority", "VMM_FLEET_AUTHORITY", "the certificate of the fleet's authority, by which nodes are known");

    /// <summary>The options of the command line.</summary>
    public static IReadOnlyList<Option> Options { get; } = [s_token, s_certificate, s_key, s_authority];

    /// <exception cref="FleetException">There is neither a token nor a certificate with its key: one line.</exception>
    public static FleetAccess Of(ParseResult parsed)
    {
        var access = new FleetAccess(
            parsed.GetValue(s_token), parsed.GetValue(s_certificate), parsed.GetValue(s_key), parsed.GetValue(s_authority));
        return access.TokenFile == null && access.Certificate == null
                ? throw new FleetException("give a token: --token-file FILE, or VMM_FLEET_TOKEN_FILE; a node keeps its own in 'tokens'")
            : access.Certificate == null != (access.Key == null)
                ? throw new FleetException("a certificate and its key come together: --certificate FILE --key FILE")
            : access;
    }

    /// <summary>The token; null without one.</summary>
    /// <exception cref="FleetException">The file cannot be read, or has none: one line.</exception>
    public string? ReadToken()
    {
        if (TokenFile == null)
        {
            return null;
        }

        try
        {
            return File.ReadLines(TokenFile).LastOrDefault(l => l.Length > 0 && l[0] != '#')?.Split(' ')[^1]
                ?? throw new FleetException($"'{UserText.Legible(TokenFile)}' has no token");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new FleetException($"cannot read the token '{UserText.Legible(TokenFile)}': {SystemError.Describe(e, TokenFile)}");
        }
    }

    /// <summary>TLS with a node.</summary>
    /// <param name="refused">Is told why a node is not taken for one: one line.</param>
    /// <exception cref="FleetException">A file is missing or wrong: one line.</exception>
    public SslClientAuthenticationOptions ReadTls(Action<string> refused)
    {
        try
        {
            var options = new SslClientAuthenticationOptions();
            if (Certificate != null)
            {
                X509Certificate2 own = FleetAuthority.ReadPair(Certificate, Key!);
                options.ClientCertificates = [own];

                // It is shown whatever issuers the node names.
                options.LocalCertificateSelectionCallback = (_, _, _, _, _) => own;
            }

            if (Authority != null)
            {
                var trust = FleetTrust.Read(Authority, list: null);
                options.RemoteCertificateValidationCallback = (_, shown, _, errors) =>
                {
                    string? refusal =
                        (errors & SslPolicyErrors.RemoteCertificateNameMismatch) != 0 ? "its certificate is for other hosts" : null;
                    if (refusal == null)
                    {
                        trust.Server(shown, DateTimeOffset.UtcNow, out refusal);
                    }

                    if (refusal != null)
                    {
                        refused(refusal);
                    }

                    return refusal == null;
                };
            }

            return options;
        }
        catch (CertificateException e)
        {
            throw new FleetException(e.Message);
        }
    }

    private static Option<string?> Make(string name, string variable, string description) => new(name)
    {
        Description = $"{description} ({variable})", Recursive = true,
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(variable),
    };
}

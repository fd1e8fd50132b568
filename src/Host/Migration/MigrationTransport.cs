using Vmm.Actors.Migration;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>The addresses of migrations.</summary>
/// <param name="objects">Those that TLS needs are among them.</param>
public sealed class MigrationTransport(ObjectTable objects) : IMigrationTransport
{
    public IMigrationEndpoint Parse(string uri, string tlsCreds, string tlsHostname, string tlsAuthz = "")
    {
        MigrationUri address = MigrationUri.Parse(uri);
        IMigrationEndpoint endpoint = address.Kind switch
        {
            MigrationUriKind.Tcp => new TcpEndpoint(address.Text, (int)address.Number),
            MigrationUriKind.Unix => new UnixEndpoint(address.Text),
            MigrationUriKind.File => new FileEndpoint(address.Text, address.Number),
            MigrationUriKind.Command => new CommandEndpoint(address.Text),
            _ => new DescriptorEndpoint((int)address.Number),
        };
        if (tlsCreds.Length == 0)
        {
            return endpoint;
        }

        TlsCredentials credentials = objects.FindCredentials(tlsCreds)
            ?? throw new FormatException($"No TLS credentials with id '{UserText.Legible(tlsCreds)}'");
        return address.Kind is MigrationUriKind.File or MigrationUriKind.Command
            ? throw new FormatException("tls-creds: TLS needs a link that goes both ways: tcp:, unix: or fd: with a socket")
            : new TlsEndpoint(
                endpoint, credentials, AuthzOf(credentials, tlsAuthz),
                tlsHostname.Length > 0 || address.Kind != MigrationUriKind.Tcp ? tlsHostname
                : address.Text.Length > 0 ? address.Text
                : TcpEndpoint.ThisMachine);
    }

    private AuthzOption? AuthzOf(TlsCredentials credentials, string id) =>
        id.Length == 0 || !credentials.IsServer ? null
        : objects.FindAuthz(id) is not { } authz
            ? throw new FormatException($"No authorization object with id '{UserText.Legible(id)}': authz-simple and authz-list are some")
        : credentials.VerifiesCertificates ? authz
        : throw new FormatException("tls-authz: it is about certificates, so tls-creds names a tls-creds-x509 with verify-peer=on");
}

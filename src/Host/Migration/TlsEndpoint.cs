using Vmm.Actors.Migration;
using Vmm.Host.Options;

namespace Vmm.Host.Migration;

/// <summary>An endpoint whose links are encrypted.</summary>
/// <param name="plain">The endpoint below; its links go both ways.</param>
/// <param name="authz">Which senders a receiver lets in; null for all that the credentials let in.</param>
/// <param name="host">The name that the receiver's certificate must have; empty if none is known.</param>
internal sealed class TlsEndpoint(IMigrationEndpoint plain, TlsCredentials credentials, AuthzOption? authz, string host)
    : IMigrationEndpoint
{
    public bool HasReturnPath => plain.HasReturnPath;

    public bool TakesChannels => plain.TakesChannels;

    public IMigrationFile? File => null;

    public async Task<Stream> ConnectAsync(CancellationToken stop)
    {
        Expect(server: false);
        if (host.Length == 0 && credentials.VerifiesCertificates)
        {
            throw new IOException("No hostname available for TLS: set tls-hostname to a name of the receiver's certificate");
        }

        Stream link = await plain.ConnectAsync(stop).ConfigureAwait(false);
        return await credentials.ConnectAsync(link, host, stop).ConfigureAwait(false);
    }

    public IMigrationListener Listen()
    {
        Expect(server: true);
        return new Listener(plain.Listen(), credentials, authz, plain.TakesChannels);
    }

    private void Expect(bool server)
    {
        if (credentials.IsServer != server)
        {
            string side = server ? "server" : "client";
            throw new IOException($"Expected TLS credentials for a {side} endpoint: its object has endpoint={side}");
        }
    }

    /// <param name="takesOthers">Whoever is not let in takes nobody's place.</param>
    private sealed class Listener(IMigrationListener plain, TlsCredentials credentials, AuthzOption? authz, bool takesOthers)
        : IMigrationListener
    {
        public string Address => plain.Address;

        public async Task<Stream> AcceptAsync(CancellationToken stop)
        {
            Stream link = await plain.AcceptAsync(stop).ConfigureAwait(false);
            try
            {
                return await credentials.AcceptAsync(link, authz, stop).ConfigureAwait(false);
            }
            catch (IOException e) when (takesOthers)
            {
                throw new StrangerException(e.Message);
            }
        }

        public ValueTask DisposeAsync() => plain.DisposeAsync();
    }
}

using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>What one side of a link needs to know who is at the other end, and the handshake of TLS 1.3 with it.</summary>
internal abstract class TlsCredentials(TlsCredentialsOption option)
{
    protected const string Sender = "the sender";
    protected const string Receiver = "the receiver";

    // A peer that says nothing must not keep others waiting for ever.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    public bool IsServer => option.IsServer;

    /// <summary>Each side looks at the other's certificate, so a sender must know the receiver's name.</summary>
    public abstract bool VerifiesCertificates { get; }

    /// <exception cref="OptionException">A file is missing or damaged: one line.</exception>
    public static TlsCredentials Load(TlsCredentialsOption option) => option switch
    {
        TlsPskOption psk => new PskCredentials(psk),
        TlsX509Option x509 => new X509Credentials(x509),
        _ => throw new ArgumentOutOfRangeException(nameof(option)),
    };

    /// <summary>The sender's part. The link belongs to the stream; it is closed if the handshake fails.</summary>
    /// <param name="host">The receiver's name.</param>
    /// <exception cref="IOException">The other side is not the one that it should be, or does not let this side in: one line.</exception>
    public abstract Task<Stream> ConnectAsync(Stream link, string host, CancellationToken stop);

    /// <summary>The receiver's part, as <see cref="ConnectAsync"/>.</summary>
    /// <param name="authz">Which certificates are let in; null for all that are verified.</param>
    /// <exception cref="IOException">The sender is not let in: one line.</exception>
    public abstract Task<Stream> AcceptAsync(Stream link, AuthzOption? authz, CancellationToken stop);

    /// <summary>The path of a file of the credentials.</summary>
    /// <exception cref="OptionException">There is no such file.</exception>
    protected static string Existing(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? path
            : throw new OptionException($"Unable to access credentials {UserText.Legible(path)}: "
                + SystemError.Describe(new FileNotFoundException(), path));
    }

    /// <summary>Does a handshake within the time that there is for it.</summary>
    /// <param name="link">Closed if it fails.</param>
    /// <param name="peer">The other side, in messages.</param>
    /// <param name="shake">The handshake. Its token is cancelled when the time is over.</param>
    /// <param name="reasonOf">Why it has failed; null for what is no reason to be told.</param>
    /// <exception cref="IOException">It has failed: one line.</exception>
    protected static async Task<Stream> WithPatienceAsync(
        Stream link, string peer, Func<CancellationToken, Task<Stream>> shake, Func<Exception, string?> reasonOf, CancellationToken stop)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(s_patience);
        try
        {
            return await shake(patience.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await link.DisposeAsync().ConfigureAwait(false);
            stop.ThrowIfCancellationRequested();
            string? reason = patience.IsCancellationRequested ? $"it said nothing for {s_patience.TotalSeconds:F0} seconds" : reasonOf(e);
            if (reason == null)
            {
                throw;
            }

            throw new IOException($"TLS handshake with {peer} failed: {reason}");
        }
    }
}

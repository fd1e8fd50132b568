using System.Text;
using Org.BouncyCastle.Tls;
using Org.BouncyCastle.Tls.Crypto;
using Org.BouncyCastle.Tls.Crypto.Impl.BC;

namespace Vmm.Host.Migration;

/// <summary>
/// TLS 1.3 with a key that both sides have, by Bouncy Castle. External keys belong to SHA-256 (RFC 8446, section 4.2.11), and so do the
/// ciphers. A handshake without such a key ends.
/// </summary>
internal static class PskTls
{
    // In the order in which they are liked.
    private static readonly int[] s_ciphers = [CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_CHACHA20_POLY1305_SHA256];

    /// <summary>The sender's handshake. Blocks until it is done; who closes the link ends it.</summary>
    /// <param name="link">The stream's, if there is one.</param>
    /// <exception cref="IOException">It has failed.</exception>
    public static Stream Connect(Stream link, string username, byte[] key)
    {
        var protocol = new TlsClientProtocol(link);
        protocol.Connect(new Client(new BcTlsCrypto(), Encoding.UTF8.GetBytes(username), key));
        return new PskStream(link, protocol);
    }

    /// <summary>The receiver's handshake, as <see cref="Connect"/>.</summary>
    /// <param name="keys">By the user's name.</param>
    /// <exception cref="IOException">It has failed.</exception>
    public static Stream Accept(Stream link, IReadOnlyDictionary<string, byte[]> keys)
    {
        var protocol = new TlsServerProtocol(link);
        protocol.Accept(new Server(new BcTlsCrypto(), keys));
        return new PskStream(link, protocol);
    }

    private static BasicTlsPskExternal External(TlsCrypto crypto, byte[] identity, byte[] key) =>
        new(identity, crypto.CreateSecret((byte[])key.Clone()), PrfAlgorithm.tls13_hkdf_sha256);

    private sealed class Client(TlsCrypto crypto, byte[] identity, byte[] key) : AbstractTlsClient(crypto)
    {
        public override IList<TlsPskExternal> GetExternalPsks() => [External(Crypto, identity, key)];

        public override void NotifySelectedPsk(TlsPsk selectedPsk)
        {
            if (selectedPsk == null)
            {
                throw new TlsFatalAlert(AlertDescription.handshake_failure);
            }
        }

        // A receiver that shows a certificate has not taken the key.
        public override TlsAuthentication GetAuthentication() => throw new TlsFatalAlert(AlertDescription.handshake_failure);

        protected override ProtocolVersion[] GetSupportedVersions() => ProtocolVersion.TLSv13.Only();

        protected override int[] GetSupportedCipherSuites() => s_ciphers;
    }

    private sealed class Server(TlsCrypto crypto, IReadOnlyDictionary<string, byte[]> keys) : AbstractTlsServer(crypto)
    {
        public override TlsPskExternal GetExternalPsk(IList<PskIdentity> identities)
        {
            foreach (PskIdentity offered in identities)
            {
                if (keys.TryGetValue(Encoding.UTF8.GetString(offered.Identity), out byte[]? key))
                {
                    return External(Crypto, offered.Identity, key);
                }
            }

            throw new TlsFatalAlert(AlertDescription.unknown_psk_identity);
        }

        // Asked for where no key was offered.
        public override Org.BouncyCastle.Tls.TlsCredentials GetCredentials() => throw new TlsFatalAlert(AlertDescription.handshake_failure);

        protected override ProtocolVersion[] GetSupportedVersions() => ProtocolVersion.TLSv13.Only();

        protected override int[] GetSupportedCipherSuites() => s_ciphers;

        protected override bool PreferLocalCipherSuites() => true;
    }

    /// <summary>
    /// What goes through the link once the handshake is done: one thread may read while another writes. Whoever closes it closes the link
    /// at once and says no farewell, which could wait for the other side; the migration's own records say where it ends.
    /// </summary>
    private sealed class PskStream(Stream link, TlsProtocol protocol) : Stream
    {
        public override bool CanRead => true;

        public override bool CanWrite => true;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(Span<byte> buffer)
        {
            try
            {
                return Math.Max(protocol.ReadApplicationData(buffer), 0);
            }
            catch (TlsNoCloseNotifyException)
            {
                return 0;
            }
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer) => protocol.WriteApplicationData(buffer);

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
            // Nothing is held back.
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                link.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}

using System.Text;
using Org.BouncyCastle.Tls;
using Vmm.Host.Options;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

/// <summary>
/// Keys that both sides have (<c>tls-creds-psk</c>): TLS 1.3 with an external key and (EC)DHE, so that who learns the key later cannot read
/// what was sent (RFC 8446, section 2.2, psk_dhe_ke). .NET has no such handshake; Bouncy Castle does it (<see cref="PskTls"/>), and is
/// loaded at the first one.
/// </summary>
internal sealed class PskCredentials : TlsCredentials
{
    private const string File = "keys.psk";
    private const int LargestFile = 1 << 20;

    private readonly string _username;

    // By the user's name.
    private readonly Dictionary<string, byte[]> _keys;

    /// <exception cref="OptionException">The file is missing or damaged, or has no key of the user: one line.</exception>
    public PskCredentials(TlsPskOption option)
        : base(option)
    {
        string path = Existing(option.Folder, File);
        _username = option.Username;
        _keys = Read(path);
        if (!IsServer && !_keys.ContainsKey(_username))
        {
            throw new OptionException($"Username {UserText.Legible(_username)} not found in PSK file {UserText.Legible(path)}");
        }
    }

    /// <summary>The key says who the other side is.</summary>
    public override bool VerifiesCertificates => false;

    public override Task<Stream> ConnectAsync(Stream link, string host, CancellationToken stop) =>
        ShakeAsync(link, Receiver, () => PskTls.Connect(link, _username, _keys[_username]), stop);

    public override Task<Stream> AcceptAsync(Stream link, AuthzOption? authz, CancellationToken stop) =>
        ShakeAsync(link, Sender, () => PskTls.Accept(link, _keys), stop);

    // The handshake blocks a thread; closing the link ends it.
    private static Task<Stream> ShakeAsync(Stream link, string peer, Func<Stream> shake, CancellationToken stop) =>
        WithPatienceAsync(link, peer, async patience =>
        {
            using (patience.Register(link.Dispose))
            {
                return await Task.Run(shake, CancellationToken.None).ConfigureAwait(false);
            }
        }, e => e is IOException ? ReasonOf(e) : null, stop);

    private static string ReasonOf(Exception e) => e switch
    {
        TlsFatalAlertReceived received => ReasonOf(received.AlertDescription, says: "the other side says "),
        TlsFatalAlert { InnerException: null } raised => ReasonOf(raised.AlertDescription, says: ""),
        _ => SystemError.Describe(e.GetBaseException()),
    };

    private static string ReasonOf(short alert, string says) => says + alert switch
    {
        AlertDescription.unknown_psk_identity => "it has no key of such a user (keys.psk)",
        AlertDescription.decrypt_error => "the keys of the two sides differ (keys.psk)",
        AlertDescription.handshake_failure => "it closed the link, or offers no key of TLS 1.3",
        _ => AlertDescription.GetName(alert).Replace('_', ' '),
    };

    // A message names the line and never shows it: it is a secret.
    private static Dictionary<string, byte[]> Read(string path)
    {
        var keys = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        string[] lines = Encoding.UTF8.GetString(UserFile.Read("PSK file", path, LargestFile).Span).Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i].TrimEnd('\r');
            if (line.Length == 0)
            {
                continue;
            }

            OptionException Wrong(string why) => new($"PSK file {UserText.Legible(path)}, line {i + 1}: {why}");
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || colon == line.Length - 1)
            {
                throw Wrong("'username:key' is expected, the key in hexadecimal digits");
            }

            try
            {
                if (!keys.TryAdd(line[..colon], Convert.FromHexString(line.AsSpan(colon + 1))))
                {
                    throw Wrong("the user has a key already");
                }
            }
            catch (FormatException)
            {
                throw Wrong("the key is not an even number of hexadecimal digits");
            }
        }

        return keys;
    }
}

using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// The object <c>tls-creds-x509</c>: a folder with certificates (QEMU, docs/system/tls). A receiver has <c>endpoint=server</c>.
/// </summary>
/// <param name="Folder">It has ca-cert.pem, and server-cert.pem and server-key.pem, or client-cert.pem and client-key.pem.</param>
/// <param name="VerifyPeer">Whether the other side must have a certificate of that authority, and a receiver one for its name.</param>
public sealed record TlsCredentialsOption(string Folder, bool IsServer, bool VerifyPeer)
{
    public const string Type = "tls-creds-x509";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    internal static TlsCredentialsOption Parse(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        var option = new TlsCredentialsOption("", IsServer: false, VerifyPeer: true);
        foreach ((string key, string? value) in pairs)
        {
            option = (key, value) switch
            {
                ("qom-type" or "id", _) => option,
                ("dir", { Length: > 0 }) => option with { Folder = value },
                ("endpoint", "client" or "server") => option with { IsServer = value == "server" },
                ("endpoint", _) => throw new OptionException(
                    $"Parameter 'endpoint' does not accept value '{UserText.Legible(value ?? "")}'"),
                ("verify-peer", _) => option with { VerifyPeer = KeyValues.Switch(key, value) },

                // Certificates are looked at when they are used, in any case.
                ("sanity-check", _) when KeyValues.Switch(key, value) || !KeyValues.Switch(key, value) => option,
                ("priority", _) => throw new OptionException("not supported: priority: TLS 1.3 is spoken, with the host's ciphers"),
                ("passwordid", _) => throw new OptionException("not supported: passwordid: give a key that is not encrypted"),
                _ => throw new OptionException($"Property '{Type}.{UserText.Legible(key)}' not found"),
            };
        }

        return option.Folder.Length > 0 ? option : throw new OptionException("Missing 'dir' property value");
    }
}

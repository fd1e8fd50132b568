using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>An object with what TLS needs to know who is at the other end (QEMU, docs/system/tls).</summary>
/// <param name="Folder">It has the files.</param>
/// <param name="IsServer">A receiver has <c>endpoint=server</c>.</param>
public abstract record TlsCredentialsOption(string Folder, bool IsServer)
{
    /// <summary>Takes a property that every kind of credentials has.</summary>
    /// <exception cref="OptionException">There is no such property, or its value cannot be: one line.</exception>
    private protected static TOption Common<TOption>(TOption option, string type, string key, string? value)
        where TOption : TlsCredentialsOption => (key, value) switch
        {
            ("qom-type" or "id", _) => option,
            ("dir", { Length: > 0 }) => option with { Folder = value },
            ("endpoint", "client" or "server") => option with { IsServer = value == "server" },
            ("endpoint", _) => throw new OptionException($"Parameter 'endpoint' does not accept value '{UserText.Legible(value ?? "")}'"),
            ("priority", _) => throw new OptionException("not supported: priority: TLS 1.3 is spoken, with its own ciphers"),
            _ => throw new OptionException($"Property '{type}.{UserText.Legible(key)}' not found"),
        };

    private protected static TOption Complete<TOption>(TOption option)
        where TOption : TlsCredentialsOption =>
        option.Folder.Length > 0 ? option : throw new OptionException("Missing 'dir' property value");
}

/// <summary>
/// The object <c>tls-creds-x509</c>. Its folder has ca-cert.pem, and server-cert.pem and server-key.pem, or client-cert.pem and
/// client-key.pem.
/// </summary>
/// <param name="VerifyPeer">Whether the other side must have a certificate of that authority, and a receiver one for its name.</param>
public sealed record TlsX509Option(string Folder, bool IsServer, bool VerifyPeer) : TlsCredentialsOption(Folder, IsServer)
{
    public const string Type = "tls-creds-x509";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    internal static TlsX509Option Parse(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        var option = new TlsX509Option("", IsServer: false, VerifyPeer: true);
        foreach ((string key, string? value) in pairs)
        {
            option = key switch
            {
                "verify-peer" => option with { VerifyPeer = KeyValues.Switch(key, value) },

                // Certificates are looked at when they are used, in any case.
                "sanity-check" => KeyValues.Switch(key, value) ? option : option,
                "passwordid" => throw new OptionException("not supported: passwordid: give a key that is not encrypted"),
                _ => Common(option, Type, key, value),
            };
        }

        return Complete(option);
    }
}

/// <summary>
/// The object <c>tls-creds-psk</c>. Its folder has keys.psk, with a line <c>username:key</c> for each user, the key in hex.
/// </summary>
/// <param name="Username">As whom a sender comes.</param>
public sealed record TlsPskOption(string Folder, bool IsServer, string Username) : TlsCredentialsOption(Folder, IsServer)
{
    public const string Type = "tls-creds-psk";

    private const string DefaultUsername = "qemu";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    internal static TlsPskOption Parse(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        var option = new TlsPskOption("", IsServer: false, "");
        foreach ((string key, string? value) in pairs)
        {
            option = key switch
            {
                "username" when value is { Length: > 0 } && !value.Contains(':', StringComparison.Ordinal) =>
                    option with { Username = value },
                "username" => throw new OptionException(
                    $"Parameter 'username' expects a name without a colon, not '{UserText.Legible(value ?? "")}'"),

                // Both sides always show that they have the key.
                "verify-peer" => KeyValues.Switch(key, value) ? option : option,
                _ => Common(option, Type, key, value),
            };
        }

        if (option is { IsServer: true, Username.Length: > 0 })
        {
            throw new OptionException("username should not be set when endpoint=server");
        }

        return Complete(option.Username.Length > 0 ? option : option with { Username = DefaultUsername });
    }
}

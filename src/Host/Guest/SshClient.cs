namespace Vmm.Host.Guest;

/// <summary>Runs commands in a guest by the host's ssh, with a key that is made for it.</summary>
internal sealed class SshClient
{
    private readonly string _key;
    private readonly int _port;

    private SshClient(string key, int port, string publicKey) => (_key, _port, PublicKey) = (key, port, publicKey);

    /// <summary>The line that the guest is to have among its <c>authorized_keys</c>.</summary>
    public string PublicKey { get; }

    /// <param name="folder">Where the key is kept.</param>
    /// <param name="port">Of this host's loopback, forwarded to port 22 of the guest.</param>
    /// <exception cref="GuestAssetsException">This host has no ssh.</exception>
    public static async Task<SshClient> MakeAsync(string folder, int port, CancellationToken cancellation)
    {
        string key = Path.Combine(folder, "key");
        (int code, _, string error) = await HostTools.RunAsync(
            "ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "vmm", "-f", key], cancellation).ConfigureAwait(false);
        return code == 0
            ? new SshClient(key, port, (await File.ReadAllTextAsync($"{key}.pub", cancellation).ConfigureAwait(false)).Trim())
            : throw new GuestAssetsException($"ssh-keygen failed: {error}");
    }

    /// <summary>Runs a command as root.</summary>
    /// <returns>What it printed, without the last line end; null if the guest cannot be reached or it failed.</returns>
    public async Task<string?> TryRunAsync(string command, CancellationToken cancellation)
    {
        (int code, string output, _) = await HostTools.RunAsync("ssh", Arguments(command), cancellation).ConfigureAwait(false);
        return code == 0 ? output.TrimEnd('\n') : null;
    }

    /// <summary>Runs a command as root, whatever it ends with.</summary>
    /// <returns>What it printed on both streams, and its exit code if that is not 0.</returns>
    public async Task<string> RunAsync(string command, CancellationToken cancellation)
    {
        (int code, string output, string error) = await HostTools.RunAsync("ssh", Arguments(command), cancellation).ConfigureAwait(false);
        string said = (output + error).TrimEnd('\n');
        return code == 0 ? said : $"{said} (exit code {code})";
    }

    // The guest's host key is new each time, so nobody knows it.
    private string[] Arguments(string command) =>
    [
        "-i", _key, "-p", $"{_port}", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
        "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=60", "root@127.0.0.1", command,
    ];
}

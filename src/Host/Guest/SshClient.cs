namespace Vmm.Host.Guest;

/// <summary>Runs commands in a guest by the host's ssh, with a key that is made for it.</summary>
internal sealed class SshClient
{
    private readonly string _key;
    private readonly string _host;
    private readonly int _port;
    private readonly IReadOnlyList<string> _program;

    private SshClient(string key, string host, int port, IReadOnlyList<string> program, string publicKey) =>
        (_key, _host, _port, _program, PublicKey) = (key, host, port, program, publicKey);

    /// <summary>The line that the guest is to have among its <c>authorized_keys</c>.</summary>
    public string PublicKey { get; }

    /// <param name="folder">Where the key is kept.</param>
    /// <param name="port">Of the host, which leads to port 22 of the guest.</param>
    /// <param name="host">The guest's address, or this host's loopback where a port of that is forwarded.</param>
    /// <param name="program">The command that ssh's arguments follow; null for ssh itself.</param>
    /// <exception cref="GuestAssetsException">This host has no ssh.</exception>
    public static async Task<SshClient> MakeAsync(
        string folder, int port, CancellationToken cancellation, string host = "127.0.0.1", IReadOnlyList<string>? program = null)
    {
        string key = Path.Combine(folder, "key");
        (int code, _, string error) = await HostTools.RunAsync(
            "ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "vmm", "-f", key], cancellation).ConfigureAwait(false);
        if (code != 0)
        {
            throw new GuestAssetsException($"ssh-keygen failed: {error}");
        }

        string publicKey = await File.ReadAllTextAsync($"{key}.pub", cancellation).ConfigureAwait(false);
        return new SshClient(key, host, port, program ?? ["ssh"], publicKey.Trim());
    }

    /// <summary>Runs a command as root.</summary>
    /// <returns>What it printed, without the last line end; null if the guest cannot be reached or it failed.</returns>
    public async Task<string?> TryRunAsync(string command, CancellationToken cancellation)
    {
        string[] line = Command(command);
        (int code, string output, _) = await HostTools.RunAsync(line[0], line[1..], cancellation).ConfigureAwait(false);
        return code == 0 ? output.TrimEnd('\n') : null;
    }

    /// <summary>Runs a command as root, whatever it ends with.</summary>
    /// <returns>What it printed on both streams, and its exit code if that is not 0.</returns>
    public async Task<string> RunAsync(string command, CancellationToken cancellation)
    {
        string[] line = Command(command);
        (int code, string output, string error) = await HostTools.RunAsync(line[0], line[1..], cancellation).ConfigureAwait(false);
        string said = (output + error).TrimEnd('\n');
        return code == 0 ? said : $"{said} (exit code {code})";
    }

    /// <summary>The program and the arguments by which this host runs a command in the guest.</summary>
    // The guest's host key is new each time, so nobody knows it.
    public string[] Command(string command) =>
    [
        .. _program, "-i", _key, "-p", $"{_port}", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=60", $"root@{_host}", command,
    ];
}

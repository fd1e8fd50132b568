namespace Vmm.Management.CharacterDevices;

/// <summary>The address of a socket: a path, or a host and a port.</summary>
/// <param name="Path">The path of a Unix socket; null for TCP.</param>
/// <param name="Host">The host. Empty means every address for a listener, and this machine for a client.</param>
/// <param name="Server">True: it listens. False: it connects.</param>
/// <param name="Wait">Whether the VM starts only when a client has connected.</param>
public sealed record SocketTarget(string? Path, string Host, int Port, bool Server, bool Wait)
{
    /// <summary>Whether the file of a Unix socket that listens is its owner's alone (mode 600).</summary>
    public bool OwnerOnly { get; init; }

    /// <summary>
    /// Of one that connects: how many milliseconds after the end of a connection, or of an attempt, it tries again; 0 for never.
    /// </summary>
    public int ReconnectMs { get; init; }

    /// <summary>The address in QEMU's form.</summary>
    public override string ToString() => Path != null ? $"unix:{Path}" : $"tcp:{Host}:{Port}";
}

namespace Vmm.Management.CharacterDevices;

/// <summary>Where a socket is: a path, or a host and a port.</summary>
/// <param name="Path">Of a Unix socket; null for TCP.</param>
/// <param name="Host">Empty: every address to listen at, this machine to connect to.</param>
/// <param name="Server">Listens; otherwise connects.</param>
/// <param name="Wait">The VM starts when a client has come.</param>
public sealed record SocketTarget(string? Path, string Host, int Port, bool Server, bool Wait)
{
    /// <summary>As QEMU writes it.</summary>
    public override string ToString() => Path != null ? $"unix:{Path}" : $"tcp:{Host}:{Port}";
}

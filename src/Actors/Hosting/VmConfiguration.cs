using Akka.Configuration;

namespace Vmm.Actors.Hosting;

/// <summary>The HOCON files of <c>hocon/</c>, which are part of the assembly.</summary>
public static class VmConfiguration
{
    public static Config Load() => Read("vmm.conf").WithFallback(Read("dispatchers.conf"));

    /// <summary>The configuration of <see cref="Load"/>, with messages over TCP.</summary>
    /// <param name="host">The address to listen at, by which other processes know this one.</param>
    /// <param name="port">The TCP port; 0 chooses a free one.</param>
    public static Config LoadRemote(string host, int port) => RemoteTransport(host, port).WithFallback(Load());

    internal static Config RemoteTransport(string host, int port) => ConfigurationFactory
        .ParseString($"akka {{ actor.provider = remote, remote.dot-netty.tcp {{ hostname = \"{host}\", port = {port} }} }}")
        .WithFallback(Read("remote.conf"));

    private static Config Read(string name)
    {
        using Stream stream = typeof(VmConfiguration).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"{name} is not embedded");
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }
}

using Akka.Configuration;

namespace Vmm.Actors.Hosting;

/// <summary>The HOCON files of <c>hocon/</c>, which are part of the assembly.</summary>
public static class VmConfiguration
{
    public static Config Load() => Read("vmm.conf").WithFallback(Read("dispatchers.conf")).WithFallback(Read("persistence.conf"));

    private static Config Read(string name)
    {
        using Stream stream = typeof(VmConfiguration).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"{name} is not embedded");
        using var reader = new StreamReader(stream);
        return ConfigurationFactory.ParseString(reader.ReadToEnd());
    }
}

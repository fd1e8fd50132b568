using Vmm.Host.Migration;
using Vmm.Management.Commands;
using Vmm.Management.Qapi;

namespace Vmm.Host.Options;

/// <summary>The option <c>-incoming</c>: where a migration comes from.</summary>
public static class IncomingOption
{
    /// <summary>A monitor will say where it comes from (<c>migrate-incoming</c>).</summary>
    public const string Defer = "defer";

    public const string Syntax = $"{Defer}, {MigrationUri.Syntax}, or a channel as JSON";

    /// <returns>The address as a URI, also for a channel as JSON (QAPI's <c>MigrationChannel</c>); or <see cref="Defer"/>.</returns>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static string Parse(string text)
    {
        try
        {
            string address = text.StartsWith('{') ? MigrationChannels.OfUncheckedChannel(KeyValues.ReadObject(text)) : text;
            _ = address == Defer ? null : MigrationUri.Parse(address);
            return address;
        }
        catch (Exception e) when (e is FormatException or QapiException)
        {
            throw new OptionException(e.Message);
        }
    }
}

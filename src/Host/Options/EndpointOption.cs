using System.Globalization;
using System.Net;

namespace Vmm.Host.Options;

/// <summary>The TCP address of <c>--remote</c>: <c>[HOST:]PORT</c>.</summary>
public sealed record EndpointOption(string Host, int Port)
{
    public const string Syntax = "[HOST:]PORT";

    private const string Loopback = "127.0.0.1";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static EndpointOption Parse(string text)
    {
        int colon = text.LastIndexOf(':');
        string host = colon < 0 ? Loopback : text[..colon];
        bool isHost = Uri.CheckHostName(host) is UriHostNameType.Dns or UriHostNameType.IPv4;
        if (!isHost || !int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port) || port is 0
            or > IPEndPoint.MaxPort)
        {
            throw new OptionException(
                $"'{text}' is no {Syntax}: an IPv4 address or a host name, and a port from 1 to {IPEndPoint.MaxPort}");
        }

        return new EndpointOption(host, port);
    }
}

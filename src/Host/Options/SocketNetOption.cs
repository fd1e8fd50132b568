using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Vmm.Emulation.Net;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The properties of <c>-netdev stream</c>, <c>dgram</c> and <c>socket</c> (QEMU, qapi/net.json).</summary>
internal static class SocketNetOption
{
    public const string Stream = "stream";
    public const string Datagram = "dgram";
    public const string Socket = "socket";

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static Func<Netdev> Parse(string id, string type, IReadOnlyList<(string Key, string Value)> members)
    {
        var left = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string key, string value) in members)
        {
            left[key] = value;
        }

        Func<Netdev> make = type switch
        {
            Stream => ParseStream(id, left),
            Datagram => ParseDatagram(id, left),
            _ => ParseSocket(id, left),
        };
        return left.Keys.FirstOrDefault() is { } unknown
            ? throw new OptionException($"not supported: {type} with {UserText.Legible(unknown)}=")
            : make;
    }

    private static Func<Netdev> ParseStream(string id, Dictionary<string, string> left)
    {
        bool isServer = left.Remove("server", out string? server) && KeyValues.Switch("server", server);
        EndPoint address = Address("addr", left) ?? throw new OptionException("Parameter 'addr.type' is missing");
        left.Remove("reconnect", out string? seconds);
        left.Remove("reconnect-ms", out string? milliseconds);
        int reconnect = ReconnectOption.Parse(seconds, milliseconds);
        return isServer && (seconds ?? milliseconds) != null
            ? throw new OptionException("'reconnect' and 'reconnect-ms' options are incompatible with socket in server mode")
            : () => new StreamNetdev(id, Stream, address, isServer) { ReconnectMs = reconnect };
    }

    private static Func<Netdev> ParseDatagram(string id, Dictionary<string, string> left)
    {
        EndPoint? local = Address("local", left);
        EndPoint remote = Address("remote", left) ?? throw new OptionException("dgram requires remote= parameter");
        return () => new DatagramNetdev(id, Datagram, local, remote);
    }

    private static Func<Netdev> ParseSocket(string id, Dictionary<string, string> left)
    {
        string[] kinds = [.. new[] { "listen", "connect", "mcast", "udp" }.Where(left.ContainsKey)];
        if (kinds.Length != 1)
        {
            throw new OptionException("exactly one of listen=, connect=, mcast= or udp= is required");
        }

        left.Remove(kinds[0], out string? place);
        EndPoint address = HostAndPort(kinds[0], place!);
        EndPoint? local = null;
        if (kinds[0] is "mcast" or "udp" && left.Remove("localaddr", out string? here))
        {
            local = kinds[0] == "udp" ? HostAndPort("localaddr", here) : new IPEndPoint(Resolve("localaddr", here), 0);
        }

        return kinds[0] switch
        {
            "udp" when local == null => throw new OptionException("localaddr= is mandatory with udp="),
            "udp" or "mcast" => () => new DatagramNetdev(id, Socket, local, address),
            var kind => () => new StreamNetdev(id, Socket, address, kind == "listen"),
        };
    }

    // The members with a prefix; null where there are none.
    private static EndPoint? Address(string prefix, Dictionary<string, string> left)
    {
        string Take(string name) => left.Remove($"{prefix}.{name}", out string? value) ? value
            : throw new OptionException($"Parameter '{prefix}.{name}' is missing");
        return !left.Remove($"{prefix}.type", out string? type) ? null
            : type switch
            {
                "inet" => new IPEndPoint(Resolve($"{prefix}.host", Take("host")), Port($"{prefix}.port", Take("port"))),
                "unix" => Unix($"{prefix}.path", Take("path")),
                _ => throw new OptionException(
                    $"not supported: {prefix}.type={UserText.Legible(type)}; there are {prefix}.type=inet, {prefix}.type=unix"),
            };
    }

    private static UnixDomainSocketEndPoint Unix(string key, string path)
    {
        try
        {
            return new UnixDomainSocketEndPoint(path);
        }
        catch (ArgumentOutOfRangeException)
        {
            throw new OptionException($"UNIX socket path '{UserText.Legible(path)}' of '{key}' is too long");
        }
    }

    private static IPEndPoint HostAndPort(string key, string text)
    {
        int colon = text.LastIndexOf(':');
        return colon < 0 ? throw new OptionException($"'{UserText.Legible(text)}' of '{key}' is no host and port")
            : new IPEndPoint(Resolve(key, text[..colon]), Port(key, text[(colon + 1)..]));
    }

    private static int Port(string key, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port <= ushort.MaxValue ? port
            : throw new OptionException($"'{UserText.Legible(text)}' of '{key}' is no port");

    private static IPAddress Resolve(string key, string host)
    {
        if (host.Length == 0)
        {
            return IPAddress.Any;
        }

        try
        {
            return IPAddress.TryParse(host, out IPAddress? address) ? address : Dns.GetHostAddresses(host)[0];
        }
        catch (SocketException)
        {
            throw new OptionException($"'{UserText.Legible(host)}' of '{key}' is no host that there is");
        }
    }
}

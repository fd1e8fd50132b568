using System.Globalization;
using Vmm.Emulation.Net;
using Vmm.Emulation.Net.User;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>A network backend: <c>-netdev TYPE,id=ID[,property=value]…</c>, or the same as a JSON object.</summary>
/// <param name="Id"><c>id=</c>.</param>
/// <param name="Make">Makes the backend, which does nothing before it is opened.</param>
public sealed record NetdevOption(string Id, Func<Netdev> Make)
{
    public const string Syntax = "user,id=ID[,net=ADDR/MASK][,host=ADDR][,dns=ADDR][,dhcpstart=ADDR][,restrict=on|off]"
        + "[,hostfwd=[tcp|udp]:[ADDR]:PORT-[ADDR]:PORT][,guestfwd=[tcp]:ADDR:PORT-tcp:HOST:PORT|unix:PATH|cmd:COMMAND]"
        + "[,tftp=FOLDER][,bootfile=FILE][,hostname=NAME][,dnssearch=DOMAIN][,ipv6=on|off]…; "
        + "tap,id=ID[,ifname=NAME][,script=FILE|no][,downscript=FILE|no][,fd=N]; bridge,id=ID[,br=BRIDGE][,helper=PROGRAM]; "
        + "stream,id=ID[,server=on|off],addr.type=inet|unix…[,reconnect-ms=N]; "
        + "dgram,id=ID,remote.type=inet|unix…[,local.type=inet|unix…]; "
        + "socket,id=ID,listen=[HOST]:PORT|connect=HOST:PORT|mcast=ADDR:PORT|udp=HOST:PORT[,localaddr=…]; "
        + "hubport,id=ID,hubid=N[,netdev=ID]";

    private const string Hub = "hubport";

    /// <summary>QEMU's other types.</summary>
    private static readonly string[] s_refused =
    [
        "l2tpv3", "vde", "vhost-user", "vhost-vdpa", "af-xdp", "netmap",
        "vmnet-host",
    ];

    /// <summary>The types that work.</summary>
    public static IReadOnlyList<string> Types { get; } =
        ["user", TapNetOption.Tap, TapNetOption.Bridge, SocketNetOption.Stream, SocketNetOption.Datagram, SocketNetOption.Socket, Hub];

    /// <summary>Pairs of queues that a device with <c>mq=on</c> has (<c>queues=</c>).</summary>
    public int Queues { get; init; } = 1;

    /// <summary>The backend behind a port of a hub; null for none. Neither of the two can be a device's.</summary>
    public string? Peer { get; init; }

    /// <summary>The text of <c>-netdev help</c>.</summary>
    public static string Describe => "Available netdev backend types:\n" + string.Join('\n', Types);

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static NetdevOption Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.ParseOrJson(text, "type");
        string id = pairs.LastOrDefault(p => p.Key == "id").Value ?? throw new OptionException("Parameter 'id' is missing");
        return Of(KeyValues.Identifier("id", id), pairs);
    }

    /// <summary>The backend of a name that these members describe; others than <c>type</c> and <c>id</c> are the type's.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static NetdevOption Of(string id, IReadOnlyList<(string Key, string? Value)> pairs)
    {
        string type = pairs.LastOrDefault(p => p.Key == "type").Value ?? throw new OptionException("Parameter 'type' is missing");
        (string Key, string Value)[] members =
            [.. pairs.Where(p => p.Key is not ("type" or "id" or "queues")).Select(p => (p.Key, p.Value ?? "on"))];
        int queues = pairs.LastOrDefault(p => p.Key == "queues").Value is not { } count ? 1
            : int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is >= 1 and <= 256 ? number
            : throw new OptionException("Parameter 'queues' expects a number from 1 to 256");
        Func<Netdev> make = type switch
        {
            "user" => MakeUser(id, members),
            TapNetOption.Tap or TapNetOption.Bridge => TapNetOption.Parse(id, type, members),
            SocketNetOption.Stream or SocketNetOption.Datagram or SocketNetOption.Socket => SocketNetOption.Parse(id, type, members),
            Hub => MakeHubPort(id, members),
            _ => throw new OptionException(s_refused.Contains(type)
                ? $"not supported: a netdev of type '{type}'; there are {string.Join(", ", Types)}"
                : $"Parameter 'type' does not accept value '{UserText.Legible(type)}'"),
        };
        string? peer = type == Hub ? members.LastOrDefault(m => m.Key == "netdev").Value : null;
        return new NetdevOption(id, make) { Queues = queues, Peer = peer };
    }

    private static Func<Netdev> MakeHubPort(string id, IReadOnlyList<(string Key, string Value)> members)
    {
        int? number = null;
        string? backend = null;
        foreach ((string key, string value) in members)
        {
            switch (key)
            {
                case "hubid":
                    number = int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int hub) ? hub
                        : throw new OptionException("Parameter 'hubid' expects a number");
                    break;
                case "netdev":
                    backend = value;
                    break;
                default:
                    throw new OptionException($"Invalid parameter '{UserText.Legible(key)}'");
            }
        }

        return number is { } known ? () => new HubNetdev(id, known, backend) : throw new OptionException("Parameter 'hubid' is missing");
    }

    private static Func<Netdev> MakeUser(string id, IReadOnlyList<(string Key, string Value)> members)
    {
        UserNetOptions options = UserNetOption.Parse(members);
        return () => new UserNetdev(id, options, OwnProgram.Command);
    }
}

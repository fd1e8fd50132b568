using System.Text.Json.Nodes;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

/// <summary>
/// The addresses of QAPI (qapi/sockets.json, <c>MigrationChannel</c> of qapi/migration.json) in the form of one line, such as
/// tcp:HOST:PORT, and the other way round.
/// </summary>
public static class MigrationChannels
{
    /// <summary>The address that a <c>MigrationChannel</c> gives, which has not been looked at.</summary>
    /// <exception cref="QapiException">It is none, or of a kind that is not supported: one line.</exception>
    public static string OfUncheckedChannel(JsonObject channel)
    {
        QapiInput.Read<MigrationChannel>(channel);
        return OfChannel(channel);
    }

    /// <summary>The one address that the arguments <c>uri</c> and <c>channels</c> give.</summary>
    /// <param name="arguments">They have the types of the schema.</param>
    /// <exception cref="QapiException">There is none, or it is of a kind that is not supported.</exception>
    public static string AddressOf(JsonObject arguments)
    {
        string? uri = arguments["uri"]?.GetValue<string>();
        JsonArray channels = arguments["channels"] as JsonArray ?? [];
        if ((uri == null) == (channels.Count == 0))
        {
            throw new QapiException("need either 'uri' or 'channels' argument");
        }

        return uri ?? (channels.Count == 1 ? OfChannel(channels[0]!.AsObject())
            : throw new QapiException("not supported: more than one channel; give one of type 'main'"));
    }

    /// <summary>A receiver's address as QAPI's <c>SocketAddress</c>; null for one that is no socket.</summary>
    public static JsonObject? SocketOf(string address)
    {
        const string Tcp = "tcp:", Unix = "unix:";
        if (address.StartsWith(Unix, StringComparison.Ordinal))
        {
            return new JsonObject { ["type"] = "unix", ["path"] = address[Unix.Length..] };
        }

        if (!address.StartsWith(Tcp, StringComparison.Ordinal))
        {
            return null;
        }

        int port = address.LastIndexOf(':');
        string host = address[Tcp.Length..port].Trim('[', ']');
        string family = host.Contains(':', StringComparison.Ordinal) ? "ipv6" : "ipv4";
        return new JsonObject { ["type"] = "inet", ["host"] = host, ["port"] = address[(port + 1)..], [family] = true };
    }

    private static string OfChannel(JsonObject channel)
    {
        string type = Text(channel, "channel-type");
        JsonObject address = channel["addr"]!.AsObject();
        return (type, Text(address, "transport")) switch
        {
            ("cpr", _) => throw NotSupported("a channel of type 'cpr'"),
            (_, "rdma") => throw NotSupported("transport 'rdma'"),
            (_, "exec") => OfCommand([.. address["args"]!.AsArray().Select(a => a!.GetValue<string>())]),
            (_, "file") => $"file:{Text(address, "filename")},offset={address["offset"]!.ToJsonString()}",
            _ => OfSocket(address),
        };
    }

    private static string OfSocket(JsonObject address)
    {
        // What is off is as it would be without.
        if (address.FirstOrDefault(m => m.Key is not ("transport" or "type" or "host" or "port" or "path" or "str" or "cid" or "tight")
            && m.Value!.ToJsonString() != "false").Key is { } option)
        {
            throw NotSupported($"'{option}' of a socket");
        }

        switch (Text(address, "type"))
        {
            case "inet":
                string host = Text(address, "host");
                return host.Contains(':', StringComparison.Ordinal) ? $"tcp:[{host}]:{Text(address, "port")}"
                    : $"tcp:{host}:{Text(address, "port")}";
            case "unix":
                return $"unix:{Text(address, "path")}";
            case "fd":
                return $"fd:{Text(address, "str")}";
            case var other:
                throw NotSupported($"a socket of type '{other}'");
        }
    }

    // The line for a shell that executes the same program with the same arguments.
    private static string OfCommand(string[] arguments) => arguments switch
    {
        [] => throw new QapiException("the list of arguments of 'exec' is empty"),
        ["/bin/sh" or "sh", "-c", var line] => $"exec:{line}",
        _ => $"exec:{string.Join(' ', arguments.Select(a => $"'{a.Replace("'", "'\\''", StringComparison.Ordinal)}'"))}",
    };

    private static string Text(JsonObject of, string member) => of[member]!.GetValue<string>();

    private static QapiException NotSupported(string what) =>
        new($"not supported: {what}; give 'inet', 'unix' or 'fd' sockets, 'exec' or 'file'");
}

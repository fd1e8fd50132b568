using System.Globalization;
using System.Net;
using System.Text;
using Vmm.Management.CharacterDevices;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

public enum CharacterDeviceKind
{
    Null,
    Stdio,
    File,
    Socket,

    /// <summary>A device of <c>-chardev</c>, named by its id in <see cref="CharacterDeviceOption.Id"/>.</summary>
    Reference,
}

/// <summary>
/// A character device of the command line, in QEMU's spelling: the value of <c>-chardev BACKEND,id=ID,…</c>, <c>-serial</c>,
/// <c>-monitor</c> or <c>-qmp</c>.
/// </summary>
/// <param name="Id">The id; empty for a device without one.</param>
/// <param name="Multiplexed">Whether the serial line and a monitor share it (<c>mon:</c>, <c>mux=on</c>); Ctrl-A c switches between
/// them.</param>
public sealed record CharacterDeviceOption(CharacterDeviceKind Kind, string Id = "", bool Multiplexed = false)
{
    public const string Syntax = "none, null, stdio, mon:stdio, file:FILE, unix:PATH[,server=on][,wait=off], "
        + "tcp:[HOST]:PORT[,server=on][,wait=off] or chardev:ID";

    public const string ChardevSyntax =
        "socket,id=ID,path=PATH|port=PORT[,host=HOST][,server=on][,wait=off][,reconnect-ms=N], stdio,id=ID[,mux=on], null,id=ID or "
            + "file,id=ID,path=FILE[,append=on]";

    public const string ControlSyntax = "unix:PATH";

    // The path of a Unix socket and its terminating zero have room for 108 bytes (sun_path of unix(7)).
    private const int LongestPath = 107;

    private static readonly string[] s_refused =
    [
        "pty", "vc", "udp", "telnet", "tn3270", "websocket", "ws", "pipe", "COM", "braille", "msmouse", "fdset", "serial", "tty",
        "parallel", "parport", "memory",
        "ringbuf", "mux", "hub", "testdev", "wctablet", "spicevmc", "spiceport", "qemu-vdagent", "dbus", "stream",
    ];

    // Properties of QEMU's sockets that are accepted if they are off.
    private static readonly string[] s_plainSocket = ["telnet", "tn3270", "websocket", "abstract"];

    /// <summary>The file of <see cref="CharacterDeviceKind.File"/>.</summary>
    public string Path { get; init; } = "";

    /// <summary>Whether output is appended to the file instead of replacing its contents.</summary>
    public bool Append { get; init; }

    /// <summary>The socket of <see cref="CharacterDeviceKind.Socket"/>.</summary>
    public SocketTarget? Target { get; init; }

    /// <summary>Parses the value of <c>-serial</c>, <c>-monitor</c> or <c>-qmp</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static CharacterDeviceOption Parse(string text)
    {
        if (text.StartsWith("mon:", StringComparison.Ordinal))
        {
            return Parse(text[4..]) with { Multiplexed = true };
        }

        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string type = colon < 0 ? text : text[..colon];
        string rest = colon < 0 ? "" : text[(colon + 1)..];
        return (type, rest.Length > 0) switch
        {
            ("none" or "null", false) => new CharacterDeviceOption(CharacterDeviceKind.Null),
            ("stdio", false) => new CharacterDeviceOption(CharacterDeviceKind.Stdio),
            ("file", true) => new CharacterDeviceOption(CharacterDeviceKind.File) { Path = rest },
            ("chardev", true) => new CharacterDeviceOption(CharacterDeviceKind.Reference, rest),
            ("unix", true) => Socket(Values(rest, "path")),
            ("tcp", true) when rest.Split(',')[0].LastIndexOf(':') is >= 0 and int port =>
                Socket(Values($"host={rest[..port]},port={rest[(port + 1)..]}", "host")),
            _ => throw Unknown(type, Syntax),
        };
    }

    /// <summary>Parses the value of <c>-control</c> or <c>-api</c>: a Unix socket that listens, and is its owner's alone.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static CharacterDeviceOption ParseControl(string option, string text) =>
        text.StartsWith("unix:", StringComparison.Ordinal) && Parse(text) is { Target: { } target } device
            ? device with { Target = target with { Server = true, Wait = false, OwnerOnly = true } }
            : throw new OptionException($"-{option}: '{UserText.Legible(text)}' is not {ControlSyntax}");

    /// <summary>Parses the value of <c>-chardev</c>.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static CharacterDeviceOption ParseChardev(string text)
    {
        Dictionary<string, string> values = Values(text, "backend");
        values.Remove("backend", out string? backend);
        if (!values.Remove("id", out string? id) || id.Length == 0)
        {
            throw new OptionException("Parameter 'id' is missing");
        }

        bool multiplexed = Switch(values, "mux", false);

        // The terminal is in raw mode, in which keys send no signals. The value makes no difference.
        Switch(values, "signal", false);
        CharacterDeviceOption device = backend switch
        {
            "null" => new CharacterDeviceOption(CharacterDeviceKind.Null),
            "stdio" => new CharacterDeviceOption(CharacterDeviceKind.Stdio),
            "file" => new CharacterDeviceOption(CharacterDeviceKind.File)
            {
                Path = values.Remove("path", out string? path) && path.Length > 0 ? path
                    : throw new OptionException("Parameter 'path' is missing"),
                Append = Switch(values, "append", false),
            },
            "socket" => Socket(values),
            _ => throw Unknown(backend ?? "", ChardevSyntax),
        };
        return values.Count == 0 ? device with { Id = id, Multiplexed = multiplexed }
            : throw new OptionException($"Invalid parameter '{values.Keys.First()}'");
    }

    private static OptionException Unknown(string type, string syntax) => new(s_refused.Contains(type)
        ? $"not supported: a character device of type '{type}'; there are {syntax}"
        : $"'{type}' is not a valid char driver name; there are {syntax}");

    // Parses the address of a socket. Any property that a socket does not have is an error.
    private static CharacterDeviceOption Socket(Dictionary<string, string> values)
    {
        bool server = Switch(values, "server", false);
        bool wait = Switch(values, "wait", server);
        Switch(values, "nodelay", false);
        foreach (string absent in s_plainSocket)
        {
            if (values.Remove(absent, out string? asked) && asked is not ("0" or "off" or "no" or "false"))
            {
                throw new OptionException($"not supported: {absent}={UserText.Legible(asked)}: a socket is a plain one");
            }
        }

        values.Remove("reconnect", out string? seconds);
        values.Remove("reconnect-ms", out string? milliseconds);
        int reconnect = ReconnectOption.Parse(seconds, milliseconds);
        if (server && reconnect > 0)
        {
            throw new OptionException("'reconnect' option is incompatible with socket in server listen mode");
        }

        string? path = values.Remove("path", out string? p) ? p : null;
        string host = values.Remove("host", out string? h) && h != "localhost" ? h : h == null ? "" : "127.0.0.1";
        bool hasPort = values.Remove("port", out string? portText);
        int port = 0;
        if (path is { Length: 0 } || path != null == hasPort)
        {
            throw new OptionException("a socket has either a path or a port");
        }

        // A server may leave the choice of the port to the host.
        if (hasPort && (!int.TryParse(portText, NumberStyles.None, CultureInfo.InvariantCulture, out port) || port > IPEndPoint.MaxPort
            || (port == 0 && !server)))
        {
            throw new OptionException($"'{portText}' is no port from 1 to {IPEndPoint.MaxPort}");
        }

        if (path != null && Encoding.UTF8.GetByteCount(path) > LongestPath)
        {
            throw new OptionException($"the path of a socket has at most {LongestPath} bytes");
        }

        return values.Count == 0
            ? new CharacterDeviceOption(CharacterDeviceKind.Socket)
            {
                Target = new SocketTarget(path, host, port, server, wait) { ReconnectMs = reconnect },
            }
            : throw new OptionException($"Invalid parameter '{values.Keys.First()}'");
    }

    // Splits the value. `server` alone means `server=on` and `nowait` means `wait=off`: the spelling before QEMU 6.
    private static Dictionary<string, string> Values(string text, string impliedKey)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string key, string? value) in KeyValues.Parse(text, impliedKey))
        {
            bool negated = value == null && key is "nowait" or "noserver";
            values[negated ? key[2..] : key] = value ?? (negated ? "off" : "on");
        }

        return values;
    }

    private static bool Switch(Dictionary<string, string> values, string key, bool otherwise) =>
        values.Remove(key, out string? value) ? KeyValues.Switch(key, value) : otherwise;
}

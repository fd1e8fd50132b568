using System.Globalization;
using System.Net;
using System.Text;
using Vmm.Management.Text;

namespace Vmm.Host.Migration;

internal enum MigrationUriKind
{
    Tcp,
    Unix,
    File,
    Command,
    Descriptor,
}

/// <summary>An address of a migration in QEMU's form, taken apart.</summary>
/// <param name="Text">The host, the path or the command line; empty for a descriptor.</param>
/// <param name="Number">The port, the offset in the file in bytes, or the descriptor; 0 for others.</param>
internal sealed record MigrationUri(MigrationUriKind Kind, string Text, long Number)
{
    public const string Syntax = "tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND or fd:N";

    // The path of a Unix socket and its terminating zero have room for 108 bytes (sun_path of unix(7)).
    private const int LongestPath = 107;

    /// <exception cref="FormatException">One line that says what is wrong.</exception>
    public static MigrationUri Parse(string uri)
    {
        int colon = uri.IndexOf(':', StringComparison.Ordinal);
        string protocol = colon < 0 ? uri : uri[..colon];
        string rest = colon < 0 ? "" : uri[(colon + 1)..];
        return protocol switch
        {
            "tcp" => ParseTcp(rest),
            "unix" when Encoding.UTF8.GetByteCount(rest) > LongestPath =>
                throw new FormatException($"the path of a socket has at most {LongestPath} bytes"),
            "unix" when rest.Length > 0 => new MigrationUri(MigrationUriKind.Unix, rest, 0),
            "file" => ParseFile(rest),
            "exec" when rest.Length > 0 => new MigrationUri(MigrationUriKind.Command, rest, 0),
            "fd" => int.TryParse(rest, NumberStyles.None, CultureInfo.InvariantCulture, out int descriptor)
                ? new MigrationUri(MigrationUriKind.Descriptor, "", descriptor)
                : throw new FormatException($"'{UserText.Legible(rest)}' is no number of a file descriptor: give it as fd:N"),
            "unix" or "exec" => throw new FormatException($"'{protocol}:' has no address behind it; there are {Syntax}"),
            "rdma" or "vsock" => throw new FormatException($"not supported: {protocol}:; there are {Syntax}"),
            _ => throw new FormatException($"unknown migration protocol: {UserText.Legible(uri)}; there are {Syntax}"),
        };
    }

    // An IPv6 address is in brackets. No host means this machine for a sender, and every address for a receiver.
    private static MigrationUri ParseTcp(string text)
    {
        int comma = text.IndexOf(',', StringComparison.Ordinal);
        if (comma >= 0)
        {
            throw new FormatException($"not supported: '{UserText.Legible(text[(comma + 1)..])}' behind tcp:HOST:PORT");
        }

        int colon = text.LastIndexOf(':');
        string host = colon < 0 ? "" : text[..colon];
        bool bracketed = host is ['[', _, .., ']'];
        return colon >= 0 && bracketed == host.Contains(':', StringComparison.Ordinal)
            && int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port)
            && port <= IPEndPoint.MaxPort
                ? new MigrationUri(MigrationUriKind.Tcp, bracketed ? host[1..^1] : host, port)
                : throw new FormatException($"error parsing address '{UserText.Legible(text)}': give it as tcp:HOST:PORT, "
                    + $"an IPv6 address in brackets, the port from 0 to {IPEndPoint.MaxPort}");
    }

    private static MigrationUri ParseFile(string text)
    {
        const string Option = ",offset=";
        int option = text.IndexOf(Option, StringComparison.Ordinal);
        string path = option < 0 ? text : text[..option];
        long offset = 0;
        if (option >= 0 && !QemuNumber.TryParseSize(text[(option + Option.Length)..], 'B', out offset))
        {
            throw new FormatException($"file URI has bad offset {UserText.Legible(text[(option + Option.Length)..])}: Invalid argument");
        }

        return path.Length > 0 ? new MigrationUri(MigrationUriKind.File, path, offset)
            : throw new FormatException($"'file:' has no address behind it; there are {Syntax}");
    }
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Vmm.Emulation.Net.User;

/// <summary>A port of the guest's network that leads to a socket or to a program of the host (<c>guestfwd=</c>).</summary>
/// <param name="Address">Where the guest connects to; any for the address that libslirp has for it.</param>
/// <param name="Command">The program, for a shell; empty for a socket.</param>
/// <param name="Target">The socket; null for a program.</param>
public sealed record GuestForward(IPAddress Address, int Port, string Command, EndPoint? Target)
{
    public const string Syntax = "[tcp]:server:port-tcp:HOST:PORT, -unix:PATH or -cmd:COMMAND";

    /// <summary>Reads a rule as QEMU does (net/slirp.c, slirp_guestfwd).</summary>
    /// <exception cref="NetException">It is none, or leads to what there is not.</exception>
    public static GuestForward Parse(string rule)
    {
        string[] sides = rule.Split('-', 2);
        string[] guest = sides[0].Split(':');
        if (sides.Length != 2 || sides[1].Length == 0 || guest is not ["tcp" or "", var place, var portText]
            || PortOf(portText) is not { } port || AddressOf(place) is not { } address)
        {
            throw new NetException($"Invalid guest forwarding rule '{rule}'");
        }

        string[] target = sides[1].Split(':', 2);
        return target switch
        {
            ["cmd", { Length: > 0 } command] => new GuestForward(address, port, command, null),
            ["unix", { Length: > 0 and <= 107 } path] =>
                new GuestForward(address, port, "", new UnixDomainSocketEndPoint(path)),
            ["tcp", var there] when there.LastIndexOf(':') is > 0 and var colon && PortOf(there[(colon + 1)..]) is { } hostPort =>
                new GuestForward(address, port, "", EndPointOf(there[..colon], hostPort)),
            _ => throw new NetException($"not supported: guest forwarding rule '{rule}'; there is {Syntax}"),
        };
    }

    private static EndPoint EndPointOf(string host, int port) =>
        IPAddress.TryParse(host, out IPAddress? address) ? new IPEndPoint(address, port) : new DnsEndPoint(host, port);

    private static IPAddress? AddressOf(string text) => text.Length == 0 ? IPAddress.Any
        : IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork ? address : null;

    private static int? PortOf(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is > 0 and <= ushort.MaxValue
            ? port : null;
}

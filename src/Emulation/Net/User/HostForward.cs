using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Vmm.Emulation.Net.User;

/// <summary>A port of the host that leads to one of the guest (<c>hostfwd=</c>).</summary>
/// <param name="HostAddress">Where it listens.</param>
/// <param name="GuestAddress">Any for the address that the guest gets by DHCP.</param>
public sealed record HostForward(bool IsUdp, IPAddress HostAddress, int HostPort, IPAddress GuestAddress, int GuestPort)
{
    public const string Syntax = "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport";

    /// <summary>The form in which it is named in lists of arguments.</summary>
    public override string ToString() =>
        $"{(IsUdp ? "udp" : "tcp")}:{(HostAddress.Equals(IPAddress.Any) ? "" : HostAddress)}:{HostPort}-"
        + $"{(GuestAddress.Equals(IPAddress.Any) ? "" : GuestAddress)}:{GuestPort}";

    /// <summary>Reads a rule as QEMU does.</summary>
    /// <exception cref="NetException">It is none.</exception>
    public static HostForward Parse(string rule)
    {
        string[] sides = rule.Split('-', 2);
        (bool isUdp, IPAddress hostAddress, int hostPort) = ParseHost(rule, sides[0], sides.Length == 2);
        string[] guest = sides[1].Split(':', 2);
        return guest.Length != 2 ? throw Invalid(rule, "Missing guest address")
            : new HostForward(isUdp, hostAddress, hostPort, AddressOf(guest[0]) ?? throw Invalid(rule, "Bad guest address"),
                PortOf(guest[1]) is { } port and > 0 ? port : throw Invalid(rule, "Bad guest port"));
    }

    /// <summary>Reads the host's side alone, by which a rule is removed: <c>[tcp|udp]:[hostaddr]:hostport</c>.</summary>
    /// <exception cref="NetException">It is none.</exception>
    public static HostForward ParseHost(string rule)
    {
        try
        {
            (bool isUdp, IPAddress address, int port) = ParseHost(rule, rule, hasGuest: true);
            return new HostForward(isUdp, address, port, IPAddress.Any, 0);
        }
        catch (NetException e)
        {
            throw new NetException("invalid format", e);
        }
    }

    /// <summary>Whether another one is at the same port of the host.</summary>
    public bool IsAtPortOf(HostForward other) =>
        IsUdp == other.IsUdp && HostPort == other.HostPort && HostAddress.Equals(other.HostAddress);

    private static (bool IsUdp, IPAddress Address, int Port) ParseHost(string rule, string side, bool hasGuest)
    {
        string[] host = side.Split(':', 3);
        if (host.Length < 2)
        {
            throw Invalid(rule, "No : separators");
        }

        if (host[0] is not ("" or "tcp" or "udp"))
        {
            throw Invalid(rule, "Bad protocol name");
        }

        if (host.Length < 3)
        {
            throw Invalid(rule, "Missing : separator");
        }

        IPAddress address = AddressOf(host[1]) ?? throw Invalid(rule, "Bad host address");
        return !hasGuest || PortOf(host[2]) is not { } port ? throw Invalid(rule, "Bad host port") : (host[0] == "udp", address, port);
    }

    private static NetException Invalid(string rule, string why) => new($"Invalid host forwarding rule '{rule}' ({why})");

    private static IPAddress? AddressOf(string text) => text.Length == 0 ? IPAddress.Any
        : IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork ? address : null;

    private static int? PortOf(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port <= ushort.MaxValue ? port : null;
}

using System.Globalization;
using System.Net;

namespace Vmm.Emulation.Net.User;

/// <summary>The network of <c>-netdev user</c>, with QEMU's properties and defaults. Its maker has checked it.</summary>
public sealed record UserNetOptions
{
    public bool HasIp4 { get; init; } = true;

    public bool HasIp6 { get; init; } = true;

    /// <summary><c>net=</c>: the network, and its mask.</summary>
    public IPAddress Network { get; init; } = IPAddress.Parse("10.0.2.0");

    public IPAddress Mask { get; init; } = IPAddress.Parse("255.255.255.0");

    /// <summary><c>host=</c>: the gateway, behind which the host is.</summary>
    public IPAddress Host { get; init; } = IPAddress.Parse("10.0.2.2");

    /// <summary><c>dhcpstart=</c>: the first of 16 addresses for guests.</summary>
    public IPAddress DhcpStart { get; init; } = IPAddress.Parse("10.0.2.15");

    /// <summary><c>dns=</c>: where the host's name server is.</summary>
    public IPAddress Dns { get; init; } = IPAddress.Parse("10.0.2.3");

    /// <summary><c>ipv6-prefix=</c>.</summary>
    public IPAddress Prefix6 { get; init; } = IPAddress.Parse("fec0::");

    /// <summary><c>ipv6-prefixlen=</c>.</summary>
    public int PrefixLength6 { get; init; } = 64;

    /// <summary><c>ipv6-host=</c>.</summary>
    public IPAddress Host6 { get; init; } = IPAddress.Parse("fec0::2");

    /// <summary><c>ipv6-dns=</c>.</summary>
    public IPAddress Dns6 { get; init; } = IPAddress.Parse("fec0::3");

    /// <summary><c>restrict=</c>: the guest reaches neither the host nor what is behind it, but for what is forwarded.</summary>
    public bool Restrict { get; init; }

    /// <summary><c>hostname=</c>: what DHCP calls the guest; empty for nothing.</summary>
    public string HostName { get; init; } = "";

    /// <summary><c>domainname=</c>; empty for none.</summary>
    public string DomainName { get; init; } = "";

    /// <summary><c>dnssearch=</c>, as often as it was given.</summary>
    public IReadOnlyList<string> DnsSearch { get; init; } = [];

    /// <summary><c>tftp=</c>: the folder whose files the guest can read by TFTP; empty for none.</summary>
    public string Tftp { get; init; } = "";

    /// <summary><c>bootfile=</c>: what DHCP says of it; empty for nothing.</summary>
    public string BootFile { get; init; } = "";

    /// <summary><c>tftp-server-name=</c>; empty for none.</summary>
    public string TftpServerName { get; init; } = "";

    /// <summary><c>hostfwd=</c>, as often as it was given.</summary>
    public IReadOnlyList<HostForward> HostForwards { get; init; } = [];

    /// <summary><c>guestfwd=</c>, as often as it was given.</summary>
    public IReadOnlyList<GuestForward> GuestForwards { get; init; } = [];

    /// <summary>In the process that has the network: where each of them leads.</summary>
    internal IReadOnlyList<(IPAddress Address, int Port, string Path)> GuestPaths { get; init; } = [];

    /// <summary>The arguments for the process that has the network.</summary>
    /// <param name="paths">The socket of each of <see cref="GuestForwards"/>.</param>
    internal IEnumerable<string> ToArguments(IReadOnlyList<string> paths) =>
    [
        $"ipv4={HasIp4}", $"ipv6={HasIp6}", $"net={Network}", $"mask={Mask}", $"host={Host}", $"dhcpstart={DhcpStart}", $"dns={Dns}",
        $"ipv6-prefix={Prefix6}", string.Create(CultureInfo.InvariantCulture, $"ipv6-prefixlen={PrefixLength6}"), $"ipv6-host={Host6}",
        $"ipv6-dns={Dns6}", $"restrict={Restrict}", $"hostname={HostName}", $"domainname={DomainName}", $"tftp={Tftp}",
        $"bootfile={BootFile}", $"tftp-server-name={TftpServerName}", .. DnsSearch.Select(s => $"dnssearch={s}"),
        .. GuestForwards.Zip(paths, (f, path) => string.Create(CultureInfo.InvariantCulture, $"guestfwd={f.Address}:{f.Port}:{path}")),
    ];

    /// <summary>Reads them.</summary>
    internal static UserNetOptions FromArguments(IEnumerable<string> arguments)
    {
        var options = new UserNetOptions();
        foreach (string[] pair in arguments.Select(a => a.Split('=', 2)))
        {
            string value = pair[1];
            options = pair[0] switch
            {
                "ipv4" => options with { HasIp4 = bool.Parse(value) },
                "ipv6" => options with { HasIp6 = bool.Parse(value) },
                "net" => options with { Network = IPAddress.Parse(value) },
                "mask" => options with { Mask = IPAddress.Parse(value) },
                "host" => options with { Host = IPAddress.Parse(value) },
                "dhcpstart" => options with { DhcpStart = IPAddress.Parse(value) },
                "dns" => options with { Dns = IPAddress.Parse(value) },
                "ipv6-prefix" => options with { Prefix6 = IPAddress.Parse(value) },
                "ipv6-prefixlen" => options with { PrefixLength6 = int.Parse(value, CultureInfo.InvariantCulture) },
                "ipv6-host" => options with { Host6 = IPAddress.Parse(value) },
                "ipv6-dns" => options with { Dns6 = IPAddress.Parse(value) },
                "restrict" => options with { Restrict = bool.Parse(value) },
                "hostname" => options with { HostName = value },
                "domainname" => options with { DomainName = value },
                "tftp" => options with { Tftp = value },
                "bootfile" => options with { BootFile = value },
                "tftp-server-name" => options with { TftpServerName = value },
                "dnssearch" => options with { DnsSearch = [.. options.DnsSearch, value] },
                "guestfwd" when value.Split(':', 3) is [var address, var port, var path] => options with
                {
                    GuestPaths =
                        [.. options.GuestPaths, (IPAddress.Parse(address), int.Parse(port, CultureInfo.InvariantCulture), path)],
                },
                _ => throw new ArgumentException(pair[0], nameof(arguments)),
            };
        }

        return options;
    }
}

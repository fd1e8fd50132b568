using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Vmm.Emulation.Net;
using Vmm.Emulation.Net.User;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The properties of <c>-netdev user</c> (QEMU, net/slirp.c).</summary>
internal static class UserNetOption
{
    // The longest name that DHCP can carry.
    private const int LongestName = 255;

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static UserNetOptions Parse(IReadOnlyList<(string Key, string Value)> members)
    {
        var options = new UserNetOptions();
        string? network = null;
        string? host = null;
        string? dns = null;
        string? dhcp = null;
        bool? ip4 = null;
        bool? ip6 = null;
        foreach ((string key, string value) in members)
        {
            switch (key)
            {
                case "net":
                    network = value;
                    break;
                case "host":
                    host = value;
                    break;
                case "dns":
                    dns = value;
                    break;
                case "dhcpstart":
                    dhcp = value;
                    break;
                case "ipv4":
                    ip4 = KeyValues.Switch(key, value);
                    break;
                case "ipv6":
                    ip6 = KeyValues.Switch(key, value);
                    break;
                case "restrict":
                    options = options with { Restrict = KeyValues.Switch(key, value) };
                    break;
                case "hostname":
                    options = options with { HostName = Short(key, value) };
                    break;
                case "domainname":
                    options = options with { DomainName = Short(key, value) };
                    break;
                case "dnssearch":
                    options = options with { DnsSearch = [.. options.DnsSearch, Short(key, value)] };
                    break;
                case "tftp":
                    options = Directory.Exists(value) ? options with { Tftp = Path.GetFullPath(value) }
                        : throw new OptionException($"tftp: '{UserText.Legible(value)}' is no folder");
                    break;
                case "bootfile":
                    options = value.Length < 128 ? options with { BootFile = value }
                        : throw new OptionException("'bootfile' parameter cannot be longer than 127 characters");
                    break;
                case "tftp-server-name":
                    options = options with { TftpServerName = Short(key, value) };
                    break;
                case "ipv6-net":
                    options = WithPrefix(options, value);
                    break;
                case "ipv6-prefix":
                    options = options with { Prefix6 = Address6(key, value) };
                    break;
                case "ipv6-prefixlen":
                    options = options with { PrefixLength6 = PrefixLength(value, 126) };
                    break;
                case "ipv6-host":
                    options = options with { Host6 = Address6(key, value) };
                    break;
                case "ipv6-dns":
                    options = options with { Dns6 = Address6(key, value) };
                    break;
                case "hostfwd":
                    options = options with { HostForwards = [.. options.HostForwards, Try(() => HostForward.Parse(value))] };
                    break;
                case "guestfwd":
                    options = options with { GuestForwards = [.. options.GuestForwards, Try(() => GuestForward.Parse(value))] };
                    break;
                case "smb" or "smbserver":
                    throw new OptionException($"not supported: user with {key}=: the process that has the network starts no programs");
                default:
                    throw new OptionException($"Invalid parameter '{UserText.Legible(key)}'");
            }
        }

        // What is not said of one is so if the other was asked for alone (net/slirp.c, net_init_slirp).
        options = options with { HasIp4 = ip4 ?? ip6 != true, HasIp6 = ip6 ?? ip4 != true };
        if (!options.HasIp4 && !options.HasIp6)
        {
            throw new OptionException("IPv4 and IPv6 disabled");
        }

        return WithNetwork(options, network, host, dns, dhcp);
    }

    private static UserNetOptions WithNetwork(UserNetOptions options, string? network, string? host, string? dns, string? dhcp)
    {
        uint net = Bits(options.Network);
        uint mask = Bits(options.Mask);
        if (network != null)
        {
            string[] parts = network.Split('/', 2);
            uint address = Bits(Address4("net", parts[0]));
            mask = parts.Length == 1 ? address >> 31 == 0 ? 0xFF00_0000 : address >> 30 == 2 ? 0xFFFF_0000 : 0xFFFF_FF00
                : int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int length) && length is >= 4 and <= 32
                    ? uint.MaxValue << (32 - length)
                : parts[1].Contains('.', StringComparison.Ordinal) ? Bits(Address4("net", parts[1]))
                : throw new OptionException("Invalid netmask provided, expected a number between 4 and 32");
            net = address & mask;
        }

        // The numbers of the host, of the first guest and of the name server in a network of any size.
        uint At(uint number) => net | (number & ~mask);
        uint hostBits = host == null ? At(0x0202) : Bits(Address4("host", host));
        uint dhcpBits = dhcp == null ? At(0x020F) : Bits(Address4("dhcpstart", dhcp));
        uint dnsBits = dns == null ? At(0x0203) : Bits(Address4("dns", dns));
        string? wrong = (hostBits & mask) != net ? "Host doesn't belong to network"
            : (dhcpBits & mask) != net ? "DHCP doesn't belong to network"
            : dhcpBits == hostBits ? "DHCP must be different from host"
            : dhcpBits == dnsBits ? "DNS must be different from DHCP"
            : dnsBits == hostBits ? "DNS must be different from host"
            : (dnsBits & mask) != net ? "DNS doesn't belong to network"
            : null;
        return wrong != null ? throw new OptionException(wrong)
            : options with { Network = Of(net), Mask = Of(mask), Host = Of(hostBits), DhcpStart = Of(dhcpBits), Dns = Of(dnsBits) };
    }

    private static UserNetOptions WithPrefix(UserNetOptions options, string value)
    {
        string[] parts = value.Split('/', 2);
        return options with
        {
            Prefix6 = Address6("ipv6-net", parts[0]), PrefixLength6 = parts.Length == 1 ? 64 : PrefixLength(parts[1], 126),
        };
    }

    private static int PrefixLength(string value, int most) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int length) && length <= most ? length
            : throw new OptionException($"Invalid IPv6 prefix length provided, expected a number up to {most}");

    private static T Try<T>(Func<T> parse)
    {
        try
        {
            return parse();
        }
        catch (NetException e)
        {
            throw new OptionException(e.Message);
        }
    }

    private static string Short(string key, string value) => value.Length is > 0 and <= LongestName ? value
        : throw new OptionException($"'{key}' parameter must have 1 to {LongestName} characters");

    private static IPAddress Address4(string key, string value) =>
        IPAddress.TryParse(value, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork ? address
            : throw new OptionException($"Failed to parse '{UserText.Legible(value)}', an IPv4 address, of '{key}'");

    private static IPAddress Address6(string key, string value) =>
        IPAddress.TryParse(value, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetworkV6 ? address
            : throw new OptionException($"Failed to parse '{UserText.Legible(value)}', an IPv6 address, of '{key}'");

    private static uint Bits(IPAddress address) => System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(address.GetAddressBytes());

    private static IPAddress Of(uint bits)
    {
        byte[] bytes = new byte[sizeof(uint)];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(bytes, bits);
        return new IPAddress(bytes);
    }
}

using System.Globalization;
using System.Numerics;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The properties of a network device: <c>-device virtio-net-device|virtio-net-pci,netdev=NAME[,mac=ADDR]…</c>.</summary>
public static class NetDeviceOption
{
    public const string Driver = "virtio-net-device";
    public const string PciDriver = "virtio-net-pci";
    public const string Syntax = $"{Driver},netdev=NAME[,id=NAME][,mac=ADDR][,mq=on|off]…";

    /// <summary>Stands for an address that has not been chosen.</summary>
    public const ulong NoMac = 0;

    // Of each property what it does to the device.
    private static readonly Dictionary<string, Func<string, string?, VirtioNetConfig, VirtioNetConfig>> s_properties = new()
    {
        ["netdev"] = (_, v, c) => c with { Netdev = v ?? "" },
        ["mac"] = (_, v, c) => c with { Mac = ParseMac(v) },
        ["mq"] = (k, v, c) => c with { Pairs = KeyValues.Switch(k, v) ? 0 : 1 },
        ["rx_queue_size"] = (k, v, c) => c with { RxQueueSize = PowerOfTwo(k, v, 256, VirtioDevice.MaxQueueSize) },
        ["tx_queue_size"] = (k, v, c) => c with { TxQueueSize = PowerOfTwo(k, v, 256, VirtioDevice.MaxQueueSize) },
        ["host_mtu"] = (k, v, c) => c with { HostMtu = Number(k, v, 0, ushort.MaxValue) },
        ["speed"] = (k, v, c) => c with { Speed = Number(k, v, 0, int.MaxValue) },
        ["duplex"] = (k, v, c) => c with { Duplex = v switch { "full" => 1, "half" => 0, _ => throw Bad(k, v, "full or half is valid") } },
        ["bootindex"] = (k, v, c) => c with { BootIndex = Number(k, v, 0, int.MaxValue) },
        ["packed"] = (k, v, c) => c with { Rings = With(c.Rings, VirtioFeatures.PackedRings, KeyValues.Switch(k, v)) },
        ["event_idx"] = (k, v, c) => c with { Rings = With(c.Rings, VirtioFeatures.EventIndex, KeyValues.Switch(k, v)) },
        ["indirect_desc"] = (k, v, c) => c with { Rings = With(c.Rings, VirtioFeatures.IndirectDescriptors, KeyValues.Switch(k, v)) },
    };

    // Of each property the feature that it turns off and on.
    private static readonly Dictionary<string, VirtioNetFeatures> s_features = new()
    {
        ["csum"] = VirtioNetFeatures.Checksum, ["guest_csum"] = VirtioNetFeatures.GuestChecksum,
        ["guest_tso4"] = VirtioNetFeatures.GuestTso4, ["guest_tso6"] = VirtioNetFeatures.GuestTso6,
        ["guest_ecn"] = VirtioNetFeatures.GuestEcn, ["guest_ufo"] = VirtioNetFeatures.GuestUfo,
        ["host_tso4"] = VirtioNetFeatures.HostTso4, ["host_tso6"] = VirtioNetFeatures.HostTso6,
        ["host_ecn"] = VirtioNetFeatures.HostEcn, ["host_ufo"] = VirtioNetFeatures.HostUfo,
        ["mrg_rxbuf"] = VirtioNetFeatures.MergeableBuffers, ["status"] = VirtioNetFeatures.Status,
        ["ctrl_vq"] = VirtioNetFeatures.ControlQueue, ["ctrl_rx"] = VirtioNetFeatures.ControlRx,
        ["ctrl_vlan"] = VirtioNetFeatures.ControlVlan, ["ctrl_rx_extra"] = VirtioNetFeatures.ControlRxExtra,
        ["ctrl_mac_addr"] = VirtioNetFeatures.ControlMac, ["ctrl_guest_offloads"] = VirtioNetFeatures.ControlOffloads,
        ["guest_announce"] = VirtioNetFeatures.GuestAnnounce,
    };

    // Taken with the value that is true here; null for any, where it changes nothing that a guest sees.
    private static readonly Dictionary<string, string?> s_fixed = new()
    {
        ["gso"] = null, ["vectors"] = null, ["tx"] = null, ["x-txtimer"] = null, ["x-txburst"] = null,
        ["ioeventfd"] = null, ["romfile"] = null, ["rss"] = "off", ["hash"] = "off", ["failover"] = "off", ["host_uso"] = "off",
        ["guest_uso4"] = "off", ["guest_uso6"] = "off", ["guest_rsc_ext"] = "off",
    };

    /// <summary>The names of all properties.</summary>
    public static IEnumerable<string> Names => s_properties.Keys.Concat(s_features.Keys).Concat(s_fixed.Keys);

    /// <summary>The text of <c>-device virtio-net-device,help</c>.</summary>
    public static string DescribeProperties =>
        $"{Driver} options:\n" + string.Join('\n', Names.Append("id").Order(StringComparer.Ordinal).Select(p => $"  {p}=<str>"));

    public static bool IsDriver(string text) =>
        KeyValues.ParseOrJson(text, "driver").LastOrDefault(p => p.Key == "driver").Value == Driver;

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static VirtioNetConfig Parse(string text)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.ParseOrJson(text, "driver");
        var config = new VirtioNetConfig(pairs.LastOrDefault(p => p.Key == "id").Value ?? "", NoMac);
        return pairs.Where(p => p.Key is not ("driver" or "id")).Aggregate(config, (c, p) => Apply(c, p.Key, p.Value));
    }

    /// <summary>Gives a device a property.</summary>
    /// <exception cref="OptionException">There is none of this name, or it cannot have this value.</exception>
    public static VirtioNetConfig Apply(VirtioNetConfig config, string key, string? value)
    {
        if (s_properties.TryGetValue(key, out var property))
        {
            return property(key, value, config);
        }

        if (s_features.TryGetValue(key, out VirtioNetFeatures feature))
        {
            bool isOn = KeyValues.Switch(key, value);
            return config with { Features = isOn ? config.Features | feature : config.Features & ~feature };
        }

        return !s_fixed.TryGetValue(key, out string? only)
            ? throw new OptionException($"Property '{Driver}.{UserText.Legible(key)}' not found")
            : only == null || value == only ? config
            : throw new OptionException($"not supported: {Driver} with {key}={UserText.Legible(value ?? "on")}; there is {key}={only}");
    }

    /// <summary>Reads an address such as 52:54:00:12:34:56.</summary>
    /// <exception cref="OptionException">It is none.</exception>
    public static ulong ParseMac(string? text)
    {
        string[] parts = (text ?? "").Split(':', '-');
        ulong mac = 0;
        foreach (string part in parts)
        {
            mac = byte.TryParse(part, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value) ? (mac << 8) | value
                : throw Bad("mac", text, "an address such as 52:54:00:12:34:56 is valid");
        }

        const ulong Group = 1ul << 40;
        return parts.Length == 6 && (mac & Group) == 0 ? mac : throw Bad("mac", text, "an address such as 52:54:00:12:34:56 is valid");
    }

    private static VirtioFeatures With(VirtioFeatures rings, VirtioFeatures feature, bool has) => has ? rings | feature : rings & ~feature;

    private static int Number(string key, string? value, int least, int most) =>
        value != null && QemuNumber.TryParse(value, out long number) && number >= least && number <= most ? (int)number
            : throw Bad(key, value, $"{least} to {most} is valid");

    private static int PowerOfTwo(string key, string? value, int least, int most) =>
        Number(key, value, least, most) is var number && BitOperations.IsPow2(number) ? number
            : throw Bad(key, value, "it's not a power of 2");

    private static OptionException Bad(string key, string? value, string valid) =>
        new($"Property '{Driver}.{key}' doesn't take value '{UserText.Legible(value ?? "")}': {valid}");
}

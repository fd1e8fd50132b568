using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A network device and its backend in one option, <c>-nic TYPE[,model=DRIVER][,mac=ADDR][,property=value]…</c>, or in the two of old:
/// <c>-net nic</c> and <c>-net TYPE</c>, which are joined to each other.
/// </summary>
/// <param name="Device">The device; null for a backend alone.</param>
/// <param name="Netdev">The backend; null for a device alone.</param>
public sealed record NicOption(VirtioNetConfig? Device, NetdevOption? Netdev)
{
    public const string Syntax = "user[,model=virtio-net-pci|virtio-net-device][,mac=ADDR][,id=ID]…; or none";
    public const string NetSyntax = "nic[,model=DRIVER][,macaddr=ADDR][,netdev=ID]; user[,property=value]…; or none";

    private const string None = "none";
    private const string Nic = "nic";

    /// <summary>Reads <c>-nic</c>; null for none.</summary>
    /// <param name="number">How many came before.</param>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static NicOption? Parse(string text, int number)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.Parse(text, "type");
        if (TypeOf(pairs) == None)
        {
            return null;
        }

        string id = ValueOf(pairs, "id") ?? $"#net{number:D3}";
        (string, string?)[] ofNetdev = [.. pairs.Where(p => p.Key is not ("id" or "model" or "mac"))];
        return new NicOption(DeviceOf(pairs, "mac") with { Netdev = id }, NetdevOption.Of(id, ofNetdev));
    }

    /// <summary>Reads <c>-net</c>; null for none.</summary>
    /// <param name="number">How many came before.</param>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static NicOption? ParseNet(string text, int number)
    {
        IReadOnlyList<(string Key, string? Value)> pairs = KeyValues.Parse(text, "type");
        string type = TypeOf(pairs);
        if (type == None)
        {
            return null;
        }

        if (type != Nic)
        {
            string id = ValueOf(pairs, "id") ?? ValueOf(pairs, "name") ?? $"#net{number:D3}";
            return new NicOption(null, NetdevOption.Of(id, [.. pairs.Where(p => p.Key is not ("id" or "name"))]));
        }

        string[] known = ["type", "model", "macaddr", "netdev", "name", "id", "vectors"];
        return pairs.FirstOrDefault(p => !known.Contains(p.Key)).Key is { } unknown
            ? throw new OptionException($"Invalid parameter '{UserText.Legible(unknown)}'")
            : new NicOption(DeviceOf(pairs, "macaddr") with { Netdev = ValueOf(pairs, "netdev") ?? "" }, null);
    }

    private static VirtioNetConfig DeviceOf(IReadOnlyList<(string Key, string? Value)> pairs, string mac) =>
        new("", ValueOf(pairs, mac) is { } address ? NetDeviceOption.ParseMac(address) : NetDeviceOption.NoMac)
        {
            Model = (ValueOf(pairs, "model") ?? NetDeviceOption.PciDriver) switch
            {
                "virtio" or NetDeviceOption.PciDriver => NetDeviceOption.PciDriver,
                NetDeviceOption.Driver => NetDeviceOption.Driver,
                var other => throw new OptionException($"not supported: a network device of model '{UserText.Legible(other)}'; there are "
                    + $"{NetDeviceOption.PciDriver}, {NetDeviceOption.Driver}"),
            },
        };

    private static string TypeOf(IReadOnlyList<(string Key, string? Value)> pairs) =>
        ValueOf(pairs, "type") ?? throw new OptionException("Parameter 'type' is missing");

    private static string? ValueOf(IReadOnlyList<(string Key, string? Value)> pairs, string key) =>
        pairs.LastOrDefault(p => p.Key == key).Value;
}

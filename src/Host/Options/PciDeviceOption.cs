using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Devices.Virtio.Rng;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A device on the PCI bus: <c>-device DRIVER[,id=NAME][,bus=BUS][,addr=DEVICE[.FUNCTION]]…</c>, or the same as a JSON object.
/// </summary>
public static class PciDeviceOption
{
    public const string Syntax = $"{RootPort}|{Rng}|{NetDeviceOption.PciDriver}[,id=NAME][,bus=BUS][,addr=DEVICE[.FUNCTION]]";

    private const string RootPort = "pcie-root-port";
    private const string Rng = "virtio-rng-pci";

    // Of each driver: a property with the text of its help, and the value that it may have; null for any. Those which say how the device is
    // made in QEMU, and do not change it here, are accepted with the value that is true.
    private static readonly (string Driver, string Help, (string Name, string? Value, string Help)[] Properties)[] s_drivers =
    [
        (RootPort, "a port for one device, whose bus has the name id", [
            ("chassis", null, "<uint8> - taken, and of no use"), ("port", null, "<uint8> - the number of the link"),
            ("slot", null, "<uint16> - the number of the slot"), ("multifunction", null, "<bool> - on/off"),
            ("hotplug", null, "<bool> - devices may come and go (on)"),
        ]),
        (Rng, "random numbers of the host", [
            ("rng", null, "<str> - an -object rng-random or rng-builtin"), ("disable-legacy", "on", "<OnOffAuto>"),
            ("disable-modern", "off", "<bool>"), ("multifunction", null, "<bool> - on/off"),
        ]),
        (NetDeviceOption.PciDriver, "a network device", [
            ("disable-legacy", "on", "<OnOffAuto>"), ("disable-modern", "off", "<bool>"), ("multifunction", null, "<bool> - on/off"),
            .. NetDeviceOption.Names.Select(n => (n, (string?)null, "<str>")),
        ]),
    ];

    public static IEnumerable<string> Drivers => s_drivers.Select(d => d.Driver);

    public static bool IsDriver(string text) => Find(DriverOf(KeyValues.ParseOrJson(text, "driver"))) != null;

    /// <summary>The lines of <c>-device help</c>.</summary>
    public static string Describe =>
        "PCI devices:\n" + string.Join('\n', s_drivers.Select(d => $"name \"{d.Driver}\", bus PCI, desc \"{d.Help}\""));

    /// <summary>The text of <c>-device DRIVER,help</c>; null for another driver.</summary>
    public static string? DescribeProperties(string driver) => Find(driver) is not { } found ? null
        : $"{driver} options:\n  id=<str>\n  bus=<str>\n  addr=<int32>           - Slot and optional function number, example: 06.0 or 06\n"
            + string.Join('\n', found.Properties.Select(p => $"  {p.Name}={p.Help}"));

    /// <param name="earlier">The devices before it on the command line.</param>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static PciDeviceConfig Parse(string text, IReadOnlyList<PciDeviceConfig> earlier) =>
        Parse(KeyValues.ParseOrJson(text, "driver"), earlier);

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static PciDeviceConfig Parse(IReadOnlyList<(string Key, string? Value)> pairs, IReadOnlyList<PciDeviceConfig> earlier)
    {
        string driver = DriverOf(pairs) ?? "";
        (string Name, string? Value, string Help)[] properties = Find(driver)?.Properties
            ?? throw new OptionException($"'{UserText.Legible(driver)}' is not a valid device model name");
        string id = "";
        string? bus = null;
        PciSlot? slot = null;
        byte port = 0;
        int? vectors = null;
        var net = new VirtioNetConfig("", NetDeviceOption.NoMac) { Model = NetDeviceOption.PciDriver };
        int number = 0;
        bool hotplug = true;
        foreach ((string key, string? value) in pairs.Where(p => p.Key != "driver"))
        {
            switch (key)
            {
                case "id":
                    id = KeyValues.Identifier(key, value);
                    break;
                case "bus":
                    bus = value;
                    break;
                case "addr":
                    slot = PciSlot.TryParse(value, out PciSlot given) ? given
                        : throw new OptionException($"Property '{driver}.addr' doesn't take value '{UserText.Legible(value ?? "")}'");
                    break;
                case "slot" when driver == RootPort:
                    number = QemuNumber.TryParse(value, out long place) && place is >= 0 and <= RootPortConfig.MostNumber ? (int)place
                        : throw new OptionException($"Parameter 'slot' expects a number from 0 to {RootPortConfig.MostNumber}");
                    break;
                case "hotplug" when driver == RootPort:
                    hotplug = KeyValues.Switch(key, value);
                    break;
                case "port":
                    port = QemuNumber.TryParse(value, out long link) && link is >= 0 and <= byte.MaxValue ? (byte)link
                        : throw new OptionException($"Parameter 'port' expects a number from 0 to {byte.MaxValue}");
                    break;
                case "vectors" when driver == NetDeviceOption.PciDriver:
                    vectors = QemuNumber.TryParse(value, out long count) && count is >= 0 and <= PciMsix.MostVectors ? (int)count
                        : throw new OptionException($"Parameter 'vectors' expects a number from 0 to {PciMsix.MostVectors}");
                    break;
                case var name when driver == NetDeviceOption.PciDriver && NetDeviceOption.Names.Contains(name):
                    net = NetDeviceOption.Apply(net, key, value);
                    break;
                default:
                    Check(driver, properties, key, value);
                    break;
            }
        }

        if (id.Length > 0 && earlier.Any(d => d.Id == id))
        {
            throw new OptionException($"Duplicate device ID '{id}'");
        }

        return driver == RootPort ? new RootPortConfig(id, bus, slot, port, number, hotplug)
            : new VirtioPciConfig(driver == NetDeviceOption.PciDriver ? net with { Id = id } : new VirtioRngConfig(id), bus, slot)
            {
                Vectors = vectors,
            };
    }

    private static void Check(string driver, (string Name, string? Value, string Help)[] properties, string key, string? value)
    {
        if (Array.Find(properties, p => p.Name == key) is not { Name: not null } property)
        {
            throw new OptionException($"Property '{driver}.{UserText.Legible(key)}' not found");
        }

        if (property.Value != null && value != property.Value)
        {
            throw new OptionException(
                $"not supported: {driver} with {key}={UserText.Legible(value ?? "")}; there is {key}={property.Value}");
        }
    }

    private static string? DriverOf(IReadOnlyList<(string Key, string? Value)> pairs) => pairs.LastOrDefault(p => p.Key == "driver").Value;

    private static (string Driver, string Help, (string Name, string? Value, string Help)[] Properties)? Find(string? driver) =>
        Array.Find(s_drivers, d => d.Driver == driver) is { Driver: not null } found ? found : null;
}

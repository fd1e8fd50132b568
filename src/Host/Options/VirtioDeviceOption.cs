using System.Text;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Devices.Virtio.NineP;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Devices.Virtio.Vsock;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A virtio device that is neither a disk nor a network card, on either transport: <c>-device DRIVER-pci|DRIVER-device[,id=NAME]…</c>, or
/// the same as a JSON object. What it refers to is looked for when all options are known (<see cref="Make"/>).
/// </summary>
public sealed record VirtioDeviceOption
{
    public const string SharedFolder = "virtio-9p";

    /// <summary>What is wrong with a second balloon.</summary>
    public const string OneBalloon = "Only one balloon device is supported";

    private const string Console = "virtio-serial";
    private const string Balloon = "virtio-balloon";
    private const string Vsock = "virtio-vsock";
    private const string Pci = "-pci";
    private const string Mmio = "-device";

    // Of each driver: what people read of it, how it is made, and its properties.
    private static readonly DriverRow[] s_drivers =
    [
        new(SharedFolder, "a folder of the host", MakeSharedFolder, "fsdev", "mount_tag"),
        new(Console, "a console with ports", MakeConsole, "max_ports"),
        new(Balloon, "a balloon: RAM that the guest gives up", MakeBalloon, "deflate-on-oom", "free-page-reporting", "free-page-hint",
            "page-poison"),
        new(Vsock, "sockets between guest and host", MakeVsock, "guest-cid", "uds_path", "seqpacket"),
    ];

    // What of a property says how the device is made in QEMU, and is always so here.
    private static readonly Dictionary<string, string> s_always = new()
    {
        ["disable-legacy"] = "on",
        ["disable-modern"] = "off",
    };

    private sealed record DriverRow(
        string Name, string Help, Func<VirtioDeviceOption, MachineOptions, VirtioConfig> Make, params string[] Properties);

    public static IEnumerable<string> Drivers => s_drivers.SelectMany(d => new[] { d.Name + Pci, d.Name + Mmio });

    /// <summary>The lines of <c>-device help</c>.</summary>
    public static string Describe => string.Join('\n', s_drivers.SelectMany(d => new[]
    {
        $"name \"{d.Name}{Pci}\", bus PCI, desc \"{d.Help}\"", $"name \"{d.Name}{Mmio}\", bus virtio-bus, desc \"{d.Help}\"",
    }));

    /// <summary><c>id=</c>; empty for none.</summary>
    public required string Id { get; init; }

    /// <summary>The name of the driver without the transport.</summary>
    public required string Driver { get; init; }

    /// <summary>Whether it is on the PCI bus; else it has a slot of virtio-mmio.</summary>
    public required bool IsPci { get; init; }

    /// <summary>The PCI bus; null for the root bus.</summary>
    public string? Bus { get; init; }

    /// <summary>The place there; null for the first that is free.</summary>
    public PciSlot? Slot { get; init; }

    /// <summary>How many other devices of the PCI bus come before it on the command line.</summary>
    public int Place { get; init; }

    /// <summary>What rings it offers.</summary>
    public VirtioFeatures Rings { get; init; } = VirtioFeatures.IndirectDescriptors | VirtioFeatures.EventIndex;

    /// <summary>The driver's own properties, in their order.</summary>
    public IReadOnlyList<(string Key, string? Value)> Properties { get; init; } = [];

    /// <summary>The name of the driver with the transport.</summary>
    public string FullDriver => Driver + (IsPci ? Pci : Mmio);

    public static bool IsDriver(string text) =>
        DriverOf(KeyValues.ParseOrJson(text, "driver")) is { } driver && (Find(driver) != null || IsVhost(driver));

    /// <summary>The text of <c>-device DRIVER,help</c>; null for another driver.</summary>
    public static string? DescribeProperties(string driver) => Find(driver) is not { } found ? null
        : $"{driver} options:\n" + string.Join('\n', found.Properties.Concat(["id", "packed", "event_idx", "indirect_desc"])
            .Concat(driver.EndsWith(Pci, StringComparison.Ordinal) ? ["bus", "addr"] : Array.Empty<string>())
            .Order(StringComparer.Ordinal).Select(p => $"  {p}=<str>"));

    /// <param name="place">How many other devices of the PCI bus come before it.</param>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static VirtioDeviceOption Parse(string text, int place) => Parse(KeyValues.ParseOrJson(text, "driver"), place);

    /// <summary>The same, of a text that has been taken apart.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static VirtioDeviceOption Parse(IReadOnlyList<(string Key, string? Value)> pairs, int place)
    {
        string driver = DriverOf(pairs)!;
        DriverRow row = Find(driver)
            ?? throw new OptionException($"not supported: {driver}: there is no vhost; give {Vsock}{Pci},guest-cid=N,uds_path=PATH");
        var option = new VirtioDeviceOption
        {
            Id = "", Driver = row.Name, IsPci = !driver.EndsWith(Mmio, StringComparison.Ordinal), Place = place,
        };
        foreach ((string key, string? value) in pairs.Where(p => p.Key != "driver"))
        {
            option = option.With(row, key, value);
        }

        return option;
    }

    /// <summary>What the device is made from, when all options are known.</summary>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public VirtioConfig Make(MachineOptions options) => Find(FullDriver)!.Make(this, options);

    private VirtioDeviceOption With(DriverRow row, string key, string? value) => key switch
    {
        "id" => this with { Id = KeyValues.Identifier(key, value) },
        "packed" => Ring(VirtioFeatures.PackedRings, KeyValues.Switch(key, value)),
        "event_idx" => Ring(VirtioFeatures.EventIndex, KeyValues.Switch(key, value)),
        "indirect_desc" => Ring(VirtioFeatures.IndirectDescriptors, KeyValues.Switch(key, value)),
        "bus" when IsPci => this with { Bus = value },
        "addr" when IsPci => this with { Slot = PciSlot.TryParse(value, out PciSlot slot) ? slot : throw Refuses(key, value) },
        _ when IsPci && s_always.TryGetValue(key, out string? always) => value == always ? this
            : throw new OptionException($"not supported: {FullDriver} with {key}={UserText.Legible(value ?? "")}; there is {key}={always}"),
        _ when row.Properties.Contains(key) => this with { Properties = [.. Properties, (key, value)] },
        _ => throw new OptionException($"Property '{FullDriver}.{UserText.Legible(key)}' not found"),
    };

    private VirtioDeviceOption Ring(VirtioFeatures feature, bool has) => this with { Rings = has ? Rings | feature : Rings & ~feature };

    private string? this[string property] => Properties.LastOrDefault(p => p.Key == property).Value;

    private OptionException Refuses(string key, string? value) =>
        new($"Property '{FullDriver}.{key}' doesn't take value '{UserText.Legible(value ?? "")}'");

    private static VirtioNinePConfig MakeSharedFolder(VirtioDeviceOption option, MachineOptions options)
    {
        string tag = option["mount_tag"] ?? "";
        if (option["fsdev"] is not { } name || options.SharedFolders.FirstOrDefault(f => f.Id == name) is not { } folder)
        {
            throw new OptionException(
                $"-device {option.FullDriver}: 9pfs device couldn't find fsdev with the id = "
                + $"{UserText.Legible(option["fsdev"] ?? "NULL")}");
        }

        if (tag.Length == 0 || Encoding.UTF8.GetByteCount(tag) > VirtioNinePConfig.LongestTag)
        {
            throw new OptionException($"-device {option.FullDriver}: fsdev with id {UserText.Legible(name)} needs a mount_tag "
                + $"of 1 to {VirtioNinePConfig.LongestTag} bytes");
        }

        return new VirtioNinePConfig(option.Id, tag, folder.Open() with { MayMount = !options.OnlyMigratable }) { Rings = option.Rings };
    }

    private static VirtioSerialConfig MakeConsole(VirtioDeviceOption option, MachineOptions options)
    {
        VirtioDeviceOption[] consoles = [.. options.VirtioDevices.Where(d => d.IsConsole)];
        (string, int)[] buses = [.. consoles.Select((d, i) => (SerialPortOption.BusOf(d.Id, i), d.PortCount))];
        int own = Array.FindIndex(consoles, d => ReferenceEquals(d, option));
        return new VirtioSerialConfig(option.Id, option.PortCount, SerialPortOption.Place(options.SerialPorts, buses, own))
        {
            Rings = option.Rings,
        };
    }

    /// <summary>Whether it is a console, which may have ports.</summary>
    public bool IsConsole => Driver == Console;

    private int PortCount => this["max_ports"] is not { } text ? VirtioSerialConfig.MostPorts
        : QemuNumber.TryParse(text, out long count) && count is >= 1 and <= VirtioSerialConfig.MostPorts ? (int)count
        : throw Refuses("max_ports", text);

    private static VirtioBalloonConfig MakeBalloon(VirtioDeviceOption option, MachineOptions options)
    {
        foreach (string refused in (string[])["free-page-hint", "page-poison"])
        {
            if (option.Properties.Any(p => p.Key == refused) && option.Switch(refused))
            {
                throw new OptionException($"-device {option.FullDriver}: not supported: {refused}=on");
            }
        }

        return new VirtioBalloonConfig(option.Id)
        {
            DeflateOnOutOfMemory = option.Switch("deflate-on-oom"),
            FreePageReporting = option.Switch("free-page-reporting"),
            Rings = option.Rings,
        };
    }

    /// <exception cref="OptionException">A machine has at most one balloon.</exception>
    public static void RequireOneBalloon(IReadOnlyList<VirtioDeviceOption> devices)
    {
        if (devices.Count(d => d.Driver == Balloon) > 1)
        {
            throw new OptionException($"-device {devices.First(d => d.Driver == Balloon).FullDriver}: {OneBalloon}");
        }
    }

    private static VirtioVsockConfig MakeVsock(VirtioDeviceOption option, MachineOptions options)
    {
        if (option["guest-cid"] is not { } text || !QemuNumber.TryParse(text, out long cid)
            || cid is < VirtioVsockConfig.LeastCid or > VirtioVsockConfig.LargestCid)
        {
            throw new OptionException(
                $"-device {option.FullDriver}: guest-cid property must be {VirtioVsockConfig.LeastCid} to {VirtioVsockConfig.LargestCid}");
        }

        // A path and '_' with a port of ten digits, or the suffix, fit into a Unix socket's address (unix(7)).
        const int LongestPath = 107 - 11;
        return option["uds_path"] is { Length: > 0 } path && Encoding.UTF8.GetByteCount(path) <= LongestPath
            ? new VirtioVsockConfig(option.Id, (uint)cid, path)
            {
                Rings = option.Rings,
                HasMessages = option["seqpacket"] is null or "auto" || option.Switch("seqpacket"),
            }
            : throw new OptionException($"-device {option.FullDriver}: uds_path property must be a path of 1 to {LongestPath} bytes: "
                + "programs of the host connect there, and to it with '_' and a port goes what the guest connects to");
    }

    // A switch that is off where it is not given.
    private bool Switch(string property) => Properties.Any(p => p.Key == property) && KeyValues.Switch(property, this[property]);

    private static string? DriverOf(IReadOnlyList<(string Key, string? Value)> pairs) => pairs.LastOrDefault(p => p.Key == "driver").Value;

    // QEMU's only kind of such a device, with the host's kernel behind it.
    private static bool IsVhost(string driver) => driver is "vhost-vsock" or "vhost-vsock-pci" or "vhost-vsock-device";

    // Without a transport it is on the PCI bus, as in QEMU.
    private static DriverRow? Find(string? driver) =>
        Array.Find(s_drivers, d => driver == d.Name || driver == d.Name + Pci || driver == d.Name + Mmio);
}

using System.Numerics;
using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// A disk's device: <c>-device virtio-blk-pci,drive=NAME[,serial=…]…</c>, or <c>virtio-blk-device</c> on the MMIO transport, or the same
/// as a JSON object.
/// </summary>
public sealed record DiskDeviceOption
{
    public const string PciDriver = "virtio-blk-pci";

    public const string MmioDriver = "virtio-blk-device";

    public const string Syntax =
        $"{PciDriver}|{MmioDriver},drive=NAME[,id=NAME][,serial=TEXT][,num-queues=N][,bootindex=N][,bus=BUS][,addr=DEVICE]…";

    // QEMU's name for either.
    private const string Alias = "virtio-blk";

    // What a property does to the device.
    private static readonly Dictionary<string, Func<string, string?, VirtioBlkConfig, VirtioBlkConfig>> s_properties = new()
    {
        ["serial"] = (_, v, c) => c with { Serial = v ?? "" },
        ["num-queues"] = (k, v, c) => c with { Queues = Number(k, v, 1, VirtioDevice.MaxQueues) },
        ["bootindex"] = (k, v, c) => c with { BootIndex = Number(k, v, 0, int.MaxValue) },
        ["queue-size"] = (k, v, c) => c with { QueueSize = PowerOfTwo(k, v, 4, VirtioDevice.MaxQueueSize) },
        ["logical_block_size"] = (k, v, c) => c with { LogicalBlockSize = PowerOfTwo(k, v, 512, 2 << 20) },
        ["physical_block_size"] = (k, v, c) => c with { PhysicalBlockSize = PowerOfTwo(k, v, 512, 2 << 20) },
        ["min_io_size"] = (k, v, c) => c with { MinimumIoSize = Number(k, v, 0, 2 << 20) },
        ["opt_io_size"] = (k, v, c) => c with { OptimalIoSize = Number(k, v, 0, 2 << 20) },
        ["config-wce"] = (k, v, c) => c with { ConfigurableWriteCache = KeyValues.Switch(k, v) },
        ["discard"] = (k, v, c) => c with { Discard = KeyValues.Switch(k, v) },
        ["write-zeroes"] = (k, v, c) => c with { WriteZeroes = KeyValues.Switch(k, v) },
        ["rerror"] = (k, v, c) => c with { ReadError = DiskOption.PolicyOf(k, v) ?? c.ReadError },
        ["werror"] = (k, v, c) => c with { WriteError = DiskOption.PolicyOf(k, v) ?? c.WriteError },
        ["packed"] = (k, v, c) => Ring(c, VirtioFeatures.PackedRings, KeyValues.Switch(k, v)),
        ["event_idx"] = (k, v, c) => Ring(c, VirtioFeatures.EventIndex, KeyValues.Switch(k, v)),
        ["indirect_desc"] = (k, v, c) => Ring(c, VirtioFeatures.IndirectDescriptors, KeyValues.Switch(k, v)),
    };

    // What only the PCI transport has. A value that says how the device is made in QEMU is accepted if it is true here.
    private static readonly string[] s_pciProperties = ["addr", "bus", "disable-legacy", "disable-modern", "multifunction", "vectors"];

    /// <summary>The text of <c>-device DRIVER,help</c>; null for another driver.</summary>
    public static string? DescribeProperties(string driver) => !Drivers.Contains(driver) ? null
        : $"{driver} options:\n" + string.Join('\n', s_properties.Keys.Concat(["drive", "id"])
            .Concat(driver == MmioDriver ? [] : s_pciProperties).Order(StringComparer.Ordinal).Select(p => $"  {p}=<str>"));

    public static IReadOnlyList<string> Drivers { get; } = [PciDriver, MmioDriver, Alias];

    /// <summary>Whether it is on the PCI bus, and not in a slot of virtio-mmio.</summary>
    public bool IsPci { get; init; } = true;

    /// <summary><c>bus=</c>: null for the root bus.</summary>
    public string? Bus { get; init; }

    /// <summary><c>addr=</c>: null for the first free place.</summary>
    public PciSlot? Slot { get; init; }

    /// <summary><c>vectors=</c> of MSI-X; null for one of each queue and one more.</summary>
    public int? Vectors { get; init; }

    /// <summary>How many other devices on the PCI bus come before it on the command line.</summary>
    public int After { get; init; }

    /// <summary><c>id=</c>; empty for none.</summary>
    public required string Id { get; init; }

    /// <summary><c>drive=</c>: the name of a drive or node.</summary>
    public required string Drive { get; init; }

    /// <summary>The properties, in their order.</summary>
    public IReadOnlyList<(string Key, string? Value)> Properties { get; init; } = [];

    public static bool IsDriver(string text) =>
        Drivers.Contains(KeyValues.ParseOrJson(text, "driver").LastOrDefault(p => p.Key == "driver").Value);

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static DiskDeviceOption Parse(string text) => Parse(KeyValues.ParseOrJson(text, "driver"));

    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static DiskDeviceOption Parse(IReadOnlyList<(string Key, string? Value)> pairs)
    {
        bool isPci = pairs.Last(p => p.Key == "driver").Value != MmioDriver;
        var device = new DiskDeviceOption
        {
            IsPci = isPci,
            Id = pairs.LastOrDefault(p => p.Key == "id").Value ?? "",
            Drive = pairs.LastOrDefault(p => p.Key == "drive").Value ?? throw new OptionException("drive property not set"),
        };
        foreach ((string key, string? value) in pairs.Where(p => p.Key is not ("driver" or "id" or "drive")))
        {
            device = s_properties.ContainsKey(key) ? device with { Properties = [.. device.Properties, (key, value)] }
                : isPci && s_pciProperties.Contains(key) ? device.WithPci(key, value)
                : throw new OptionException($"Property '{device.Driver}.{UserText.Legible(key)}' not found");
        }

        return device;
    }

    private string Driver => IsPci ? PciDriver : MmioDriver;

    /// <summary>The device of a disk.</summary>
    /// <param name="cpus">The CPUs at power-on: on PCI the disk has a queue of each, as in QEMU, where nothing else is said.</param>
    /// <exception cref="OptionException">The properties do not fit together.</exception>
    public VirtioBlkConfig On(BlockBackend disk, DiskOption image, int cpus)
    {
        var config = new VirtioBlkConfig(Id, disk) { Queues = IsPci ? Math.Min(cpus, VirtioDevice.MaxQueues) : 1 };
        config = config with { ReadError = image.ReadError ?? config.ReadError, WriteError = image.WriteError ?? config.WriteError };
        foreach ((string key, string? value) in Properties)
        {
            config = s_properties[key](key, value, config);
        }

        return config.PhysicalBlockSize >= config.LogicalBlockSize ? config
            : config with { PhysicalBlockSize = config.LogicalBlockSize };
    }

    private DiskDeviceOption WithPci(string key, string? value) => (key, value) switch
    {
        ("bus", _) => this with { Bus = value },
        ("addr", _) => PciSlot.TryParse(value, out PciSlot slot) ? this with { Slot = slot }
            : throw new OptionException($"Property '{PciDriver}.addr' doesn't take value '{UserText.Legible(value ?? "")}'"),
        ("vectors", _) => this with { Vectors = Number(key, value, 0, PciMsix.MostVectors) },
        ("multifunction", "on" or "off") => this,
        ("disable-legacy", "on" or "auto") or ("disable-modern", "off") => this,
        _ => throw new OptionException($"not supported: {PciDriver} with {key}={UserText.Legible(value ?? "")}: it is a modern device"),
    };

    private static VirtioBlkConfig Ring(VirtioBlkConfig config, VirtioFeatures feature, bool has) =>
        config with { Rings = has ? config.Rings | feature : config.Rings & ~feature };

    private static int Number(string key, string? value, int least, int most) =>
        value != null && QemuNumber.TryParseSize(value, 'B', out long number) && number >= least && number <= most ? (int)number
            : throw new OptionException($"Property '{PciDriver}.{key}' doesn't take value '{UserText.Legible(value ?? "")}': "
                + $"{least} to {most} is valid");

    private static int PowerOfTwo(string key, string? value, int least, int most) =>
        Number(key, value, least, most) is var number && BitOperations.IsPow2(number) ? number
            : throw new OptionException($"Property '{PciDriver}.{key}' doesn't take value '{number}', it's not a power of 2");
}

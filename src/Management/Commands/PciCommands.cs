using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Vmm.Actors.Protocol;
using Vmm.Emulation.Devices.Pci;
using Vmm.Management.Qapi;

namespace Vmm.Management.Commands;

// What query-pci tells (QEMU, qapi/pci.json).
public sealed record PciInfo(long Bus, PciDeviceInfo[] Devices);

public sealed record PciDeviceInfo(
    long Bus,
    long Slot,
    long Function,
    [property: JsonPropertyName("class_info")] PciDeviceClass ClassInfo,
    PciDeviceId Id,
    long? Irq,
    [property: JsonPropertyName("irq_pin")] long IrqPin,
    [property: JsonPropertyName("qdev_id")] string QdevId,
    [property: JsonPropertyName("pci_bridge")] PciBridgeInfo? PciBridge,
    PciMemoryRegion[] Regions);

public sealed record PciDeviceClass(string? Desc, long Class);

public sealed record PciDeviceId(long Device, long Vendor, long? Subsystem, long? SubsystemVendor);

public sealed record PciBridgeInfo(PciBusInfo Bus, PciDeviceInfo[]? Devices);

public sealed record PciBusInfo(
    long Number,
    long Secondary,
    long Subordinate,
    [property: JsonPropertyName("io_range")] PciMemoryRange IoRange,
    [property: JsonPropertyName("memory_range")] PciMemoryRange MemoryRange,
    [property: JsonPropertyName("prefetchable_range")] PciMemoryRange PrefetchableRange);

public sealed record PciMemoryRange(long Base, long Limit);

public sealed record PciMemoryRegion(
    long Bar,
    string Type,
    long Address,
    long Size,
    bool? Prefetch,
    [property: JsonPropertyName("mem_type_64")] bool? MemType64);

/// <summary>What people and programs are told of the PCI bus.</summary>
public sealed class PciCommands(MonitorVm vm)
{
    // Offsets in the first 64 bytes of configuration space (PCI 3.0, 6.1; PCI-to-PCI Bridge 1.2, 3.2).
    private const int ClassAt = 0x0A;
    private const int BusesAt = 0x18;
    private const int SubsystemAt = 0x2C;
    private const int LineAt = 0x3C;
    private const int IoAt = 0x1C;
    private const int MemoryAt = 0x20;
    private const int PrefetchableAt = 0x24;
    private const int PrefetchableUpperAt = 0x28;
    private const int IoUpperAt = 0x30;

    public void Register(QapiCommandTable table) => table.AddQuery("query-pci", Query);

    /// <summary>The functions of the root bus, and behind each bridge those of its bus.</summary>
    public async Task<PciInfo[]> Query()
    {
        PciDevices pci = await vm.Ask<PciDevices>(new GetPciDevices()).ConfigureAwait(false);
        return pci.Buses.Length == 0 ? [] : [new PciInfo(0, Behind(pci, -1))];
    }

    private static PciDeviceInfo[] Behind(PciDevices pci, int bridge) =>
        [.. Enumerable.Range(0, pci.Parents.Length).Where(i => pci.Parents[i] == bridge).Select(i => Info(pci, i))];

    private static PciDeviceInfo Info(PciDevices pci, int index)
    {
        ReadOnlySpan<byte> config = pci.Configurations.AsSpan(index * PciDevices.ConfigurationSize, PciDevices.ConfigurationSize);
        int kind = Word(config, ClassAt);
        bool isBridge = kind == PciClassNames.Bridge;
        PciMemoryRegion[] regions = [.. pci.Regions.Chunk(PciDevices.FieldsOfRegion).Where(r => r[0] == index).Select(r =>
            (r[2] & 1) != 0 ? new PciMemoryRegion(r[1], "io", r[3], r[4], null, null)
                : new PciMemoryRegion(r[1], "memory", r[3], r[4], (r[2] & 4) != 0, (r[2] & 2) != 0))];
        return new PciDeviceInfo(
            pci.Buses[index], pci.Slots[index] >> 3, pci.Slots[index] & 7, new PciDeviceClass(PciClassNames.Find(kind), kind),
            new PciDeviceId(
                Word(config, 2), Word(config, 0), isBridge ? null : Word(config, SubsystemAt + 2),
                isBridge ? null : Word(config, SubsystemAt)),
            config[LineAt + 1] > 0 ? config[LineAt] : null, config[LineAt + 1], NameOf(pci.QomPaths[index]),
            isBridge ? new PciBridgeInfo(Windows(config), config[BusesAt + 1] == 0 ? null : Behind(pci, index)) : null, regions);
    }

    // The addresses that a bridge passes on (PCI-to-PCI Bridge 1.2, 3.2.5.6 to 3.2.5.10).
    private static PciBusInfo Windows(ReadOnlySpan<byte> config)
    {
        static long Io(int register, int upper) => ((register & 0xF0L) << 8) | ((long)upper << 16);
        long prefetchableBase = ((Word(config, PrefetchableAt) & 0xFFF0L) << 16)
            | ((long)BinaryPrimitives.ReadUInt32LittleEndian(config[PrefetchableUpperAt..]) << 32);
        long prefetchableLimit = ((Word(config, PrefetchableAt + 2) & 0xFFF0L) << 16)
            | ((long)BinaryPrimitives.ReadUInt32LittleEndian(config[(PrefetchableUpperAt + 4)..]) << 32);
        return new PciBusInfo(
            config[BusesAt], config[BusesAt + 1], config[BusesAt + 2],
            new PciMemoryRange(
                Io(config[IoAt], Word(config, IoUpperAt)), Io(config[IoAt + 1], Word(config, IoUpperAt + 2)) | 0xFFF),
            new PciMemoryRange(
                (Word(config, MemoryAt) & 0xFFF0L) << 16, ((Word(config, MemoryAt + 2) & 0xFFF0L) << 16) | 0xF_FFFF),
            new PciMemoryRange(prefetchableBase, prefetchableLimit | 0xF_FFFF));
    }

    /// <summary>The text of <c>info pci</c>, in QEMU's layout.</summary>
    public async Task<string> Describe()
    {
        PciDevices pci = await vm.Ask<PciDevices>(new GetPciDevices()).ConfigureAwait(false);
        return string.Join('\n', Enumerable.Range(0, pci.Buses.Length).Select(i => Describe(pci, i)));
    }

    private static string Describe(PciDevices pci, int index)
    {
        ReadOnlySpan<byte> config = pci.Configurations.AsSpan(index * PciDevices.ConfigurationSize, PciDevices.ConfigurationSize);
        int kind = BinaryPrimitives.ReadUInt16LittleEndian(config[ClassAt..]);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"  Bus {pci.Buses[index],2}, device {pci.Slots[index] >> 3,3}, function {pci.Slots[index] & 7}:\n");
        text.Append("    ").Append(PciClassNames.Of(kind));
        text.Append(CultureInfo.InvariantCulture, $": PCI device {Word(config, 0):x4}:{Word(config, 2):x4}\n");
        if (kind != PciClassNames.Bridge)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"      PCI subsystem {Word(config, SubsystemAt):x4}:{Word(config, SubsystemAt + 2):x4}\n");
        }

        if (config[LineAt + 1] is > 0 and var pin)
        {
            text.Append(CultureInfo.InvariantCulture, $"      IRQ {config[LineAt]}, pin {(char)('A' + pin - 1)}\n");
        }

        if (kind == PciClassNames.Bridge)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"      BUS {config[BusesAt]}.\n      secondary bus {config[BusesAt + 1]}.\n");
            text.Append(CultureInfo.InvariantCulture, $"      subordinate bus {config[BusesAt + 2]}.\n");
        }

        foreach (long[] region in pci.Regions.Chunk(PciDevices.FieldsOfRegion).Where(r => r[0] == index))
        {
            string space = (region[2] & 1) != 0 ? "I/O"
                : $"{((region[2] & 2) != 0 ? 64 : 32)} bit {((region[2] & 4) != 0 ? "prefetchable " : "")}memory";
            text.Append(CultureInfo.InvariantCulture,
                $"      BAR{region[1]}: {space} at 0x{region[3]:x} [0x{region[3] + region[4] - 1:x}].\n");
        }

        return text.Append(CultureInfo.InvariantCulture, $"      id \"{NameOf(pci.QomPaths[index])}\"").ToString();
    }

    // What the user has named it.
    private static string NameOf(string path) =>
        path.StartsWith(CpuCommands.PathOf(""), StringComparison.Ordinal) ? path[CpuCommands.PathOf("").Length..] : "";

    private static int Word(ReadOnlySpan<byte> config, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(config[offset..]);
}

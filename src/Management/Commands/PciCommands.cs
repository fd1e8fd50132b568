using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Vmm.Actors.Protocol;

namespace Vmm.Management.Commands;

/// <summary>What people are told of the PCI bus.</summary>
public sealed class PciCommands(MonitorVm vm)
{
    // Offsets in the first 64 bytes of configuration space (PCI 3.0, 6.1; PCI-to-PCI Bridge 1.2, 3.2).
    private const int ClassAt = 0x0A;
    private const int BusesAt = 0x18;
    private const int SubsystemAt = 0x2C;
    private const int LineAt = 0x3C;
    private const int Bridge = 0x0604;

    // QEMU's words for classes (hw/pci/pci.c).
    private static readonly Dictionary<int, string> s_classes = new()
    {
        [0x0001] = "Class 0001", [0x0100] = "SCSI controller", [0x0200] = "Ethernet controller", [0x0600] = "Host bridge",
        [Bridge] = "PCI bridge", [0x0780] = "Communication controller", [0x00FF] = "Class 00ff",
    };

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
        text.Append("    ").Append(s_classes.GetValueOrDefault(kind) ?? $"Class {kind:x4}");
        text.Append(CultureInfo.InvariantCulture, $": PCI device {Word(config, 0):x4}:{Word(config, 2):x4}\n");
        if (kind != Bridge)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"      PCI subsystem {Word(config, SubsystemAt):x4}:{Word(config, SubsystemAt + 2):x4}\n");
        }

        if (config[LineAt + 1] is > 0 and var pin)
        {
            text.Append(CultureInfo.InvariantCulture, $"      IRQ {config[LineAt]}, pin {(char)('A' + pin - 1)}\n");
        }

        if (kind == Bridge)
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

        string path = pci.QomPaths[index];
        string id = path.StartsWith(CpuCommands.PathOf(""), StringComparison.Ordinal) ? path[CpuCommands.PathOf("").Length..] : "";
        return text.Append(CultureInfo.InvariantCulture, $"      id \"{id}\"").ToString();
    }

    private static int Word(ReadOnlySpan<byte> config, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(config[offset..]);
}

using Vmm.Emulation.Cpu;
using Vmm.Emulation.Devices;

namespace Vmm.Management.Commands;

/// <summary>QEMU's names for the types of the machine's objects, each with its parent.</summary>
internal static class QomTypes
{
    /// <summary>The types of devices that can be put into a slot of a running machine, and of the port that has it.</summary>
    public static IReadOnlyList<string> PciDrivers { get; } =
    [
        "pcie-root-port", "virtio-9p-pci", "virtio-balloon-pci", "virtio-blk-pci", "virtio-net-pci", "virtio-rng-pci", "virtio-serial-pci",
        "virtio-vsock-pci",
    ];

    /// <summary>The types of ports of consoles, which come and go without a slot.</summary>
    public static IReadOnlyList<string> Ports { get; } = ["virtconsole", "virtserialport"];

    private static readonly (string Name, string? Parent, bool Abstract)[] s_types =
    [
        ("object", null, true),
        ("container", "object", false),
        ("machine", "object", true),
        ("virt-machine", "machine", false),
        ("device", "object", true),
        ("sys-bus-device", "device", true),
        ("pci-device", "device", true),
        .. PciDrivers.Select(name => (name, (string?)"pci-device", false)),
        ("virtio-serial-port", "device", true),
        ("virtserialport", "virtio-serial-port", false),
        ("virtconsole", "virtserialport", false),
        ("cpu", "device", true),
        ("arm-cpu", "cpu", true),
        .. CpuModel.All.Select(m => (m.Name + CpuCommands.Suffix, (string?)"arm-cpu", false)),
        .. QomTypeAttribute.All.Select(name => (name, (string?)"sys-bus-device", false)),
    ];

    /// <summary>The name behind QEMU's short ones, which leave the bus out.</summary>
    public static string Resolve(string name) => PciDrivers.Contains($"{name}-pci") ? $"{name}-pci" : name;

    /// <summary>Whether a device of a type can be put into a slot of a running machine.</summary>
    public static bool IsPluggable(string name) =>
        (PciDrivers.Contains(name) && name != "pcie-root-port") || Ports.Contains(name);

    public static bool Exists(string name) => s_types.Any(t => t.Name == name);

    /// <summary>Whether a type is a device, and not abstract.</summary>
    public static bool IsDevice(string name) => s_types.Any(t => t.Name == name && !t.Abstract) && Implements(name, "device");

    /// <summary>Whether a type is the same as another one, or derived from it.</summary>
    public static bool Implements(string? name, string ancestor)
    {
        while (name != null && name != ancestor)
        {
            string current = name;
            name = s_types.FirstOrDefault(t => t.Name == current).Parent;
        }

        return name != null;
    }

    /// <summary>All types that are derived from another one, and that type itself.</summary>
    public static IEnumerable<(string Name, string? Parent, bool Abstract)> Of(string? ancestor, bool withAbstract) =>
        s_types.Where(t => (withAbstract || !t.Abstract) && (ancestor == null || Implements(t.Name, ancestor)));
}

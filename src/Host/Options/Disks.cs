using Vmm.Emulation.Block;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Boards.Virt;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>The disks of a command line: images, and the devices that have them.</summary>
public static class Disks
{
    /// <summary>
    /// Puts images and devices together. Devices of <c>-device</c> come first, then those of drives that have none, as in QEMU.
    /// </summary>
    /// <param name="others">The other devices on the PCI bus.</param>
    /// <param name="cpus">The CPUs at power-on.</param>
    /// <param name="groups">The groups of limits that there are; those of drives are added.</param>
    /// <returns>
    /// The devices in slots of virtio-mmio and all those on the PCI bus, in the order of the command line. Nothing is open.
    /// </returns>
    /// <exception cref="OptionException">One line that says what is wrong.</exception>
    public static (IReadOnlyList<VirtioConfig> Mmio, IReadOnlyList<PciDeviceConfig> Pci) Make(
        IReadOnlyList<DiskOption> images,
        IReadOnlyList<DiskDeviceOption> devices,
        IReadOnlyList<PciDeviceConfig> others,
        bool snapshot,
        int cpus,
        ThrottleGroups groups)
    {
        List<(string Name, DiskOption Image)> named = Name(images, snapshot);
        var mmio = new List<VirtioConfig>();
        var pci = new List<PciDeviceConfig>(others);
        var used = new HashSet<string>(StringComparer.Ordinal);
        var ids = new HashSet<string>(others.Select(o => o.Id), StringComparer.Ordinal);
        IEnumerable<DiskDeviceOption> all = devices.Concat(named.Where(n => n.Image.HasDevice)
            .Select(n => new DiskDeviceOption { Id = "", Drive = n.Name, After = others.Count }));
        foreach (DiskDeviceOption device in all)
        {
            (string name, DiskOption image) = named.FirstOrDefault(n => n.Name == device.Drive);
            if (image == null)
            {
                throw new OptionException(
                    $"-device {DiskDeviceOption.PciDriver}: Property 'drive' can't find value '{UserText.Legible(device.Drive)}'");
            }

            if (!used.Add(name))
            {
                throw new OptionException($"Drive '{name}' is already in use by another block device");
            }

            if (device.Id.Length > 0 && !ids.Add(device.Id))
            {
                throw new OptionException($"Duplicate device ID '{UserText.Legible(device.Id)}'");
            }

            VirtioBlkConfig disk = device.On(image.Backend(name, groups), image, cpus);
            if (device.IsPci)
            {
                pci.Insert(device.After + pci.Count - others.Count, new VirtioPciConfig(disk, device.Bus, device.Slot)
                {
                    Vectors = device.Vectors,
                });
            }
            else
            {
                mmio.Add(disk);
            }
        }

        return mmio.Count <= VirtBoard.VirtioSlots ? (mmio, pci)
            : throw new OptionException($"No 'virtio-bus' bus found for device '{DiskDeviceOption.MmioDriver}': "
                + $"there are {VirtBoard.VirtioSlots} slots");
    }

    /// <summary>Opens the disks of a machine; the caller disposes its devices, after the machine.</summary>
    /// <exception cref="OptionException">One line that says what is wrong; nothing is open.</exception>
    public static void Open(MachineConfig config)
    {
        BlockBackend[] disks =
        [
            .. config.VirtioMmio.Concat(config.PciDevices.OfType<VirtioPciConfig>().Select(d => d.Device)).OfType<VirtioBlkConfig>()
                .Select(d => d.Disk),
        ];
        try
        {
            Array.ForEach(disks, d => d.Open());
        }
        catch (Exception e) when (e is BlockException or IOException or UnauthorizedAccessException)
        {
            Array.ForEach(disks, d => d.Dispose());
            throw new OptionException(e is BlockException ? e.Message : SystemError.Describe(e));
        }
    }

    // Each with its name; nodes that stand on another one take its file.
    internal static List<(string Name, DiskOption Image)> Name(IReadOnlyList<DiskOption> images, bool snapshot)
    {
        var named = new List<(string Name, DiskOption Image)>();
        var indexes = new HashSet<(bool HasDevice, int Index)>();
        foreach (DiskOption image in images)
        {
            Name(image, snapshot, named, indexes);
        }

        return named;
    }

    // Adds an image to those that have names. The indexes are those of drives that are there already.
    internal static void Name(
        DiskOption image, bool snapshot, List<(string Name, DiskOption Image)> named, HashSet<(bool HasDevice, int Index)> indexes)
    {
        string name = image.Name ?? "";
        if (!image.IsNode)
        {
            int index = image.Index ?? Enumerable.Range(0, int.MaxValue).First(i => !indexes.Contains((image.HasDevice, i)));
            string place = image.HasDevice ? "virtio" : "none";
            name = image.Name ?? $"{place}{index}";
            if (!indexes.Add((image.HasDevice, index)))
            {
                throw new OptionException($"drive with bus=0, unit={index} (index={index}) exists");
            }
        }

        RequireOwnName(name, image, named);

        DiskOption disk = image;
        if (image.Child is { } child)
        {
            DiskOption below = named.Find(n => n.Name == child && n.Image.IsNode).Image
                ?? throw new OptionException($"Cannot find device='{UserText.Legible(child)}' nor node-name='{UserText.Legible(child)}'");
            disk = image.Over(below);
        }

        named.Add((name, disk with
        {
            IsSnapshot = disk.IsSnapshot || (snapshot && !image.IsNode),
            Order = named.Count == 0 ? 0 : named[^1].Image.Order + 1,
        }));
    }

    // Monitors take the name of a drive where they take that of a node, so no two of either are the same.
    private static void RequireOwnName(string name, DiskOption image, List<(string Name, DiskOption Image)> named)
    {
        string? problem = named.Exists(n => n.Image.NodeName is { } node && node == image.NodeName)
            ? $"Duplicate nodes with node-name='{image.NodeName}'"
            : named.Exists(n => !n.Image.IsNode && n.Name == image.NodeName)
            ? $"node-name={image.NodeName} is conflicting with a device id"
            : !image.IsNode && (image.NodeName == name || named.Exists(n => n.Image.NodeName == name))
            ? $"Device name '{UserText.Legible(name)}' conflicts with an existing node name"
            : !image.IsNode && named.Exists(n => n.Name == name) ? $"Duplicate ID '{UserText.Legible(name)}' for drive"
            : null;
        if (problem != null)
        {
            throw new OptionException(problem);
        }
    }
}

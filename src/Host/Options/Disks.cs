using Vmm.Emulation.Block;
using Vmm.Emulation.Boards.Virt;
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
    /// <param name="open">Whether the images are opened; those of a machine that waits for a migration are not yet its own.</param>
    /// <returns>Devices whose disks the caller disposes, after the machine.</returns>
    /// <exception cref="OptionException">One line that says what is wrong; nothing is open.</exception>
    public static IReadOnlyList<VirtioConfig> Make(
        IReadOnlyList<DiskOption> images, IReadOnlyList<DiskDeviceOption> devices, bool snapshot, bool open)
    {
        List<(string Name, DiskOption Image)> named = Name(images, snapshot);
        var made = new List<VirtioBlkConfig>();
        var used = new HashSet<string>(StringComparer.Ordinal);
        IEnumerable<DiskDeviceOption> all = devices.Concat(named.Where(n => n.Image.HasDevice)
            .Select(n => new DiskDeviceOption { Id = "", Drive = n.Name }));
        foreach (DiskDeviceOption device in all)
        {
            (string name, DiskOption image) = named.FirstOrDefault(n => n.Name == device.Drive);
            if (image == null)
            {
                throw new OptionException(
                    $"-device {DiskDeviceOption.Driver}: Property 'drive' can't find value '{UserText.Legible(device.Drive)}'");
            }

            if (!used.Add(name))
            {
                throw new OptionException($"Drive '{name}' is already in use by another block device");
            }

            made.Add(device.On(image.Backend(name, made.Count), image));
        }

        if (made.Count > VirtBoard.VirtioSlots)
        {
            throw new OptionException($"No 'virtio-bus' bus found for device '{DiskDeviceOption.Driver}': "
                + $"there are {VirtBoard.VirtioSlots} slots");
        }

        if (made.Where(d => d.Id.Length > 0).GroupBy(d => d.Id).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new OptionException($"Duplicate device ID '{UserText.Legible(twice.Key)}'");
        }

        if (open)
        {
            Open(made);
        }

        return made;
    }

    private static void Open(List<VirtioBlkConfig> disks)
    {
        try
        {
            disks.ForEach(d => d.Disk.Open());
        }
        catch (Exception e) when (e is BlockException or IOException or UnauthorizedAccessException)
        {
            disks.ForEach(d => d.Disk.Dispose());
            throw new OptionException(e is BlockException ? e.Message : SystemError.Describe(e));
        }
    }

    // Each with its name; nodes that stand on another one take its file.
    private static List<(string Name, DiskOption Image)> Name(IReadOnlyList<DiskOption> images, bool snapshot)
    {
        var named = new List<(string Name, DiskOption Image)>();
        int drives = 0;
        foreach (DiskOption image in images)
        {
            string name = image.Name ?? $"{(image.HasDevice ? "virtio" : "none")}{drives}";
            drives += image.IsNode ? 0 : 1;
            if (named.Exists(n => n.Name == name))
            {
                throw new OptionException(image.IsNode ? $"Duplicate nodes with node-name='{UserText.Legible(name)}'"
                    : $"Duplicate ID '{UserText.Legible(name)}' for drive");
            }

            DiskOption disk = image;
            if (image.Child is { } child)
            {
                DiskOption below = named.Find(n => n.Name == child && n.Image.IsNode).Image
                    ?? throw new OptionException($"Cannot find device='' nor node-name='{UserText.Legible(child)}'");
                disk = image.Over(below);
            }

            named.Add((name, snapshot && !image.IsNode ? disk with { IsSnapshot = true } : disk));
        }

        return named;
    }
}

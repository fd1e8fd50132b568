using Vmm.Actors.Vm;
using Vmm.Emulation.Block;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Block;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Net;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// Makes devices for a running machine, with the options of <c>-device</c>. A disk takes an image that no device has: a drive of the
/// command line (<c>if=none</c>), which goes with its device as in QEMU, or a node of <c>-blockdev</c>, which stays. The actor that plugs
/// devices owns it; it is disposed after the machine.
/// </summary>
public sealed class DeviceMaker : IDeviceMaker, IDisposable
{
    private readonly int _cpus;
    private readonly List<(string Name, DiskOption Image)> _images;
    private readonly ThrottleGroups _groups;
    private readonly VirtioMaker _virtio;
    private readonly IPortBackends? _backends;
    private readonly ObjectTable _objects;

    // The images that devices have, and the devices that were made here.
    private readonly Dictionary<IDisposable, string> _used = [];
    private readonly HashSet<IDisposable> _made = [];

    /// <param name="options">The command line.</param>
    /// <param name="config">The machine that was made of it.</param>
    /// <param name="backends">The character devices that ports may have; null for none.</param>
    /// <param name="objects">The objects of the command line; null for none.</param>
    public DeviceMaker(MachineOptions options, MachineConfig config, IPortBackends? backends = null, ObjectTable? objects = null)
    {
        _backends = backends;
        _objects = objects ?? new ObjectTable();
        _cpus = config.EnabledCpus;
        _virtio = new VirtioMaker(options, config);
        _images = Disks.Name(options.Disks, options.Snapshot);
        _groups = options.Groups;
        foreach (PciDeviceConfig device in config.PciDevices)
        {
            Use(device);
        }

        foreach (VirtioBlkConfig disk in config.VirtioMmio.OfType<VirtioBlkConfig>())
        {
            _used[disk] = NameOf(disk);
        }
    }

    public PciDeviceConfig Make(IReadOnlyList<(string Key, string? Value)> properties) => Try(() =>
    {
        string driver = properties.LastOrDefault(p => p.Key == "driver").Value ?? "";
        PciDeviceConfig device = DiskDeviceOption.Drivers.Contains(driver) ? MakeDisk(properties)
            : VirtioMaker.Makes(driver) ? _virtio.Make(driver, properties)
            : PciDeviceOption.Parse(properties, []);
        Use(device);
        _made.Add(device);
        return device;
    });

    public (PlacedDevice Console, SerialPortConfig Port)? MakePort(
        IReadOnlyList<(string Key, string? Value)> properties, IReadOnlyList<PlacedDevice> devices) => Try(() =>
    {
        string driver = properties.LastOrDefault(p => p.Key == "driver").Value ?? "";
        (PlacedDevice Console, SerialPortConfig Port)? made = VirtioMaker.MakePort(driver, properties, devices);
        if (made?.Port is { Backend.Length: > 0 } port)
        {
            (_backends ?? throw new OptionException($"chardev \"{UserText.Legible(port.Backend)}\" not found")).Attach(port);
        }

        return made;
    });

    public void Left(SerialPortConfig port) => _backends?.Detach(port);

    public void AddNetdev(string options) => Try(() =>
    {
        _virtio.AddNetdev(options);
        return true;
    });

    public void RemoveNetdev(string id) => Try(() =>
    {
        _virtio.RemoveNetdev(id);
        return true;
    });

    public void AddObject(string options) => Try(() =>
    {
        ObjectOption added = _objects.Add(options);
        if (added.Limits != null)
        {
            _groups.Set(added.Id, added.Limits);
        }

        return true;
    });

    public void RemoveObject(string id) => Try(() =>
    {
        _objects.Remove(id);
        return true;
    });

    public void AddImage(string image, bool isNode)
    {
        try
        {
            DiskOption added = isNode ? DiskOption.ParseNode(image) : DiskOption.ParseDrive(image);
            if (added.HasDevice)
            {
                throw new OptionException("a drive that is added has no device yet: give if=none");
            }

            List<(string Name, DiskOption Image)> images = [.. _images];
            Disks.Name(added, snapshot: false, images, []);
            images[^1].Image.Look(images[^1].Name, _groups).Dispose();
            _images.Add(images[^1]);
        }
        catch (Exception e) when (e is OptionException or BlockException or UnauthorizedAccessException)
        {
            throw new InvalidDataException(e is UnauthorizedAccessException ? SystemError.Describe(e) : e.Message);
        }
    }

    public bool RemoveImage(string name, bool isNode)
    {
        (_, DiskOption image) = _images.Find(i => i.Name == name);
        if (image == null || (isNode && !image.IsNode))
        {
            throw new InvalidDataException(isNode ? $"Failed to find node with node-name='{UserText.Legible(name)}'"
                : $"Device '{UserText.Legible(name)}' not found");
        }

        bool isUsed = _used.ContainsValue(name);
        if (image.IsNode && (isUsed || _images.Exists(i => i.Image.Child == name)))
        {
            throw new InvalidDataException($"{(isUsed ? "Node" : "Block device")} {name} is in use");
        }

        _images.RemoveAll(i => i.Name == name);
        return !isUsed;
    }

    public IReadOnlyList<BlockBackend> OpenUnused()
    {
        var opened = new List<BlockBackend>();
        foreach ((string name, DiskOption image) in _images.Where(i => !_used.ContainsValue(i.Name)
            && !_images.Exists(o => o.Image.Child == i.Name)))
        {
            try
            {
                opened.Add(image.Look(name, _groups));
            }
            catch (BlockException)
            {
                // It can be used when its file is there again.
            }
        }

        return opened;
    }

    public void Left(IDisposable device)
    {
        _made.Remove(device);
        if (device is VirtioPciConfig { Device: { } virtio })
        {
            _virtio.Left(virtio);
        }

        if (_used.Remove(device, out string? name))
        {
            _images.RemoveAll(i => i.Name == name && !i.Image.IsNode);
        }
    }

    public void Dispose()
    {
        foreach (IDisposable device in _made)
        {
            device.Dispose();
        }
    }

    // What people give that is wrong is one line.
    private static T Try<T>(Func<T> make)
    {
        try
        {
            return make();
        }
        catch (Exception e) when (e is OptionException or BlockException or NetException or UnauthorizedAccessException)
        {
            throw new InvalidDataException(e is UnauthorizedAccessException ? SystemError.Describe(e) : e.Message);
        }
    }

    private static string NameOf(VirtioBlkConfig disk) => disk.Disk.Name.Length > 0 ? disk.Disk.Name : disk.Disk.NodeName;

    private void Use(PciDeviceConfig device)
    {
        if (device is VirtioPciConfig { Device: VirtioBlkConfig disk })
        {
            _used[device] = NameOf(disk);
        }
    }

    private VirtioPciConfig MakeDisk(IReadOnlyList<(string Key, string? Value)> properties)
    {
        DiskDeviceOption device = DiskDeviceOption.Parse(properties);
        if (!device.IsPci)
        {
            throw new OptionException("Bus 'virtio-bus' does not support hotplugging");
        }

        (string name, DiskOption image) = _images.Find(i => i.Name == device.Drive);
        if (image == null)
        {
            throw new OptionException(
                $"Property '{DiskDeviceOption.PciDriver}.drive' can't find value '{UserText.Legible(device.Drive)}'");
        }

        if (_used.ContainsValue(name))
        {
            throw new OptionException($"Drive '{name}' is already in use by another block device");
        }

        VirtioBlkConfig disk = device.On(image.Backend(name, _groups), image, _cpus);
        disk.Disk.Open();
        return new VirtioPciConfig(disk, device.Bus, device.Slot) { Vectors = device.Vectors };
    }
}

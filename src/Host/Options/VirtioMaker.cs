using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio;
using Vmm.Emulation.Devices.Virtio.Balloon;
using Vmm.Emulation.Devices.Virtio.Net;
using Vmm.Emulation.Devices.Virtio.Serial;
using Vmm.Emulation.Net;
using Vmm.Management.Text;

namespace Vmm.Host.Options;

/// <summary>
/// Makes virtio devices that are no disks for a running machine, and the network backends that they have. It knows which there are, because
/// a backend has one device, and a machine one balloon. One caller at a time.
/// </summary>
/// <param name="options">The command line, whose folders may be shared.</param>
/// <param name="config">The machine that was made of it.</param>
internal sealed class VirtioMaker(MachineOptions options, MachineConfig config)
{
    private readonly List<VirtioConfig> _present = [.. config.VirtioDevices];

    // What the backends of the machine were made from.
    private readonly List<NetdevOption> _netdevs =
        [.. options.Netdevs, .. options.Nics.Select(n => n.Netdev).OfType<NetdevOption>()];

    private IReadOnlyCollection<VirtioNetConfig> Nics => [.. _present.OfType<VirtioNetConfig>()];

    public static bool Makes(string driver) => driver == NetDeviceOption.PciDriver || VirtioDeviceOption.Drivers.Contains(driver);

    /// <exception cref="OptionException">Why not: one line.</exception>
    public VirtioPciConfig Make(string driver, IReadOnlyList<(string Key, string? Value)> properties)
    {
        VirtioPciConfig device = driver == NetDeviceOption.PciDriver ? MakeNic(properties) : MakeOther(properties);
        _present.Add(device.Device);
        return device;
    }

    /// <summary>A device has left the machine.</summary>
    public void Left(VirtioConfig device) => _present.RemoveAll(d => ReferenceEquals(d, device));

    /// <summary>Makes a backend for devices to come, and opens it.</summary>
    /// <param name="text">As <c>-netdev</c> has it.</param>
    /// <exception cref="OptionException">Why not: one line.</exception>
    /// <exception cref="NetException">The same.</exception>
    public void AddNetdev(string text)
    {
        var option = NetdevOption.Parse(text);
        if (config.Netdevs.Find(option.Id) != null)
        {
            throw new OptionException($"Duplicate ID '{option.Id}' for netdev");
        }

        Netdev netdev = option.Make();
        try
        {
            // What waits for a guest takes what only one process can have when the guest is here.
            netdev.Open();
            if (!options.IsIncoming && netdev.Claim() is { } problem)
            {
                throw new NetException(problem);
            }

            config.Netdevs.TryAdd(netdev);
        }
        catch
        {
            netdev.Dispose();
            throw;
        }

        _netdevs.Add(option);
    }

    /// <summary>Ends a backend that no device has.</summary>
    /// <exception cref="OptionException">A device has it, or there is none of this name: one line.</exception>
    public void RemoveNetdev(string id)
    {
        if (Nics.FirstOrDefault(n => n.Netdev == id) is { } nic)
        {
            throw new OptionException($"Network backend '{id}' is in use by '{nic.Name}': remove that with device_del first");
        }

        if (config.Netdevs.All.OfType<HubNetdev>().FirstOrDefault(h => h.BackendId == id) is { } port)
        {
            throw new OptionException($"Network backend '{id}' is in use by '{port.Id}': remove that with netdev_del first");
        }

        using Netdev netdev = config.Netdevs.Remove(id) ?? throw new OptionException($"Device '{UserText.Legible(id)}' not found");
        _netdevs.RemoveAll(n => n.Id == id);
    }

    /// <summary>Makes a port of a console that is there; null where the driver is none of ports.</summary>
    /// <exception cref="OptionException">Why not: one line.</exception>
    public static (PlacedDevice Console, SerialPortConfig Port)? MakePort(
        string driver, IReadOnlyList<(string Key, string? Value)> properties, IReadOnlyList<PlacedDevice> devices)
    {
        if (!SerialPortOption.Drivers.Contains(driver))
        {
            return null;
        }

        var option = SerialPortOption.Parse(properties);
        (PlacedDevice Device, VirtioSerial Core)[] consoles = [.. devices
            .Select(d => (d, (d.Device as IVirtioTransport)?.Device as VirtioSerial)).Where(c => c.Item2 != null)!];
        (int console, SerialPortConfig port) = option.Place(
            [.. consoles.Select((c, i) => (SerialPortOption.BusOf(c.Core.Config.Id, i), c.Core.Config.PortCount))],
            (device, number) => consoles[device].Core.PresentPorts.Any(p => p.Number == number));
        return (consoles[console].Device, port with { IsHotplugged = true });
    }

    private VirtioPciConfig MakeNic(IReadOnlyList<(string Key, string? Value)> properties)
    {
        var device = (VirtioPciConfig)PciDeviceOption.Parse(properties, []);
        return device with { Device = Networks.Complete((VirtioNetConfig)device.Device, _netdevs, Nics) };
    }

    private VirtioPciConfig MakeOther(IReadOnlyList<(string Key, string? Value)> properties)
    {
        var option = VirtioDeviceOption.Parse(properties, place: 0);
        VirtioConfig device;
        try
        {
            device = option.Make(options);
        }
        catch (OptionException e) when (e.Message.StartsWith($"-device {option.FullDriver}: ", StringComparison.Ordinal))
        {
            throw new OptionException(e.Message[$"-device {option.FullDriver}: ".Length..]);
        }

        return device is not VirtioBalloonConfig || !_present.Exists(d => d is VirtioBalloonConfig)
            ? new VirtioPciConfig(device, option.Bus, option.Slot)
            : throw new OptionException(VirtioDeviceOption.OneBalloon);
    }
}

using Vmm.Emulation.Block;
using Vmm.Emulation.Boards;
using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Devices.Virtio.Serial;

namespace Vmm.Actors.Vm;

/// <summary>
/// Makes devices for a running machine from what a person says of them, and knows what of the host they use. One caller at a time.
/// </summary>
public interface IDeviceMaker
{
    /// <summary>Makes a device; what the host has of it, such as a disk's file, is open then.</summary>
    /// <param name="properties">Names and values, with <c>driver</c>.</param>
    /// <exception cref="InvalidDataException">Why not: one line, in QEMU's words.</exception>
    PciDeviceConfig Make(IReadOnlyList<(string Key, string? Value)> properties);

    /// <summary>Names an image, for a device that is made later; it is opened to see whether it can be, and closed again.</summary>
    /// <param name="image">As the command line has it (<c>-drive</c>, <c>-blockdev</c>).</param>
    /// <param name="isNode">It is a node (<c>-blockdev</c>).</param>
    /// <exception cref="InvalidDataException">Why not: one line.</exception>
    void AddImage(string image, bool isNode);

    /// <summary>Forgets an image.</summary>
    /// <param name="isNode">Only a node is meant.</param>
    /// <returns>False for a drive that a device has: its medium is to be taken away first.</returns>
    /// <exception cref="InvalidDataException">Why not: one line, in QEMU's words.</exception>
    bool RemoveImage(string name, bool isNode);

    /// <summary>The images that no device has, as far as they can be opened now, for reading and without locks. The caller disposes
    /// them.</summary>
    IReadOnlyList<BlockBackend> OpenUnused();

    /// <summary>A device has left the machine and is disposed: what it used may be used by another one.</summary>
    void Left(IDisposable device);

    /// <summary>Makes a port of a console, and connects it with its character device.</summary>
    /// <param name="properties">As of <see cref="Make"/>.</param>
    /// <param name="devices">The machine's devices, of which one is the console.</param>
    /// <returns>The console and the port; null where the driver is none of ports.</returns>
    /// <exception cref="InvalidDataException">Why not: one line, in QEMU's words.</exception>
    (PlacedDevice Console, SerialPortConfig Port)? MakePort(
        IReadOnlyList<(string Key, string? Value)> properties, IReadOnlyList<PlacedDevice> devices);

    /// <summary>A port has left its console: its character device is nobody's.</summary>
    void Left(SerialPortConfig port);

    /// <summary>Makes a network backend for devices to come, and opens it.</summary>
    /// <param name="options">As <c>-netdev</c> has it: members, or a JSON object.</param>
    /// <exception cref="InvalidDataException">Why not: one line, in QEMU's words.</exception>
    void AddNetdev(string options);

    /// <summary>Ends a network backend that no device has.</summary>
    /// <exception cref="InvalidDataException">Why not: one line.</exception>
    void RemoveNetdev(string id);

    /// <summary>Makes an object that devices and migrations to come may name.</summary>
    /// <param name="options">As <c>-object</c> has it: members, or a JSON object.</param>
    /// <exception cref="InvalidDataException">Why not: one line, in QEMU's words.</exception>
    void AddObject(string options);

    /// <summary>Forgets an object that nothing has.</summary>
    /// <exception cref="InvalidDataException">Why not: one line, in QEMU's words.</exception>
    void RemoveObject(string id);
}

/// <summary>The maker of a VM that gets no devices while it runs.</summary>
public sealed class NoDeviceMaker : IDeviceMaker
{
    public PciDeviceConfig Make(IReadOnlyList<(string Key, string? Value)> properties) =>
        throw new InvalidDataException("devices cannot be added to this VM");

    public void AddImage(string image, bool isNode) => throw new InvalidDataException("images cannot be added to this VM");

    public bool RemoveImage(string name, bool isNode) => throw new InvalidDataException(
        isNode ? $"Failed to find node with node-name='{name}'" : $"Device '{name}' not found");

    public IReadOnlyList<BlockBackend> OpenUnused() => [];

    public void Left(IDisposable device)
    {
    }

    public (PlacedDevice Console, SerialPortConfig Port)? MakePort(
        IReadOnlyList<(string Key, string? Value)> properties, IReadOnlyList<PlacedDevice> devices) => null;

    public void Left(SerialPortConfig port)
    {
    }

    public void AddNetdev(string options) => throw new InvalidDataException("network backends cannot be added to this VM");

    public void RemoveNetdev(string id) => throw new InvalidDataException("network backends cannot be removed from this VM");

    public void AddObject(string options) => throw new InvalidDataException("objects cannot be added to this VM");

    public void RemoveObject(string id) => throw new InvalidDataException($"object '{id}' not found");
}

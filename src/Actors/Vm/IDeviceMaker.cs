using Vmm.Emulation.Block;
using Vmm.Emulation.Devices.Pci;

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
}

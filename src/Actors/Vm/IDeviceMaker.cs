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

    /// <summary>A device has left the machine and is disposed: what it used may be used by another one.</summary>
    void Left(IDisposable device);
}

/// <summary>The maker of a VM that gets no devices while it runs.</summary>
public sealed class NoDeviceMaker : IDeviceMaker
{
    public PciDeviceConfig Make(IReadOnlyList<(string Key, string? Value)> properties) =>
        throw new InvalidDataException("devices cannot be added to this VM");

    public void Left(IDisposable device)
    {
    }
}

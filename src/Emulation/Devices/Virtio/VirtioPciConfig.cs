using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>A virtio device on the PCI transport (<c>-device virtio-…-pci</c>).</summary>
/// <param name="Device">The device, whatever its transport.</param>
public sealed record VirtioPciConfig(VirtioConfig Device, string? Bus, PciSlot? Slot) : PciDeviceConfig(Device.Id, Bus, Slot)
{
    /// <summary><c>vectors=</c>: of MSI-X, 0 for none; null for one of each queue and one of changes.</summary>
    public int? Vectors { get; init; }

    public override string Driver => $"{Device.TypeName}-pci";

    public override IReadOnlyList<(string Name, object Value)> Properties => Vectors is { } count ? [("vectors", count)] : [];

    public override int? BootIndex => Device.BootIndex;

    public override string BootPath => Device.BootPath;

    public override void Dispose()
    {
        Device.Dispose();
        base.Dispose();
    }

    public override PciFunction Make(string id, PciBus bus, IDmaMemory memory) => new VirtioPci(id, bus, Device.Make(memory), Vectors);
}

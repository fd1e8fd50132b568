using Vmm.Emulation.Devices.Pci;
using Vmm.Emulation.Memory;

namespace Vmm.Emulation.Devices.Virtio;

/// <summary>A virtio device on the PCI transport (<c>-device virtio-…-pci</c>).</summary>
/// <param name="Device">The device, whatever its transport.</param>
public sealed record VirtioPciConfig(VirtioConfig Device, string? Bus, PciSlot? Slot) : PciDeviceConfig(Device.Id, Bus, Slot)
{
    public override PciFunction Make(string id, PciBus bus, IDmaMemory memory) => new VirtioPci(id, bus, Device.Make(memory));
}

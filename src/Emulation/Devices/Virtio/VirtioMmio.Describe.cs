using Vmm.Emulation.State;
using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.Virtio;

/// <content>
/// The board's view and the saved state. Slots are described whether they have a device or not, as QEMU does: the driver of the transport
/// finds an empty one by its device ID.
/// </content>
[QomType("virtio-mmio")]
public sealed partial class VirtioMmio : IDevice, IStateUnit
{
    private readonly int _number;

    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, WindowSize)];

    public IReadOnlyList<IStateUnit> StateUnits => Device == null ? [] : [this, Device];

    string IStateUnit.Id => "virtio-mmio";

    public void Describe(Fdt tree, Placement at) => tree.Node($"virtio_mmio@{at.Address:x}", slot => slot
        .Flag("dma-coherent")
        .Cells("interrupts", Fdt.Spi, at.Gsiv - Fdt.FirstSpi, Fdt.EdgeRising)
        .Cells64("reg", at.Address, WindowSize)
        .Text("compatible", "virtio,mmio"));

    public void Describe(IAmlSink acpi, Placement at) => acpi.Add(Device(
        $"VR{_number:D2}",
        Name("_HID", Text("LNRO0005")),
        Name("_UID", Integer((ulong)_number)),
        Name("_CCA", One),
        Name("_CRS", ResourceTemplate(Memory32Fixed((uint)at.Address, (uint)WindowSize), Interrupt(at.Gsiv, edge: false)))));

    public void Save(StateWriter writer)
    {
        lock (_lock)
        {
            writer.Write("device-features-select", _deviceFeaturesSelect);
            writer.Write("driver-features-select", _driverFeaturesSelect);
            writer.Write("queue", _queue);
            writer.Write("interrupts", _interruptStatus);
        }
    }

    public void Load(StateReader reader)
    {
        lock (_lock)
        {
            _deviceFeaturesSelect = reader.Read<uint>("device-features-select");
            _driverFeaturesSelect = reader.Read<uint>("driver-features-select");
            _queue = reader.Read<uint>("queue");
            _interruptStatus = reader.Read<uint>("interrupts");
            _line.Set(_interruptStatus != 0);
        }
    }
}

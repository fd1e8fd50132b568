using Vmm.Emulation.State;
using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.VmGenId;

/// <content>The board's view. Only ACPI describes the device; the GED notifies it.</content>
[QomType("vmgenid")]
public sealed partial class VmGenId : IDevice
{
    /// <summary>Path of the device that is notified when the number has changed.</summary>
    public const string Path = @"\_SB.VGEN";

    // The largest page, so that a guest which maps it as cacheable maps nothing else so (R1e).
    private const ulong Size = 0x1_0000;

    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    /// <summary>A reset does not make it another VM.</summary>
    public void Reset()
    {
    }

    public void Describe(IAmlSink acpi, Placement at) => acpi.Add(Device(
        "VGEN",
        Name("_HID", Text("QEMUVGID")),
        Name("_CID", Text("VM_Gen_Counter")),
        Name("_DDN", Text("VM_Gen_Counter")),
        Name("ADDR", List(Integer(at.Address & uint.MaxValue), Integer(at.Address >> 32)))));
}

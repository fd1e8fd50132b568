using Vmm.Emulation.State;
using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.Ged;

/// <content>The board's view. Only ACPI describes the device, and with it the power button, whose events it carries.</content>
[QomType("acpi-ged")]
public sealed partial class Ged : IDevice
{
    private const int Size = 4;

    /// <summary>Path of the method that looks for CPU events.</summary>
    public required string CpuScanMethod { get; init; }

    /// <summary>Path of the device whose number is the VM generation ID; null for a machine without.</summary>
    public string? GenerationDevice { get; init; }

    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    public void Describe(IAmlSink acpi, Placement at)
    {
        acpi.Add(Device(
            "GED",
            Name("_HID", Text("ACPI0013")),
            Name("_UID", Zero),
            Name("_CRS", ResourceTemplate(Interrupt(at.Gsiv, edge: true))),
            OperationRegion("EREG", at.Address, Size),
            Field("EREG", Access.DWord, Update.WriteAsZeros, new FieldUnit("ESEL", 32)),
            Method(
                "_EVT",
                1,
                serialized: true,
                [
                    Store(Path("ESEL"), Local(0)),
                    If(Happened(GedEvents.CpuHotplug), Call(CpuScanMethod)),
                    If(Happened(GedEvents.PowerButton), Notify(Path(@"\_SB.PWRB"), Integer(0x80))),
                    .. GenerationDevice == null ? Array.Empty<byte[]>()
                        : [If(Happened(GedEvents.GenerationId), Notify(Path(GenerationDevice), Integer(0x80)))],
                ])));
        acpi.Add(Device("PWRB", Name("_HID", Text("PNP0C0C")), Name("_UID", Zero)));
    }

    private static byte[] Happened(GedEvents which) => LEqual(And(Local(0), Integer((ulong)which), Zero), Integer((ulong)which));
}

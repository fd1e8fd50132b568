using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.Ged;

/// <summary>The GED and the power button in the DSDT.</summary>
public static class GedAml
{
    /// <param name="cpuScan">Path of the method that looks for CPU events.</param>
    public static byte[] Describe(ulong address, uint gsiv, string cpuScan) => Device(
        "GED",
        Name("_HID", Text("ACPI0013")),
        Name("_UID", Zero),
        Name("_CRS", ResourceTemplate(Interrupt(gsiv, edge: true))),
        OperationRegion("EREG", address, 4),
        Field("EREG", Access.DWord, Update.WriteAsZeros, new FieldUnit("ESEL", 32)),
        Method(
            "_EVT",
            1,
            serialized: true,
            Store(Path("ESEL"), Local(0)),
            If(LEqual(And(Local(0), Integer((ulong)GedEvents.CpuHotplug), Zero), Integer((ulong)GedEvents.CpuHotplug)), Call(cpuScan)),
            If(
                LEqual(And(Local(0), Integer((ulong)GedEvents.PowerButton), Zero), Integer((ulong)GedEvents.PowerButton)),
                Notify(Path(@"\_SB.PWRB"), Integer(0x80)))));

    public static byte[] DescribePowerButton() => Device("PWRB", Name("_HID", Text("PNP0C0C")), Name("_UID", Zero));
}

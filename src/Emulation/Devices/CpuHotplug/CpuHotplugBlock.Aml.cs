using Vmm.Emulation.State;
using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.CpuHotplug;

/// <content>The board's view. QEMU has the block as a part of the GED's object.</content>
public sealed partial class CpuHotplugBlock : IDevice
{
    private const ulong Size = 12;

    public IReadOnlyList<DeviceRegion> Regions => [new DeviceRegion(this, Size)];

    public IReadOnlyList<IStateUnit> StateUnits => [this];

    public void Describe(IAmlSink acpi, Placement at)
    {
        acpi.Add(CpuHotplugAml.DescribeBlock(at.Address, Size));
        acpi.Add(CpuHotplugAml.DescribeCpus(_slots.Length));
    }
}

/// <summary>
/// The ACPI description of the CPU hotplug block and of the CPUs, in the DSDT. Fields are written with WriteAsZeros, because Preserve would
/// write pending bits back and so clear them.
/// </summary>
public static class CpuHotplugAml
{
    /// <summary>The method that the GED calls.</summary>
    public const string ScanMethod = @"\_SB.CPUS.CSCN";

    private const string Lock = @"\_SB.PRES.CPLK";
    private const string Selector = @"\_SB.PRES.CSEL";
    private const string Enabled = @"\_SB.PRES.CPEN";
    private const string Insert = @"\_SB.PRES.CINS";
    private const string Remove = @"\_SB.PRES.CRMV";
    private const string Eject = @"\_SB.PRES.CEJ0";
    private const string Command = @"\_SB.PRES.CCMD";
    private const string Data = @"\_SB.PRES.CDAT";

    /// <summary>The register block.</summary>
    public static byte[] DescribeBlock(ulong address, ulong size) => Device(
        "PRES",
        Name("_HID", EisaId("PNP0A06")),
        Name("_UID", Text("CPU Hotplug resources")),
        Mutex("CPLK"),
        OperationRegion("PRST", address, size),
        Field(
            "PRST", Access.Byte, Update.WriteAsZeros,
            new FieldUnit(null, 32),
            new FieldUnit("CPEN", 1), new FieldUnit("CINS", 1), new FieldUnit("CRMV", 1), new FieldUnit("CEJ0", 1),
            new FieldUnit("CEJF", 1),
            new FieldUnit(null, 3),
            new FieldUnit("CCMD", 8)),
        Field("PRST", Access.DWord, Update.WriteAsZeros, new FieldUnit("CSEL", 32), new FieldUnit(null, 32), new FieldUnit("CDAT", 32)));

    /// <summary>The container of all possible CPUs and the methods that they share.</summary>
    public static byte[] DescribeCpus(int possibleCpus) => Device(
        "CPUS",
        [
            Name("_HID", Text("ACPI0010")),
            Name("_CID", EisaId("PNP0A05")),
            Method("CTFY", 2, serialized: false,
                [
                    .. Enumerable.Range(0, possibleCpus)
                        .Select(i => If(LEqual(Arg(0), Integer((ulong)i)), Notify(Path(DeviceName(i)), Arg(1)))),
                ]),
            Status(),
            EjectCpu(),
            Scan(),
            Ost(),
            .. Enumerable.Range(0, possibleCpus).Select(Cpu),
        ]);

    private static string DeviceName(int cpu) => $"C{cpu:X3}";

    private static byte[] Cpu(int cpu)
    {
        byte[] uid = Integer((ulong)cpu);
        return Device(
            DeviceName(cpu),
            [
                Name("_HID", Text("ACPI0007")),
                Name("_UID", uid),
                Method("_STA", 0, serialized: true, Return(Call("CSTA", uid))),
                .. cpu == 0 ? Array.Empty<byte[]>() : [Method("_EJ0", 1, serialized: false, Call("CEJ0", uid))],
                Method("_OST", 3, serialized: true, Call("COST", uid, Arg(0), Arg(1))),
            ]);
    }

    // _STA of a CPU: always present, and enabled if the block says so.
    private static byte[] Status() => Method(
        "CSTA", 1, serialized: true,
        Acquire(Lock),
        Store(Arg(0), Path(Selector)),
        Store(Integer(0xD), Local(0)),
        If(LEqual(Path(Enabled), One), Store(Integer(0xF), Local(0))),
        Release(Lock),
        Return(Local(0)));

    private static byte[] EjectCpu() => Method(
        "CEJ0", 1, serialized: true,
        Acquire(Lock),
        Store(Arg(0), Path(Selector)),
        Store(One, Path(Eject)),
        Release(Lock));

    // Command 0 finds the next CPU with an event. Each round of the loop clears one event, so the loop ends.
    private static byte[] Scan() => Method(
        "CSCN", 0, serialized: true,
        Acquire(Lock),
        Store(Zero, Path(Selector)),
        While(
            One,
            Store(Zero, Path(Command)),
            Store(Path(Data), Local(0)),
            If(
                LEqual(Path(Insert), One),
                Call("CTFY", Local(0), One),
                Store(One, Path(Insert))),
            Else(
                If(
                    LEqual(Path(Remove), One),
                    Call("CTFY", Local(0), Integer(3)),
                    Store(One, Path(Remove))),
                Else(Break))),
        Release(Lock));

    private static byte[] Ost() => Method(
        "COST", 3, serialized: true,
        Acquire(Lock),
        Store(Arg(0), Path(Selector)),
        Store(One, Path(Command)),
        Store(Arg(1), Path(Data)),
        Store(Integer(2), Path(Command)),
        Store(Arg(2), Path(Data)),
        Release(Lock));
}

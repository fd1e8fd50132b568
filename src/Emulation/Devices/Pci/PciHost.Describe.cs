using Vmm.Acpi.Tables;
using Vmm.Emulation.State;
using static Vmm.Acpi.Aml.Asl;

namespace Vmm.Emulation.Devices.Pci;

/// <content>The board's view. The windows are in the order ECAM, memory, I/O, and high memory if there is any.</content>
[QomType("gpex-pcihost")]
public sealed partial class PciHost : IDevice
{
    private const int EcamWindow = 0;
    private const int MemoryWindow = 1;
    private const int IoWindow = 2;
    private const int HighMemoryWindow = 3;

    // The UUID of _OSC for host bridges, and its third double word (PCI Firmware Specification 3.3, 4.5.1): native hotplug, PME and control
    // of the PCI Express capability are given to the guest.
    private const string HostBridgeCapabilities = "33db4d5b-1ff7-401c-9657-7441c03dd766";
    private const ulong GrantedControl = 0x15;
    private const ulong UnknownUuid = 0x04;
    private const ulong UnknownRevision = 0x08;
    private const ulong ControlMasked = 0x10;

    // The first cell of an address in a device tree (IEEE 1275, PCI Bus Binding): the space.
    private const uint TreeIo = 0x0100_0000;
    private const uint TreeMemory32 = 0x0200_0000;
    private const uint TreeMemory64 = 0x0300_0000;

    private readonly PciHostFunction _self;

    /// <summary>The phandle of the controller that takes messages of the bus; null where there is none.</summary>
    public uint? MessageController { get; init; }

    public IReadOnlyList<DeviceRegion> Regions =>
    [
        new DeviceRegion(new Ecam(this), _windows.Ecam),
        new DeviceRegion(new Aperture("pcie-mmio", Memory, Starts[MemoryWindow]), _windows.Memory),
        new DeviceRegion(new Aperture("gpex_ioport", Io, 0), _windows.Io),
        .. _windows.HighMemory == 0 ? Array.Empty<DeviceRegion>()
            : [new DeviceRegion(new Aperture("pcie-mmio-high", Memory, Starts[HighMemoryWindow]), _windows.HighMemory)],
    ];

    /// <summary>The addresses of its windows on the physical bus.</summary>
    public required IReadOnlyList<ulong> Starts { get; init; }

    public IReadOnlyList<IStateUnit> StateUnits => [_self];

    public void Reset() => _self.Reset();

    public void Describe(IAmlSink acpi, Placement at)
    {
        ulong ecam = Starts[EcamWindow];
        acpi.Add(Device(
            "PCI0",
            Name("_HID", EisaId("PNP0A08")),
            Name("_CID", EisaId("PNP0A03")),
            Name("_SEG", Zero),
            Name("_BBN", Zero),
            Name("_UID", Zero),
            Name("_CCA", One),
            Name("_CBA", Integer(ecam)),
            Name("_PRT", List([.. Routes().Select(r => List(
                Integer(((ulong)r.Device << 16) | 0xFFFF), Integer((ulong)r.Pin), Zero, Integer((ulong)at.Interrupts[r.Line].Value)))])),
            Name("_CRS", ResourceTemplate(
            [
                WordBusNumber(0, (ushort)(BusCount - 1)),
                DWordMemory((uint)Starts[MemoryWindow], (uint)_windows.Memory),
                DWordIo(0, (uint)_windows.Io, (uint)Starts[IoWindow]),
                .. _windows.HighMemory == 0 ? Array.Empty<byte[]>() : [QWordMemory(Starts[HighMemoryWindow], _windows.HighMemory)],
            ])),
            Method(
                "_OSC",
                4,
                serialized: true,
                CreateDWordField(Arg(3), Zero, "CDW1"),
                If(
                    LEqual(Arg(0), Uuid(HostBridgeCapabilities)),
                    CreateDWordField(Arg(3), Integer(8), "CDW3"),
                    And(Path("CDW3"), Integer(GrantedControl), Local(0)),
                    If(LNot(LEqual(Arg(1), One)), Or(Path("CDW1"), Integer(UnknownRevision), Path("CDW1"))),
                    If(LNot(LEqual(Path("CDW3"), Local(0))), Or(Path("CDW1"), Integer(ControlMasked), Path("CDW1"))),
                    Store(Local(0), Path("CDW3")),
                    Return(Arg(3))),
                Or(Path("CDW1"), Integer(UnknownUuid), Path("CDW1")),
                Return(Arg(3))),

            // Configuration space is no part of the windows of _CRS, and something must reserve it (PCI Firmware Specification 3.3, 4.1.2).
            Device("RES0", Name("_HID", EisaId("PNP0C02")), Name("_CRS", ResourceTemplate(QWordMemory(ecam, _windows.Ecam))))));
        acpi.AddTable(Mcfg.Build(ecam, lastBus: (byte)(BusCount - 1)));
    }

    public void Describe(Fdt tree, Placement at) => tree.Node($"pcie@{Starts[MemoryWindow]:x}", pcie =>
    {
        pcie.Text("compatible", "pci-host-ecam-generic").Text("device_type", "pci")
            .Cells("#address-cells", 3).Cells("#size-cells", 2).Cells("#interrupt-cells", 1)
            .Cells("linux,pci-domain", 0).Cells("bus-range", 0, (uint)BusCount - 1).Flag("dma-coherent")
            .Cells64("reg", Starts[EcamWindow], _windows.Ecam)
            .Cells("ranges",
            [
                .. Range(TreeIo, 0, Starts[IoWindow], _windows.Io),
                .. Range(TreeMemory32, Starts[MemoryWindow], Starts[MemoryWindow], _windows.Memory),
                .. _windows.HighMemory == 0 ? []
                    : Range(TreeMemory64, Starts[HighMemoryWindow], Starts[HighMemoryWindow], _windows.HighMemory),
            ])
            .Cells("interrupt-map-mask", (Pins - 1) << 11, 0, 0, 7)
            .Cells("interrupt-map", [.. Routes().Where(r => r.Device < Pins).SelectMany(r => new[]
            {
                (uint)r.Device << 11, 0u, 0u, (uint)r.Pin + 1,
                Fdt.GicHandle, 0u, 0u, Fdt.Spi, (uint)at.Interrupts[r.Line].Value - Fdt.FirstSpi, Fdt.LevelHigh,
            })]);
        if (MessageController is { } controller)
        {
            pcie.Cells("msi-map", 0, controller, 0, (uint)BusCount * PciSpec.FunctionsOfBus);
        }
    });

    // To which of the four interrupts each pin of each device of the root bus leads.
    private static IEnumerable<(int Device, int Pin, int Line)> Routes() =>
        from device in Enumerable.Range(0, PciSpec.SlotsOfBus)
        from pin in Enumerable.Range(0, Pins)
        select (device, pin, (device + pin) % Pins);

    private static uint[] Range(uint space, ulong start, ulong address, ulong size) =>
        [space, (uint)(start >> 32), (uint)start, (uint)(address >> 32), (uint)address, (uint)(size >> 32), (uint)size];
}

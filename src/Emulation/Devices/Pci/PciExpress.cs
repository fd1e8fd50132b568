namespace Vmm.Emulation.Devices.Pci;

/// <summary>The capability of PCI Express (PCIe 5.0, 7.5.3): a link with one lane at the lowest speed, as QEMU's.</summary>
internal static class PciExpress
{
    /// <summary>Types of functions (7.5.3.2).</summary>
    public const int Endpoint = 0;
    public const int RootPort = 4;

    private const int Size = 0x3C;
    private const int Version = 2;
    private const int TypeShift = 4;

    // Role-based errors; a link of 2.5 GT/s and width 1 that may enter L0s.
    private const uint DeviceCapabilities = 0x8000;
    private const uint LinkCapabilities = 0x411;
    private const ushort LinkStatus = 0x11;

    /// <summary>Adds the capability.</summary>
    /// <returns>Its offset.</returns>
    public static int AddCapability(PciConfigSpace config, int type, params PciRegister[] more) => config.AddCapability(
        PciSpec.ExpressCapability,
        Size,
        [
            new(0x02, 2, Version | ((ulong)type << TypeShift)),
            new(0x04, 4, DeviceCapabilities),
            new(0x08, 2, 0x2810, Writable: 0x7FFF),
            new(0x0A, 2, 0, Clearable: 0x000F),
            new(0x0C, 4, LinkCapabilities),
            new(0x10, 2, 0, Writable: 0x00FB),
            new(0x12, 2, LinkStatus),
            new(0x2C, 4, 0x2),
            new(0x30, 2, 0x1),
            .. more,
        ]);
}

namespace Vmm.Emulation.Devices.Pci;

/// <summary>The capability of PCI Express (PCIe 5.0, 7.5.3): a link with one lane at the lowest speed, as QEMU's.</summary>
internal static class PciExpress
{
    /// <summary>Types of functions (7.5.3.2).</summary>
    public const int Endpoint = 0;
    public const int RootPort = 4;

    // Offsets in the capability (7.5.3).
    public const int Flags = 0x02;
    public const int DeviceCapabilities = 0x04;
    public const int DeviceControl = 0x08;
    public const int LinkCapabilities = 0x0C;
    public const int PortNumber = 0x0F;
    public const int LinkStatus = 0x12;
    public const int SlotCapabilities = 0x14;
    public const int SlotControl = 0x18;
    public const int SlotStatus = 0x1A;

    public const ushort HasSlot = 0x100;

    /// <summary>A function may be reset alone (6.6.2), by a bit that reads 0.</summary>
    public const uint FunctionResetCapable = 0x1000_0000;
    public const ushort FunctionReset = 0x8000;

    /// <summary>The port says whether its link is active, as one with hotplug must.</summary>
    public const uint ReportsLink = 0x10_0000;
    public const ushort LinkActive = 0x2000;

    private const int Size = 0x3C;
    private const int Version = 2;
    private const int TypeShift = 4;

    // Role-based errors; a link of 2.5 GT/s and width 1 that may enter L0s.
    private const uint RoleBasedErrors = 0x8000;
    private const uint Link = 0x411;
    private const ushort LinkIsUp = 0x11;

    /// <summary>The flags of a type.</summary>
    public static ushort FlagsOf(int type) => (ushort)(Version | (type << TypeShift));

    /// <summary>Adds the capability.</summary>
    /// <returns>Its offset.</returns>
    public static int AddCapability(PciConfigSpace config, int type, params PciRegister[] more) => config.AddCapability(
        PciSpec.ExpressCapability,
        Size,
        [
            new(Flags, 2, FlagsOf(type)),
            new(DeviceCapabilities, 4, RoleBasedErrors | (type == Endpoint ? FunctionResetCapable : 0)),
            new(DeviceControl, 2, 0x2810, Writable: 0x7FFF),
            new(0x0A, 2, 0, Clearable: 0x000F),
            new(LinkCapabilities, 4, Link),
            new(0x10, 2, 0, Writable: 0x00FB),
            new(LinkStatus, 2, LinkIsUp),
            new(0x2C, 4, 0x2),
            new(0x30, 2, 0x1),
            .. more,
        ]);
}

/// <summary>Registers of the slot of a port (PCIe 5.0, 7.5.3.9 to 7.5.3.11).</summary>
internal static class PcieSlotSpec
{
    // Capabilities: attention button, power controller, both indicators, hotplug by surprise, hotplug; the slot's number above.
    public const uint Capabilities = 0x1B;
    public const uint HotplugCapable = 0x60;
    public const int NumberShift = 19;
    public const int MostNumber = 0x1FFF;

    // Control. The bits that enable an event are those of the event in Status.
    public const ushort InterruptEnable = 0x0020;
    public const ushort AttentionOff = 0x00C0;
    public const ushort PowerIndicator = 0x0300;
    public const ushort IndicatorOn = 0x0100;
    public const ushort IndicatorBlinks = 0x0200;
    public const ushort IndicatorOff = 0x0300;
    public const ushort PowerOff = 0x0400;
    public const ushort Writable = Events | InterruptEnable | AttentionOff | PowerIndicator | PowerOff;

    // Status.
    public const ushort ButtonPressed = 0x0001;
    public const ushort PresenceChanged = 0x0008;
    public const ushort CommandCompleted = 0x0010;
    public const ushort Events = ButtonPressed | PresenceChanged | CommandCompleted;
    public const ushort Present = 0x0040;
}

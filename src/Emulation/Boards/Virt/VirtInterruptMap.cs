namespace Vmm.Emulation.Boards.Virt;

/// <summary>Interrupts of the machine, as QEMU's <c>virt</c> numbers them; a GSIV of ACPI is the INTID.</summary>
public static class VirtInterruptMap
{
    public static readonly IntId Pmu = new(23);
    public static readonly IntId VirtualGicMaintenance = new(25);
    public static readonly IntId HypervisorTimer = new(26);
    public static readonly IntId VirtualTimer = new(27);
    public static readonly IntId SecurePhysicalTimer = new(29);
    public static readonly IntId PhysicalTimer = new(30);

    public static readonly IntId Uart = new(33);
    public static readonly IntId Rtc = new(34);
    public static readonly IntId Gpio = new(39);
    public static readonly IntId Ged = new(41);
}

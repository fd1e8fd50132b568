using Vmm.Emulation.Devices;

namespace Vmm.Emulation.Boards.Virt;

/// <summary>
/// Guest physical addresses and interrupts of the machine, as QEMU's <c>virt</c> has them.
/// <code>
/// 0x0000_0000  flash 0, flash 1                 64 MiB each
/// 0x0800_0000  GICD                             64 KiB
/// 0x080A_0000  GICR, first region               123 redistributors of 128 KiB
/// 0x0900_0000  PL011 UART                       SPI 1
/// 0x0901_0000  PL031 RTC                        SPI 2
/// 0x0902_0000  fw_cfg
/// 0x0903_0000  PL061 GPIO                       SPI 7
/// 0x0908_0000  GED                              SPI 9
/// 0x090D_0000  CPU hotplug block                events through the GED
/// 0x0A00_0000  virtio-mmio transports           0x200 each
/// 0x4000_0000  RAM
/// 0x40_0000_0000 GICR, second region            the redistributors that the first has no room for
/// </code>
/// </summary>
public static class VirtMap
{
    public const ulong FlashBankSize = 64 << 20;

    /// <summary>The number of redistributors that have room below 4 GiB.</summary>
    public const int LowRedistributors = 123;

    // QEMU puts the second region above RAM at 256 GiB, where RAM here never reaches.
    private static readonly GuestPhysicalAddress s_highRedistributors = new(0x40_0000_0000);

    public static readonly Placement FwCfg = new(new GuestPhysicalAddress(0x0902_0000));
    public static readonly Placement Gpio = new(new GuestPhysicalAddress(0x0903_0000), new IntId(39));
    public static readonly Placement Ged = new(new GuestPhysicalAddress(0x0908_0000), new IntId(41));
    public static readonly Placement CpuHotplug = new(new GuestPhysicalAddress(0x090D_0000));

    /// <summary>The parts that a boot or a description of the hardware names.</summary>
    public static BoardMap Board { get; } = new()
    {
        Ram = new GuestPhysicalAddress(0x4000_0000),
        FlashBanks = [new GuestPhysicalAddress(0), new GuestPhysicalAddress(0x0400_0000)],
        FlashBankSize = FlashBankSize,
        Distributor = new GuestPhysicalAddress(0x0800_0000),
        Redistributors =
        [
            (new GuestPhysicalAddress(0x080A_0000), LowRedistributors),
            (s_highRedistributors, MachineConfig.MaxCpus - LowRedistributors),
        ],
        CpuInterrupts = new CpuInterrupts(
            Pmu: new IntId(23),
            VirtualGicMaintenance: new IntId(25),
            HypervisorTimer: new IntId(26),
            VirtualTimer: new IntId(27),
            SecurePhysicalTimer: new IntId(29),
            PhysicalTimer: new IntId(30)),
        Uart = new Placement(new GuestPhysicalAddress(0x0900_0000), new IntId(33)),
        Rtc = new Placement(new GuestPhysicalAddress(0x0901_0000), new IntId(34)),
        PowerButtonPin = 3,
    };
}

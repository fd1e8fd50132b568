namespace Vmm.Emulation.Boards.Virt;

/// <summary>
/// Guest physical addresses of the machine, as QEMU's <c>virt</c> lays them out.
/// <code>
/// 0x0000_0000  flash 0, flash 1                 64 MiB each
/// 0x0800_0000  GICD                             64 KiB
/// 0x080A_0000  GICR, first region               123 redistributors of 128 KiB
/// 0x0900_0000  PL011 UART                       4 KiB
/// 0x0901_0000  PL031 RTC                        4 KiB
/// 0x0902_0000  fw_cfg                           24 B
/// 0x0903_0000  PL061 GPIO                       4 KiB
/// 0x0908_0000  GED                              4 B
/// 0x090D_0000  CPU hotplug block                12 B
/// 0x0A00_0000  virtio-mmio transports           0x200 each
/// 0x4000_0000  RAM
/// 0x40_0000_0000 GICR, second region            the redistributors that the first has no room for (see <see cref="GicRedistributorHigh"/>)
/// </code>
/// </summary>
public static class VirtMemoryMap
{
    public static readonly GuestPhysicalAddress Flash0 = new(0);
    public static readonly GuestPhysicalAddress Flash1 = new(0x0400_0000);
    public const ulong FlashSize = 64 << 20;

    public static readonly GuestPhysicalAddress GicDistributor = new(0x0800_0000);
    public const ulong GicDistributorSize = 0x1_0000;

    public static readonly GuestPhysicalAddress GicRedistributor = new(0x080A_0000);
    public const int GicRedistributorCount = 123;

    /// <summary>Two 64 KiB frames, RD_base and SGI_base, for each redistributor.</summary>
    public const ulong GicRedistributorStride = 0x2_0000;

    /// <summary>Redistributors of the 124th CPU and after; QEMU puts this region above RAM at 256 GiB, where RAM here never reaches.</summary>
    public static readonly GuestPhysicalAddress GicRedistributorHigh = new(0x40_0000_0000);
    public const int GicRedistributorHighCount = 512;

    public static readonly GuestPhysicalAddress Uart = new(0x0900_0000);
    public const ulong UartSize = 0x1000;

    public static readonly GuestPhysicalAddress Rtc = new(0x0901_0000);
    public const ulong RtcSize = 0x1000;

    public static readonly GuestPhysicalAddress FwCfg = new(0x0902_0000);
    public const ulong FwCfgSize = 0x18;

    public static readonly GuestPhysicalAddress Gpio = new(0x0903_0000);
    public const ulong GpioSize = 0x1000;

    public static readonly GuestPhysicalAddress Ged = new(0x0908_0000);
    public const ulong GedSize = 4;

    public static readonly GuestPhysicalAddress CpuHotplug = new(0x090D_0000);
    public const ulong CpuHotplugSize = 12;

    public static readonly GuestPhysicalAddress Ram = new(0x4000_0000);
}

using Vmm.Emulation.Devices;
using Vmm.Emulation.Devices.Pci;

namespace Vmm.Emulation.Boards.Virt;

/// <summary>
/// Those guest physical addresses and interrupts of QEMU's <c>virt</c> that a boot or a description of the hardware names. The line of each
/// other device in <see cref="VirtBoard"/> has its own.
/// <code>
/// 0x0000_0000    flash 0, flash 1               64 MiB each
/// 0x0800_0000    GICD                           64 KiB
/// 0x0802_0000    GICv2m frame                   4 KiB
/// 0x0808_0000    GITS                           128 KiB
/// 0x080A_0000    GICR, first region             123 redistributors of 128 KiB
/// 0x0900_0000    devices, 64 KiB each           PL011 and PL031 are the first
/// 0x1000_0000    PCI memory                     751 MiB, behind it 64 KiB of I/O and the low place of configuration space
/// 0x4000_0000    RAM
/// 0x40_0000_0000 GICR, second region            the redistributors that the first has no room for
/// 0x40_1000_0000 PCI configuration space        256 MiB
/// 0x80_0000_0000 PCI memory                     512 GiB
/// </code>
/// </summary>
public static class VirtMap
{
    public const ulong FlashBankSize = 64 << 20;

    /// <summary>The number of redistributors that have room below 4 GiB.</summary>
    public const int LowRedistributors = 123;

    // QEMU puts the second region above RAM at 256 GiB, where RAM here never reaches.
    private static readonly GuestPhysicalAddress s_highRedistributors = new(0x40_0000_0000);

    /// <summary>The windows of the PCI host bridge and their sizes, in the order of <see cref="PciHost.Starts"/>.</summary>
    public static (ulong[] Starts, PciWindows Sizes) Pci(PciLayout layout)
    {
        (ulong ecam, ulong size) = layout.HighEcam ? (0x40_1000_0000ul, 0x1000_0000ul) : (0x3F00_0000ul, 0x100_0000ul);
        const ulong Memory = 0x1000_0000;
        const ulong Io = 0x3EFF_0000;
        const ulong High = 0x80_0000_0000;
        return layout.HighMemory
            ? ([ecam, Memory, Io, High], new PciWindows(size, Io - Memory, 0x1_0000, High))
            : ([ecam, Memory, Io], new PciWindows(size, Io - Memory, 0x1_0000, 0));
    }

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

namespace Vmm.Emulation.Interrupts.GicV3;

/// <summary>
/// Registers and limits of the GICv3 (GIC architecture specification, IHI 0069): one security state, affinity routing always on.
/// </summary>
public static class GicSpec
{
    /// <summary>Bytes of the distributor frame (12.8).</summary>
    public const ulong DistributorSize = 0x1_0000;

    /// <summary>Bytes of a redistributor: RD_base and SGI_base, 64 KiB each (12.10).</summary>
    public const ulong RedistributorStride = 0x2_0000;

    /// <summary>The number of INTIDs, of which 256 are SPIs, as in QEMU's <c>virt</c>.</summary>
    internal const int InterruptCount = 288;
    internal const int FirstSpi = 32;
    internal const int FirstPpi = 16;

    // Distributor (12.9).
    internal const ulong GICD_CTLR = 0x0000;
    internal const ulong GICD_TYPER = 0x0004;
    internal const ulong GICD_IIDR = 0x0008;
    internal const ulong GICD_IGROUPR = 0x0080;
    internal const ulong GICD_ISENABLER = 0x0100;
    internal const ulong GICD_ICENABLER = 0x0180;
    internal const ulong GICD_ISPENDR = 0x0200;
    internal const ulong GICD_ICPENDR = 0x0280;
    internal const ulong GICD_ISACTIVER = 0x0300;
    internal const ulong GICD_ICACTIVER = 0x0380;
    internal const ulong GICD_IPRIORITYR = 0x0400;
    internal const ulong GICD_ICFGR = 0x0C00;
    internal const ulong GICD_IROUTER = 0x6000;

    // Redistributor: RD_base, and SGI_base behind it (12.11).
    internal const ulong GICR_CTLR = 0x0000;
    internal const ulong GICR_IIDR = 0x0004;
    internal const ulong GICR_TYPER = 0x0008;
    internal const ulong GICR_WAKER = 0x0014;
    internal const ulong GICR_PROPBASER = 0x0070;
    internal const ulong GICR_PENDBASER = 0x0078;
    internal const ulong GICR_IGROUPR0 = 0x1_0080;
    internal const ulong GICR_ISENABLER0 = 0x1_0100;
    internal const ulong GICR_ICENABLER0 = 0x1_0180;
    internal const ulong GICR_ISPENDR0 = 0x1_0200;
    internal const ulong GICR_ICPENDR0 = 0x1_0280;
    internal const ulong GICR_ISACTIVER0 = 0x1_0300;
    internal const ulong GICR_ICACTIVER0 = 0x1_0380;
    internal const ulong GICR_IPRIORITYR = 0x1_0400;
    internal const ulong GICR_ICFGR = 0x1_0C00;

    /// <summary>PIDR4–7, PIDR0–3 and CIDR0–3 at the end of the first frame of both; PIDR2 says GICv3 (12.1.1).</summary>
    internal const ulong Identification = 0xFFD0;
    internal const int IdentificationRegisters = 12;

    /// <summary>GICD_IIDR and GICR_IIDR: the implementer is Arm; product and revision are those of QEMU.</summary>
    internal const uint Implementer = 0x43B;

    /// <summary>PIDR0: the part numbers of distributor and redistributor.</summary>
    internal const byte DistributorPart = 0x92;
    internal const byte RedistributorPart = 0x93;

    /// <summary>GICD_CTLR: enables of groups 0 and 1.</summary>
    internal const uint EnableGroup0 = 1;
    internal const uint EnableGroup1 = 2;

    /// <summary>GICD_CTLR: affinity routing (bit 4) and a single security state (bit 6), always on.</summary>
    internal const uint FixedControl = 0x50;

    /// <summary>GICD_TYPER: lines of 32 interrupts less one, 16 bits of INTID, affinity 3 is valid, SPIs may go to any CPU.</summary>
    internal const uint Type = ((InterruptCount / 32) - 1) | (15u << 19) | (1u << 24);

    /// <summary>GICD_TYPER: there are LPIs.</summary>
    internal const uint TypeLpis = 1u << 17;

    /// <summary>GICR_TYPER: physical LPIs, whose configuration is common to the CPUs with the same affinity 3.</summary>
    internal const uint RedistributorLpis = 1 | (1u << 24);

    /// <summary>GICR_CTLR.</summary>
    internal const uint EnableLpis = 1;

    /// <summary>The bits of GICR_PROPBASER and GICR_PENDBASER that are kept; PTZ says that the pending table is zero.</summary>
    internal const ulong PropertiesWritable = 0x070F_FFFF_FFFF_FF9F;
    internal const ulong PendingsWritable = 0x470F_FFFF_FFFF_0F80;
    internal const ulong PendingTableZero = 1ul << 62;

    /// <summary>GICD_IROUTER.Interrupt_Routing_Mode: the interrupt goes to any CPU that takes part.</summary>
    internal const ulong RouteToAny = 1ul << 31;

    /// <summary>GICR_WAKER: the CPU sleeps, and so do its children.</summary>
    internal const uint ProcessorSleep = 2;
    internal const uint Asleep = 6;

    /// <summary>Five bits of priority are implemented.</summary>
    internal const int PriorityMask = 0xF8;

    /// <summary>ICC_RPR_EL1 while no interrupt is active.</summary>
    internal const int IdlePriority = 0xFF;

    /// <summary>The smallest values of ICC_BPR0_EL1 and ICC_BPR1_EL1.</summary>
    internal const int MinimumBinaryPoint0 = 2;
    internal const int MinimumBinaryPoint1 = 3;

    /// <summary>ICC_CTLR_EL1: CBPR and EOImode; PRIbits = 4 (five), IDbits = 0 (16), A3V.</summary>
    internal const ulong CommonBinaryPoint = 1;
    internal const ulong EndOfInterruptMode = 2;
    internal const ulong FixedCpuControl = (4ul << 8) | (1ul << 15);

    /// <summary>One of the registers at <see cref="Identification"/>.</summary>
    internal static uint Identify(int index, byte part)
    {
        ReadOnlySpan<byte> bytes = [0x44, 0, 0, 0, part, 0xB4, 0x3B, 0, 0x0D, 0xF0, 0x05, 0xB1];
        return bytes[index];
    }

    /// <summary>Spreads 16 bits over ICFGR, which has two bits for each interrupt; the upper one means edge.</summary>
    internal static uint SpreadConfiguration(ushort edge)
    {
        uint value = 0;
        for (int i = 0; i < 16; i++)
        {
            value |= (uint)((edge >> i) & 1) << ((i * 2) + 1);
        }

        return value;
    }

    /// <summary>The reverse of <see cref="SpreadConfiguration"/>.</summary>
    internal static ushort GatherConfiguration(uint value)
    {
        int edge = 0;
        for (int i = 0; i < 16; i++)
        {
            edge |= (int)((value >> ((i * 2) + 1)) & 1) << i;
        }

        return (ushort)edge;
    }
}

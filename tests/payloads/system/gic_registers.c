// What the registers of the GIC keep: distributor, redistributor, CPU interface. Interrupts stay masked. Not shown, because QEMU
// 7.2 differs from the architecture: ITLinesNumber, which leaves out the 32 private interrupts; the three bits of priority that the CPU
// interface does not implement, which the distributor keeps; the reserved bits of GICD_IROUTER, which it keeps too.
#include "gic.h"

static void word(const char *name, u64 address, u32 value)
{
    mmio_write(address, value);
    print("%s written %w reads %w\n", name, (u64)value, (u64)mmio_read(address));
}

#define ICC(name, value) do { write_icc(ICC_##name, value); print("ICC_" #name " written %x reads %x\n", (u64)(value), read_icc(ICC_##name)); } while (0)

static void interface(void)
{
    static const u64 values[] = { 0, 1, 2, 3, 4, 5, 6, 7, 0xFF };
    print("ICC_SRE %x\n", read_icc(ICC_SRE));
    ICC(SRE, 0);
    for (u64 v = 0; v < 0x100; v += 0x33)
        ICC(PMR, v);
    ICC(PMR, 0x7F);
    for (int i = 0; i < count_of(values); i++) {
        ICC(BPR0, values[i]);
        ICC(BPR1, values[i]);
    }
    // CBPR: BPR1 shows BPR0 + 1, and writes to it are ignored.
    write_icc(ICC_BPR1, 5);
    write_icc(ICC_CTLR, 1);
    for (int i = 0; i < count_of(values); i++) {
        ICC(BPR0, values[i]);
        print("with CBPR ICC_BPR1 reads %x\n", read_icc(ICC_BPR1));
    }
    ICC(BPR1, 4);
    write_icc(ICC_CTLR, 0);
    print("without CBPR again ICC_BPR1 reads %x\n", read_icc(ICC_BPR1));
    for (u64 v = 0; v < 4; v++) {
        write_icc(ICC_CTLR, v);
        print("ICC_CTLR.EOImode, CBPR written %x read %x\n", v, read_icc(ICC_CTLR) & 3);
    }
    write_icc(ICC_CTLR, 0);
    ICC(IGRPEN0, 3);
    ICC(IGRPEN0, 0);
    ICC(IGRPEN1, 3);
    ICC(IGRPEN1, 0);
    ICC(AP0R0, 0x80000001);
    ICC(AP1R0, 0x00100010);
    print("ICC_RPR %x\n", read_icc(ICC_RPR));
    ICC(AP0R0, 0);
    print("ICC_RPR %x\n", read_icc(ICC_RPR));
    ICC(AP1R0, 0);
    print("ICC_RPR %x ICC_HPPIR0 %x ICC_HPPIR1 %x ICC_IAR0 %x ICC_IAR1 %x\n", read_icc(ICC_RPR), read_icc(ICC_HPPIR0), read_icc(ICC_HPPIR1),
        read_icc(ICC_IAR0), read_icc(ICC_IAR1));
    PROBE("ICC_EOIR1 read", "mrs x0, s3_0_c12_c12_1" ::: "x0");
    PROBE("ICC_IAR1 written", "msr s3_0_c12_c12_0, x0");
    PROBE("ICC_RPR written", "msr s3_0_c12_c11_3, x0");
    PROBE("ICC_AP1R1", "mrs x0, s3_0_c12_c9_1" ::: "x0");
    PROBE("ICC_AP0R3", "mrs x0, s3_0_c12_c8_7" ::: "x0");
    PROBE("ICC_SRE_EL2", "mrs x0, s3_4_c12_c9_5" ::: "x0");
    PROBE("ICC_CTLR_EL3", "mrs x0, s3_6_c12_c12_4" ::: "x0");
}

static void distributor(void)
{
    print("GICD_CTLR %w\n", (u64)mmio_read(GICD));
    word("GICD_CTLR", GICD, 0);
    word("GICD_CTLR", GICD, 1);
    word("GICD_CTLR", GICD, 2);
    word("GICD_CTLR", GICD, 0x13);
    word("GICD_IGROUPR0", GICD + GICD_IGROUPR, ~0u);
    word("GICD_IGROUPR1", GICD + GICD_IGROUPR + 4, 0xA5A5A5A5);
    word("GICD_IGROUPR8", GICD + GICD_IGROUPR + 32, 0xA5A5A5A5);
    word("GICD_IGROUPR9", GICD + GICD_IGROUPR + 36, 0xA5A5A5A5);
    word("GICD_ISENABLER0", GICD + GICD_ISENABLER, ~0u);
    word("GICD_ISENABLER2", GICD + GICD_ISENABLER + 8, 0xF0F0F0F0);
    word("GICD_ISENABLER2", GICD + GICD_ISENABLER + 8, 1);
    word("GICD_ICENABLER2", GICD + GICD_ICENABLER + 8, 0xFF000000);
    print("GICD_ISENABLER2 %w\n", (u64)mmio_read(GICD + GICD_ISENABLER + 8));
    mmio_write(GICD + GICD_ICENABLER + 8, ~0u);
    word("GICD_ISPENDR2", GICD + GICD_ISPENDR + 8, 0x0FF0);
    word("GICD_ICPENDR2", GICD + GICD_ICPENDR + 8, 0x00FF);
    word("GICD_ICPENDR2", GICD + GICD_ICPENDR + 8, ~0u);
    word("GICD_ISACTIVER2", GICD + GICD_ISACTIVER + 8, 0x0FF0);
    word("GICD_ICACTIVER2", GICD + GICD_ICACTIVER + 8, 0x00FF);
    word("GICD_ICACTIVER2", GICD + GICD_ICACTIVER + 8, ~0u);
    word("GICD_IPRIORITYR0", GICD + GICD_IPRIORITYR, ~0u);
    word("GICD_IPRIORITYR8", GICD + GICD_IPRIORITYR + 32, 0x10203048);
    word("GICD_IPRIORITYR71", GICD + GICD_IPRIORITYR + 284, 0xF8F8F8F8);
    word("GICD_IPRIORITYR72", GICD + GICD_IPRIORITYR + 288, 0xFFFFFFFF);
    word("GICD_ICFGR2", GICD + GICD_ICFGR + 8, 0xFFFFFFFF);
    word("GICD_ICFGR2", GICD + GICD_ICFGR + 8, 0x55AA55AA);
    word("GICD_ICFGR2", GICD + GICD_ICFGR + 8, 0);
    word("GICD_IROUTER32", GICD + GICD_IROUTER + 256, 0x80FFFFFF);
    word("GICD_IROUTER32 high", GICD + GICD_IROUTER + 260, 0x000000FF);
    word("GICD_IROUTER32", GICD + GICD_IROUTER + 256, 0);
    word("GICD_IROUTER32 high", GICD + GICD_IROUTER + 260, 0);
    word("GICD_IROUTER31", GICD + GICD_IROUTER + 248, 1);
}

static void redistributor(void)
{
    u64 rd = GICR, sgi = GICR + SGI_FRAME;
    print("GICR_WAKER %w\n", (u64)mmio_read(rd + GICR_WAKER));
    word("GICR_WAKER", rd + GICR_WAKER, 0);
    word("GICR_WAKER", rd + GICR_WAKER, ~0u);
    word("GICR_WAKER", rd + GICR_WAKER, 0);
    print("GICR_TYPER.Last %d affinity %x\n", (u64)(mmio_read(rd + 8) >> 4) & 1, (u64)mmio_read(rd + 12));
    word("GICR_IGROUPR0", sgi + GICD_IGROUPR, 0x5A5A5A5A);
    word("GICR_ISENABLER0", sgi + GICD_ISENABLER, 0x00FF00FF);
    word("GICR_ICENABLER0", sgi + GICD_ICENABLER, 0x000F000F);
    word("GICR_ICENABLER0", sgi + GICD_ICENABLER, ~0u);
    word("GICR_ISPENDR0", sgi + GICD_ISPENDR, 0x0000F00F);
    word("GICR_ICPENDR0", sgi + GICD_ICPENDR, 0x00001001);
    word("GICR_ICPENDR0", sgi + GICD_ICPENDR, ~0u);
    word("GICR_ISACTIVER0", sgi + GICD_ISACTIVER, 0x01000001);
    word("GICR_ICACTIVER0", sgi + GICD_ICACTIVER, ~0u);
    word("GICR_IPRIORITYR0", sgi + GICD_IPRIORITYR, 0x00A0F878);
    word("GICR_IPRIORITYR7", sgi + GICD_IPRIORITYR + 28, 0x10305078);
    print("GICR_ICFGR0 %w\n", (u64)mmio_read(sgi + GICD_ICFGR));
    word("GICR_ICFGR1", sgi + GICD_ICFGR + 4, 0xFFFFFFFF);
    word("GICR_ICFGR1", sgi + GICD_ICFGR + 4, 0);
}

void payload_main(void)
{
    distributor();
    redistributor();
    interface();
}

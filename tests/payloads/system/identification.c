// What parts of the machine say they are: ID registers of devices and of the CPU. Not shown of the CPU, because our models leave out what they do
// not execute (features, AArch32, the PMU): most ID_AA64 fields; and CTR_EL0.IDC, which all of ours have, and the third level of caches, which only QEMU's lack.
#include "gic.h"

static void words(const char *name, u64 address, int count)
{
    print("%s:", name);
    for (int i = 0; i < count; i++)
        print(" %x", (u64)mmio_read(address + (u64)i * 4));
    print("\n");
}

static void fw_cfg(u32 item, int bytes)
{
    print("fw_cfg item %x:", (u64)item);
    asm volatile("strh %w0, [%1]" ::"r"(__builtin_bswap16(item)), "r"(0x09020008ul) : "memory");
    for (int i = 0; i < bytes; i++) {
        u32 byte;
        asm volatile("ldrb %w0, [%1]" : "=r"(byte) : "r"(0x09020000ul) : "memory");
        print(" %x", (u64)byte);
    }
    print("\n");
}

static void cache(const char *name, u64 selector)
{
    write_sysreg(csselr_el1, selector);
    print("CCSIDR_EL1 of %s: %x\n", name, read_sysreg(ccsidr_el1));
}

void payload_main(void)
{
    words("GICD_IIDR", GICD + 8, 1);
    words("GICD", GICD + 0xFFD0, 12);
    words("GICR_IIDR", GICR + 4, 1);
    words("GICR", GICR + 0xFFD0, 12);
    words("UART", 0x09000FD0, 12);
    words("RTC", 0x09010FD0, 12);
    words("GPIO", 0x09030FD0, 12);
    words("fw_cfg DMA", 0x09020010, 2);
    fw_cfg(0, 4);
    fw_cfg(1, 4);
    // But for IDbits: 16 are implemented, as the distributor says of both machines, and as the manuals say of these CPUs; QEMU's says 24.
    print("ICC_CTLR_EL1 %x\n", read_icc(ICC_CTLR) & ~0x3800ul);
    print("MIDR_EL1 %x REVIDR_EL1 %x AIDR_EL1 %x MPIDR_EL1 %x\n", read_sysreg(midr_el1), read_sysreg(revidr_el1), read_sysreg(aidr_el1), read_sysreg(mpidr_el1));
    print("CTR_EL0 %x DCZID_EL0 %x\n", read_sysreg(ctr_el0) & ~(1ul << 28), read_sysreg(dczid_el0));
    print("CLIDR_EL1 levels 1 and 2 %x\n", read_sysreg(clidr_el1) & 0x3F);
    cache("L1 data", 0);
    cache("L1 instructions", 1);
    cache("L2", 2);
    print("ID_AA64MMFR0_EL1 endianness and ASIDs %x\n", read_sysreg(id_aa64mmfr0_el1) & 0xF0FF0);
    print("ID_AA64DFR0_EL1 break- and watchpoints %x\n", read_sysreg(id_aa64dfr0_el1) & 0xF0F0F000);
    print("CNTFRQ_EL0 %d\n", read_sysreg(cntfrq_el0));
}

// What Armv8.2 and later have around errors and identification: registers of FEAT_RAS without a record of errors, ESB, SCTLR_EL1.IESB,
// PSTATE.SSBS kept by ERET and by exceptions, and what reading an identification register at EL0 does (FEAT_IDST traps it).
#include "mmu.h"

asm(".arch armv8.2-a");

#define SSBS (1ul << 12)
#define IESB (1ul << 21)
#define DSSBS (1ul << 44)

// Any exception ends what was called.
static int ends;

int on_trap(struct frame *f)
{
    if (!ends)
        return 0;
    f->elr = (u64)left_el0;
    f->spsr = 0x3C5;
    return 1;
}

static void call(u64 spsr)
{
    const void *at;
    asm volatile("adr %0, 1f\n\tb 2f\n1:\tbrk #1\n2:" : "=r"(at));
    trap_clear();
    ends = 1;
    enter_with((u64)at, spsr, 0, 0);
    ends = 0;
    print("SPSR %x: %x\n", spsr, trap.spsr);
}

void payload_main(void)
{
    print("ERRIDR %x DISR %x\n", read_sysreg(s3_0_c5_c3_0), read_sysreg(s3_0_c12_c1_1));
    write_sysreg(s3_0_c12_c1_1, 0x81001207);
    print("DISR %x\n", read_sysreg(s3_0_c12_c1_1));
    write_sysreg(s3_0_c12_c1_1, 0);
    PROBE("ESB", "hint #16");
    PROBE("ERXFR", "mrs x0, s3_0_c5_c4_0");

    for (int i = 0; i < 4; i++) {
        u64 bits = (i & 1 ? IESB : 0) | (i & 2 ? DSSBS : 0);
        write_sysreg(sctlr_el1, (read_sysreg(sctlr_el1) & ~(IESB | DSSBS)) | bits);
        print("SCTLR %x\n", read_sysreg(sctlr_el1) & (IESB | DSSBS));
        call(SPSR_EL0);
        call(SPSR_EL0 | SSBS);
        call(0x3C5 | SSBS);
    }
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~(IESB | DSSBS));

    PROBE_EL0("MIDR", "mrs x0, midr_el1");
    PROBE_EL0("MPIDR", "mrs x0, mpidr_el1");
    PROBE_EL0("ID_AA64PFR0", "mrs x0, id_aa64pfr0_el1");
    PROBE_EL0("ID_AA64MMFR2", "mrs x0, id_aa64mmfr2_el1");
    PROBE_EL0("CLIDR", "mrs x7, clidr_el1");
    PROBE_EL0("CTR", "mrs x0, ctr_el0");
    PROBE_EL0("DCZID", "mrs x0, dczid_el0");
    PROBE_EL0("none", "mrs x5, s3_0_c0_c7_7");
    PROBE_EL0("none with op1 1", "mrs x5, s3_1_c0_c5_7");
    PROBE_EL0("none with op1 3", "mrs x5, s3_3_c0_c1_2");
    PROBE_EL0("none with op1 6", "mrs x5, s3_6_c0_c1_2");
    PROBE_EL0("VBAR", "mrs x0, vbar_el1");
    PROBE_EL0("written", "msr s3_0_c0_c0_0, x0");
    PROBE("none with op1 1 at EL1", "mrs x5, s3_1_c0_c5_7");
    PROBE("none with op1 3 at EL1", "mrs x5, s3_3_c0_c1_2");
    PROBE("written at EL1", "msr s3_0_c0_c0_0, x0");
}

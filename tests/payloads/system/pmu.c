// Performance monitors: registers, what EL0 may do with them, software increments, overflows and their interrupt.
#include "gic.h"

#define PMU_IRQ 23
#define N(pmcr) ((pmcr) >> 11 & 31)

static volatile u64 taken;

void on_interrupt(struct frame *f)
{
    u64 id = read_icc(ICC_IAR1);
    taken++;
    print("interrupt %d, overflows %x\n", (s64)id, read_sysreg(pmovsset_el0));
    write_sysreg(pmovsclr_el0, ~0ul);
    if (id < 1020)
        write_icc(ICC_EOIR1, id);
}

#define BITS(name, register, value) do { \
        write_sysreg(register, value); \
        print(name " %x: %x\n", (u64)(value), read_sysreg(register)); \
    } while (0)

static void registers(void)
{
    u64 pmcr = read_sysreg(pmcr_el0);
    print("PMCR_EL0: N=%d, IMP and IDCODE %x, E=%d\n", (s64)N(pmcr), pmcr >> 16, (s64)(pmcr & 1));
    print("PMSELR_EL0 at reset: %x\n", read_sysreg(pmselr_el0));
    BITS("PMCNTENSET_EL0", pmcntenset_el0, 0x8000001B);
    BITS("PMCNTENCLR_EL0", pmcntenclr_el0, 0x0000000A);
    BITS("PMCNTENCLR_EL0", pmcntenclr_el0, ~0ul);
    BITS("PMCNTENSET_EL0", pmcntenset_el0, ~0ul);
    BITS("PMCNTENCLR_EL0", pmcntenclr_el0, ~0ul);
    BITS("PMINTENSET_EL1", pmintenset_el1, ~0ul);
    BITS("PMINTENCLR_EL1", pmintenclr_el1, 0x80000021);
    BITS("PMINTENCLR_EL1", pmintenclr_el1, ~0ul);
    BITS("PMOVSSET_EL0", pmovsset_el0, ~0ul);
    BITS("PMOVSCLR_EL0", pmovsclr_el0, 0x80000021);
    BITS("PMOVSCLR_EL0", pmovsclr_el0, ~0ul);
    BITS("PMUSERENR_EL0", pmuserenr_el0, 0xF);
    BITS("PMUSERENR_EL0", pmuserenr_el0, 0);
    BITS("PMSELR_EL0", pmselr_el0, 0x1F);
    BITS("PMCCFILTR_EL0", pmccfiltr_el0, 0xC0000000);
    BITS("PMXEVTYPER_EL0 of the cycle counter", pmxevtyper_el0, 0x40000000);
    print("PMCCFILTR_EL0: %x\n", read_sysreg(pmccfiltr_el0));
    write_sysreg(pmccfiltr_el0, 0);
    for (u64 i = 0; i < 6; i++) {
        write_sysreg(pmselr_el0, i);
        write_sysreg(pmxevtyper_el0, 0xC0000000 | i);
        write_sysreg(pmxevcntr_el0, 0x12345670 + i);
        print("counter %d: type %x, count %x\n", (s64)i, read_sysreg(pmxevtyper_el0), read_sysreg(pmxevcntr_el0));
    }

    // Neither the cycle counter nor one that is not there is an event counter.
    static const u64 others[] = {31, 30, 20};
    for (u64 i = 0; i < 3; i++) {
        write_sysreg(pmselr_el0, others[i]);
        write_sysreg(pmxevcntr_el0, 5);
        print("counter %d: count %x\n", (s64)others[i], read_sysreg(pmxevcntr_el0));
    }
    print("by their own names: %x %x\n", read_sysreg(pmevcntr3_el0), read_sysreg(pmevtyper5_el0));
    write_sysreg(pmcr_el0, 2);
    print("after PMCR_EL0.P: %x %x %x\n", read_sysreg(pmevcntr0_el0), read_sysreg(pmevcntr5_el0), read_sysreg(pmevtyper5_el0));
    PROBE("pmevcntr6_el0", "mrs x9, pmevcntr6_el0" ::: "x9");
    PROBE("write of pmceid0_el0", "msr s3_3_c9_c12_6, x9" ::: "x9");
    PROBE("read of pmswinc_el0", "mrs x9, s3_3_c9_c12_4" ::: "x9");
}

#define EL0_ACCESS(name, code) do { \
        for (u64 user_ = 0; user_ < 16; user_++) { \
            write_sysreg(pmuserenr_el0, user_); \
            print("PMUSERENR_EL0 %x, ", user_); \
            PROBE_EL0(name, code); \
        } \
    } while (0)

static void at_el0(void)
{
    EL0_ACCESS("mrs pmccntr_el0", "mrs x1, pmccntr_el0");
    EL0_ACCESS("msr pmccntr_el0", "msr pmccntr_el0, x1");
    EL0_ACCESS("mrs pmxevcntr_el0", "mrs x1, pmxevcntr_el0");
    EL0_ACCESS("msr pmxevcntr_el0", "msr pmxevcntr_el0, x1");
    EL0_ACCESS("mrs pmevcntr2_el0", "mrs x1, pmevcntr2_el0");
    EL0_ACCESS("msr pmevcntr2_el0", "msr pmevcntr2_el0, xzr");
    EL0_ACCESS("mrs pmevtyper2_el0", "mrs x1, pmevtyper2_el0");
    EL0_ACCESS("msr pmswinc_el0", "msr pmswinc_el0, xzr");
    EL0_ACCESS("mrs pmselr_el0", "mrs x1, pmselr_el0");
    EL0_ACCESS("msr pmselr_el0", "msr pmselr_el0, xzr");
    EL0_ACCESS("mrs pmcr_el0", "mrs x1, pmcr_el0");
    EL0_ACCESS("mrs pmcntenset_el0", "mrs x1, pmcntenset_el0");
    EL0_ACCESS("mrs pmovsclr_el0", "mrs x1, pmovsclr_el0");
    EL0_ACCESS("mrs pmuserenr_el0", "mrs x1, pmuserenr_el0");
    EL0_ACCESS("mrs pmintenset_el1", "mrs x1, pmintenset_el1");
    write_sysreg(pmuserenr_el0, 0);
}

// Software increments are the one event that is the same everywhere.
static void increments(void)
{
    write_sysreg(pmevtyper0_el0, 0);
    write_sysreg(pmevtyper1_el0, 0x80000000); // Not at EL1.
    write_sysreg(pmevtyper2_el0, 0x40000000); // Not at EL0.
    write_sysreg(pmevcntr0_el0, 0);
    write_sysreg(pmevcntr1_el0, 0);
    write_sysreg(pmevcntr2_el0, 0);
    write_sysreg(pmswinc_el0, 7);
    print("off: %x %x %x\n", read_sysreg(pmevcntr0_el0), read_sysreg(pmevcntr1_el0), read_sysreg(pmevcntr2_el0));
    write_sysreg(pmcntenset_el0, 7);
    write_sysreg(pmswinc_el0, 7);
    print("without PMCR_EL0.E: %x %x %x\n", read_sysreg(pmevcntr0_el0), read_sysreg(pmevcntr1_el0), read_sysreg(pmevcntr2_el0));
    write_sysreg(pmcr_el0, 1);
    write_sysreg(pmswinc_el0, 7);
    write_sysreg(pmswinc_el0, 5);
    print("at EL1: %x %x %x\n", read_sysreg(pmevcntr0_el0), read_sysreg(pmevcntr1_el0), read_sysreg(pmevcntr2_el0));
    write_sysreg(pmuserenr_el0, 2);
    PROBE_EL0_QUIETLY("mov x1, #7\n\tmsr pmswinc_el0, x1\n\tmsr pmswinc_el0, x1");
    write_sysreg(pmuserenr_el0, 0);
    print("at EL0: %x %x %x\n", read_sysreg(pmevcntr0_el0), read_sysreg(pmevcntr1_el0), read_sysreg(pmevcntr2_el0));
}

static void overflows(void)
{
    gic_init();
    gic_enable(PMU_IRQ);
    write_sysreg(pmevcntr0_el0, 0xFFFFFFFE);
    write_sysreg(pmswinc_el0, 1);
    print("before: %x, overflows %x\n", read_sysreg(pmevcntr0_el0), read_sysreg(pmovsset_el0));
    write_sysreg(pmswinc_el0, 1);
    print("after: %x, overflows %x\n", read_sysreg(pmevcntr0_el0) & 0xFFFFFFFF, read_sysreg(pmovsset_el0));
    print("pending: %d\n", (s64)gic_get(GICD_ISPENDR, PMU_IRQ));
    write_sysreg(pmintenset_el1, 1);
    print("pending with PMINTENSET_EL1: %d\n", (s64)gic_get(GICD_ISPENDR, PMU_IRQ));
    asm volatile("msr daifclr, #2\n\tisb" ::: "memory");
    print("taken %d\n", taken);
    for (u64 i = 0; i < 3; i++) {
        write_sysreg(pmevcntr0_el0, 0xFFFFFFFF);
        write_sysreg(pmswinc_el0, 1);
        print("taken %d\n", taken);
    }
    write_sysreg(pmovsset_el0, 1);
    print("by PMOVSSET_EL0: taken %d\n", taken);
}

void payload_main(void)
{
    registers();
    at_el0();
    increments();
    overflows();
}

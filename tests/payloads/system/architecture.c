// Where QEMU 7.2 differs from the architecture manuals: what they say is written here, and our machine alone is held to it. Prints a line
// for each thing, "wrong" in those that are not as they should be.
#include "gic.h"
#include "mmu.h"

#define SCTLR_SA (1ul << 3)
#define SCTLR_SA0 (1ul << 4)
#define SCTLR_UCI (1ul << 26)
#define PLACE 0x234500000000ul
#define DEVICE 0x234500002000ul
#define SNIPPETS 0x123400000000ul

static struct tables t;

static void value(const char *name, u64 actual, u64 expected)
{
    print("%s: %x %s\n", name, actual, actual == expected ? "right" : "wrong");
}

static void none(const char *name)
{
    value(name, trap.count, 0);
}

static void raised(const char *name, u32 class, u32 syndrome)
{
    u64 expected = (u64)class << 26 | 1ul << 25 | syndrome;
    if (trap.count == 1 && trap.esr == expected)
        print("%s: %x right\n", name, trap.esr);
    else
        print("%s: wrong: %d exceptions, esr %x instead of %x\n", name, trap.count, trap.esr, expected);
}

#define RUN(...) do { trap_clear(); asm volatile(__VA_ARGS__); } while (0)
#define WITH_SP0(code) RUN("msr spsel, #0\n\tmov x9, sp\n\tmov sp, %0\n\t" code "\n\tmov sp, x9\n\tmsr spsel, #1" ::"r"(odd) : "x9", "x11", "x12", "memory")

// Arm ARM D1.3.1: only loads and stores check SP, and prefetches do not.
static void stack_alignment(void)
{
    u64 odd = (u64)scratch + 4096 + 8;
    write_sysreg(sctlr_el1, SCTLR | SCTLR_SA0);
    WITH_SP0("ldr x11, [sp]");
    none("ldr [sp] without SA");
    PROBE_EL0_QUIETLY("sub sp, sp, #8\n\tldr x1, [sp]");
    raised("ldr [sp] at EL0 with SA0", 0x26, 0);
    write_sysreg(sctlr_el1, SCTLR | SCTLR_SA);
    PROBE_EL0_QUIETLY("sub sp, sp, #8\n\tldr x1, [sp]");
    none("ldr [sp] at EL0 without SA0");
    WITH_SP0("ldr x11, [sp]");
    raised("ldr [sp]", 0x26, 0);
    WITH_SP0("strb w11, [sp, #3]");
    raised("strb [sp, #3]", 0x26, 0);
    WITH_SP0("ldp x11, x12, [sp], #16\n\tsub sp, sp, #0");
    raised("ldp [sp], #16", 0x26, 0);
    WITH_SP0("ldr q0, [sp]");
    raised("ldr q [sp]", 0x26, 0);
    WITH_SP0("ld1 {v0.16b}, [sp]");
    raised("ld1 [sp]", 0x26, 0);
    WITH_SP0("ldar x11, [sp]");
    raised("ldar [sp]", 0x26, 0);
    WITH_SP0("ldxr x11, [sp]");
    raised("ldxr [sp]", 0x26, 0);
    WITH_SP0("prfm pldl1keep, [sp]");
    none("prfm [sp]");
    WITH_SP0("add x11, sp, #1");
    none("add of sp");
    write_sysreg(sctlr_el1, SCTLR);
}

// Arm ARM D24.2.40: ISS of WFx (TI = 1 for WFE), and of a trapped MSR (immediate): op0 0, op1 3, CRn 4, Rt 31.
static void traps(void)
{
    PROBE_EL0_QUIETLY("sevl\n\twfe\n\twfe");
    raised("wfe at EL0", 0x01, 0x1E00001);
    PROBE_EL0_QUIETLY("msr daifset, #15");
    raised("msr daifset at EL0", 0x18, 6 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | 15 << 1);
    PROBE_EL0_QUIETLY("msr daifclr, #2");
    raised("msr daifclr at EL0", 0x18, 7 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | 2 << 1);
}

// Arm ARM D2.2 and D2.12: no debug exceptions with the OS lock, which a reset locks; nor with PSTATE.D, also when the stepped
// instruction sets it.
static void debug(void)
{
    value("OSLSR_EL1 after reset", read_sysreg(oslsr_el1), 0xA);
    write_sysreg(mdscr_el1, 1);
    trap_clear();
    run_el0(({ u64 at; asm volatile("adr %0, 1f\n\tb 2f\n1:\tnop\n\tsvc #0x7FFF\n2:" : "=r"(at)); (void *)at; }), 0);
    none("step with the OS lock");
    write_sysreg(oslar_el1, 0);
    write_sysreg(mdscr_el1, 1 | 1 << 13);
    trap_clear();
    enter_with(({ u64 at; asm volatile("adr %0, 1f\n\tb 2f\n1:\tmsr daifset, #8\n\tnop\n\tnop\n\tsvc #0x7FFF\n2:" : "=r"(at)); at; }), 0x002001C5, 0, 0);
    none("step of an instruction that sets PSTATE.D");
    write_sysreg(mdscr_el1, 0);
}

// Arm ARM D8.3: a block at a level that has none is invalid.
static void blocks(void)
{
    static const struct { int granule, level; } cases[] = { { 12, 0 }, { 14, 0 }, { 14, 1 }, { 16, 1 } };
    for (int i = 0; i < count_of(cases); i++) {
        u64 va = 0x9ABC00000000;
        mmu_new(&t, cases[i].granule, 48);
        *mmu_entry(&t, va, cases[i].level) = NORMAL | VALID;
        mmu_on(&t, SCTLR_MMU);
        try_load(va);
        raised("block at a level without blocks", 0x25, 4 + (u32)cases[i].level);
        mmu_off();
    }
}

// Arm ARM B2.7.2 and C5.3: device memory, which all data is without the MMU, wants aligned accesses and no DC ZVA; LDAPR wants
// aligned ones always, without LSE2.
static void alignment(void)
{
    RUN("ldr x9, [%0]" ::"r"(scratch + 4) : "x9");
    raised("unaligned load without the MMU", 0x25, 0x21);
    RUN("strh w9, [%0]" ::"r"(scratch + 1) : "memory");
    raised("unaligned store without the MMU", 0x25, 0x61);
    RUN("dc zva, %0" ::"r"(scratch) : "memory");
    raised("dc zva without the MMU", 0x25, 0x61);
    mmu_new(&t, 12, 48);
    mmu_map(&t, PLACE, (u64)scratch, 3, NORMAL);
    mmu_map(&t, DEVICE, (u64)scratch, 3, AF | ATTR(1) | UXN | PXN);
    mmu_on(&t, SCTLR_MMU);
    try_load(DEVICE + 2);
    raised("unaligned load of device memory", 0x25, 0x21);
    try_store(DEVICE + 1);
    raised("unaligned store to device memory", 0x25, 0x61);
    try_load(DEVICE + 4);
    none("aligned load of device memory");
    RUN("dc zva, %0" ::"r"(DEVICE) : "memory");
    raised("dc zva of device memory", 0x25, 0x61);
    RUN("mov x9, %0\n\t.inst 0xb8bfc12a" ::"r"(PLACE + 2) : "x9", "x10");
    raised("unaligned ldapr", 0x25, 0x21);
    mmu_off();
}

// Arm ARM D8.16 and ESR_EL1: cache maintenance by address translates, with CM and WnR set where that faults; IVAC writes; PAN does not count.
static void maintenance(void)
{
    mmu_new(&t, 12, 48);
    mmu_map(&t, PLACE, (u64)scratch, 3, NORMAL | AP_RO);
    mmu_map(&t, PLACE + 0x1000, (u64)scratch, 3, NORMAL | AP_EL0);
    mmu_map_snippets(&t, SNIPPETS);
    mmu_on(&t, SCTLR_MMU | SCTLR_UCI);
    RUN("dc cvac, %0" ::"r"(PLACE));
    none("dc cvac of read-only memory");
    RUN("dc ivac, %0" ::"r"(PLACE));
    raised("dc ivac of read-only memory", 0x25, 0x14F);
    RUN("dc cvac, %0" ::"r"(PLACE + 0x5000));
    raised("dc cvac of nothing", 0x25, 0x147);
    RUN("dc civac, %0" ::"r"(PLACE + 0x5000));
    raised("dc civac of nothing", 0x25, 0x147);
    RUN("dc cvau, %0" ::"r"(PLACE + 0x5000));
    raised("dc cvau of nothing", 0x25, 0x147);
    RUN("ic ivau, %0" ::"r"(PLACE + 0x5000));
    raised("ic ivau of nothing", 0x25, 0x147);
    RUN("msr pan, #1\n\tdc cvac, %0\n\tmsr pan, #0" ::"r"(PLACE + 0x1000));
    none("dc cvac of EL0's memory with PAN");
    mmu_off();
}

// Arm ARM, SetPSTATEFromPSR: an illegal return takes PAN over. PAR_EL1: what is not cacheable is outer shareable.
static void registers(void)
{
    u64 pan;
    trap_clear();
    asm volatile("adr x9, 1f\n\tmsr elr_el1, x9\n\tmov x9, #0x3C9\n\tmovk x9, #0x40, lsl #16\n\tmsr spsr_el1, x9\n\teret\n1:\tnop" ::: "x9", "memory");
    pan = trap.spsr & (1ul << 22);
    asm volatile("msr pan, #0");
    value("PAN after an illegal return", pan, 1ul << 22);
    mmu_new(&t, 12, 48);
    mmu_map(&t, PLACE, (u64)scratch, 3, NORMAL | ATTR(2));
    mmu_map(&t, DEVICE, (u64)scratch, 3, AF | ATTR(1));
    mmu_on(&t, SCTLR_MMU);
    asm volatile("at s1e1r, %0\n\tisb" ::"r"(PLACE));
    value("shareability of non-cacheable memory", (read_sysreg(par_el1) >> 7) & 3, 2);
    asm volatile("at s1e1r, %0\n\tisb" ::"r"(DEVICE));
    value("shareability of device memory", (read_sysreg(par_el1) >> 7) & 3, 2);
    mmu_off();
    asm volatile("at s1e1r, %0\n\tisb" ::"r"(scratch));
    value("shareability without the MMU", (read_sysreg(par_el1) >> 7) & 3, 2);
}

int on_trap(struct frame *f)
{
    if (trap.esr >> 26 == 0x0E) {
        f->spsr &= ~(1ul << 20);
        return 1;
    }
    return 0;
}

// Arm ARM D8.14: TLBI by address takes the whole page, also when it is made of several of 4K.
static void large_page(void)
{
    static volatile u32 pages[2][4096] __attribute__((aligned(16384)));
    u64 va = PLACE + 0x2000;
    for (u32 i = 0; i < 2; i++) {
        pages[i][0x2000 / 4] = 0x52800000 | (i + 1) << 5;   // mov w0, #i + 1
        pages[i][0x2000 / 4 + 1] = 0xD40FFFE1;              // svc #0x7FFF
    }
    asm volatile("dsb sy\n\tic iallu\n\tdsb sy\n\tisb" ::: "memory");
    mmu_new(&t, 14, 48);
    mmu_map(&t, PLACE, (u64)pages[0], 3, NORMAL);
    mmu_on(&t, SCTLR_MMU);
    value("code of a 16K page", enter_with(va, 0x3C5, 0, 0), 1);
    *mmu_entry(&t, PLACE, 3) = 0;
    asm volatile("dsb sy\n\ttlbi vale1is, %0\n\tdsb sy\n\tisb" ::"r"(PLACE >> 12) : "memory");
    mmu_map(&t, PLACE, (u64)pages[1], 3, NORMAL);
    dsb();
    isb();
    value("code of another 16K page", enter_with(va, 0x3C5, 0, 0), 2);
    mmu_off();
}

// IHI 0069: ITLinesNumber counts the private interrupts' 32 too; unimplemented bits of a priority, as ICC_PMR_EL1 shows them, read as zero; a
// group that the CPU interface has off does not hold back the other.
static void interrupts(void)
{
    gic_init();
    value("GICD_TYPER.ITLinesNumber", mmio_read(GICD + GICD_TYPER) & 31, 8);
    write_icc(ICC_PMR, 0xFF);
    mmio_write(GICD + GICD_IPRIORITYR + 64, 0xFFFFFFFF);
    value("GICD_IPRIORITYR", mmio_read(GICD + GICD_IPRIORITYR + 64) & 0xFF, read_icc(ICC_PMR));
    mmio_write(GICR + SGI_FRAME + GICD_IPRIORITYR, 0xFFFFFFFF);
    value("GICR_IPRIORITYR", mmio_read(GICR + SGI_FRAME + GICD_IPRIORITYR) & 0xFF, read_icc(ICC_PMR));
    mmio_write(GICD + GICD_IROUTER + 64 * 8, 0xFFFFFFFF);
    value("GICD_IROUTER", mmio_read(GICD + GICD_IROUTER + 64 * 8), 0x80FFFFFF);
    gic_route(64, 0);
    gic_route(65, 0);
    gic_priority(64, 0x20);
    gic_priority(65, 0x80);
    gic_group(65, 0);
    gic_enable(64);
    gic_enable(65);
    gic_pend(64);
    gic_pend(65);
    write_icc(ICC_IGRPEN1, 0);
    value("group 0 below group 1 that is off", read_icc(ICC_HPPIR0), 65);
    value("its FIQ", read_sysreg(isr_el1), 0x40);
    value("its acknowledgement", read_icc(ICC_IAR0), 65);
}

// DEN0022 5.7: only affinity level 0. DEN0028: SMCCC 1.1.
static void firmware(void)
{
    value("AFFINITY_INFO of level 1", (u64)psci(0xC4000004, 0, 1, 0), -2ul);
    value("SMCCC_VERSION", (u64)psci(0x80000000, 0, 0, 0), 0x10001);
}

void payload_main(void)
{
    stack_alignment();
    traps();
    debug();
    blocks();
    alignment();
    maintenance();
    registers();
    large_page();
    interrupts();
    firmware();
}

// PSCI (DEN0022) over HVC: versions, features, errors, standby, and the life of other CPUs. Run with three CPUs.
#include "gic.h"

#define VERSION 0x84000000ul
#define CPU_SUSPEND 0x84000001ul
#define CPU_OFF 0x84000002ul
#define CPU_ON 0x84000003ul
#define AFFINITY_INFO 0x84000004ul
#define MIGRATE 0x84000005ul
#define MIGRATE_INFO_TYPE 0x84000006ul
#define FEATURES 0x8400000Aul
#define SMC64 0x40000000ul
#define INVALID_MODE 0x12345ul

void secondary_entry(void);

volatile struct {
    u64 x0, mpidr, el, daif, spsel, sctlr, seen;
} entry;

// A CPU that PSCI has started: notes what it found, waits to be told, and turns itself off.
asm(".global secondary_entry\n"
    "secondary_entry:\n\t"
    "adrp x1, entry\n\tadd x1, x1, :lo12:entry\n\t"
    "str x0, [x1]\n\t"
    "mrs x2, mpidr_el1\n\tstr x2, [x1, #8]\n\t"
    "mrs x2, currentel\n\tstr x2, [x1, #16]\n\t"
    "mrs x2, daif\n\tstr x2, [x1, #24]\n\t"
    "mrs x2, spsel\n\tstr x2, [x1, #32]\n\t"
    "mrs x2, sctlr_el1\n\tstr x2, [x1, #40]\n\t"
    "dmb sy\n\tmov x2, #1\n\tstr x2, [x1, #48]\n"
    "1:\tldr x2, [x1, #48]\n\tcmp x2, #2\n\tb.ne 1b\n\t"
    "mov w0, #2\n\tmovk w0, #0x8400, lsl #16\n\thvc #0\n\tb .");

static void call(const char *name, u64 function, u64 a, u64 b, u64 c)
{
    print("%s(%x, %x, %x): %d\n", name, a, b, c, psci(function, a, b, c));
}

static void wait_for_off(u64 cpu)
{
    while (psci(AFFINITY_INFO | SMC64, cpu, 0, 0) != 1)
        ;
}

static void life(u64 cpu, u64 function, u64 context)
{
    entry.seen = 0;
    call("AFFINITY_INFO", AFFINITY_INFO | SMC64, cpu, 0, 0);
    call("CPU_ON", function, cpu, (u64)secondary_entry, context);
    while (entry.seen == 0)
        ;
    print("  x0=%x mpidr=%x el=%x daif=%x spsel=%x M,C,I=%x\n", entry.x0, entry.mpidr & 0xFFFFFF, entry.el, entry.daif, entry.spsel,
        entry.sctlr & 0x1005);
    call("AFFINITY_INFO", AFFINITY_INFO, cpu, 0, 0);
    call("CPU_ON again", function, cpu, (u64)secondary_entry, context);
    entry.seen = 2;
    wait_for_off(cpu);
    call("AFFINITY_INFO", AFFINITY_INFO, cpu, 0, 0);
}

// Until the timer's interrupt is pending, which stays masked.
static void suspend(const char *name, u64 function, u64 state)
{
    write_sysreg(cntv_tval_el0, 50000);
    write_sysreg(cntv_ctl_el0, 1);
    s64 result = psci(function, state, (u64)secondary_entry, 0);
    print("%s: %d, ISTATUS %d\n", name, result, (s64)(read_sysreg(cntv_ctl_el0) >> 2));
    write_sysreg(cntv_ctl_el0, 0);
}

void payload_main(void)
{
    static const u64 functions[] = {
        VERSION, CPU_SUSPEND, CPU_SUSPEND | SMC64, CPU_OFF, CPU_ON, CPU_ON | SMC64, AFFINITY_INFO, AFFINITY_INFO | SMC64, MIGRATE,
        MIGRATE | SMC64, MIGRATE_INFO_TYPE, 0x84000008, 0x84000009, FEATURES, 0x8400000B, 0x8400000C, 0xC400000D, 0xC400000E, 0x84000010,
        0x8400001F, 0xC4000002, 0xC4000000, 0x84000100, 0,
    };
    print("PSCI_VERSION %x\n", psci(VERSION, 0, 0, 0));
    for (int i = 0; i < count_of(functions); i++)
        call("FEATURES", FEATURES, functions[i], 0, 0);
    call("MIGRATE", MIGRATE, 0, 0, 0);
    call("MIGRATE_INFO_TYPE", MIGRATE_INFO_TYPE, 0, 0, 0);
    call("CPU_FREEZE", 0x8400000B, 0, 0, 0);
    call("NODE_HW_STATE", 0x8400000D, 0, 0, 0);
    call("an unknown function", 0x8400001F, 0, 0, 0);
    call("an unknown 64-bit function", 0xC400001F, 0, 0, 0);

    call("CPU_ON of itself", CPU_ON | SMC64, 0, (u64)secondary_entry, 0);
    call("CPU_ON beyond", CPU_ON | SMC64, 3, (u64)secondary_entry, 0);
    call("CPU_ON of another cluster", CPU_ON | SMC64, 0x101, (u64)secondary_entry, 0);
    call("CPU_ON with Aff3", CPU_ON | SMC64, 0x100000001, (u64)secondary_entry, 0);
    call("CPU_ON with bit 31", CPU_ON | SMC64, 0x80000001, (u64)secondary_entry, 0);
    call("CPU_ON with bit 63", CPU_ON | SMC64, 0x8000000000000001, (u64)secondary_entry, 0);
    call("AFFINITY_INFO of itself", AFFINITY_INFO, 0, 0, 0);
    call("AFFINITY_INFO beyond", AFFINITY_INFO, 3, 0, 0);
    call("AFFINITY_INFO of another cluster", AFFINITY_INFO | SMC64, 0x101, 0, 0);

    life(1, CPU_ON | SMC64, 0x123456789ABCDEF0);
    life(2, CPU_ON | SMC64, INVALID_MODE);
    life(1, CPU_ON, 0x42);

    gic_init();
    gic_enable(27);
    suspend("standby", CPU_SUSPEND, 0);
    suspend("standby", CPU_SUSPEND | SMC64, 1);
    suspend("power down", CPU_SUSPEND | SMC64, 0x10000);
    call("CPU_SUSPEND of a cluster", CPU_SUSPEND | SMC64, 0x01000000, 0, 0);
    call("CPU_SUSPEND with a reserved bit", CPU_SUSPEND | SMC64, 0x80000000, 0, 0);

    PROBE("smc is no conduit", "mov w0, #0x84000000\n\tsmc #0" ::: "x0", "x1", "x2", "x3");
    PROBE("hvc with another immediate", "mov w0, #0x84000000\n\thvc #1" ::: "x0", "x1", "x2", "x3");
}

// CNTVCT_EL0 and CNTVCTSS_EL0, read again and again: the count does not run back, nothing else changes, and EL0 needs CNTKCTL_EL1.EL0VCTEN.
#include "payload.h"

static struct {
    u64 x[30];
    u64 v[64];
} __attribute__((aligned(16))) after;

#define VECTORS "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"

static u64 trapped;

int on_trap(struct frame *f)
{
    // Of the last MRS; the default goes on behind it.
    if (trap.esr >> 26 == 0x18)
        trapped = trap.esr;
    return 0;
}

// x0 = where the registers go, x1 = rounds. x3 counts the rounds with C set, x4 those with Z, x5 those in which the count ran back.
#define CODE(name, counter) \
    asm(".text\n.balign 64\n" name ":\n" \
        "\t.irp n,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28\n\tmov x\\n, #\\n * 257\n\t.endr\n" \
        "\t.irp n," VECTORS "\n\tmovi v\\n\\().16b, #\\n\n\t.endr\n" \
        "\tmov x3, #0\n\tmov x4, #0\n\tmov x5, #0\n\tmov x28, #0\n\tmov x29, x1\n" \
        "1:\tadd v7.2d, v7.2d, v9.2d\n" \
        "\tcmp x29, #100\n" \
        "\tmrs x1, " counter "\n" \
        "\tcinc x3, x3, hs\n\tcinc x4, x4, eq\n" \
        "\tcmp x1, x28\n\tcinc x5, x5, lo\n\tmov x28, x1\n" \
        "\tadd v7.2d, v7.2d, v10.2d\n" \
        "\tmrs xzr, " counter "\n" \
        "\tsubs x29, x29, #1\n\tb.ne 1b\n" \
        "\tmov x1, x0\n" \
        "\t.irp n,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27\n\tstr x\\n, [x1, #8 * \\n]\n\t.endr\n" \
        "\tadd x1, x1, #240\n" \
        "\t.irp n," VECTORS "\n\tstr q\\n, [x1], #16\n\t.endr\n" \
        "\tsvc #0x7FFF\n")

extern const u8 read_virtual[], read_self_synchronized[];
CODE("read_virtual", "cntvct_el0");
CODE("read_self_synchronized", "S3_3_C14_C0_6");

static void run(const char *name, const u8 *code, u64 spsr, u64 enable, u64 rounds)
{
    write_sysreg(cntkctl_el1, enable);
    after = (typeof(after)){ 0 };
    trap_clear();
    enter_with((u64)code, spsr, (u64)&after, rounds);
    print("%s: C %d Z %d back %d\n", name, after.x[3], after.x[4], after.x[5]);
    for (int i = 0; i < 30; i++)
        print(" %x", after.x[i]);
    print("\n");
    for (int i = 0; i < 64; i++)
        print(" %x", after.v[i]);
    print("\n");
}

static void run_both(const char *name, const u8 *code)
{
    print("-- %s\n", name);
    run("EL1", code, 0x3C5, 0, 4000);
    run("EL0", code, SPSR_EL0, 2, 4000);
    run("EL0 that may not", code, SPSR_EL0, 1, 400);
    print("%d exceptions, the last of an MRS: ESR %x\n", trap.count, trapped);
}

void payload_main(void)
{
    write_sysreg(cpacr_el1, 3ul << 20);
    asm volatile("isb");
    run_both("CNTVCT_EL0", read_virtual);
    if (read_sysreg(id_aa64mmfr0_el1) >> 60)
        run_both("CNTVCTSS_EL0", read_self_synchronized);
    for (u64 enable = 0; enable < 4; enable++) {
        write_sysreg(cntkctl_el1, enable);
        PROBE_EL0("CNTVCT_EL0 at EL0", "mrs x1, cntvct_el0");
    }
}

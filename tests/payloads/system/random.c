// RNDR and RNDRRS (FEAT_RNG): they clear the flags, also those that were set just before and are looked at just behind, and give another number each time.
#include "payload.h"

static volatile u64 result[4];

// X0: where the results go. Flags set before: all four, then by a comparison. X3 gathers what was left of them, X4 all bits ever seen, X6 equal neighbours.
#define LOOP(register) \
    "mov x1, #500\n\tmov x3, xzr\n\tmov x4, xzr\n\tmov x5, xzr\n\tmov x6, xzr\n" \
    "1:\tmov x7, #0xF0000000\n\tmsr nzcv, x7\n\tmrs x2, " register "\n\tmrs x7, nzcv\n\torr x3, x3, x7\n\torr x4, x4, x2\n\t" \
    "cmp x2, x5\n\tcinc x6, x6, eq\n\tmov x5, x2\n\t" \
    "cmp x1, x1\n\tmrs x2, " register "\n\tcset x7, eq\n\torr x3, x3, x7\n\tcset x7, cs\n\torr x3, x3, x7\n\t" \
    "sub x1, x1, #1\n\tcbnz x1, 1b\n\t" \
    "str x3, [x0]\n\tstr x4, [x0, #8]\n\tstr x6, [x0, #16]\n\tstr x2, [x0, #24]\n\t"

static void show(const char *name)
{
    print("%s: flags left %x, bits seen %x, equal neighbours %d\n", name, result[0], result[1], result[2]);
}

void payload_main(void)
{
    asm volatile("mov x0, %0\n\t" LOOP("s3_3_c2_c4_0") :: "r"(result) : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "cc", "memory");
    show("RNDR");
    u64 last = result[3];
    asm volatile("mov x0, %0\n\t" LOOP("s3_3_c2_c4_1") :: "r"(result) : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "cc", "memory");
    show("RNDRRS");
    print("the last numbers are the same: %d\n", (s64)(result[3] == last));
    const void *at;
    asm volatile("adr %0, 2f\n\tb 3f\n2:\t" LOOP("s3_3_c2_c4_0") "svc #0x7FFF\n3:" : "=r"(at));
    run_el0(at, (u64)result);
    show("RNDR at EL0");
    PROBE("write", "msr s3_3_c2_c4_0, x0");
    print("ID_AA64ISAR0_EL1.RNDR %x\n", read_sysreg(id_aa64isar0_el1) >> 60);
}

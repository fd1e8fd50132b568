// Alignment: SCTLR_EL1.A, accesses that must be aligned in any case, and which fault comes first.
#include "mmu.h"

#define PLACE 0x234500000000ul
#define SNIPPETS 0x123400000000ul

static struct tables t;

#define TRY(name, offset, code) do { \
        u64 at_ = PLACE + (offset); \
        trap_clear(); \
        asm volatile("mov x9, %0\n\t" code ::"r"(at_) : "x9", "x10", "x11", "x12", "x13", "x14", "memory"); \
        print("+%x", (u64)(offset)); \
        outcome(name, at_); \
        print("\n"); \
    } while (0)

static void loads_and_stores(void)
{
    TRY("ldrb", 1, "ldrb w10, [x9]");
    TRY("ldrh", 1, "ldrh w10, [x9]");
    TRY("ldr w", 2, "ldr w10, [x9]");
    TRY("ldr x", 4, "ldr x10, [x9]");
    TRY("ldr x", 8, "ldr x10, [x9]");
    TRY("str x", 7, "str x10, [x9]");
    TRY("strh", 3, "strh w10, [x9]");
    TRY("ldp w", 4, "ldp w10, w11, [x9]");
    TRY("ldp w", 2, "ldp w10, w11, [x9]");
    TRY("ldp x", 8, "ldp x10, x11, [x9]");
    TRY("ldp x", 4, "ldp x10, x11, [x9]");
    TRY("stp x", 12, "stp x10, x11, [x9]");
    TRY("ldpsw", 2, "ldpsw x10, x11, [x9]");
    TRY("ldnp", 4, "ldnp x10, x11, [x9]");
    TRY("ldtr", 1, "ldtr x10, [x9]");
    TRY("sttrh", 1, "sttrh w10, [x9]");
    TRY("ldur", 3, "ldur w10, [x9]");
    TRY("ldr post-index", 3, "ldr w10, [x9], #4");
    TRY("ldr q", 8, "ldr q0, [x9]");
    TRY("ldr q", 16, "ldr q0, [x9]");
    TRY("str d", 4, "str d0, [x9]");
    TRY("ldp q", 16, "ldp q0, q1, [x9]");
    TRY("ldp q", 8, "ldp q0, q1, [x9]");
    TRY("ld1 16b", 1, "ld1 {v0.16b}, [x9]");
    TRY("ld1 8h", 1, "ld1 {v0.8h}, [x9]");
    TRY("ld1 2d", 4, "ld1 {v0.2d}, [x9]");
    TRY("ld1 2d", 8, "ld1 {v0.2d}, [x9]");
    TRY("ld2 4s", 2, "ld2 {v0.4s, v1.4s}, [x9]");
    TRY("ld1r 4s", 2, "ld1r {v0.4s}, [x9]");
    TRY("st1 lane", 2, "st1 {v0.s}[1], [x9]");
    TRY("prfm", 3, "prfm pldl1keep, [x9]");
}

// Without LDAPR, which QEMU 7.2 lets be unaligned.
static void always(void)
{
    TRY("ldar", 4, "ldar x10, [x9]");
    TRY("ldarh", 1, "ldarh w10, [x9]");
    TRY("stlr", 2, "stlr w10, [x9]");
    TRY("stlr", 1, "stlrh w10, [x9]");
    TRY("ldxr", 4, "ldxr x10, [x9]");
    TRY("ldxrh", 1, "ldxrh w10, [x9]");
    TRY("ldxp x", 8, "ldxp x10, x11, [x9]");
    TRY("ldxp w", 4, "ldxp w10, w11, [x9]");
    TRY("stxr", 4, "stxr w12, x10, [x9]");
    TRY("stlxr", 2, "stlxr w12, w10, [x9]");
    TRY("ldadd", 4, ".inst 0xf82a012b");
    TRY("swp", 2, ".inst 0xb82a812b");
    TRY("cas", 4, ".inst 0xc8aa7d2b");
    TRY("casp", 8, ".inst 0x486a7d2c");
}

// Unaligned and unmapped, read-only, or across a page that is not there.
static void together(void)
{
    TRY("ldr beyond", 0x2001, "ldr x10, [x9]");
    TRY("ldxr beyond", 0x2001, "ldxr x10, [x9]");
    TRY("ldar beyond", 0x2004, "ldar x10, [x9]");
    TRY("str across", 0x0FFC, "str x10, [x9]");
    TRY("ldr across to nothing", 0x1FFC, "ldr x10, [x9]");
    TRY("str across to nothing", 0x1FFF, "str w10, [x9]");
    TRY("ldp across to nothing", 0x1FF8, "ldp x10, x11, [x9]");
    TRY("stp across to nothing", 0x1FF8, "stp x10, x11, [x9]");
    TRY("stp first unaligned", 0x1FF4, "stp x10, x11, [x9]");
    TRY("ldr q across to nothing", 0x1FF8, "ldr q0, [x9]");
    TRY("ldr from nothing across", -4ul, "ldr x10, [x9]");
    TRY("str to read-only", 0x3001, "str w10, [x9]");
    TRY("ldr from read-only", 0x3001, "ldr w10, [x9]");
}

static void at_el0(void)
{
    for (int i = 0; i < 4; i++) {
        try_el0(SNIPPETS, el0_load, PLACE + 0x4000 + (u64)i);
        print("EL0 +%d:", (s64)i);
        outcome("load", PLACE + 0x4000 + (u64)i);
        try_el0(SNIPPETS, el0_store, PLACE + 0x4000 + (u64)i);
        outcome("store", PLACE + 0x4000 + (u64)i);
        print("\n");
    }
}

void payload_main(void)
{
    mmu_new(&t, 12, 48);
    mmu_map_snippets(&t, SNIPPETS);
    mmu_map(&t, PLACE, (u64)scratch, 3, NORMAL);
    mmu_map(&t, PLACE + 0x1000, (u64)scratch + 0x1000, 3, NORMAL);
    mmu_map(&t, PLACE + 0x3000, (u64)scratch, 3, NORMAL | AP_RO);
    mmu_map(&t, PLACE + 0x4000, (u64)scratch, 3, NORMAL | AP_EL0);
    for (int a = 0; a < 2; a++) {
        print("SCTLR_EL1.A=%d\n", (s64)a);
        mmu_on(&t, SCTLR_MMU | (a ? SCTLR_A : 0));
        loads_and_stores();
        always();
        together();
        at_el0();
        mmu_off();
    }
}

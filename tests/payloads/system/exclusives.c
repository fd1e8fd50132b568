// The local monitor: what keeps it, what clears it, and what a failing store exclusive leaves alone. Memory is normal, so the MMU is on.
#include "mmu.h"

#define PLACE 0x234500000000ul

static struct tables t;
static volatile u64 words[64] __attribute__((aligned(4096)));

// Each leaves the status of the store exclusive in x12, 9 before it.
#define TRY(name, code) do { \
        u64 status_; \
        words[0] = 0x1111111111111111; \
        words[1] = 0x2222222222222222; \
        words[32] = 0x3333333333333333; \
        trap_clear(); \
        asm volatile("clrex\n\tmov x12, #9\n\tmov x9, %1\n\tadd x13, x9, #256\n\tmov x10, #0xA\n\tmov x11, #0xB\n\t" code "\n\tmov %0, x12" \
            : "=r"(status_) : "r"(words) : "x9", "x10", "x11", "x12", "x13", "x14", "x15", "memory"); \
        print("%s: status=%d %x %x %x", name, status_, words[0], words[1], words[32]); \
        trap_report(""); \
    } while (0)


static void single(void)
{
    TRY("stxr alone", "stxr w12, x10, [x9]");
    TRY("ldxr, stxr", "ldxr x14, [x9]\n\tstxr w12, x10, [x9]");
    TRY("a second stxr", "ldxr x14, [x9]\n\tstxr w12, x10, [x9]\n\tstxr w12, x11, [x9]");
    TRY("ldaxr, stlxr", "ldaxr x14, [x9]\n\tstlxr w12, x10, [x9]");
    TRY("ldxr, stlxr w", "ldxr w14, [x9]\n\tstlxr w12, w10, [x9]");
    TRY("ldxrh, stxrh", "ldxrh w14, [x9]\n\tstxrh w12, w10, [x9]");
    TRY("ldxrb, stlxrb", "ldxrb w14, [x9]\n\tstlxrb w12, w10, [x9]");
    TRY("ldxp, stxp", "ldxp x14, x15, [x9]\n\tstxp w12, x10, x11, [x9]");
    TRY("ldxp w, stxp w", "ldxp w14, w15, [x9]\n\tstxp w12, w10, w11, [x9]");
    TRY("ldaxp, stlxp", "ldaxp x14, x15, [x9]\n\tstlxp w12, x10, x11, [x9]");
    TRY("stxp alone", "stxp w12, x10, x11, [x9]");
    TRY("clrex between", "ldxr x14, [x9]\n\tclrex\n\tstxr w12, x10, [x9]");
    TRY("another address", "ldxr x14, [x9]\n\tstxr w12, x10, [x13]");
    TRY("another address, then the first", "ldxr x14, [x9]\n\tstxr w12, x10, [x13]\n\tstxr w12, x10, [x9]");
    TRY("two ldxr, stxr to the first", "ldxr x14, [x9]\n\tldxr x14, [x13]\n\tstxr w12, x10, [x9]");
    TRY("two ldxr, stxr to the second", "ldxr x14, [x9]\n\tldxr x14, [x13]\n\tstxr w12, x10, [x13]");
    TRY("store of another value between", "ldxr x14, [x9]\n\tstr x11, [x9]\n\tstxr w12, x10, [x9]");
    TRY("load between", "ldxr x14, [x9]\n\tldr x15, [x9]\n\tstxr w12, x10, [x9]");
    TRY("store elsewhere between", "ldxr x14, [x9]\n\tstr x11, [x13]\n\tstxr w12, x10, [x9]");
    TRY("exception between", "ldxr x14, [x9]\n\tsvc #0\n\tstxr w12, x10, [x9]");
    TRY("fault between", "ldxr x14, [x9]\n\tmov x15, #1\n\tldr x15, [x15, #4095 - 7]\n\tstxr w12, x10, [x9]");
}

void payload_main(void)
{
    mmu_new(&t, 12, 48);
    mmu_map(&t, PLACE, (u64)words, 3, NORMAL | AP_RO);
    mmu_map(&t, PLACE + 0x1000, (u64)words, 3, NORMAL);
    mmu_on(&t, SCTLR_MMU);
    single();

    // Read-only memory: loads, and the store faults when the monitor would let it.
    TRY("stxr to read-only", "mov x13, #0x2345\n\tlsl x13, x13, #32\n\tldxr x14, [x13]\n\tstxr w12, x10, [x13]");
    TRY("ldxr of nothing", "mov x13, #0x2345\n\tlsl x13, x13, #32\n\tadd x13, x13, #0x2000\n\tldxr x14, [x13]");
    TRY("by another mapping of the same memory", "mov x13, #0x2345\n\tlsl x13, x13, #32\n\tadd x13, x13, #0x1000\n\tldxr x14, [x13]\n\tstxr w12, x10, [x13]");
    mmu_off();
}

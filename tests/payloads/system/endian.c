// Mixed endianness: what each kind of load, store, exclusive and atomic does at EL0 with SCTLR_EL1.E0E, and at EL1 with E0E, with EE, and with both, where
// EE turns table walks over too. All run the same instructions, in a page that EL0 may execute; they leave registers byte by byte in memory.
#include "mmu.h"

#define PLACE 0x234500000000ul
#define CODE 0x123400000000ul
#define E0E (1ul << 24)
#define EE (1ul << 25)
#define STORES 0x200

extern const char endian_el0[], endian_el1[];

// X0: the place. Stores go to +0x200 and on (X20), registers to +0x800 and on (X25).
asm(".pushsection .el0, \"ax\"\n"
    ".arch armv8.2-a+lse\n"
    ".global endian_el0, endian_el1\n"

    // One register, a byte at a time.
    ".macro byte8 r\n"
    ".rept 8\n\tstrb w\\r, [x25], #1\n\tror x\\r, x\\r, #8\n.endr\n"
    ".endm\n"
    "dump:\n\tbyte8 10\n\tbyte8 11\n\tbyte8 12\n\tbyte8 13\n\tret\n"
    ".irp v, 0, 1, 2, 3\n"
    "dump_v\\v:\n\tumov x14, v\\v\\().d[0]\n\tbyte8 14\n\tumov x14, v\\v\\().d[1]\n\tbyte8 14\n\tret\n"
    ".endr\n"
    "dumpv:\n\tmov x29, x30\n\tbl dump_v0\n\tbl dump_v1\n\tbl dump_v2\n\tbl dump_v3\n\tmov x30, x29\n\tret\n"

    "literal:\n\t.quad 0x1122334455667788\n"

    "body:\n\tmov x28, x30\n\tadd x20, x0, #0x200\n\tadd x25, x0, #0x800\n"
    // Loads of one register and of pairs; across a page too.
    "\tldrh w10, [x0, #2]\n\tldrsh x11, [x0, #6]\n\tldr w12, [x0, #4]\n\tldrsw x13, [x0, #8]\n\tbl dump\n"
    "\tldr x10, [x0, #8]\n\tldp x11, x12, [x0, #16]\n\tldr x13, [x0, #3]\n\tbl dump\n"
    "\tldp w10, w11, [x0, #4]\n\tldpsw x12, x13, [x0, #12]\n\tbl dump\n"
    "\tldtr x10, [x0, #8]\n\tldtrh w11, [x0, #2]\n\tadd x9, x0, #24\n\tldar x12, [x9]\n\tadd x9, x0, #34\n\tldarh w13, [x9]\n\tbl dump\n"
    "\tldrb w10, [x0, #1]\n\tldr x11, literal\n\tldr w12, literal\n\tldrsb x13, [x0, #129]\n\tbl dump\n"
    "\tadd x9, x0, #4092\n\tldr x10, [x9]\n\tldr w11, [x9, #2]\n\tldrh w12, [x9, #3]\n\tldr q0, [x9, #-3]\n\tmov x13, #1\n\tbl dump\n\tbl dump_v0\n"
    // SIMD: whole registers, and elements.
    "\tldr q0, [x0, #16]\n\tldr d1, [x0, #24]\n\tldr s2, [x0, #36]\n\tldr h3, [x0, #42]\n\tbl dumpv\n"
    "\tldp q0, q1, [x0, #32]\n\tldp d2, d3, [x0, #8]\n\tbl dumpv\n"
    "\tadd x9, x0, #64\n"
    "\tld1 {v0.16b}, [x9]\n\tld1 {v1.8h}, [x9]\n\tld1 {v2.4s}, [x9]\n\tld1 {v3.2d}, [x9]\n\tbl dumpv\n"
    "\tld2 {v0.8h, v1.8h}, [x9]\n\tld2 {v2.2s, v3.2s}, [x9]\n\tbl dumpv\n"
    "\tld4 {v0.4s, v1.4s, v2.4s, v3.4s}, [x9]\n\tbl dumpv\n"
    "\tld3 {v0.4h, v1.4h, v2.4h}, [x9]\n\tld1 {v3.s}[2], [x9]\n\tbl dumpv\n"
    "\tld1r {v0.4h}, [x9]\n\tld1r {v1.2d}, [x9]\n\tld2r {v2.4s, v3.4s}, [x9]\n\tbl dumpv\n"
    // Stores.
    "\tldr x10, [x0, #8]\n\tldr x11, [x0, #16]\n\tldr q0, [x0, #32]\n\tldr q1, [x0, #48]\n"
    "\tstrb w10, [x20], #8\n\tstrh w10, [x20], #8\n\tstr w10, [x20], #8\n\tstr x10, [x20], #8\n\tstp w10, w11, [x20], #8\n\tstp x10, x11, [x20], #16\n"
    "\tsttr x10, [x20]\n\tstlr x11, [x20]\n\tadd x20, x20, #8\n\tstlrh w11, [x20]\n\tadd x20, x20, #8\n"
    "\tstr q0, [x20], #16\n\tstr d0, [x20], #8\n\tstr s0, [x20], #8\n\tstr h0, [x20], #8\n\tstp q0, q1, [x20], #32\n\tadd x20, x20, #8\n"
    "\tst1 {v0.16b}, [x20], #16\n\tst1 {v0.8h}, [x20], #16\n\tst1 {v0.4s, v1.4s}, [x20], #32\n\tst2 {v0.2d, v1.2d}, [x20], #32\n\tst2 {v0.4h, v1.4h}, [x20], #16\n"
    "\tst1 {v0.s}[1], [x20], #4\n\tst1 {v0.h}[5], [x20], #2\n\tadd x20, x20, #10\n"
    "\tadd x9, x0, #4092\n\tstr x10, [x9]\n\tstr w11, [x9, #-6]\n\tadd x9, x0, #4080\n\tstr q1, [x9, #19]\n"
    // Exclusives: what was read and one more; the status is left too.
    "\tadd x9, x0, #0x400\n"
    "\tldxr x10, [x9]\n\tadd x11, x10, #1\n\tstxr w12, x11, [x9]\n\tldr x13, [x9]\n\tbl dump\n"
    "\tadd x9, x9, #16\n\tldaxr w10, [x9]\n\tadd w11, w10, #1\n\tstlxr w12, w11, [x9]\n\tldr x13, [x9]\n\tbl dump\n"
    "\tadd x9, x9, #16\n\tldxrh w10, [x9]\n\tadd w11, w10, #1\n\tstxrh w12, w11, [x9]\n\tldr x13, [x9]\n\tbl dump\n"
    "\tadd x9, x9, #16\n\tldxp w10, w11, [x9]\n\tadd w11, w11, #1\n\tstxp w12, w10, w11, [x9]\n\tldr x13, [x9]\n\tbl dump\n"
    "\tadd x9, x9, #16\n\tldxp x10, x11, [x9]\n\tadd x11, x11, #1\n\tstxp w12, x10, x11, [x9]\n\tldr x13, [x9, #8]\n\tbl dump\n"
    // Atomics: each leaves what was there.
    "\tadd x9, x9, #16\n\tmov x8, #0xF1\n"
    ".irp op, ldadd, ldclr, ldeor, ldset, ldsmax, ldsmin, ldumax, ldumin, swp\n"
    "\t\\op x8, x10, [x9]\n\tadd x9, x9, #8\n\t\\op w8, w11, [x9]\n\t\\op\\()h w8, w12, [x9]\n\t\\op\\()b w8, w13, [x9]\n\tadd x9, x9, #8\n\tbl dump\n"
    ".endr\n"
    "\tldr x10, [x9]\n\tcas x10, x8, [x9]\n\tadd x9, x9, #8\n\tmov x11, #7\n\tcas x11, x8, [x9]\n\tldr w12, [x9]\n\tcas w12, w8, [x9]\n\tmov x13, #9\n\tbl dump\n"
    "\tadd x9, x9, #8\n\tmov x4, #0x44\n\tmov x5, #0x55\n\tldp w6, w7, [x9]\n\tcasp w6, w7, w4, w5, [x9]\n\tadd x9, x9, #16\n\tldp x2, x3, [x9]\n\tcasp x2, x3, x4, x5, [x9]\n"
    "\tmov x10, x6\n\tmov x11, x7\n\tmov x12, x2\n\tmov x13, x3\n\tbl dump\n"
    "\tadd x9, x9, #16\n\tcasp x2, x3, x4, x5, [x9]\n\tmov x10, x2\n\tmov x11, x3\n\tbl dump\n"
    "\tmov x30, x28\n\tret\n"

    "endian_el0:\n\tbl body\n\tsvc #0x7FFF\n"
    // X1: SCTLR_EL1 meanwhile. It is off before and after, so that tables may be of either kind.
    "endian_el1:\n\tmrs x26, sctlr_el1\n\tmsr sctlr_el1, x1\n\tisb\n\tbl body\n\tmsr sctlr_el1, x26\n\tisb\n\tsvc #0x7FFF\n"
    ".popsection\n");

static struct tables t;
static u8 place[8192] __attribute__((aligned(8192)));

static void fill(void)
{
    for (int i = 0; i < sizeof(place); i++)
        place[i] = (u8)(i * 37 + (i >> 5) + 0x81);
}

// What one run has left: the accesses in two pages end behind the first.
static void show(const char *name)
{
    trap_report(name);
    for (int i = STORES; i < 4096 + 64; i += 32) {
        print("%w:", (u64)i);
        for (int j = 0; j < 4; j++) {
            u64 bytes = 0;
            for (int k = 0; k < 8; k++)
                bytes = bytes << 8 | place[i + j * 8 + k];
            print(" %x", bytes);
        }
        print("\n");
    }
}

static void tables(int big)
{
    mmu_new(&t, 12, 48);
    mmu_map_snippets(&t, CODE);
    for (u64 a = 0; a < sizeof(place); a += 0x1000)
        mmu_map(&t, PLACE + a, (u64)place + a, 3, NORMAL | AP_EL0 | UXN | PXN);
    // All that mmu.c has made, from where it begins.
    if (big)
        for (u64 *p = (u64 *)0x42000000; p < (u64 *)0x42020000; p++)
            *p = __builtin_bswap64(*p);
}

static void el0(const char *name, u64 bits)
{
    fill();
    tables(0);
    mmu_on(&t, SCTLR_MMU | bits);
    trap_clear();
    enter_with(CODE + (u64)(endian_el0 - el0_page), SPSR_EL0, PLACE, 0);
    mmu_off();
    show(name);
}

static void el1(const char *name, u64 bits)
{
    fill();
    tables((bits & EE) != 0);
    mmu_on(&t, SCTLR);
    trap_clear();
    enter_with((u64)endian_el1, 0x3C5, PLACE, SCTLR_MMU | bits);
    mmu_off();
    show(name);
}

void payload_main(void)
{
    write_sysreg(sctlr_el1, SCTLR | E0E | EE);
    write_sysreg(sctlr_el1, SCTLR);
    print("mixed endianness: %d\n", (s64)((read_sysreg(id_aa64mmfr0_el1) >> 8) & 15));
    el0("EL0", 0);
    el0("EL0, E0E", E0E);
    el0("EL0 again", 0);
    el1("EL1", 0);
    el1("EL1, EE", EE);
    el1("EL1, E0E", E0E);
    el1("EL1, both", EE | E0E);
    el1("EL1 again", 0);
}

// What QEMU 10.0 does not check of accesses of SVE (Arm ARM D1.3.1, D10.8.1 and the pages of the instructions): SP as a base; SCTLR_EL1.A, of which
// each element is checked by its size in memory, LDR and STR as quadwords and predicates as halfwords; tags of other granules than the first, and that
// none are checked at SP and an immediate. Prints "right" or "wrong".
#include "mmu.h"

asm(".arch armv8.5-a+sve+memtag");

#define SCTLR_SA (1ul << 3)
#define SCTLR_ATA (1ul << 43)
#define SCTLR_TCF (1ul << 40)
#define TBI0 (1ul << 37)
#define PLACE 0x234500000000ul
#define TAG(n) ((n) << 56)

static struct tables t;
static u8 place[4096] __attribute__((aligned(4096)));
static u8 loaded[64] __attribute__((aligned(16)));

static void expect(const char *name, int class, u32 syndrome)
{
    u64 esr = (u64)class << 26 | 1ul << 25 | syndrome;
    if (class ? trap.count == 1 && trap.esr == esr : trap.count == 0)
        print("%s: right\n", name);
    else
        print("%s: wrong: %d exceptions, esr %x\n", name, trap.count, trap.esr);
}

#define RUN(at, code) do { \
        trap_clear(); \
        asm volatile("mov x2, xzr\n\tptrue p0.b\n\tindex z1.d, #0, #8\n\tmov x9, sp\n\tmov x0, %0\n\t" code ::"r"(at) : "x0", "x2", "x9", "memory"); \
    } while (0)
#define WITH_SP(at, code) RUN(at, "msr spsel, #0\n\tmov x9, sp\n\tmov sp, x0\n\t" code "\n\tmov sp, x9\n\tmsr spsel, #1")

static void stack(void)
{
    u64 at = (u64)place + 0x108;
#define ODD(code) do { WITH_SP(at, code); expect(code, 0x26, 0); } while (0)
    ODD("ldr z4, [sp]");
    ODD("str z4, [sp, #3, mul vl]");
    ODD("ldr p1, [sp]");
    ODD("str p1, [sp]");
    ODD("ld1b {z4.b}, p0/z, [sp]");
    ODD("ld1d {z4.d}, p0/z, [sp, x2, lsl #3]");
    ODD("st1b {z4.d}, p0, [sp]");
    ODD("ld2d {z4.d, z5.d}, p0/z, [sp]");
    ODD("st4h {z4.h - z7.h}, p0, [sp]");
    ODD("ldff1b {z4.b}, p0/z, [sp, x2]");
    ODD("ldnf1b {z4.b}, p0/z, [sp]");
    ODD("ld1rd {z4.d}, p0/z, [sp]");
    ODD("ld1rqb {z4.b}, p0/z, [sp]");
    ODD("ld1d {z4.d}, p0/z, [sp, z1.d]");
    ODD("st1d {z4.d}, p0, [sp, z1.d]");
#define NONE(at, code) do { WITH_SP(at, code); expect(code, 0, 0); } while (0)
    NONE(at, "prfb pldl1keep, p0, [sp]");
    NONE(at, "addvl x0, sp, #1");
    NONE(at + 8, "ldr z4, [sp]");
}

static void checked(void)
{
    static const struct { u64 offset; int quad, half, word, doubleword; } cases[] = {
        { 0, 0, 0, 0, 0 }, { 1, 1, 1, 1, 1 }, { 2, 1, 0, 1, 1 }, { 4, 1, 0, 0, 1 }, { 8, 1, 0, 0, 0 }, { 16, 0, 0, 0, 0 },
    };
    for (int i = 0; i < count_of(cases); i++) {
        u64 at = (u64)place + 0x200 + cases[i].offset;
        print("offset %d right\n", cases[i].offset);
#define LOADS(code, aligned) do { RUN(at, code); expect(code, (aligned) ? 0x25 : 0, 0x21); } while (0)
#define STORES(code, aligned) do { RUN(at, code); expect(code, (aligned) ? 0x25 : 0, 0x61); } while (0)
        LOADS("ldr z4, [x0]", cases[i].quad);
        STORES("str z4, [x0]", cases[i].quad);
        LOADS("ldr p1, [x0]", cases[i].half);
        STORES("str p1, [x0]", cases[i].half);
        LOADS("ld1b {z4.d}, p0/z, [x0]", 0);
        STORES("st1b {z4.b}, p0, [x0]", 0);
        LOADS("ld1h {z4.d}, p0/z, [x0]", cases[i].half);
        LOADS("ld1w {z4.s}, p0/z, [x0]", cases[i].word);
        STORES("st1w {z4.d}, p0, [x0]", cases[i].word);
        LOADS("ld1d {z4.d}, p0/z, [x0]", cases[i].doubleword);
        LOADS("ld2h {z4.h, z5.h}, p0/z, [x0]", cases[i].half);
        STORES("st3d {z4.d - z6.d}, p0, [x0]", cases[i].doubleword);
        LOADS("ld1rw {z4.d}, p0/z, [x0]", cases[i].word);
        LOADS("ld1rqd {z4.d}, p0/z, [x0]", cases[i].doubleword);
        LOADS("ldff1d {z4.d}, p0/z, [x0, xzr, lsl #3]", cases[i].doubleword);
        LOADS("ldnf1d {z4.d}, p0/z, [x0]", 0);
        LOADS("ld1d {z4.d}, p0/z, [x0, z1.d]", cases[i].doubleword);
        STORES("st1w {z4.d}, p0, [x0, z1.d]", cases[i].word);
        LOADS("pfalse p0.b; ld1d {z4.d}, p0/z, [x0]", 0);
    }
}

// Nothing of the registers of a load has changed when one of its elements faults.
static void kept(void)
{
    static const char *const names[] = { "ldr z", "ld1d", "ld2d", "ld1d gather", "ldff1d" };
    u64 nothing = PLACE + 0xFE8;
    for (int i = 0; i < count_of(names); i++) {
        int same = 0;
        trap_clear();
        asm volatile("dup z4.b, #3\n\tdup z5.b, #3\n\tptrue p0.d\n\tindex z1.d, #0, #8");
        if (i == 0)
            asm volatile("ldr z4, [%0]" ::"r"(nothing));
        else if (i == 1)
            asm volatile("ld1d {z4.d}, p0/z, [%0]" ::"r"(nothing));
        else if (i == 2)
            asm volatile("ld2d {z4.d, z5.d}, p0/z, [%0]" ::"r"(nothing));
        else if (i == 3)
            asm volatile("ld1d {z4.d}, p0/z, [%0, z1.d]" ::"r"(nothing));
        else
            asm volatile("pfalse p0.b\n\tptrue p1.d\n\tpnext p0.d, p1, p0.d\n\tsetffr\n\tldff1d {z4.d}, p0/z, [%0, z1.d]" ::"r"(nothing + 0x20));
        asm volatile("str z4, [%0]" ::"r"(loaded) : "memory");
        for (int n = 0; n < 64; n++)
            same += loaded[n] == 3;
        print("%s: %d exceptions, %d of 64 bytes %s\n", names[i], trap.count, same, trap.count == 1 && same == 64 ? "right" : "wrong");
    }
}

static u64 ffr_bits(void)
{
    u64 n = 0;
    asm volatile("rdffr p2.b; str p2, [%0]" ::"r"(loaded) : "memory");
    for (int i = 0; i < 64; i++)
        n += loaded[i / 8] >> i % 8 & 1;
    return n;
}

// Of four granules the first two have the tag.
static void tags(void)
{
    u64 at = TAG(5ul) | (PLACE + 0x400);
    write_sysreg(sctlr_el1, SCTLR_MMU | SCTLR_ATA);
    asm volatile("st2g %0, [%0]; st2g %1, [%1, #32]" ::"r"(at), "r"(PLACE + 0x400) : "memory");
    write_sysreg(sctlr_el1, SCTLR_MMU | SCTLR_ATA | SCTLR_TCF);
#define TAGGED(run, code, syndrome) do { \
        run(at, code); \
        expect(code, syndrome ? 0x25 : 0, syndrome); \
        if (syndrome) \
            print("at %x %s\n", trap.far - at, trap.far == at + 32 ? "right" : "wrong"); \
    } while (0)
    TAGGED(RUN, "ldr z4, [x0]", 0x11);
    TAGGED(RUN, "str z4, [x0]", 0x51);
    TAGGED(RUN, "ld1b {z4.b}, p0/z, [x0]", 0x11);
    TAGGED(RUN, "ld1b {z4.h}, p0/z, [x0]", 0);
    TAGGED(RUN, "st1w {z4.s}, p0, [x0, x2, lsl #2]", 0x51);
    TAGGED(RUN, "ld2d {z4.d, z5.d}, p0/z, [x0]", 0x11);
    TAGGED(RUN, "ld1rqd {z4.d}, p0/z, [x0, #32]", 0x11);
    TAGGED(RUN, "ld1d {z4.d}, p0/z, [x0, z1.d]", 0x11);
    TAGGED(RUN, "st1h {z4.d}, p0, [x0, z1.d]", 0x51);
    TAGGED(RUN, "ptrue p0.b, vl32; ld1b {z4.b}, p0/z, [x0]", 0);
    TAGGED(WITH_SP, "ldr z4, [sp]", 0);
    TAGGED(WITH_SP, "str p1, [sp, #4, mul vl]", 0);
    TAGGED(WITH_SP, "ld1d {z4.d}, p0/z, [sp]", 0);
    TAGGED(WITH_SP, "st2d {z4.d, z5.d}, p0, [sp]", 0);
    TAGGED(WITH_SP, "ld1rd {z4.d}, p0/z, [sp, #32]", 0);
    TAGGED(WITH_SP, "ld1d {z4.d}, p0/z, [sp, x2, lsl #3]", 0x11);
    TAGGED(WITH_SP, "ld1rqb {z4.b}, p0/z, [sp, #32]", 0);
    TAGGED(WITH_SP, "st1d {z4.d}, p0, [sp, z1.d]", 0x51);
    TAGGED(RUN, "setffr; ldff1b {z4.b}, p0/z, [x0, x2]", 0);
    print("ldff1b: %d %s\n", ffr_bits(), ffr_bits() == 32 ? "right" : "wrong");
    TAGGED(RUN, "setffr; ldnf1b {z4.b}, p0/z, [x0]", 0);
    print("ldnf1b: %d %s\n", ffr_bits(), ffr_bits() == 32 ? "right" : "wrong");
    TAGGED(RUN, "setffr; ldff1d {z4.d}, p0/z, [x0, z1.d]", 0);
    print("ldff1d: %d %s\n", ffr_bits(), ffr_bits() == 32 ? "right" : "wrong");
}

void payload_main(void)
{
    write_sysreg(cpacr_el1, 3ul << 16 | 3ul << 20);
    write_sysreg(S3_0_C1_C2_0, 3);
    mmu_new(&t, 12, 48);
    mmu_map(&t, PLACE, (u64)place, 3, NORMAL | ATTR(3));
    mmu_on(&t, SCTLR_MMU | SCTLR_SA);
    write_sysreg(mair_el1, 0xF04400FFul);
    write_sysreg(tcr_el1, mmu_tcr(&t) | TBI0);
    stack();
    write_sysreg(sctlr_el1, SCTLR_MMU | SCTLR_A);
    checked();
    kept();
    if ((read_sysreg(id_aa64pfr1_el1) >> 8 & 15) > 1)
        tags();
    mmu_off();
}

// Memory accesses of SVE beside their elements: memory tags, watchpoints, big-endian data, and pages that may only be read or are not there. Alignment
// checks are in sve_checks.c with the tags of granules behind the first, for QEMU 10.0 has none. What is left after an exception is not compared: QEMU
// 10.0 keeps what LDR has loaded by then; nor is ESR_EL1.WnR of a watchpoint for both, where QEMU 10.0 tells of an earlier access, and of a wrong tag,
// where it tells of a load.
#include "mmu.h"

asm(".arch armv8.8-a+sve2+memtag");

#define PLACE 0x300000000000ul
#define READ_ONLY (PLACE + 0x4000)
#define CODE 0x200000000000ul
#define PTR(tag, at) ((u64)(tag) << 56 | (at))

#define ATA0 (1ul << 42)
#define ATA (1ul << 43)
#define TCF0(n) ((u64)(n) << 38)
#define TCF(n) ((u64)(n) << 40)
#define SCTLR_E0E (1ul << 24)
#define TBI0 (1ul << 37)
#define SPSR_EL1 0x3C4ul
#define SPSR_TCO (1ul << 25)

static struct tables t;
static int has_tags;
static u8 place[4 * 4096] __attribute__((aligned(4096)));
static u8 read_only[4096] __attribute__((aligned(4096)));
static u32 code[4096] __attribute__((aligned(4096)));
static u8 left[512] __attribute__((aligned(16)));

// Accesses at X0, each in 128 bytes of the pages of code. Zero is in X2, all predicates that matter are true, Z1 has steps of 8 and Z2 addresses.
#define ACCESS(name, text) \
    asm(".pushsection .rodata\n\t.balign 4\n" #name ":\n\tmov x2, xzr\n\tptrue p0.b\n\tptrue p1.b\n\tindex z1.d, #0, #8\n\tindex z2.d, x0, #8\n" \
        "\tsetffr\n\t" text "\n\tsvc #0x7FFF\n\t.popsection"); \
    extern const u32 name[];
#define SP_ACCESS(name, text) ACCESS(name, "mov x9, sp\n\tmov sp, x0\n\t" text "\n\tmov sp, x9")
#define EACH_ACCESS(A, S) \
    A(a_ldr_z, "ldr z4, [x0]") A(a_str_z, "str z4, [x0]") A(a_ldr_p, "ldr p1, [x0]") A(a_str_p, "str p1, [x0]") \
    A(a_ld1b, "ld1b {z4.b}, p0/z, [x0]") A(a_ld1h, "ld1h {z4.h}, p0/z, [x0, x2, lsl #1]") A(a_ld1sb, "ld1sb {z4.d}, p0/z, [x0]") \
    A(a_ld1d, "ld1d {z4.d}, p0/z, [x0]") A(a_some, "ptrue p0.d, vl1\n\tld1d {z4.d}, p0/z, [x0]") A(a_no, "pfalse p0.b\n\tld1d {z4.d}, p0/z, [x0]") \
    A(a_st1b, "st1b {z4.b}, p0, [x0]") A(a_st1b_d, "st1b {z4.d}, p0, [x0, x2]") A(a_st1w, "st1w {z4.s}, p0, [x0]") \
    A(a_ld2, "ld2d {z4.d, z5.d}, p0/z, [x0]") A(a_ld3, "ld3b {z4.b, z5.b, z6.b}, p0/z, [x0]") A(a_st4, "st4h {z4.h - z7.h}, p0, [x0]") \
    A(a_ld1r, "ld1rw {z4.d}, p0/z, [x0, #4]") A(a_ld1rq, "ld1rqd {z4.d}, p0/z, [x0, #16]") A(a_ldnt1, "ldnt1d {z4.d}, p0/z, [x0, x2, lsl #3]") \
    A(a_gather, "ld1d {z4.d}, p0/z, [x0, z1.d]") A(a_gather_of, "ld1w {z4.d}, p0/z, [z2.d, #4]") A(a_scatter, "st1d {z4.d}, p0, [x0, z1.d]") \
    A(a_scatter_of, "st1h {z4.d}, p0, [z2.d]") A(a_ldff1, "ldff1b {z4.b}, p0/z, [x0, x2]") A(a_ldff1_gather, "ldff1d {z4.d}, p0/z, [z2.d]") \
    A(a_ldnf1, "ldnf1d {z4.d}, p0/z, [x0]") A(a_ldnf1_behind, "ldnf1w {z4.s}, p0/z, [x0, #1, mul vl]") A(a_prf, "prfb pldl1keep, p0, [x0]") \
    S(a_sp_ldr, "ldr z4, [sp]\n\tstr p1, [sp]") S(a_sp_ld1, "ld1d {z4.d}, p0/z, [sp]\n\tst1d {z4.d}, p0, [sp]") \
    S(a_sp_ld1_register, "ld1d {z4.d}, p0/z, [sp, x2, lsl #3]") S(a_sp_ld2, "ld2d {z4.d, z5.d}, p0/z, [sp]") \
    S(a_sp_st2_register, "st2d {z4.d, z5.d}, p0, [sp, x2, lsl #3]") S(a_sp_ld1r, "ld1rd {z4.d}, p0/z, [sp]") \
    S(a_sp_ld1rq, "ld1rqb {z4.b}, p0/z, [sp]") S(a_sp_ld1rq_register, "ld1rqb {z4.b}, p0/z, [sp, x2]") \
    S(a_sp_gather, "ld1d {z4.d}, p0/z, [sp, z1.d]") S(a_sp_scatter, "st1d {z4.d}, p0, [sp, z1.d]") S(a_sp_ldnf1, "ldnf1d {z4.d}, p0/z, [sp]")

EACH_ACCESS(ACCESS, SP_ACCESS)
#define ROW(name, text) { #name, name },
static const struct { const char *name; const u32 *text; } accesses[] = { EACH_ACCESS(ROW, ROW) };
#define WORDS 32

// Any exception ends what was called.
static int calling;

int on_trap(struct frame *f)
{
    if (!calling)
        return 0;
    f->elr = (u64)left_el0;
    f->spsr = 0x3C5;
    return 1;
}

static void write_code(void)
{
    for (int a = 0; a < count_of(accesses); a++)
        for (int i = 0; i < WORDS; i++)
            code[WORDS * a + i] = accesses[a].text[i];
    for (int n = 0; n < 4096; n += 16)
        asm volatile("dc cvau, %0\n\tdsb sy\n\tic ivau, %0" ::"r"(&code[n]) : "memory");
    dsb();
    isb();
}

static u64 ffr_bits(void)
{
    u64 n = 0;
    asm volatile("rdffr p2.b\n\tstr p2, [%0]" ::"r"(left) : "memory");
    for (u64 i = 0; i < 8; i++)
        for (int bit = 0; bit < 8; bit++)
            n += left[i] >> bit & 1;
    return n;
}

// A sum of what a load has left, or a store.
static u64 sum(void)
{
    u64 s = 0;
    asm volatile("str z4, [%0]\n\tstr z5, [%0, #1, mul vl]\n\tstr p1, [%0, #2, mul vl]" ::"r"(left) : "memory");
    for (int i = 0; i < 200; i++)
        s = s * 31 + left[i];
    for (int i = 0; i < sizeof(place); i++)
        s = s * 31 + place[i];
    return s;
}

// What does not fault may end at the end of a page, and QEMU 10.0 does.
static int ends(const char *name)
{
    name += name[2] == 's' && name[3] == 'p' ? 5 : 2;
    return name[0] == 'l' && (name[2] == 'f' || name[2] == 'n') && name[3] != 't';
}

static void all(const char *name, u64 at, u64 spsr)
{
    int is_one_page = (at & 0xFFF) < 0xF00;
    print("%s:\n", name);
    for (int a = 0; a < count_of(accesses); a++) {
        // At SP and an immediate, where QEMU 10.0 checks tags.
        int is_stack = accesses[a].name[2] == 's' && accesses[a].name[3] == 'p';
        if (is_stack && at >> 56)
            continue;
        for (int i = 0; i < sizeof(place); i++)
            place[i] = (u8)(i * 37 + (i >> 5) + 0x81);
        for (int i = 0; i < sizeof(left); i++)
            left[i] = 0;
        asm volatile("ptrue p1.b\n\tindex z4.b, #3, #5\n\tindex z5.b, #7, #3\n\tindex z6.b, #1, #7\n\tindex z7.b, #2, #9");
        trap_clear();
        calling = 1;
        enter_with(CODE + 4 * WORDS * a, spsr, at, 0);
        calling = 0;
        print(" %s", accesses[a].name);
        if (trap.count)
            print("=%x/%x", trap.esr >> 26, trap.esr & (trap.esr >> 26 >= 0x34 || (trap.esr & 0x3F) == 0x11 ? 0x3F : 0x1FFFFFF));
        if (trap.count && (trap.esr >> 26 & ~1ul) == 0x24)
            print("@%x", trap.far - (at & ~0xFF00000000000000ul));
        if (!trap.count && (is_one_page || !ends(accesses[a].name)))
            print(" %d %x", ffr_bits(), sum());
        if (has_tags) {
            u64 el1 = read_sysreg(tfsr_el1), el0 = read_sysreg(tfsre0_el1);
            if (el1 | el0)
                print("(tfsr %x %x)", el1, el0);
            write_sysreg(tfsr_el1, 0);
            write_sysreg(tfsre0_el1, 0);
        }
        print("\n");
    }
}

static void set_tags(u64 at, int n, u64 tag)
{
    for (int i = 0; i < n && has_tags; i++)
        asm volatile("stg %0, [%0]" ::"r"(PTR(tag, at + 16ul * i)) : "memory");
}

static void map(u64 access)
{
    for (int i = 0; i < 4; i++) {
        mmu_map(&t, CODE + 0x1000 * i, (u64)code + 0x1000 * i, 3, NORMAL | AP_RO | (access ? AP_EL0 | PXN : UXN));
        mmu_map(&t, PLACE + 0x1000 * i, (u64)place + 0x1000 * i, 3, (NORMAL & ~ATTR(7)) | ATTR(3) | access | UXN);
    }
    mmu_map(&t, READ_ONLY, (u64)read_only, 3, NORMAL | ATTR(3) | AP_RO | access | UXN);
    tlbi_all();
}

static void tags(u64 spsr, u64 sctlr, u64 access)
{
    print("SCTLR_EL1 %x SPSR %x\n", sctlr, spsr);
    map(access);
    set_tags(PLACE, 1024, 0);
    set_tags(PLACE + 0x100, 32, 5);
    write_sysreg(sctlr_el1, sctlr);
    all("right", PTR(5, PLACE + 0x100), spsr);
    all("wrong", PTR(4, PLACE + 0x100), spsr);
    write_sysreg(sctlr_el1, SCTLR_MMU | ATA | ATA0);
}

static void watchpoints(void)
{
    static const struct { const char *name; u64 control; } cases[] = {
        { "loads", 8 | 0xFFul << 5 }, { "stores", 16 | 0xFFul << 5 }, { "a byte", 24 | 4ul << 5 }, { "64 bytes", 24 | 0xFFul << 5 | 6ul << 24 },
    };
    write_sysreg(oslar_el1, 0);
    write_sysreg(mdscr_el1, 1ul << 15 | 1ul << 13);
    for (int i = 0; i < count_of(cases); i++) {
        print("watched: %s\n", cases[i].name);
        write_sysreg(dbgwvr0_el1, PLACE + 0x240);
        write_sysreg(dbgwcr0_el1, cases[i].control | 7);
        all("at it", PLACE + 0x240, SPSR_EL1 & ~0x200ul);
        all("into it", PLACE + 0x230, SPSR_EL1 & ~0x200ul);
    }
    write_sysreg(dbgwcr0_el1, 0);
    write_sysreg(mdscr_el1, 0);
}

void payload_main(void)
{
    has_tags = (read_sysreg(id_aa64pfr1_el1) >> 8 & 15) > 1;
    write_sysreg(cpacr_el1, 3ul << 16 | 3ul << 20);
    write_sysreg(S3_0_C1_C2_0, 3);
    write_code();
    mmu_new(&t, 12, 48);
    map(0);
    mmu_on(&t, SCTLR_MMU);
    write_sysreg(mair_el1, 0xF04400FFul);
    write_sysreg(tcr_el1, mmu_tcr(&t) | TBI0);
    all("two pages", PLACE + 0xFE8, SPSR_EL1);
    all("into a page that can only be read", PLACE + 0x3FE8, SPSR_EL1);
    all("out of a page that can only be read", READ_ONLY + 0xFE8, SPSR_EL1);
    map(AP_EL0 | PXN);
    write_sysreg(sctlr_el1, SCTLR_MMU | SCTLR_E0E);
    all("big-endian", PLACE + 0x208, SPSR_EL0);
    all("big-endian in two pages", PLACE + 0xFE4, SPSR_EL0);
    write_sysreg(sctlr_el1, SCTLR_MMU);
    map(0);
    watchpoints();
    if (has_tags) {
        write_sysreg(sctlr_el1, SCTLR_MMU | ATA | ATA0);
        // Asynchronously QEMU 10.0 takes STR for a load, and what LDFF1 loads first for what may fail.
        for (u64 tcf = 0; tcf < 2; tcf++) {
            tags(SPSR_EL1, SCTLR_MMU | ATA | TCF(tcf) | ATA0 | TCF0(1), 0);
            tags(SPSR_EL1 | SPSR_TCO, SCTLR_MMU | ATA | TCF(tcf) | ATA0 | TCF0(1), 0);
            tags(SPSR_EL0, SCTLR_MMU | 1ul << 14 | ATA0 | TCF0(tcf) | ATA | TCF(1), AP_EL0 | PXN);
        }
    }
    mmu_off();
}

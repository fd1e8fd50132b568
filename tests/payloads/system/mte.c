// Memory tagging (Arm ARM D10): tags in addresses and in memory, and every kind of access to memory whose tags match or not, at EL0 and EL1, with
// each way that SCTLR_EL1 has a mismatch told, PSTATE.TCO, TCR_EL1.TBI and TCMA. Without tags in memory (the machine's mte=off) `max` has the
// instructions all the same.
#include "mmu.h"

asm(".arch armv8.8-a+memtag+lse+simd+fp");

#define TAGGED 0x300000000000ul
#define PLAIN (TAGGED + 0x4000)
#define READ_ONLY (TAGGED + 0x5000)
#define NOWHERE (TAGGED + 0x8000)
#define CODE 0x200000000000ul
#define PTR(tag, at) ((u64)(tag) << 56 | (at))

#define ATA0 (1ul << 42)
#define ATA (1ul << 43)
#define TCF0(n) ((u64)(n) << 38)
#define TCF(n) ((u64)(n) << 40)
#define TBI0 (1ul << 37)
#define TCMA0 (1ul << 57)
// With SP_EL0, so that an exception has a stack.
#define SPSR_EL1 0x3C4ul
#define SPSR_TCO (1ul << 25)

static struct tables t;
static int has_tags, asymmetric;
static u8 tagged[4 * 4096] __attribute__((aligned(4096)));
static u8 plain[4096] __attribute__((aligned(4096)));
static u8 read_only[4096] __attribute__((aligned(4096)));
static u32 code[1024] __attribute__((aligned(4096)));

// Loosely of DC ZVA, which QEMU 10 takes for a load, and of which it names another granule. CAS is left out: QEMU 10 takes it for a store alone.
static void told(const char *name, u64 base, int loose)
{
    print(" %s", name);
    if (trap.count)
        print("=%x/%x", trap.esr >> 26, trap.esr & (loose ? 0x3F : 0x1FFFFFF));
    if (trap.count && (trap.esr >> 26 & ~1ul) == 0x24 && !loose)
        print("@%x", trap.far - base);
    if (has_tags) {
        u64 el1 = read_sysreg(tfsr_el1), el0 = read_sysreg(tfsre0_el1);
        if (el1 | el0)
            print("(tfsr %x %x)", el1, el0);
        write_sysreg(tfsr_el1, 0);
        write_sysreg(tfsre0_el1, 0);
    }
}

static u64 tag_at(u64 at)
{
    u64 x = at;
    asm volatile("ldg %0, [%0]" : "+r"(x) : : "memory");
    return x >> 56 & 15;
}

static void tags(const char *name, u64 at, int n)
{
    print("%s:", name);
    for (int i = 0; i < n; i++)
        print(" %x", tag_at(at + 16ul * i));
    print("\n");
}

static void set_tag(u64 at, u64 tag)
{
    asm volatile("stg %0, [%0]" ::"r"(PTR(tag, at)) : "memory");
}

static void set_tags(u64 at, int n, u64 tag)
{
    for (int i = 0; i < n; i++)
        set_tag(at + 16ul * i, tag);
}

static void registers_el0(void)
{
    PROBE_EL0("EL0 mrs TCO", "mrs x0, tco");
    PROBE_EL0("EL0 msr TCO", "msr tco, #1");
    PROBE_EL0("EL0 mrs GCR_EL1", "mrs x0, gcr_el1");
}

static void registers(void)
{
    print("ID_AA64PFR1_EL1.MTE %x\n", read_sysreg(id_aa64pfr1_el1) >> 8 & 15);
    PROBE("GCR_EL1", "mrs x9, gcr_el1" ::: "x9");
    PROBE("RGSR_EL1", "mrs x9, rgsr_el1" ::: "x9");
    PROBE("TFSR_EL1", "mrs x9, tfsr_el1" ::: "x9");
    PROBE("TFSRE0_EL1", "mrs x9, tfsre0_el1" ::: "x9");
    PROBE("DC IGVAC", "dc igvac, %0" ::"r"(TAGGED) : "memory");
    PROBE("DC IGDSW", "dc igdsw, xzr" ::: "memory");
    PROBE("DC CGDVADP", "dc cgdvadp, %0" ::"r"(TAGGED) : "memory");
    if (has_tags)
        print("GMID_EL1 %x\n", read_sysreg(gmid_el1));
    for (int i = 0; i < 3; i++) {
        write_sysreg(tco, i == 1 ? SPSR_TCO : 0);
        print("TCO %x", read_sysreg(tco));
        asm volatile("msr tco, #1");
        print(" set %x", read_sysreg(tco));
        PROBE(" trapped", "brk #1");
        print(" spsr %x", trap.spsr & SPSR_TCO);
        asm volatile("msr tco, #0");
        print(" cleared %x\n", read_sysreg(tco));
        PROBE(" trapped", "brk #1");
        print(" spsr %x after %x\n", trap.spsr & SPSR_TCO, read_sysreg(tco));
    }
}

static void addresses(void)
{
    static const u64 values[] = { 0, 0x0123456789ABCDEF, 0xFFFFFFFFFFFFFFF0, 0x0F80000000000000, 0x7F00000000000FF0, 0xF07FFFFFFFFFFFFF };
    static const u64 excluded[] = { 0, 0xFFFF, 0x8001, 0x7FFF, 0xAAAA, 0x10000, 0x1FFFE };
    for (int e = 0; e < (has_tags ? count_of(excluded) : 1); e++) {
        if (has_tags) {
            write_sysreg(gcr_el1, excluded[e]);
            write_sysreg(rgsr_el1, 0x123405 + ((u64)e << 12));
        }
        print("excluded %x:", excluded[e]);
        for (int v = 0; v < count_of(values); v++) {
            u64 x = values[v], a, b, c, d;
            asm volatile("addg %0, %4, #0, #0\n\taddg %1, %4, #1008, #15\n\tsubg %2, %4, #16, #3\n\tsubg %3, %4, #992, #8" : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d) : "r"(x));
            print(" %x %x %x %x", a, b, c, d);
            for (int i = 0; i < 5; i++) {
                asm volatile("irg %0, %1, %2" : "=r"(a) : "r"(x), "r"(i & 1 ? values[i] : 0));
                print(" %x", a >> 56);
            }
            asm volatile("gmi %0, %2, %3\n\tgmi %1, %2, xzr" : "=&r"(a), "=&r"(b) : "r"(x), "r"(values[1]));
            print(" %x %x", a, b);
            for (int w = 0; w < count_of(values); w++) {
                asm volatile("subp %0, %2, %3\n\tsubps %1, %2, %3\n\tmrs %2, nzcv" : "=&r"(a), "=&r"(b), "+&r"(x) : "r"(values[w]) : "cc");
                print(" %x%s%x", a, a == b ? "/" : "!", x >> 28);
                x = values[v];
            }
        }
        if (has_tags)
            print(" rgsr %x", read_sysreg(rgsr_el1));
        print("\n");
    }
    if (has_tags)
        write_sysreg(gcr_el1, 0);
}

// SETG goes on behind a watchpoint in the middle of a granule, whether or not that is told.
static void set_watched(void)
{
    u64 x = TAGGED + 0x100, n = 0x60;
    set_tags(x, 8, 5);
    write_sysreg(oslar_el1, 0);
    write_sysreg(dbgwvr0_el1, x + 0x28);
    write_sysreg(dbgwcr0_el1, 0xFFul << 5 | 2 << 3 | 1 << 1 | 1);
    write_sysreg(mdscr_el1, 1ul << 15 | 1ul << 13);
    trap_clear();
    asm volatile("msr daifclr, #8\n\tisb\n\tsetgp [%0]!, %1!, %2" : "+r"(x), "+r"(n) : "r"(0x77ul) : "memory", "cc");
    write_sysreg(dbgwcr0_el1, 0);
    asm volatile("isb\n\tmsr daifset, #8");
    int watched = trap.count;
    trap_clear();
    if (watched)
        asm volatile("setgp [%0]!, %1!, %2" : "+r"(x), "+r"(n) : "r"(0x77ul) : "memory", "cc");
    asm volatile("setgm [%0]!, %1!, %2\n\tsetge [%0]!, %1!, %2" : "+r"(x), "+r"(n) : "r"(0x77ul) : "memory", "cc");
    trap_report("SETG behind a watchpoint");
    print("left at %x with %x, %x %x\n", x, n, (u64)tagged[0x100], (u64)tagged[0x15F]);
    tags("SETG", TAGGED + 0x100, 8);
}

static void memory(void)
{
    u64 x, at = TAGGED + 0xFC0;
    set_tags(TAGGED, 1024, 0);
    asm volatile("stg %0, [%1, #16]\n\tst2g %0, [%1, #48]" ::"r"(PTR(5, 0)), "r"(at) : "memory");
    tags("STG, ST2G over two pages", at, 8);
    for (int i = 0; i < 64; i++)
        tagged[0xFC0 + i] = i;
    x = at;
    asm volatile("stzg %1, [%0], #32\n\tstz2g %1, [%0, #16]!\n\tstgp %1, %0, [%0, #-48]" : "+r"(x) : "r"(PTR(9, 0)) : "memory");
    tags("STZG, STZ2G, STGP", at, 8);
    print("left at %x:", x - at);
    for (int i = 0; i < 64; i += 8)
        print(" %x", *(u64 *)(tagged + 0xFC0 + i));
    print("\n");
    asm volatile("stgp %1, %0, [%0], #32\n\tstgp %1, %0, [%0, #-64]!" : "+r"(x) : "r"(x) : "memory");
    print("left at %x\n", x - at);
    asm volatile("dc gva, %0" ::"r"(PTR(3, TAGGED + 0x47)) : "memory");
    tagged[0x81] = 7;
    asm volatile("dc gzva, %0" ::"r"(PTR(6, TAGGED + 0x90)) : "memory");
    tags("DC GVA, DC GZVA", TAGGED, 16);
    print("zeroed %x\n", (u64)tagged[0x81]);
    PROBE("LDGM", "ldgm %0, [%1]" : "=&r"(x) : "r"(TAGGED + 0x33));
    if (!trap.count)
        print("LDGM %x\n", x);
    PROBE("STGM", "stgm %0, [%1]" ::"r"(0x0123456789ABCDEF), "r"(TAGGED + 0x1F8) : "memory");
    PROBE("STZGM", "stzgm %0, [%1]" ::"r"(0xF7ul), "r"(TAGGED + 0x2F8) : "memory");
    tags("STGM", TAGGED + 0x100, 16);
    tags("STZGM", TAGGED + 0x280, 16);
    asm volatile("stg %0, [%0]\n\tst2g %0, [%0, #32]" ::"r"(PTR(5, PLAIN)) : "memory");
    tags("memory without tags", PLAIN, 4);
    if (has_tags)
        for (int i = 0; i < 3; i++) {
            u64 n = i == 2 ? 0x1020 : 0x60;
            x = PTR(7 + i, TAGGED + 0xFC0 - (u64)i * 0x80);
            asm volatile("setgp [%0]!, %1!, %2\n\tsetgm [%0]!, %1!, %2\n\tsetge [%0]!, %1!, %2" : "+r"(x), "+r"(n) : "r"(0x5Aul + i) : "memory", "cc");
            print("SETG left at %x with %x, %x %x\n", x, n, (u64)tagged[0xFC0], (u64)tagged[0x101F]);
            tags("SETG", TAGGED + 0xEA0, 32);
        }
    if (has_tags)
        set_watched();
    for (int i = 0; i < 4; i++) {
        u64 at = TAGGED + (i & 1 ? 8 : 0), n = i & 2 ? 0x28 : 0x20;
        trap_clear();
        asm volatile("setgp [%0]!, %1!, xzr" : "+r"(at), "+r"(n)::"memory", "cc");
        trap_report("SETGP");
    }
    PROBE("STG misaligned", "stg %0, [%0]" ::"r"(TAGGED + 8) : "memory");
    PROBE("STZ2G misaligned", "stz2g %0, [%0]" ::"r"(TAGGED + 8) : "memory");
    PROBE("STGP misaligned", "stgp xzr, xzr, [%0]" ::"r"(TAGGED + 8) : "memory");
    PROBE("LDG misaligned", "ldg xzr, [%0]" ::"r"(TAGGED + 8) : "memory");
    PROBE("STG read-only", "stg %0, [%0]" ::"r"(READ_ONLY) : "memory");
    PROBE("LDG read-only", "ldg x9, [%0]" ::"r"(READ_ONLY) : "x9", "memory");
    PROBE("STZG read-only", "stzg %0, [%0]" ::"r"(READ_ONLY) : "memory");
    PROBE("ST2G into read-only", "st2g %0, [%0]" ::"r"(READ_ONLY - 16) : "memory");
    PROBE("DC GVA read-only", "dc gva, %0" ::"r"(READ_ONLY + 5) : "memory");
    PROBE("DC GZVA read-only", "dc gzva, %0" ::"r"(READ_ONLY + 5) : "memory");
    PROBE("STG nowhere", "stg %0, [%0]" ::"r"(NOWHERE) : "memory");
    PROBE("LDG nowhere", "ldg x9, [%0]" ::"r"(NOWHERE) : "x9", "memory");
    PROBE("STGM nowhere", "stgm x9, [%0]" ::"r"(NOWHERE) : "memory");
    PROBE("LDGM nowhere", "ldgm x9, [%0]" ::"r"(NOWHERE) : "x9", "memory");
    PROBE("STZGM nowhere", "stzgm x9, [%0]" ::"r"(NOWHERE) : "memory");
    set_tags(TAGGED, 1024, 0);
}

// Accesses at X0, each in 64 bytes of the page of code; EL0 and EL1 return by SVC #0x7FFF.
#define ACCESS(name, text) \
    asm(".pushsection .rodata\n\t.balign 4\n" #name ":\n\t" text "\n\tsvc #0x7FFF\n\t.popsection"); \
    extern const u32 name[];
#define SP_ACCESS(name, text) ACCESS(name, "mov x9, sp\n\tmov sp, x0\n\t" text "\n\tmov sp, x9")

ACCESS(a_ldr, "ldr x1, [x0]")
ACCESS(a_ldrb, "ldrb w1, [x0, #15]")
ACCESS(a_str, "str x0, [x0]")
ACCESS(a_str_post, "str x1, [x0], #8")
ACCESS(a_unaligned, "ldur x1, [x0, #12]")
ACCESS(a_store_unaligned, "stur x1, [x0, #12]")
ACCESS(a_ldp, "ldp x1, x2, [x0, #8]")
ACCESS(a_stp, "stp x1, x2, [x0, #8]")
ACCESS(a_ldpq, "ldp q1, q2, [x0]")
ACCESS(a_stpq, "stp q1, q2, [x0]")
ACCESS(a_strq, "mov x2, xzr\n\tstr q1, [x0, x2]")
ACCESS(a_ld1, "ld1 {v1.16b, v2.16b}, [x0]")
ACCESS(a_st4, "st4 {v1.2d, v2.2d, v3.2d, v4.2d}, [x0], #64")
ACCESS(a_ldxr, "ldxr x1, [x0]\n\tclrex")
ACCESS(a_stxr, "stxr w2, x1, [x0]")
ACCESS(a_ldar, "ldar x1, [x0]")
ACCESS(a_stlr, "stlr x1, [x0]")
ACCESS(a_ldadd, "ldadd x1, x1, [x0]")
ACCESS(a_swp, "swp x1, x1, [x0]")
ACCESS(a_ldtr, "ldtr x1, [x0]")
ACCESS(a_sttr, "sttr x1, [x0]")
ACCESS(a_zva, "dc zva, x0")
ACCESS(a_prfm, "prfm pldl1keep, [x0]")
ACCESS(a_tco, "msr tco, #1\n\tldr x1, [x0]\n\tstr x1, [x0]\n\tmsr tco, #0")
SP_ACCESS(a_sp, "ldr x1, [sp]\n\tstr x1, [sp, #8]\n\tldp x1, x2, [sp, #16]\n\tldar x1, [sp]\n\tldxr x1, [sp]\n\tclrex")
SP_ACCESS(a_sp_post, "ldr x1, [sp], #16")
SP_ACCESS(a_sp_pre, "stp x1, x2, [sp, #16]!")
SP_ACCESS(a_sp_register, "mov x2, xzr\n\tldr x1, [sp, x2]")
SP_ACCESS(a_sp_ld1, "ld1 {v1.16b}, [sp], #16")

static const struct { const char *name; const u32 *text; } accesses[] = {
    { "ldr", a_ldr }, { "ldrb", a_ldrb }, { "str", a_str }, { "str_post", a_str_post }, { "unaligned", a_unaligned },
    { "store_unaligned", a_store_unaligned }, { "ldp", a_ldp }, { "stp", a_stp }, { "ldpq", a_ldpq }, { "stpq", a_stpq }, { "strq", a_strq },
    { "ld1", a_ld1 }, { "st4", a_st4 }, { "ldxr", a_ldxr }, { "stxr", a_stxr }, { "ldar", a_ldar }, { "stlr", a_stlr }, { "ldadd", a_ldadd },
    { "swp", a_swp }, { "ldtr", a_ldtr }, { "sttr", a_sttr }, { "zva", a_zva }, { "prfm", a_prfm }, { "tco", a_tco },
    { "sp", a_sp }, { "sp_post", a_sp_post }, { "sp_pre", a_sp_pre }, { "sp_register", a_sp_register }, { "sp_ld1", a_sp_ld1 },
};

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
        for (int i = 0; i < 16; i++)
            code[16 * a + i] = accesses[a].text[i];
    for (int n = 0; n < 1024; n += 16)
        asm volatile("dc cvau, %0\n\tdsb sy\n\tic ivau, %0" ::"r"(&code[n]) : "memory");
    dsb();
    isb();
}

static void all(const char *name, u64 at, u64 spsr)
{
    print("%s:", name);
    for (int a = 0; a < count_of(accesses); a++) {
        int zeroes = accesses[a].text == a_zva;
        if (zeroes && asymmetric)
            continue;
        trap_clear();
        calling = 1;
        enter_with(CODE + 64 * a, spsr, at, 0);
        calling = 0;
        told(accesses[a].name, at & ~0xFF00000000000000ul, zeroes);
    }
    print("\n");
}

static void checks(u64 spsr, u64 sctlr, u64 access)
{
    print("SCTLR_EL1 %x SPSR %x\n", sctlr, spsr);
    asymmetric = (sctlr >> (spsr & 4 ? 40 : 38) & 3) == 3;
    mmu_map(&t, CODE, (u64)code, 3, NORMAL | AP_RO | access);
    for (int i = 0; i < 4; i++)
        mmu_map(&t, TAGGED + 0x1000 * i, (u64)tagged + 0x1000 * i, 3, (NORMAL & ~ATTR(7)) | ATTR(3) | access | UXN);
    mmu_map(&t, PLAIN, (u64)plain, 3, NORMAL | access | UXN);
    tlbi_all();
    set_tags(TAGGED, 1024, 0);
    set_tags(TAGGED + 0x100, 16, 5);
    set_tags(TAGGED + 0x200, 1, 5);
    set_tags(TAGGED + 0xFE0, 2, 5);
    set_tags(TAGGED + 0x2000, 1, 15);
    write_sysreg(sctlr_el1, sctlr);
    all("right", PTR(5, TAGGED + 0x100), spsr);
    all("wrong", PTR(4, TAGGED + 0x100), spsr);
    all("wrong once more", PTR(4, TAGGED + 0x100), spsr);
    all("one granule right", PTR(5, TAGGED + 0x200), spsr);
    all("second granule right", PTR(0, TAGGED + 0x1F0), spsr);
    all("page border", PTR(5, TAGGED + 0xFF0), spsr);
    all("no tag", TAGGED + 0x100, spsr);
    all("tag 15", PTR(15, TAGGED + 0x2000), spsr);
    all("other bits of the top byte", 0x35ul << 56 | (TAGGED + 0x100), spsr);
    all("memory without tags", PTR(4, PLAIN), spsr);
    write_sysreg(sctlr_el1, SCTLR_MMU | ATA | ATA0);
}

static void modes(void)
{
    for (u64 tcf = 0; tcf < 4; tcf++)
        for (int ata = 0; ata < 2; ata++) {
            checks(SPSR_EL1, SCTLR_MMU | (ata ? ATA : 0) | TCF(tcf) | ATA0 | TCF0(1), UXN);
            checks(SPSR_EL1 | SPSR_TCO, SCTLR_MMU | (ata ? ATA : 0) | TCF(tcf) | ATA0 | TCF0(2), UXN);
            checks(SPSR_EL0, SCTLR_MMU | (1ul << 14) | (ata ? ATA0 : 0) | TCF0(tcf) | ATA | TCF(1), AP_EL0 | PXN);
            checks(SPSR_EL0 | SPSR_TCO, SCTLR_MMU | (1ul << 14) | (ata ? ATA0 : 0) | TCF0(tcf) | ATA | TCF(1), AP_EL0 | PXN);
        }
    print("no TBI\n");
    write_sysreg(tcr_el1, mmu_tcr(&t));
    checks(SPSR_EL1, SCTLR_MMU | ATA | TCF(1), UXN);
    print("TCMA\n");
    write_sysreg(tcr_el1, mmu_tcr(&t) | TBI0 | TCMA0);
    checks(SPSR_EL1, SCTLR_MMU | ATA | TCF(1), UXN);
    print("alignment checked\n");
    checks(SPSR_EL1, SCTLR_MMU | SCTLR_A | ATA | TCF(1), UXN);
    write_sysreg(tcr_el1, mmu_tcr(&t) | TBI0);
}

void payload_main(void)
{
    has_tags = (read_sysreg(id_aa64pfr1_el1) >> 8 & 15) > 1;
    write_code();
    registers_el0();
    mmu_new(&t, 12, 48);
    for (int i = 0; i < 4; i++)
        mmu_map(&t, TAGGED + 0x1000 * i, (u64)tagged + 0x1000 * i, 3, (NORMAL & ~ATTR(7)) | ATTR(3) | UXN);
    mmu_map(&t, PLAIN, (u64)plain, 3, NORMAL | UXN);
    mmu_map(&t, READ_ONLY, (u64)read_only, 3, NORMAL | ATTR(3) | AP_RO | UXN);
    mmu_on(&t, SCTLR_MMU);
    write_sysreg(mair_el1, 0xF04400FFul);
    write_sysreg(tcr_el1, mmu_tcr(&t) | TBI0);
    for (int ata = 0; ata < 2; ata++) {
        write_sysreg(sctlr_el1, SCTLR_MMU | (ata ? ATA | ATA0 : 0));
        print("ATA %d\n", ata);
        registers();
        addresses();
        memory();
    }
    modes();
    mmu_off();
}

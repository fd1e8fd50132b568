// SVE (Arm ARM D13.2.30 CPACR_EL1, D23.2.191 ZCR_EL1): traps by CPACR_EL1 at EL0 and EL1, vector lengths, what is left of a register when
// the length changes or a V register is written, loads that meet pages which are not there.
#include "mmu.h"

asm(".arch armv8.2-a+sve");

#define ZCR_EL1 S3_0_C1_C2_0
#define DATA 0x200000000000ul
#define MAX_BYTES 256

static struct tables t;
static u8 page[4096] __attribute__((aligned(4096)));
static u8 vector[MAX_BYTES] __attribute__((aligned(16)));
static u8 predicate[MAX_BYTES / 8];

static u64 length(void)
{
    u64 bytes;
    asm volatile("rdvl %0, #1" : "=r"(bytes));
    return bytes;
}

static void enable(u64 zen, u64 fpen)
{
    write_sysreg(cpacr_el1, zen << 16 | fpen << 20);
}

static void traps(void)
{
    for (u64 zen = 0; zen < 4; zen++)
        for (u64 fpen = 0; fpen < 4; fpen++) {
            enable(zen, fpen);
            print("zen %d fpen %d, cpacr %x\n", zen, fpen, read_sysreg(cpacr_el1));
            PROBE("add", "add z0.s, z1.s, z2.s");
            PROBE("ptrue", "ptrue p0.b");
            PROBE("rdvl", "rdvl x0, #1" ::: "x0");
            PROBE("fadd", "fadd d0, d1, d2");
            PROBE_EL0("add at EL0", "add z0.s, z1.s, z2.s");
            PROBE_EL0("cntd at EL0", "cntd x0");
            PROBE_EL0("setffr at EL0", "setffr");
            PROBE_EL0("fadd at EL0", "fadd d0, d1, d2");
            PROBE_EL0("mrs zcr at EL0", "mrs x0, " STR(ZCR_EL1));
            if (fpen == 3) {
                PROBE("mrs zcr", "mrs x0, " STR(ZCR_EL1) ::: "x0");
                PROBE("msr zcr", "msr " STR(ZCR_EL1) ", x0" :: : "x0");
            }
        }
    enable(3, 3);
}

static void lengths(void)
{
    for (u64 n = 0; n < 20; n++) {
        write_sysreg(S3_0_C1_C2_0, n);
        print("zcr %x: reads %x, %d bytes\n", n, read_sysreg(S3_0_C1_C2_0), length());
    }
    write_sysreg(S3_0_C1_C2_0, ~0ul);
    print("zcr of ones: %x, %d bytes\n", read_sysreg(S3_0_C1_C2_0), length());
}

static void show(const char *what)
{
    int set = 0;
    asm volatile("str z7, [%0]\n\tstr p7, [%1]" ::"r"(vector), "r"(predicate) : "memory");
    for (u64 i = 0; i < length(); i++)
        set += vector[i] != 0;
    print("%s: %d of %d bytes", what, set, length());
    set = 0;
    for (u64 i = 0; i < length() / 8; i++)
        set += predicate[i] != 0;
    print(", %d of the predicate\n", set);
}

static void fill(void)
{
    write_sysreg(S3_0_C1_C2_0, 15);
    asm volatile("dup z7.b, #-1\n\tptrue p7.b");
}

static void changes(void)
{
    for (u64 n = 0; n < 16; n++) {
        fill();
        write_sysreg(S3_0_C1_C2_0, n);
        show("shorter");
        write_sysreg(S3_0_C1_C2_0, 15);
        show("longer again");
    }
    fill();
    asm volatile("fmov d7, xzr");
    show("fmov d7");
    fill();
    asm volatile("movi v7.16b, #1");
    show("movi v7");
    fill();
    asm volatile("ldr q7, [%0]" ::"r"(page));
    show("ldr q7");
    fill();
    asm volatile("ld1 {v6.16b, v7.16b}, [%0]" ::"r"(page));
    show("ld1 v6, v7");
    fill();
    trap_clear();
    asm volatile("ldr q7, [%0]" ::"r"(DATA + 0x5000));
    trap_report("ldr q7 of nothing");
    show("ldr q7 of nothing");
}

static void report_loaded(const char *name, u64 from)
{
    u64 ffr = 0;
    int set = 0;
    asm volatile("str z7, [%0]\n\trdffr p6.b\n\tstr p6, [%1]" ::"r"(vector), "r"(predicate) : "memory");
    for (u64 i = 0; i < length() / 8; i++)
        for (int bit = 0; bit < 8; bit++)
            ffr += predicate[i] >> bit & 1;
    for (u64 i = 0; i < length(); i++)
        set += vector[i] != 0;
    print("%s from %x: ffr %d, %d bytes, first %x\n", name, from, ffr, set, vector[0]);
}

// The page is followed by none.
static void faults(void)
{
    for (int i = 0; i < 4096; i++)
        page[i] = i | 1;
    for (u64 left = 0; left < 40; left += 4) {
        u64 from = DATA + 4096 - left;
        trap_clear();
        asm volatile("setffr\n\tptrue p0.b\n\tdup z7.b, #0\n\tldff1b {z7.b}, p0/z, [%0, xzr]" ::"r"(from));
        trap_report("ldff1b");
        report_loaded("ldff1b", from);
        trap_clear();
        asm volatile("setffr\n\tptrue p0.s\n\tdup z7.b, #0\n\tldff1h {z7.s}, p0/z, [%0, xzr, lsl #1]" ::"r"(from));
        trap_report("ldff1h");
        report_loaded("ldff1h", from);
        trap_clear();
        asm volatile("setffr\n\tptrue p0.s\n\tdup z7.b, #0\n\tldnf1w {z7.s}, p0/z, [%0]" ::"r"(from));
        trap_report("ldnf1w");
        report_loaded("ldnf1w", from);
        trap_clear();
        asm volatile("ptrue p0.d\n\tdup z7.b, #0\n\tindex z1.d, #0, #8\n\tsetffr\n\tldff1d {z7.d}, p0/z, [%0, z1.d]" ::"r"(from));
        trap_report("ldff1d gather");
        report_loaded("ldff1d gather", from);
        trap_clear();
        asm volatile("ptrue p0.b\n\tdup z7.b, #0\n\tld1b {z7.b}, p0/z, [%0]" ::"r"(from));
        trap_report("ld1b");
        report_loaded("ld1b", from);
        trap_clear();
        asm volatile("ptrue p0.b, vl4\n\tld4b {z4.b - z7.b}, p0/z, [%0]" ::"r"(from));
        trap_report("ld4b");
        report_loaded("ld4b", from);
    }
}

void payload_main(void)
{
    print("pfr0 %x zfr0 %x\n", read_sysreg(id_aa64pfr0_el1) >> 32 & 15, read_sysreg(S3_0_C0_C4_4) & ~(15ul << 20));
    traps();
    lengths();
    mmu_new(&t, 12, 48);
    mmu_map(&t, DATA, (u64)page, 3, NORMAL);
    mmu_on(&t, SCTLR_MMU);
    enable(3, 3);
    changes();
    for (u64 n = 0; n < 16; n += n + 1) {
        write_sysreg(S3_0_C1_C2_0, n);
        faults();
    }
    mmu_off();
}

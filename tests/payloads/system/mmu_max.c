// What the MMU of `max` has beyond Armv8.2: access flags and dirty state that the CPU keeps, hierarchical permissions that are taken away, PAN
// for pages that only EL0 executes, and small tables.
#include "mmu.h"

#define SNIPPETS 0x123400000000ul
#define PLACE (0x200000000000ul + ((u64)el0_return & 0xFFF))
#define DBM (1ul << 51)
#define TCR_HA (1ul << 39)
#define TCR_HD (1ul << 40)
#define TCR_HPD0 (1ul << 41)
#define SCTLR_EPAN (1ul << 57)

static struct tables t;
static u64 small[512] __attribute__((aligned(4096)));

static void mark(const char *name)
{
    print(" %s=%x", name, trap.count ? trap.esr & 0x1FFFFFF : 0xFF);
}

// The bits of a descriptor that the CPU may write.
static u64 kept(u64 descriptor)
{
    return (descriptor & AF ? 1 : 0) | (descriptor & AP_RO ? 2 : 0) | (descriptor & DBM ? 4 : 0);
}

static void load(void) { try_load(PLACE); }
static void store(void) { try_store(PLACE); }
static void load_and_store(void) { try_load(PLACE); try_store(PLACE); }
static void unprivileged_load(void) { try_ldtr(PLACE); }
static void unprivileged_store(void) { try_sttr(PLACE); }
static void execute(void) { try_execute(PLACE); }
static void load_el0(void) { try_el0(SNIPPETS, el0_load, PLACE); }
static void store_el0(void) { try_el0(SNIPPETS, el0_store, PLACE); }
static void execute_el0(void) { try_execute_el0(PLACE); }

static void atomic(void)
{
    trap_clear();
    asm volatile("1:\tldxr w9, [%0]\n\tstxr w10, w9, [%0]\n\tclrex" ::"r"(PLACE) : "x9", "x10", "memory");
}

static const struct { const char *name; void (*run)(void); } accesses[] = {
    { "load", load }, { "store", store }, { "both", load_and_store }, { "ldtr", unprivileged_load }, { "sttr", unprivileged_store },
    { "exec", execute }, { "EL0 load", load_el0 }, { "EL0 store", store_el0 }, { "EL0 exec", execute_el0 }, { "atomic", atomic },
};

static void access_and_dirty(void)
{
    static const u64 controls[] = { 0, TCR_HA, TCR_HA | TCR_HD, TCR_HD };
    for (int c = 0; c < count_of(controls); c++) {
        write_sysreg(tcr_el1, mmu_tcr(&t) | controls[c]);
        for (int n = 0; n < 16; n++) {
            u64 attributes = (NORMAL & ~AF) | (n & 1 ? AF : 0) | (n & 2 ? DBM : 0) | (n & 4 ? AP_RO : 0) | (n & 8 ? AP_EL0 : 0);
            print("HA %d HD %d AF %d DBM %d RO %d EL0 %d:", controls[c] & TCR_HA ? 1 : 0, controls[c] & TCR_HD ? 1 : 0, n & 1, n >> 1 & 1, n >> 2 & 1,
                n >> 3);
            for (int a = 0; a < count_of(accesses); a++) {
                // A clean page that EL0 may write is one that EL1 never executes (J1.3, S1ApplyOutputPerms). QEMU 10 lets it.
                if (accesses[a].run == execute && controls[c] == (TCR_HA | TCR_HD) && (n & 14) == 14)
                    continue;
                mmu_map(&t, PLACE & ~0xFFFul, (u64)el0_page, 3, attributes);
                tlbi_all();
                accesses[a].run();
                mark(accesses[a].name);
                print("(%x)", kept(*mmu_entry(&t, PLACE & ~0xFFFul, 3)));
            }
            print("\n");
        }
    }
    write_sysreg(tcr_el1, mmu_tcr(&t));
}

// A block, of which a page is used.
static void blocks(void)
{
    u64 place = 0x300000000000ul + ((u64)el0_page & 0x1FFFFF);
    write_sysreg(tcr_el1, mmu_tcr(&t) | TCR_HA | TCR_HD);
    mmu_map(&t, 0x300000000000ul, (u64)el0_page & ~0x1FFFFFul, 2, (NORMAL & ~AF) | DBM | AP_RO);
    tlbi_all();
    try_load(place);
    mark("block load");
    print("(%x)", kept(*mmu_entry(&t, 0x300000000000ul, 2)));
    try_store(place + 0x1000);
    mark("store");
    print("(%x)\n", kept(*mmu_entry(&t, 0x300000000000ul, 2)));
    write_sysreg(tcr_el1, mmu_tcr(&t));
}

static void hierarchical(void)
{
    static const u64 attributes[] = { 0, TABLE_NO_EL0, TABLE_RO, TABLE_PXN, TABLE_UXN };
    for (int hpd = 0; hpd < 2; hpd++) {
        write_sysreg(tcr_el1, mmu_tcr(&t) | (hpd ? TCR_HPD0 : 0));
        for (int n = 0; n < count_of(attributes); n++) {
            u64 *entry = mmu_entry(&t, PLACE & ~0xFFFul, 2);
            *entry = (*entry & 0xFFFFFFFFF003) | attributes[n];
            for (int el0 = 0; el0 < 2; el0++) {
                mmu_map(&t, PLACE & ~0xFFFul, (u64)el0_page, 3, NORMAL | (el0 ? AP_EL0 : 0));
                tlbi_all();
                print("HPD0 %d table %x EL0 %d:", hpd, attributes[n] >> 56, el0);
                for (int a = 0; a < count_of(accesses); a++) {
                    accesses[a].run();
                    mark(accesses[a].name);
                }
                print("\n");
            }
            *entry &= 0xFFFFFFFFF003;
        }
    }
    write_sysreg(tcr_el1, mmu_tcr(&t));
}

static void pan(void)
{
    for (int n = 0; n < 16; n++) {
        write_sysreg(sctlr_el1, SCTLR_MMU | (n & 1 ? SCTLR_EPAN : 0));
        mmu_map(&t, PLACE & ~0xFFFul, (u64)el0_page, 3, NORMAL | (n & 2 ? UXN : 0) | (n & 4 ? AP_EL0 : 0));
        tlbi_all();
        if (n & 8)
            asm volatile("msr pan, #1");
        print("EPAN %d UXN %d EL0 %d PAN %d:", n & 1, n >> 1 & 1, n >> 2 & 1, n >> 3);
        for (int a = 0; a < count_of(accesses); a++) {
            accesses[a].run();
            mark(accesses[a].name);
        }
        print("\n");
        asm volatile("msr pan, #0");
    }
    write_sysreg(sctlr_el1, SCTLR_MMU);
}

// The upper half, with tables of 16 to 512 entries of level 3.
static void small_tables(void)
{
    for (int n = 0; n < count_of(small); n++)
        small[n] = (u64)el0_page | NORMAL | UXN | VALID | TABLE_OR_PAGE;
    write_sysreg(ttbr1_el1, small);
    for (u64 tsz = 39; tsz <= 48; tsz++) {
        u64 bits = 64 - tsz;
        if (bits > 21)
            small[511] = small[510] = 0;
        write_sysreg(tcr_el1, (mmu_tcr(&t) & ~(0x3Ful << 16 | 1ul << 23)) | tsz << 16);
        tlbi_all();
        print("T1SZ %d:", tsz);
        if (bits <= 21) {
            try_load(-(1ul << bits));
            mark("lowest");
            try_load(-8ul);
            mark("highest");
        }
        try_load(-(1ul << bits) - 8);
        mark("below");
        print("\n");
    }
    write_sysreg(tcr_el1, mmu_tcr(&t));
}

void payload_main(void)
{
    mmu_new(&t, 12, 48);
    mmu_map_snippets(&t, SNIPPETS);
    mmu_map(&t, PLACE & ~0xFFFul, (u64)el0_page, 3, NORMAL);
    mmu_on(&t, SCTLR_MMU);
    access_and_dirty();
    blocks();
    hierarchical();
    pan();
    small_tables();
    mmu_off();
}

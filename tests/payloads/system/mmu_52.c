// Addresses of 52 bits (FEAT_LVA, FEAT_LPA and FEAT_LPA2): tables with each granule, with TCR_EL1.DS and without, each number of bits of an address,
// where the bits 51:48 of descriptors and of TTBR0_EL1 stand, blocks of the largest sizes, and the faults of level -1.
#include "mmu.h"

#define TCR_DS (1ul << 59)
#define IPS(n) ((u64)(n) << 32)

static u64 root[8192] __attribute__((aligned(65536)));
static u64 middle[8192] __attribute__((aligned(65536)));
static u64 flat[8192] __attribute__((aligned(65536)));

static void clear(void)
{
    for (int i = 0; i < count_of(root); i++)
        root[i] = middle[i] = 0;
}

// The lower half stays as it is, and the tables that are tried are those of the upper half.
static u64 tcr(const struct tables *t, int granule, u64 tsz, u64 more)
{
    u64 tg1 = granule == 12 ? 2 : granule == 14 ? 1 : 3;
    return (mmu_tcr(t) & ~(0x3Ful << 16 | 1ul << 23 | 3ul << 30 | 7ul << 32)) | tsz << 16 | tg1 << 30 | more;
}

static void at(const char *name, u64 va)
{
    // But for NS, which says nothing.
    u64 par;
    asm volatile("at s1e1r, %1\n\tisb\n\tmrs %0, par_el1" : "=r"(par) : "r"(va) : "memory");
    print(" %s %x", name, par & 1 ? par : par & ~0x200ul);
    trap_clear();
    asm volatile("ldr w9, [%0]" ::"r"(va) : "x9", "memory");
    if (trap.count)
        print("/%x/%x", trap.esr & 0x1FFFFFF, trap.far);
}

// Each TxSZ: the lowest and the highest address, and the one below, with tables whose every entry is invalid.
static void sizes(const struct tables *t, int granule, u64 more)
{
    clear();
    for (u64 tsz = 10; tsz <= 18; tsz++) {
        write_sysreg(tcr_el1, tcr(t, granule, tsz, more));
        write_sysreg(ttbr1_el1, root);
        tlbi_all();
        print("granule %d, %x, T1SZ %d:", granule, more, tsz);
        at("lowest", -(1ul << (64 - tsz)));
        at("highest", -4096ul);
        at("below", -(1ul << (64 - tsz)) - 4096);
        print("\n");
    }
}

// A page or block by each number of levels that 52 bits have.
static void walks(const struct tables *t, int granule, u64 more)
{
    int stride = granule - 3;
    int first = 4 - (52 - granule + stride - 1) / stride;
    u64 va = -(1ul << 52);
    write_sysreg(tcr_el1, tcr(t, granule, 12, more));
    for (int leaf = first; leaf <= 3; leaf++)
        for (int high = 0; high < 16; high++) {
            clear();
            // Tables that all lead to the first entry of each other: the root, then one table that is every level below it.
            u64 size = granule + (3 - leaf) * stride;
            u64 address = 0x40000000ul >> size << size;
            u64 bits = granule == 16 ? (u64)high << 12 : (u64)(high & 3) << 8;
            u64 entry = address | AF | (granule == 16 ? INNER_SHAREABLE : 0) | bits | (leaf == 3 ? 3 : 1);
            if (granule != 16)
                entry |= (u64)(high >> 2) << 48;
            u64 *table = root;
            for (int l = first; l < leaf; l++) {
                u64 *next = l == leaf - 1 ? flat : middle;
                table[0] = (u64)next | 3;
                table = next;
            }
            if (leaf - first > 2)
                middle[0] = (u64)middle | 3, middle[1] = (u64)flat | 3;
            for (int i = 0; i < count_of(flat); i++)
                flat[i] = 0;
            table[0] = entry;
            // With more than one level between, the table in the middle leads to itself; then its second entry is used at the last of them.
            u64 offset = 0;
            if (leaf - first > 2)
                offset = 1ul << (granule + (3 - (leaf - 1)) * stride);
            write_sysreg(ttbr1_el1, root);
            tlbi_all();
            print("granule %d, %x, level %d, high %x:", (s64)granule, more, (s64)leaf, (u64)high);
            at("", va + offset + (0x41000000 & ((1ul << size) - 1)));
            at("start", va + offset + (0x40000000 & ((1ul << size) - 1)));
            print("\n");
        }
}

// The bits of TTBR1_EL1 and of table descriptors.
static void roots(const struct tables *t, int granule, u64 more)
{
    clear();
    write_sysreg(tcr_el1, tcr(t, granule, 12, more));
    for (u64 high = 0; high < 16; high++) {
        write_sysreg(ttbr1_el1, (u64)root | high << 2);
        tlbi_all();
        print("granule %d, %x, TTBR1 %x:", granule, more, high);
        at("", -(1ul << 52));
        write_sysreg(ttbr1_el1, root);
        root[0] = (u64)middle | 3 | (granule == 16 ? high << 12 : (high & 3) << 8 | (high >> 2) << 48);
        tlbi_all();
        at("table", -(1ul << 52));
        root[0] = 0;
        print("\n");
    }
}

void payload_main(void)
{
    static struct tables t;
    static const int granules[] = { 12, 14, 16 };
    static const u64 more[] = { IPS(5), IPS(6), TCR_DS | IPS(5), TCR_DS | IPS(6), TCR_DS | IPS(4) };
    mmu_new(&t, 12, 39);
    // With DS the bits of shareability are of the address.
    for (u64 a = 0; a < 0x80000000; a += 0x200000)
        *mmu_entry(&t, a, 2) &= ~INNER_SHAREABLE;
    mmu_on(&t, SCTLR_MMU);
    for (int g = 0; g < count_of(granules); g++)
        for (int m = 0; m < count_of(more); m++) {
            sizes(&t, granules[g], more[m]);
            walks(&t, granules[g], more[m]);
            roots(&t, granules[g], more[m]);
        }
    write_sysreg(tcr_el1, mmu_tcr(&t));
    mmu_off();
}

// Stage 1 faults at every level of every granule: translation, access flag, permission, address size, external aborts on walks.
#include "mmu.h"

#define SNIPPETS 0x123400000000ul
#define HOLE 0xF00000000ul      // no memory and no device there

static struct tables t;

static void try_all(u64 va)
{
    try_load(va);
    outcome("load", va);
    try_store(va);
    outcome("store", va);
    try_execute(va);
    outcome("execute", va);
    try_el0(SNIPPETS, el0_load, va);
    outcome("EL0-load", va);
    try_el0(SNIPPETS, el0_store, va);
    outcome("EL0-store", va);
    try_el0(SNIPPETS, el0_jump, va);
    outcome("EL0-execute", va);
    print("\n");
}

static void with(const char *name, int level, u64 va, u64 descriptor)
{
    *mmu_entry(&t, va, level) = descriptor;
    tlbi_all();
    print("%dK level %d %s:", 1l << (t.granule - 10), (s64)level, name);
    try_all(va);
}

// QEMU 7.2 takes a block at a level that has none, instead of a fault: not tried.
static int block_allowed(int level)
{
    return level == 3 || level == 2 || (level == 1 && t.granule == 12);
}

static void level(int level)
{
    u64 size = 1ul << mmu_shift(&t, level);
    u64 va = 0x9ABC56789000ul;
    u64 kind = level == 3 ? TABLE_OR_PAGE | VALID : VALID;
    u64 pa = (u64)el0_page & ~(size - 1);

    // Where the block or page shows the snippets' first instruction that returns at once.
    va = (va & ~(size - 1)) | ((u64)el0_return & (size - 1));
    mmu_entry(&t, va, level);
    with("zero", level, va, 0);
    with("reserved 2", level, va, pa | NORMAL | TABLE_OR_PAGE);
    if (level == 3)
        with("reserved block", level, va, pa | NORMAL | VALID);
    if (block_allowed(level)) {
        with("EL1 read-write", level, va, pa | NORMAL | kind);
        with("EL1 read-only", level, va, pa | NORMAL | AP_RO | kind);
        with("EL0 read-write", level, va, pa | NORMAL | AP_EL0 | kind);
        with("EL0 read-only", level, va, pa | NORMAL | AP_EL0 | AP_RO | kind);
        with("never executed", level, va, pa | NORMAL | UXN | PXN | kind);
        with("no access flag", level, va, pa | (NORMAL & ~AF) | kind);
        with("no access flag and no permission", level, va, pa | (NORMAL & ~AF) | UXN | PXN | AP_RO | kind);
        with("no memory there", level, va, (HOLE & ~(size - 1)) | NORMAL | UXN | PXN | AP_EL0 | kind);
    }
    if (level < 3) {
        with("table where no memory is", level, va, HOLE | VALID | TABLE_OR_PAGE);
        *mmu_entry(&t, va, level) = 0;
    }

    // With IPS = 32 bits, an output address above 4 GiB.
    write_sysreg(tcr_el1, mmu_tcr(&t) & ~(7ul << 32));
    if (block_allowed(level))
        with("output address too large", level, va, (1ul << 40) | NORMAL | kind);
    if (level < 3)
        with("table address too large", level, va, (1ul << 40) | VALID | TABLE_OR_PAGE);
    *mmu_entry(&t, va, level) = 0;
    write_sysreg(tcr_el1, mmu_tcr(&t));
}

void payload_main(void)
{
    static const int granules[] = { 12, 14, 16 };
    for (int i = 0; i < count_of(granules); i++) {
        mmu_new(&t, granules[i], 48);
        mmu_map_snippets(&t, SNIPPETS);
        mmu_on(&t, SCTLR_MMU);
        for (int l = t.first; l <= 3; l++)
            level(l);
        mmu_off();
    }
}

#include "mmu.h"

// Outside the image and what QEMU puts in RAM.
#define POOL 0x42000000ul
#define POOL_END 0x43000000ul

// What stores write, so that the place can be executed again.
#define SVC_RETURN 0xD40FFFE1u

static u64 pool;

static u64 *new_table(u64 bytes)
{
    u64 *table;
    pool = (pool + bytes - 1) & ~(bytes - 1);
    table = (u64 *)pool;
    pool += bytes;
    if (pool > POOL_END) {
        print("out of tables\n");
        power_off();
    }
    for (u64 i = 0; i < bytes / 8; i++)
        table[i] = 0;
    return table;
}

int mmu_shift(const struct tables *t, int level)
{
    return t->granule + (3 - level) * (t->granule - 3);
}

void mmu_another(struct tables *t, int granule, int bits)
{
    int stride = granule - 3;
    t->granule = granule;
    t->bits = bits;
    t->first = 4 - (bits - granule + stride - 1) / stride;
    t->root = new_table(1ul << granule);
}

void mmu_map_payload(struct tables *t)
{
    static const u64 ram[] = { 0x40000000, 0x42000000 };
    static const u64 devices[] = { 0x08000000, 0x09000000 };
    u64 size = 1ul << mmu_shift(t, 2);
    for (int i = 0; i < count_of(ram); i++)
        for (u64 a = ram[i] & ~(size - 1); a < ram[i] + 0x1000000; a += size)
            mmu_map(t, a, a, 2, NORMAL | UXN);
    for (int i = 0; i < count_of(devices); i++)
        mmu_map(t, devices[i] & ~(size - 1), devices[i] & ~(size - 1), 2, AF | ATTR(1) | UXN | PXN);
}

void mmu_new(struct tables *t, int granule, int bits)
{
    pool = POOL;
    mmu_another(t, granule, bits);
    mmu_map_payload(t);
}

u64 *mmu_entry(struct tables *t, u64 va, int level)
{
    u64 *table = t->root;
    va &= (1ul << t->bits) - 1;
    for (int l = t->first;; l++) {
        u64 *entry = table + ((va >> mmu_shift(t, l)) & (PAGE(t) / 8 - 1));
        if (l == level)
            return entry;
        if (!(*entry & VALID))
            *entry = (u64)new_table(PAGE(t)) | TABLE_OR_PAGE | VALID;
        table = (u64 *)(*entry & 0xFFFFFFFFF000 & ~(PAGE(t) - 1));
    }
}

void mmu_map(struct tables *t, u64 va, u64 pa, int level, u64 attributes)
{
    *mmu_entry(t, va, level) = pa | attributes | VALID | (level == 3 ? TABLE_OR_PAGE : 0);
}

void mmu_map_snippets(struct tables *t, u64 va)
{
    for (u64 a = 0; a < 0x10000; a += PAGE(t))
        mmu_map(t, va + a, (u64)el0_page + a, 3, NORMAL | AP_EL0 | AP_RO);
}

u64 mmu_tcr(const struct tables *t)
{
    u64 tg0 = t->granule == 12 ? 0 : t->granule == 16 ? 1 : 2;
    return (u64)(64 - t->bits) | (1ul << 8) | (1ul << 10) | (3ul << 12) | (tg0 << 14) | (16ul << 16) | (1ul << 23) | (2ul << 30) | (5ul << 32);
}

void mmu_on(const struct tables *t, u64 sctlr)
{
    write_sysreg(mair_el1, 0x4400FFul);
    write_sysreg(tcr_el1, mmu_tcr(t));
    write_sysreg(ttbr0_el1, t->root);
    tlbi_all();
    write_sysreg(sctlr_el1, sctlr);
}

void mmu_off(void)
{
    write_sysreg(sctlr_el1, SCTLR);
    tlbi_all();
}

void try_load(u64 va) { trap_clear(); asm volatile("ldr w9, [%0]" ::"r"(va) : "x9", "memory"); }
void try_store(u64 va) { trap_clear(); asm volatile("str %w1, [%0]" ::"r"(va), "r"(SVC_RETURN) : "memory"); }
void try_ldtr(u64 va) { trap_clear(); asm volatile("ldtr w9, [%0]" ::"r"(va) : "x9", "memory"); }
void try_sttr(u64 va) { trap_clear(); asm volatile("sttr %w1, [%0]" ::"r"(va), "r"(SVC_RETURN) : "memory"); }

void try_execute(u64 va)
{
    trap_clear();
    enter_with(va, 0x3C5 | read_sysreg(s3_0_c4_c2_3), 0, 0);
}

void try_el0(u64 snippets, const char *snippet, u64 va)
{
    trap_clear();
    enter_with(snippets + (u64)(snippet - el0_page), SPSR_EL0, va, SVC_RETURN);
}

void try_execute_el0(u64 va)
{
    trap_clear();
    enter_with(va, SPSR_EL0, 0, 0);
}

void outcome(const char *name, u64 va)
{
    if (trap.count == 0) {
        print(" %s=ok", name);
        return;
    }
    print(" %s=%x/%x", name, trap.esr >> 26, trap.esr & 0x1FFFFFF);
    if (trap.far != va)
        print("(far %x)", trap.far);
    if (trap.count > 1)
        print("(%d times)", trap.count);
}

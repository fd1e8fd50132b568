// Random descriptors at random levels, in both halves, and every kind of access to them. The sequence is the same in every run.
#include "mmu.h"

#define SNIPPETS 0x123400000000ul
#define ROUNDS 300

// Nothing of the payload itself is below the same entry of any table. A page or a block of any size there shows the snippet that
// returns at once: its physical address is the same modulo 1 GiB.
#define LOW(place) (0x900000000000ul + ((u64)(place) << 32) + ((u64)el0_return & 0x3FFFFFFF))
#define HIGH(place) (~0ul - 0xFFFFFFFFFFFFul + ((u64)(place) << 34) + ((u64)el0_return & 0x3FFFFFFF))
#define PLACES 2

static struct tables low, high;
static u64 seed = 0x9E3779B97F4A7C15;

struct path {
    u64 va;
    u64 *entries[4];    // by level
    u64 tables[4];      // what an entry that is a table points to
};

static struct path paths[2 * PLACES];

static u64 next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int one_in(u64 n) { return next() % n == 0; }

static void make_path(struct path *path, struct tables *tables, u64 va)
{
    path->va = va;
    for (int l = tables->first; l <= 3; l++) {
        path->entries[l] = mmu_entry(tables, va, l);
        if (l > tables->first)
            path->tables[l - 1] = *path->entries[l - 1] & 0xFFFFFFFFF000;
    }
}

// Sometimes no memory is there, and sometimes it is beyond IPS, if that is small.
static u64 somewhere(u64 address)
{
    return one_in(25) ? 0xF00000000ul : one_in(25) ? 0x380000000000ul : address;
}

// QEMU 7.2 takes a block also at a level that has none, so blocks are only where there are any.
static void plant(const struct path *path)
{
    int smallest = low.granule == 12 ? 1 : 2;
    int last = one_in(3) ? smallest : smallest + (int)(next() % (u64)(4 - smallest));
    for (int l = low.first; l <= last; l++) {
        u64 descriptor;
        if (l < last) {
            descriptor = somewhere(path->tables[l]) | TABLE_OR_PAGE;
            descriptor |= (next() & next() & next() & (15ul << 59)) | (next() & (15ul << 55)) | (next() & 0xFFC);
        } else {
            descriptor = somewhere((u64)el0_page) & ~((1ul << mmu_shift(&low, l)) - 1);
            descriptor |= (l == 3 ? TABLE_OR_PAGE : 0) | (next() % 3 << 2) | (next() & (AP_EL0 | AP_RO | (3ul << 8) | NG | PXN | UXN));
            descriptor |= (next() & (15ul << 55)) | (one_in(8) ? 0 : AF);
        }
        descriptor |= one_in(30) ? 0 : VALID;
        *path->entries[l] = descriptor;
        print(" %x", descriptor);
    }
}

static void code(u64 va)
{
    if (trap.count == 0)
        print(" ok");
    else
        print(" %x.%x%s", (trap.esr >> 26) & 0x3F, trap.esr & 0x1FFFFFF, trap.far == va ? "" : "!");
}

static void show_par(u64 va)
{
    u64 value = read_sysreg(par_el1);
    if (trap.count)
        code(va);
    else if (value & 1)
        print(" f%x", (value >> 1) & 0x3F);
    else
        print(" %x", value & 0xFF00FFFFFFFFF000);
}

static void round(int number)
{
    static const u64 sizes[] = { 0, 1, 2, 5 };
    const struct path *path = &paths[next() % count_of(paths)];
    u64 va = path->va, pan = next() & 1, uao = next() & 1, ips = sizes[next() % count_of(sizes)];
    print("%d %x", (s64)number, va);
    write_sysreg(tcr_el1, (read_sysreg(tcr_el1) & ~(7ul << 32)) | (ips << 32));
    plant(path);
    tlbi_all();
    print(" ips %d%s%s:", ips, pan ? " pan" : "", uao ? " uao" : "");
    if (pan)
        asm volatile("msr pan, #1");
    if (uao)
        asm volatile("msr uao, #1");
    try_load(va);
    code(va);
    try_store(va);
    code(va);
    try_ldtr(va);
    code(va);
    try_sttr(va);
    code(va);
    try_execute(va);
    code(va);
    trap_clear();
    asm volatile("at s1e1r, %0\n\tisb" ::"r"(va));
    show_par(va);
    trap_clear();
    asm volatile("at s1e1wp, %0\n\tisb" ::"r"(va));
    show_par(va);
    trap_clear();
    asm volatile("at s1e0r, %0\n\tisb" ::"r"(va));
    show_par(va);
    asm volatile("msr pan, #0\n\tmsr uao, #0");
    try_el0(SNIPPETS, el0_load, va);
    code(va);
    try_el0(SNIPPETS, el0_store, va);
    code(va);
    try_execute_el0(va);
    code(va);
    print("\n");
}

void payload_main(void)
{
    static const int granules[] = { 12, 14, 16 };
    for (int i = 0; i < count_of(granules); i++) {
        u64 tg1 = granules[i] == 12 ? 2 : granules[i] == 14 ? 1 : 3;
        mmu_new(&low, granules[i], 48);
        mmu_another(&high, granules[i], 48);
        mmu_map_snippets(&low, SNIPPETS);
        for (u64 p = 0; p < PLACES; p++) {
            make_path(&paths[p], &low, LOW(p));
            make_path(&paths[PLACES + p], &high, HIGH(p));
        }
        mmu_on(&low, SCTLR);
        write_sysreg(tcr_el1, (mmu_tcr(&low) & ~((1ul << 23) | (3ul << 30))) | (1ul << 24) | (1ul << 26) | (3ul << 28) | (tg1 << 30));
        write_sysreg(ttbr1_el1, high.root);
        write_sysreg(sctlr_el1, SCTLR_MMU);
        for (int n = 0; n < ROUNDS; n++)
            round(n);
        mmu_off();
    }
}

// TLB maintenance: after each operation the new translation is used, where the operation says so; address spaces stay apart.
#include "mmu.h"

#define PLACE 0x345600000000ul
#define CODE 0x345700000000ul
#define CPUS 2

static struct tables t, other, high;
static volatile u32 pages[4][16384] __attribute__((aligned(65536)));     // 64 KiB each
static volatile u64 wanted, answer, turn;

static u32 load(u64 va)
{
    u32 value;
    asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(va) : "memory");
    return value;
}

static void set(struct tables *tables, u64 va, int page, u64 attributes)
{
    *mmu_entry(tables, va, 3) = (u64)pages[page] | attributes | VALID | TABLE_OR_PAGE;
    dsb();
}

#define VA(va) (((va) >> 12) & 0xFFFFFFFFFFF)
#define ASID(n) ((u64)(n) << 48)

// The page is made invalid, the TLB is told, and it gets another page (break before make).
#define CHANGE(tables, name, operation, operand, va) do { \
        set(tables, va, 0, NORMAL | global); \
        tlbi_all(); \
        u32 before_ = load(va); \
        *mmu_entry(tables, va, 3) = 0; \
        asm volatile("dsb sy\n\ttlbi " operation "\n\tdsb sy\n\tisb" ::"r"((u64)(operand)) : "memory"); \
        trap_clear(); \
        load(va); \
        u64 faults_ = trap.count; \
        set(tables, va, 1, NORMAL | global); \
        isb(); \
        print("%s: %d, then a fault: %d, then %d\n", name, (s64)before_, faults_, (s64)load(va)); \
    } while (0)

static void operations(u64 global, u64 asid)
{
    print("%s pages, ASID %d\n", global ? "non-global" : "global", asid);
    CHANGE(&t, "VMALLE1", "vmalle1", 0, PLACE);
    CHANGE(&t, "VMALLE1IS", "vmalle1is", 0, PLACE);
    CHANGE(&t, "VAE1", "vae1, %0", VA(PLACE) | ASID(asid), PLACE);
    CHANGE(&t, "VAE1IS", "vae1is, %0", VA(PLACE) | ASID(asid), PLACE);
    CHANGE(&t, "VAAE1", "vaae1, %0", VA(PLACE), PLACE);
    CHANGE(&t, "VAAE1IS", "vaae1is, %0", VA(PLACE), PLACE);
    CHANGE(&t, "VALE1", "vale1, %0", VA(PLACE) | ASID(asid), PLACE);
    CHANGE(&t, "VALE1IS", "vale1is, %0", VA(PLACE) | ASID(asid), PLACE);
    CHANGE(&t, "VAALE1", "vaale1, %0", VA(PLACE), PLACE);
    CHANGE(&t, "VAALE1IS", "vaale1is, %0", VA(PLACE), PLACE);
    if (global) {
        CHANGE(&t, "ASIDE1", "aside1, %0", ASID(asid), PLACE);
        CHANGE(&t, "ASIDE1IS", "aside1is, %0", ASID(asid), PLACE);
    } else {
        CHANGE(&t, "VAE1 with another ASID", "vae1, %0", VA(PLACE) | ASID(0x77), PLACE);
    }
}

static void upper(void)
{
    u64 global = 0;
    u64 va = 0xFFFFF45600000000;
    write_sysreg(ttbr1_el1, high.root);
    mmu_entry(&high, va, 3);
    CHANGE(&high, "upper half, VMALLE1", "vmalle1", 0, va);
    CHANGE(&high, "upper half, VAE1", "vae1, %0", VA(va), va);
    CHANGE(&high, "upper half, VAAE1IS", "vaae1is, %0", VA(va), va);
    CHANGE(&high, "upper half, VALE1IS", "vale1is, %0", VA(va), va);
}

// A block that becomes a table, with one address of it; a permission that becomes narrower; a table that is replaced.
static void structure(void)
{
    u64 *level2 = mmu_entry(&t, PLACE, 2);
    u64 table = *level2, size = 1ul << mmu_shift(&t, 2);
    u64 inside = (u64)pages[2] & (size - 1);
    *level2 = ((u64)pages & ~(size - 1)) | NORMAL | VALID;
    tlbi_all();
    print("block: %d %d", (s64)load(PLACE + inside), (s64)load(PLACE + ((u64)pages[3] & (size - 1))));
    *level2 = 0;
    asm volatile("dsb sy\n\ttlbi vae1is, %0\n\tdsb sy\n\tisb" ::"r"(VA(PLACE + 0x5000)) : "memory");
    trap_clear();
    load(PLACE + inside);
    print(", gone: %d", trap.count);
    *level2 = table;
    set(&t, PLACE + (inside & ~(PAGE(&t) - 1)), 1, NORMAL);
    isb();
    print(", a page: %d\n", (s64)load(PLACE + (inside & ~(PAGE(&t) - 1))));

    set(&t, PLACE, 0, NORMAL);
    tlbi_all();
    try_store(PLACE + 16);
    outcome("writable", PLACE + 16);
    set(&t, PLACE, 0, NORMAL | AP_RO);
    asm volatile("dsb sy\n\ttlbi vale1, %0\n\tdsb sy\n\tisb" ::"r"(VA(PLACE)) : "memory");
    try_store(PLACE + 16);
    outcome("read-only", PLACE + 16);
    try_load(PLACE + 16);
    outcome("still", PLACE + 16);
    print("\n");

    // What faults is not cached: no maintenance after it is made valid.
    *mmu_entry(&t, PLACE, 3) = 0;
    tlbi_all();
    try_load(PLACE);
    outcome("invalid", PLACE);
    set(&t, PLACE, 1, NORMAL);
    isb();
    try_load(PLACE);
    outcome("valid", PLACE);
    *mmu_entry(&t, PLACE, 3) = (u64)pages[1] | (NORMAL & ~AF) | VALID | TABLE_OR_PAGE;
    tlbi_all();
    try_load(PLACE);
    outcome("no-access-flag", PLACE);
    set(&t, PLACE, 1, NORMAL);
    isb();
    try_load(PLACE);
    outcome("access-flag", PLACE);
    print("\n");
}

// Two address spaces, and one with two ASIDs.
static void spaces(void)
{
    u64 one = (u64)t.root | ASID(1), two = (u64)other.root | ASID(2);
    set(&t, PLACE, 0, NORMAL | NG);
    set(&other, PLACE, 1, NORMAL | NG);
    tlbi_all();
    for (int i = 0; i < 3; i++) {
        write_sysreg(ttbr0_el1, one);
        print("one: %d", (s64)load(PLACE));
        write_sysreg(ttbr0_el1, two);
        print(" two: %d\n", (s64)load(PLACE));
    }
    set(&t, PLACE, 2, NORMAL | NG);
    asm volatile("dsb sy\n\ttlbi aside1is, %0\n\tdsb sy\n\tisb" ::"r"(ASID(1)) : "memory");
    write_sysreg(ttbr0_el1, one);
    print("one changed: %d", (s64)load(PLACE));
    write_sysreg(ttbr0_el1, two);
    print(" two: %d\n", (s64)load(PLACE));
    set(&other, PLACE, 3, NORMAL | NG);
    write_sysreg(ttbr0_el1, one);
    asm volatile("dsb sy\n\ttlbi vae1is, %0\n\tdsb sy\n\tisb" ::"r"(VA(PLACE) | ASID(2)) : "memory");
    print("one: %d", (s64)load(PLACE));
    write_sysreg(ttbr0_el1, two);
    print(" two changed from one: %d\n", (s64)load(PLACE));
    set(&t, PLACE, 0, NORMAL | NG);
    set(&other, PLACE, 1, NORMAL | NG);
    asm volatile("dsb sy\n\ttlbi vaae1is, %0\n\tdsb sy\n\tisb" ::"r"(VA(PLACE)) : "memory");
    print("both changed: two: %d", (s64)load(PLACE));
    write_sysreg(ttbr0_el1, one);
    print(" one: %d\n", (s64)load(PLACE));

    // The same tables with other ASIDs, back and forth.
    for (u64 asid = 1; asid < 40; asid += 13) {
        write_sysreg(ttbr0_el1, (u64)t.root | ASID(asid));
        print("ASID %d: %d\n", asid, (s64)load(PLACE));
    }
    write_sysreg(ttbr0_el1, t.root);
}

static void routine(int page, u32 result)
{
    pages[page][0] = 0x52800000 | (result << 5);    // mov w0, #result
    pages[page][1] = 0xD40FFFE1;                    // svc #0x7FFF
    asm volatile("dsb sy\n\tic iallu\n\tdsb sy\n\tisb" ::: "memory");
}

// Code at an address is replaced by a new translation. At the start of the page: QEMU 7.2 keeps what it knows of the rest of a page larger
// than 4K.
static void code(void)
{
    routine(2, 100);
    routine(3, 101);
    mmu_map(&t, CODE, (u64)pages[2], 3, NORMAL);
    tlbi_all();
    print("code: %d", enter_with(CODE, 0x3C5, 0, 0));
    *mmu_entry(&t, CODE, 3) = 0;
    asm volatile("dsb sy\n\ttlbi vale1is, %0\n\tdsb sy\n\tisb" ::"r"(VA(CODE)) : "memory");
    try_execute(CODE);
    outcome("unmapped", CODE);
    mmu_map(&t, CODE, (u64)pages[3], 3, NORMAL);
    dsb();
    isb();
    print(", replaced: %d\n", enter_with(CODE, 0x3C5, 0, 0));
    pages[2][0] = 12;
    pages[3][0] = 13;
}

void secondary_main(u64 cpu)
{
    mmu_on(&t, SCTLR_MMU);
    for (u64 last = 0;;) {
        while (turn == last)
            ;
        last = turn;
        trap_clear();
        u32 value = load(PLACE);
        answer = trap.count ? 99 : value;
        dsb();
        wanted = last;
    }
}

static u64 ask(void)
{
    turn++;
    dsb();
    while (wanted != turn)
        ;
    return answer;
}

#define BROADCAST(name, operation, operand) do { \
        set(&t, PLACE, 0, NORMAL); \
        asm volatile("dsb sy\n\ttlbi vmalle1is\n\tdsb sy\n\tisb" ::: "memory"); \
        u64 before_ = ask(); \
        *mmu_entry(&t, PLACE, 3) = 0; \
        asm volatile("dsb sy\n\ttlbi " operation "\n\tdsb sy" ::"r"((u64)(operand)) : "memory"); \
        u64 between_ = ask(); \
        set(&t, PLACE, 1, NORMAL); \
        print("other CPU, %s: %d %d %d\n", name, before_, between_, ask()); \
    } while (0)

static void broadcast(void)
{
    set(&t, PLACE, 0, NORMAL);
    start_cpu(1);
    BROADCAST("VMALLE1IS", "vmalle1is", 0);
    BROADCAST("VAE1IS", "vae1is, %0", VA(PLACE));
    BROADCAST("VAAE1IS", "vaae1is, %0", VA(PLACE));
    BROADCAST("VALE1IS", "vale1is, %0", VA(PLACE));
    BROADCAST("VAALE1IS", "vaale1is, %0", VA(PLACE));
}

void payload_main(void)
{
    static const int granules[] = { 12, 14, 16 };
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 16384; j++)
            pages[i][j] = (u32)i + 10;
    for (int i = 0; i < count_of(granules); i++) {
        u64 tg1 = granules[i] == 12 ? 2 : granules[i] == 14 ? 1 : 3;
        print("%dK\n", 1l << (granules[i] - 10));
        mmu_new(&t, granules[i], 48);
        mmu_another(&high, granules[i], 48);
        mmu_another(&other, granules[i], 48);
        mmu_map_payload(&other);
        mmu_entry(&t, PLACE, 3);
        mmu_on(&t, SCTLR);
        write_sysreg(tcr_el1, (mmu_tcr(&t) & ~((1ul << 23) | (3ul << 30))) | (1ul << 24) | (1ul << 26) | (3ul << 28) | (tg1 << 30) | (1ul << 36));
        write_sysreg(sctlr_el1, SCTLR_MMU);
        operations(0, 0);
        write_sysreg(ttbr0_el1, (u64)t.root | ASID(0x1234));
        operations(NG, 0x1234);
        write_sysreg(ttbr0_el1, t.root);
        upper();
        structure();
        code();
        spaces();
        mmu_off();
    }
    mmu_new(&t, 12, 48);
    mmu_on(&t, SCTLR_MMU);
    broadcast();
    mmu_off();
}

// The address space: sizes of both halves, gaps, disabled halves, tagged addresses, tables out of reach.
#include "mmu.h"

#define EPD0 (1ul << 7)
#define EPD1 (1ul << 23)
#define TBI0 (1ul << 37)
#define TBI1 (1ul << 38)

static struct tables low, high;

// TCR_EL1 for both halves.
static u64 both(void)
{
    u64 tg1 = high.granule == 12 ? 2 : high.granule == 14 ? 1 : 3;
    u64 tcr = mmu_tcr(&low) & ~((0x3Ful << 16) | EPD1 | (3ul << 30));
    return tcr | ((u64)(64 - high.bits) << 16) | (1ul << 24) | (1ul << 26) | (3ul << 28) | (tg1 << 30);
}

static void load_and_execute(u64 va)
{
    print(" %x", va);
    try_load(va);
    outcome("load", va);
    try_execute(va);
    outcome("execute", va);
}

static u64 place(u64 page, const struct tables *t)
{
    return page | ((u64)el0_return & (PAGE(t) - 1));
}

static void map_code(struct tables *t, u64 page)
{
    mmu_map(t, page, ((u64)el0_return) & ~(PAGE(t) - 1), 3, NORMAL);
}

static void sizes(int granule)
{
    for (int bits = 25; bits <= 48; bits++) {
        u64 last, first;
        mmu_new(&low, 12, 48);
        mmu_another(&high, granule, bits);
        first = ~0ul << bits;
        last = -PAGE(&high);
        map_code(&high, first);
        map_code(&high, last);
        mmu_on(&low, SCTLR);
        write_sysreg(tcr_el1, both());
        write_sysreg(ttbr1_el1, high.root);
        tlbi_all();
        write_sysreg(sctlr_el1, SCTLR_MMU);
        print("%dK upper half of %d bits from level %d:", 1l << (granule - 10), (s64)bits, (s64)high.first);
        load_and_execute(place(first, &high));
        load_and_execute(place(last, &high));
        if (bits < 48)
            load_and_execute(place(first - PAGE(&high), &high));
        if (bits > granule + 2)
            load_and_execute(place(first + PAGE(&high), &high));
        print("\n");
        mmu_off();
    }
    for (int bits = 34; bits <= 48; bits++) {
        u64 last = (1ul << bits) - (1ul << granule);
        mmu_new(&low, granule, bits);
        map_code(&low, last);
        mmu_on(&low, SCTLR_MMU);
        print("%dK lower half of %d bits from level %d:", 1l << (granule - 10), (s64)bits, (s64)low.first);
        load_and_execute(place(last, &low));
        load_and_execute(place(last + PAGE(&low), &low));
        load_and_execute(place(last - PAGE(&low), &low));
        print("\n");
        mmu_off();
    }
}

static void control(const char *name, u64 tcr)
{
    static const u64 addresses[] = {
        0x123400000000, 0x5600123400000000, 0xFF00123400000000, 0x0001123400000000, 0x0080123400000000,
        0xFFFF923400000000, 0xABFF923400000000, 0x00FF923400000000, 0xFFFE923400000000, 0xFF7F923400000000, 0xFFFF123400000000,
    };
    write_sysreg(tcr_el1, tcr);
    tlbi_all();
    for (int i = 0; i < count_of(addresses); i++) {
        u64 va = place(addresses[i], &low);
        print("%s:", name);
        load_and_execute(va);
        try_store(va);
        outcome("store", va);
        trap_clear();
        asm volatile("ldp x9, x10, [%0, #-8]!\n\tldr x9, [%0]" :"+r"(va) :: "x9", "x10", "memory");
        print(" pointer after ldp %x\n", va);
    }
}

static void controls(void)
{
    mmu_new(&low, 12, 48);
    mmu_another(&high, 12, 48);
    map_code(&low, 0x123400000000);
    map_code(&high, 0xFFFF923400000000);
    mmu_on(&low, SCTLR);
    write_sysreg(ttbr1_el1, high.root);
    write_sysreg(tcr_el1, both());
    write_sysreg(sctlr_el1, SCTLR_MMU);
    control("plain", both());
    control("EPD1", both() | EPD1);
    control("TBI0", both() | TBI0);
    control("TBI1", both() | TBI1);
    control("TBI0 TBI1", both() | TBI0 | TBI1);

    // The upper half's table where no memory is, and beyond IPS.
    write_sysreg(ttbr1_el1, 0xF00000000ul);
    control("TTBR1 at no memory", both());
    write_sysreg(ttbr1_el1, 0x10000000000ul);
    control("TTBR1 beyond IPS", both() & ~(7ul << 32));
    write_sysreg(ttbr1_el1, high.root);
    mmu_off();
}

void payload_main(void)
{
    sizes(12);
    sizes(14);
    sizes(16);
    controls();

    // With the MMU off, only the size of a physical address counts.
    print("MMU off:");
    load_and_execute(1ul << 48);
    load_and_execute(0xFF00000000000000ul | (u64)el0_return);
    print("\n");
}

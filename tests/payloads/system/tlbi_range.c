// TLB maintenance by range (FEAT_TLBIRANGE) and of the outer shareable domain (FEAT_TLBIOS): pages that have been used get other memory; inside
// the range the new one is seen. What is outside may be either, and is not looked at.
#include "mmu.h"

asm(".arch armv8.4-a");

#define PAGES 2048
#define LOWER 0x200000000000ul

static struct tables t;
static u8 places[2][4096] __attribute__((aligned(4096)));

static void map_all(u64 base, int which, u64 more)
{
    for (u64 n = 0; n < PAGES; n++)
        mmu_map(&t, base + n * 4096, (u64)places[which], 3, NORMAL | more);
    dsb();
}

static u64 seen(u64 base, u64 from, u64 count)
{
    u64 sum = 0;
    for (u64 n = from; n < from + count; n++)
        sum += *(volatile u8 *)(base + n * 4096);
    return sum;
}

static void invalidate(int op, u64 operand)
{
    switch (op) {
    case 0: asm volatile("tlbi rvae1, %0" ::"r"(operand) : "memory"); break;
    case 1: asm volatile("tlbi rvaae1, %0" ::"r"(operand) : "memory"); break;
    case 2: asm volatile("tlbi rvale1is, %0" ::"r"(operand) : "memory"); break;
    case 3: asm volatile("tlbi rvaale1is, %0" ::"r"(operand) : "memory"); break;
    case 4: asm volatile("tlbi rvae1os, %0" ::"r"(operand) : "memory"); break;
    case 5: asm volatile("tlbi rvaae1os, %0" ::"r"(operand) : "memory"); break;
    case 6: asm volatile("tlbi vmalle1os" ::: "memory"); break;
    case 7: asm volatile("tlbi aside1os, %0" ::"r"(operand) : "memory"); break;
    }
    dsb();
    isb();
}

void payload_main(void)
{
    places[0][0] = 1;
    places[1][0] = 2;
    mmu_new(&t, 12, 48);
    map_all(LOWER, 0, 0);
    mmu_on(&t, SCTLR_MMU);
    int which = 0;
    for (int op = 0; op < 8; op++)
        for (u64 scale = 0; scale < 3; scale++)
            for (u64 num = 0; num < 32; num += 5) {
                u64 count = (num + 1) << (5 * scale + 1);
                u64 from = op < 6 ? (num * 7 + scale) % 64 : 0;
                if (op >= 6)
                    count = PAGES;
                if (from + count > PAGES)
                    continue;
                seen(LOWER, 0, PAGES);
                which = !which;
                // Not global for half of them: the ASID is 0.
                map_all(LOWER, which, (num & 1) || op == 7 ? NG : 0);
                u64 address = LOWER / 4096 + from;
                invalidate(op, 1ul << 46 | scale << 44 | num << 39 | (address & 0x1FFFFFFFFF));
                print("op %d scale %d num %d: %d of %d\n", (s64)op, scale, num, seen(LOWER, from, count), count * (which + 1));
                tlbi_all();
            }
    mmu_off();
}

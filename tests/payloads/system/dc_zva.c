// DC ZVA: what it clears, its faults, and that EL0 needs SCTLR_EL1.DZE.
#include "mmu.h"

#define PLACE 0x234500000000ul
#define EL0_PLACE 0x234500004000ul

static struct tables t;

static void fill(void)
{
    for (int i = 0; i < 4096; i++)
        scratch[i] = 0xEE;
}

static void zeroes(const char *name)
{
    int first = -1, last = -1, count = 0;
    for (int i = 0; i < 4096; i++)
        if (scratch[i] == 0) {
            first = first < 0 ? i : first;
            last = i;
            count++;
        }
    print("%s: %d zero bytes from %d to %d\n", name, (s64)count, (s64)first, (s64)last);
}

static void zero(const char *name, u64 va)
{
    fill();
    trap_clear();
    asm volatile("dc zva, %0" ::"r"(va) : "memory");
    outcome(name, va);
    zeroes("");
}

void payload_main(void)
{
    mmu_new(&t, 12, 48);
    mmu_map(&t, PLACE, (u64)scratch, 3, NORMAL);
    mmu_map(&t, PLACE + 0x1000, (u64)scratch, 3, NORMAL | AP_RO);
    mmu_map(&t, PLACE + 0x2000, (u64)scratch, 3, NORMAL & ~AF);
    mmu_map(&t, EL0_PLACE, (u64)scratch, 3, NORMAL | AP_EL0);
    mmu_on(&t, SCTLR_MMU);
    print("DCZID_EL0 %x\n", read_sysreg(dczid_el0));
    zero("aligned", PLACE + 0x100);
    zero("inside a block", PLACE + 0x17F);
    zero("inside a block", PLACE + 0x1BF);
    zero("the last block", PLACE + 0xFFF);
    zero("read-only", PLACE + 0x1034);
    zero("no access flag", PLACE + 0x2034);
    zero("nothing", PLACE + 0x3035);
    zero("of EL0", EL0_PLACE + 0x40);
    asm volatile("msr pan, #1");
    zero("of EL0 with PAN", EL0_PLACE + 0x41);
    asm volatile("msr pan, #0");
    write_sysreg(sctlr_el1, SCTLR_MMU | SCTLR_A);
    zero("unaligned with SCTLR_EL1.A", PLACE + 0x41);
    mmu_off();
}

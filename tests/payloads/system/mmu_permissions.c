// Who may do what: AP, PXN, UXN, the hierarchical bits of tables, WXN, PAN, UAO and the unprivileged loads and stores.
#include "mmu.h"

#define SNIPPETS 0x123400000000ul
#define PLACE (0x200000000000ul + ((u64)el0_return & 0xFFF))
#define PAN_MASK (1ul << 22)
#define UAO_MASK (1ul << 23)

extern const char image[], data_start[];
static struct tables t;

// R, W, X or U, V, Y at EL0; the fault status code instead where it is refused.
static void mark(const char *allowed)
{
    if (trap.count == 0)
        print("  %s", allowed);
    else
        print(" %s%x", trap.far == PLACE ? "" : "?", trap.esr & 0x1FFFFFF);
}

// Loads and stores at EL1 as they are with PAN and UAO.
static void data(void)
{
    for (int i = 0; i < 4; i++) {
        if (i & 1)
            asm volatile("msr pan, #1");
        if (i & 2)
            asm volatile("msr uao, #1");
        print(" |%s%s", i & 1 ? "PAN" : "", i & 2 ? "UAO" : "");
        try_load(PLACE);
        mark("R");
        try_store(PLACE);
        mark("W");
        try_ldtr(PLACE);
        mark("u");
        try_sttr(PLACE);
        mark("v");
        trap_clear();
        asm volatile("ldxr w9, [%0]\n\tstxr w10, w9, [%0]\n\tclrex" ::"r"(PLACE) : "x9", "x10", "memory");
        mark("E");
        asm volatile("msr pan, #0\n\tmsr uao, #0");
    }
}

static void execution(void)
{
    try_execute(PLACE);
    mark("X");
    asm volatile("msr pan, #1");
    try_execute(PLACE);
    mark("X");
    asm volatile("msr pan, #0");
    try_el0(SNIPPETS, el0_load, PLACE);
    mark("U");
    try_el0(SNIPPETS, el0_store, PLACE);
    mark("V");
    try_execute_el0(PLACE);
    mark("Y");
}

static void permissions(u64 table, u64 page)
{
    u64 *entry = mmu_entry(&t, PLACE & ~0xFFFul, 2);
    *entry = (*entry & 0xFFFFFFFFF003) | table;
    mmu_map(&t, PLACE & ~0xFFFul, (u64)el0_page, 3, NORMAL | page);
    tlbi_all();
    print("%s%s%s%s %s%s%s%s:", table & TABLE_NO_EL0 ? " APTable0" : "", table & TABLE_RO ? " APTable1" : "", table & TABLE_PXN ? " PXNTable" : "",
        table & TABLE_UXN ? " UXNTable" : "", page & AP_EL0 ? "EL0 " : "", page & AP_RO ? "RO " : "", page & PXN ? "PXN " : "", page & UXN ? "UXN" : "");
}

void payload_main(void)
{
    static const u64 attributes[] = { 0, TABLE_NO_EL0, TABLE_RO, TABLE_NO_EL0 | TABLE_RO, TABLE_PXN, TABLE_UXN };
    mmu_new(&t, 12, 48);

    // WXN needs the code read-only.
    *mmu_entry(&t, (u64)image, 2) = 0;
    for (u64 a = (u64)image & ~0x1FFFFFul; a < ((u64)image | 0x1FFFFF); a += 4096)
        mmu_map(&t, a, a, 3, NORMAL | UXN | (a >= (u64)image && a < (u64)data_start ? AP_RO : PXN));
    mmu_map_snippets(&t, SNIPPETS);
    mmu_entry(&t, PLACE & ~0xFFFul, 3);
    mmu_on(&t, SCTLR_MMU);
    for (int wxn = 0; wxn < 2; wxn++) {
        print("WXN=%d\n", (s64)wxn);
        write_sysreg(sctlr_el1, SCTLR_MMU | (wxn ? SCTLR_WXN : 0));
        tlbi_all();
        for (int i = 0; i < count_of(attributes); i++)
            for (int page = 0; page < 16; page++) {
                permissions(attributes[i], ((u64)(page & 3) << 6) | ((u64)(page >> 2) << 53));
                execution();
                if (!wxn && page < 4)
                    data();
                print("\n");
            }
    }
    mmu_off();
}

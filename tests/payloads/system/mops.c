// Memory copies and sets (FEAT_MOPS): across pages, over each other, with pages that come only when they are touched, with the rights of EL0,
// and what is wrong with them. The three instructions of each are run one behind the other.
#include "mmu.h"

#define PLACE 0x200000000000ul
#define PAGES 8
#define SCTLR_MSCEN (1ul << 33)

static struct tables t;
static u8 memory[PAGES * 4096] __attribute__((aligned(4096)));
static int faults;
static u64 first_far, first_esr;

static u64 entry_of(u64 va)
{
    return (u64)memory + (va & ~0xFFFul) - PLACE;
}

// A page that is missing is mapped, and the instruction goes on. Whatever else is skipped.
int on_trap(struct frame *f)
{
    u64 class = trap.esr >> 26;
    if ((class == 0x25 || class == 0x24) && (trap.esr & 0x3C) == 4 && trap.far >= PLACE && trap.far < PLACE + sizeof memory) {
        if (faults++ == 0) {
            first_far = trap.far;
            first_esr = trap.esr;
        }
        mmu_map(&t, trap.far & ~0xFFFul, entry_of(trap.far), 3, NORMAL | AP_EL0);
        dsb();
        isb();
        return 1;
    }
    return 0;
}

static void fill(void)
{
    for (int i = 0; i < sizeof memory; i++)
        memory[i] = (u8)(i * 7 + (i >> 8) * 13);
}

static u64 sum(void)
{
    u64 total = 0;
    for (int i = 0; i < sizeof memory; i++)
        total = total * 31 + memory[i];
    return total;
}

static void map_all(int which)
{
    for (u64 n = 0; n < PAGES; n++)
        if (which >> n & 1)
            mmu_map(&t, PLACE + n * 4096, (u64)memory + n * 4096, 3, NORMAL | AP_EL0);
        else
            *mmu_entry(&t, PLACE + n * 4096, 3) = 0;
    tlbi_all();
}

// X0 destination, X1 source or byte, X2 size: the words are given with those registers.
#define RUN(name, p, m, e, before) \
    static void name(u64 to, u64 from, u64 size) \
    { \
        u64 flags; \
        trap_clear(); \
        faults = 0; \
        register u64 x0 asm("x0") = to; \
        register u64 x1 asm("x1") = from; \
        register u64 x2 asm("x2") = size; \
        asm volatile(before "\n\t.inst " #p "\n\t.inst " #m "\n\t.inst " #e "\n\tmrs %3, nzcv" : "+r"(x0), "+r"(x1), "+r"(x2), "=r"(flags) :: "cc", "memory"); \
        u64 end = x0, read = x1, left = x2; \
        print("  to %x from %x size %x flags %x sum %x", end - PLACE, read - PLACE, left, flags >> 28, sum()); \
        if (faults) \
            print(" faults %d first %x at %x", faults, first_esr, first_far - PLACE); \
        else if (trap.count) \
            print(" ec %x iss %x", trap.esr >> 26, trap.esr & 0x1FFFFFF); \
        print("\n"); \
    }

RUN(cpyf, 0x19010440, 0x19410440, 0x19810440, "")
RUN(cpy, 0x1D010440, 0x1D410440, 0x1D810440, "")
RUN(set, 0x19C10440, 0x19C14440, 0x19C18440, "")
RUN(cpyf_nontemporal, 0x1901C440, 0x1941C440, 0x1981C440, "")
RUN(cpy_unprivileged, 0x1D013440, 0x1D413440, 0x1D813440, "")
RUN(set_unprivileged, 0x19C11440, 0x19C15440, 0x19C19440, "")
RUN(cpyf_wrong_option, 0xD503201F, 0x19410440, 0x19810440, "cmp x0, x0")
RUN(set_wrong_option, 0xD503201F, 0x19C14440, 0x19C18440, "cmp x0, x0")
RUN(cpy_no_main, 0x1D010440, 0xD503201F, 0x1D810440, "")
RUN(set_no_main, 0x19C10440, 0xD503201F, 0x19C18440, "")

static const struct { u64 to, from, size; } places[] = {
    { 0x10, 0x2000, 0 }, { 0x10, 0x2000, 1 }, { 0x10, 0x2000, 100 }, { 0xFF0, 0x2FF8, 0x20 }, { 0x123, 0x4567, 0x1000 }, { 0x0, 0x4000, 0x3000 },
    { 0xABC, 0x4DEF, 0x2345 }, { 0x5000, 0x10, 0x2FF0 }, { 0x1001, 0x5FFF, 0x2001 },
};

// These lie over each other, which only CPY takes.
static const struct { u64 to, from, size; } overlaps[] = {
    { 0x1000, 0x1010, 0x3000 }, { 0x1010, 0x1000, 0x3000 }, { 0x2345, 0x1234, 0x4321 }, { 0x1234, 0x2345, 0x4321 }, { 0x10, 0x11, 0x7000 },
    { 0x11, 0x10, 0x7000 }, { 0x500, 0x500, 0x2000 },
};

static void each(const char *name, void (*run)(u64, u64, u64), int pages)
{
    print("%s, pages %x\n", name, pages);
    for (int n = 0; n < count_of(places); n++) {
        fill();
        map_all(pages);
        run(PLACE + places[n].to, PLACE + places[n].from, places[n].size);
    }
}

static void each_overlapping(const char *name, int pages)
{
    print("%s, pages %x\n", name, pages);
    for (int n = 0; n < count_of(overlaps); n++) {
        fill();
        map_all(pages);
        cpy(PLACE + overlaps[n].to, PLACE + overlaps[n].from, overlaps[n].size);
    }
}

static void wrong(void)
{
    fill();
    map_all(0xFF);
    print("wrong option\n");
    cpyf_wrong_option(PLACE + 0x1000, PLACE + 0x4000, -0x100ul);
    set_wrong_option(PLACE + 0x1000, PLACE + 0x55, -0x100ul);
    print("no main part\n");
    cpy_no_main(PLACE, PLACE + 0x4000, 0x2100);
    set_no_main(PLACE, PLACE + 0x77, 0x2100);
    print("registers\n");
    PROBE("the same register twice", ".inst 0x19000440");
    PROBE("XZR as the destination", ".inst 0x1901045f");
    PROBE("XZR as the size", ".inst 0x190107e0");
    PROBE("XZR as the source", ".inst 0x191f0440");
    PROBE("nothing to copy, wrong option", "mov x2, #0\n\tcmp x0, x0\n\t.inst 0x19410440" ::: "x2", "cc");
}

// With and without SCTLR_EL1.MSCEn.
static const u32 at_el0[] = { 0xD2800002, 0x19C10440, 0xD40FFFE1 };

static void unprivileged(void)
{
    u64 place = 0x300000000000ul;
    for (int on = 0; on < 2; on++) {
        write_sysreg(sctlr_el1, SCTLR_MMU | (on ? SCTLR_MSCEN : 0));
        mmu_map(&t, place, (u64)at_el0 & ~0xFFFul, 3, NORMAL | AP_EL0 | AP_RO | PXN);
        tlbi_all();
        trap_clear();
        enter_with(place + ((u64)at_el0 & 0xFFF), SPSR_EL0, 0, 0);
        trap_report(on ? "SETP at EL0 allowed" : "SETP at EL0");
    }
    write_sysreg(sctlr_el1, SCTLR_MMU);
}

void payload_main(void)
{
    mmu_new(&t, 12, 48);
    mmu_on(&t, SCTLR_MMU);
    static const int pages[] = { 0xFF, 0x00, 0xF0, 0x0F, 0x55, 0xAA };
    for (int n = 0; n < count_of(pages); n++) {
        each("cpyf", cpyf, pages[n]);
        each("cpy", cpy, pages[n]);
        each("set", set, pages[n]);
        each_overlapping("cpy over itself", pages[n]);
    }
    each("cpyf non-temporal", cpyf_nontemporal, 0xFF);
    each("cpy with the rights of EL0", cpy_unprivileged, 0x5A);
    each("set with the rights of EL0", set_unprivileged, 0xA5);
    wrong();
    unprivileged();
    mmu_off();
}

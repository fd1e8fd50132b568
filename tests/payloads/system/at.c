// Address translation instructions and PAR_EL1: successes with memory attributes, faults, PAN.
#include "mmu.h"

#define AT(op, va) ({ trap_clear(); asm volatile("at " #op ", %0\n\tisb" ::"r"((u64)(va)) : "memory"); read_sysreg(par_el1); })

#define PLACE 0x345678000000ul

static struct tables t;

// PAR_EL1 of a success holds implementation defined bits; what is architectural: ATTR, SH, PA. QEMU 7.2 gives the SH of the descriptor
// where memory is always outer shareable: device, non-cacheable.
static const char *const shareability[] = { "none", "reserved", "outer", "inner" };

static void show(const char *name, u64 par)
{
    if (trap.count)
        trap_report(name);
    else if (par & 1)
        print(" %s=fault %x", name, par & 0xFFF);
    else
        print(" %s=%x/%s/%x", name, par >> 56, par >> 56 == 0 || par >> 56 == 0x44 ? "-" : shareability[(par >> 7) & 3], par & 0xFFFFFFFFF000);
}

static void translate(u64 va)
{
    show("S1E1R", AT(s1e1r, va));
    show("S1E1W", AT(s1e1w, va));
    show("S1E0R", AT(s1e0r, va));
    show("S1E0W", AT(s1e0w, va));
    asm volatile("msr pan, #1");
    show("PAN.S1E1R", AT(s1e1r, va));
    show("S1E1RP", AT(s1e1rp, va));
    show("S1E1WP", AT(s1e1wp, va));
    asm volatile("msr pan, #0");
    show("S1E1RP", AT(s1e1rp, va));
    print("\n");
}

static void page(const char *name, u64 descriptor)
{
    *mmu_entry(&t, PLACE, 3) = descriptor;
    tlbi_all();
    print("%s:", name);
    translate(PLACE + 0x123);
}

void payload_main(void)
{
    static const int granules[] = { 12, 14, 16 };
    print("MMU off: %x\n", AT(s1e1r, 0x40081234) & 0xFFFFFFFFF001);
    for (int i = 0; i < count_of(granules); i++) {
        u64 base = (u64)scratch & ~0xFFFFul;
        mmu_new(&t, granules[i], 48);
        mmu_entry(&t, PLACE, 3);
        mmu_on(&t, SCTLR_MMU);
        print("%dK\n", 1l << (granules[i] - 10));
        page("nothing", 0);
        page("EL1", base | NORMAL | VALID | TABLE_OR_PAGE);
        page("EL1 read-only", base | NORMAL | AP_RO | VALID | TABLE_OR_PAGE);
        page("EL0", base | NORMAL | AP_EL0 | VALID | TABLE_OR_PAGE);
        page("EL0 read-only", base | NORMAL | AP_EL0 | AP_RO | VALID | TABLE_OR_PAGE);
        page("no access flag", base | (NORMAL & ~AF) | VALID | TABLE_OR_PAGE);
        page("outer shareable", base | AF | (2ul << 8) | VALID | TABLE_OR_PAGE);
        page("non-shareable", base | AF | VALID | TABLE_OR_PAGE);
        page("device", base | AF | ATTR(1) | VALID | TABLE_OR_PAGE);
        page("non-cacheable", base | NORMAL | ATTR(2) | VALID | TABLE_OR_PAGE);
        write_sysreg(tcr_el1, mmu_tcr(&t) & ~(7ul << 32));
        page("beyond IPS", 0x10000000000 | NORMAL | VALID | TABLE_OR_PAGE);
        write_sysreg(tcr_el1, mmu_tcr(&t));

        print("block:");
        translate(0x40000000ul | 0x1234567);
        *mmu_entry(&t, PLACE, 2) = 0;
        tlbi_all();
        print("level 2:");
        translate(PLACE);
        *mmu_entry(&t, PLACE, 1) = 0xF00000000ul | VALID | TABLE_OR_PAGE;
        tlbi_all();
        print("table where no memory is:");
        translate(PLACE);
        print("outside:");
        translate(0x0001000000000000);
        mmu_off();
    }
    write_sysreg(par_el1, 0xA5A5A5A5A5A5A5A5);
    print("PAR_EL1 %x\n", read_sysreg(par_el1));
}

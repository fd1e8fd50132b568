// Software step (Arm ARM D2.12): at EL0 and EL1, what each step reports, instructions that raise exceptions.
#include "mmu.h"

#define MDSCR_SS 1ul
#define MDSCR_KDE (1ul << 13)
#define SPSR_SS (1ul << 21)
#define SPSR_D (1ul << 9)
#define EL0 0x3C0ul
#define EL1 0x3C5ul

static int budget;
static u64 origin;

int on_trap(struct frame *f)
{
    u32 class = (u32)trap.esr >> 26;
    print("  +%x ec=%x iss=%x spsr=%w x0=%x\n", trap.elr - origin, (u64)class, trap.esr & 0x1FFFFFF, trap.spsr, f->x[0]);
    if (class == 0x32 || class == 0x33) {
        f->spsr |= SPSR_SS;
        if (--budget <= 0)
            write_sysreg(mdscr_el1, 0);
        return 1;
    }
    if (class != 0x15)
        f->elr = (f->elr & ~3ul) + 4;
    return 1;
}

#define CODE(code) ({ u64 at_; asm volatile("adr %0, 1f\n\tb 2f\n1:\t" code "\n\tsvc #0x7FFF\n2:" : "=r"(at_)); at_; })

static void run(const char *name, u64 mdscr, u64 spsr, int steps, u64 code)
{
    print("%s\n", name);
    trap_clear();
    budget = steps;
    origin = code;
    write_sysreg(mdscr_el1, mdscr);
    u64 result = enter_with(code, spsr, 0, (u64)scratch);
    write_sysreg(mdscr_el1, 0);
    print("  result %x, exceptions %d\n", result, trap.count);
}

#define NOPS "mov x0, #1\n\tmov x0, #2\n\tmov x0, #3"

void payload_main(void)
{
    print("OSLSR_EL1 %x\n", read_sysreg(oslsr_el1));
    // QEMU 7.2 looks at the wrong bit for the OS lock, so that it never keeps a debug exception back: not tried.
    write_sysreg(oslar_el1, 0);
    print("OSLSR_EL1 %x\n", read_sysreg(oslsr_el1));

    run("EL0", MDSCR_SS, EL0 | SPSR_SS, 3, CODE(NOPS));
    run("EL0, pending at once", MDSCR_SS, EL0, 3, CODE(NOPS));
    run("EL0, MDSCR_EL1.SS clear", 0, EL0 | SPSR_SS, 3, CODE(NOPS));
    run("EL0 with PSTATE.D clear", MDSCR_SS, (EL0 & ~SPSR_D) | SPSR_SS, 3, CODE(NOPS));
    run("EL1 with KDE and PSTATE.D clear", MDSCR_SS | MDSCR_KDE, (EL1 & ~SPSR_D) | SPSR_SS, 3, CODE(NOPS));
    run("EL1 with SP_EL0", MDSCR_SS | MDSCR_KDE, 0x1C4 | SPSR_SS, 3, CODE(NOPS));
    run("EL1, pending at once", MDSCR_SS | MDSCR_KDE, EL1 & ~SPSR_D, 3, CODE(NOPS));
    run("EL1 without KDE", MDSCR_SS, (EL1 & ~SPSR_D) | SPSR_SS, 3, CODE(NOPS));
    run("EL1 with PSTATE.D set", MDSCR_SS | MDSCR_KDE, EL1 | SPSR_SS, 3, CODE(NOPS));
    run("EL1, PSTATE.D cleared on the way", MDSCR_SS | MDSCR_KDE, EL1 | SPSR_SS, 3, CODE("mov x0, #1\n\tmsr daifclr, #8\n\tmov x0, #2\n\tmov x0, #3"));
    // PSTATE.D set by the stepped instruction: QEMU 7.2 still steps, against CheckSoftwareStep() of the Arm ARM; not tried.

    run("branches", MDSCR_SS, EL0 | SPSR_SS, 6, CODE("b 3f\n\tmov x0, #1\n3:\tcbz x0, 4f\n\tnop\n4:\tcmp x0, #1\n\tb.eq 3b\n\tmov x0, #5"));
    run("a load that faults", MDSCR_SS, EL0 | SPSR_SS, 4, CODE("mov x0, #1\n\tmov x2, #(1 << 50)\n\tldr x0, [x2]\n\tmov x0, #2\n\tmov x0, #3"));
    run("SVC", MDSCR_SS, EL0 | SPSR_SS, 5, CODE("mov x0, #1\n\tsvc #5\n\tmov x0, #2\n\tmov x0, #3"));
    run("BRK", MDSCR_SS, EL0 | SPSR_SS, 5, CODE("mov x0, #1\n\tbrk #5\n\tmov x0, #2\n\tmov x0, #3"));
    run("undefined", MDSCR_SS, EL0 | SPSR_SS, 5, CODE("mov x0, #1\n\tudf #5\n\tmov x0, #2\n\tmov x0, #3"));
    run("unaligned PC", MDSCR_SS, EL0 | SPSR_SS, 5, CODE("adr x0, 3f + 2\n\tbr x0\n\t.balign 4\n\tnop\n3:\tmov x0, #3")
        );
    run("SVC at EL1", MDSCR_SS | MDSCR_KDE, (EL1 & ~SPSR_D) | SPSR_SS, 5, CODE("mov x0, #1\n\tsvc #5\n\tmov x0, #2\n\tmov x0, #3"));

    // Exclusives want normal memory.
    struct tables t;
    mmu_new(&t, 12, 48);
    mmu_on(&t, SCTLR_MMU);
    run("exclusives", MDSCR_SS | MDSCR_KDE, (EL1 & ~SPSR_D) | SPSR_SS, 6,
        CODE("ldxr x0, [x1]\n\tadd x0, x0, #1\n\tldaxr w2, [x1]\n\tstxr w0, w2, [x1]\n\tldxp x2, x3, [x1]"));
    mmu_off();
}

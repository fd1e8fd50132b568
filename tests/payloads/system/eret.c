// Exception returns: legal and illegal ones, PSTATE.IL, what of SPSR reaches PSTATE.
#include "payload.h"

static void report(const char *name, u64 spsr)
{
    print("%s ", name);
    print("SPSR %w ", spsr);
    trap_report("");
}

// To an SVC #0 that shows PSTATE, which an illegal state keeps from executing; then back by SVC #0x7FFF.
static u64 target(void)
{
    u64 at;
    asm volatile("adr %0, 1f\n\tb 2f\n1:\tsvc #0\n\tsvc #0x7FFF\n2:" : "=r"(at));
    return at;
}

int on_trap(struct frame *f)
{
    switch (trap.esr >> 26) {
    case 0x0E: // Out of an illegal state: clear IL, and skip to the way back.
        f->spsr &= ~(1ul << 20);
        f->elr += 4;
        return 1;
    case 0x22:
    case 0x21: // On the way into one: the state is kept.
        print("  before it: ec=%x iss=%x spsr=%w\n", trap.esr >> 26, trap.esr & 0x1FFFFFF, trap.spsr);
        f->elr = target();
        return 1;
    }
    return 0;
}

static void to(const char *name, u64 spsr)
{
    trap_clear();
    enter_with(target(), spsr, 0, 0);
    report(name, spsr);
}

void payload_main(void)
{
    static const u64 flags[] = { 0xF0000000, 0x90000000, 0x00400000, 0x00800000, 0x00001000, 0x00C01000, 0x00100000, 0x08000000, 0x07000000, 0x00000C00, 0x000C0000, 0x00000020, 1ul << 33 };
    // AArch32 at EL0, which the CPU of QEMU has, is left out; so is bit 4 with any mode.
    for (u64 mode = 0; mode < 16; mode++)
        to("mode", 0x3C0 | mode);
    for (int i = 0; i < count_of(flags); i++) {
        to("to EL0", 0x3C0 | flags[i]);
        to("to EL1", 0x3C5 | flags[i]);
        to("to EL1t", 0x3C4 | flags[i]);
    }
    for (u64 daif = 0; daif < 16; daif++)
        to("daif", daif << 6 | 5);

    // What an illegal return changes all the same; but QEMU 7.2 forgets PAN, and UAO and SSBS are unknown.
    for (int i = 0; i < count_of(flags); i++)
        to("illegal", 0x88 | (flags[i] & ~0x00C01000ul));

    // PC alignment and the fetch come before the illegal state.
    trap_clear();
    enter_with(target() + 2, 0x001003C5, 0, 0);
    report("illegal state and unaligned PC", 0x001003C5);
    trap_clear();
    enter_with(1ul << 50, 0x001003C5, 0, 0);
    report("illegal state and no memory", 0x001003C5);
    trap_clear();
    enter_with(target() + 1, 0x3C9, 0, 0);
    report("illegal return to an unaligned PC", 0x3C9);
}

// Interrupts that are taken: IRQ and FIQ, nesting by priority, masks of PSTATE, wake-up from WFI.
#include "gic.h"

static int depth;

static void indent(void)
{
    for (int i = 0; i < depth; i++)
        print("  ");
}

// Pends one or two others while it runs, with interrupts open.
void on_interrupt(struct frame *f)
{
    int group = f->vector & 0x80 ? 1 : 0;
    u64 id = group ? read_icc(ICC_IAR1) : read_icc(ICC_IAR0);
    indent();
    print("%s of %d: vector %x rpr %x isr %x\n", group ? "IRQ" : "FIQ", id, f->vector, read_icc(ICC_RPR), read_sysreg(isr_el1));
    if (id >= 1020)
        return;
    depth++;
    if (id == 70) {
        gic_pend(71);
        gic_pend(73);
    }
    if (id == 71)
        gic_pend(72);
    asm volatile("msr daifclr, #3\n\tisb\n\tmsr daifset, #3" ::: "memory");
    depth--;
    indent();
    print("end of %d\n", id);
    if (group)
        write_icc(ICC_EOIR1, id);
    else
        write_icc(ICC_EOIR0, id);
}

static void run(const char *name)
{
    print("%s\n", name);
    gic_pend(70);
    print("isr %x\n", read_sysreg(isr_el1));
    asm volatile("msr daifclr, #3\n\tisb\n\tnop\n\tmsr daifset, #3" ::: "memory");
    print("isr %x\n", read_sysreg(isr_el1));
}

static void set(u64 id, u8 priority, int group)
{
    gic_priority(id, priority);
    gic_group(id, group);
    gic_edge(id, 1);
    gic_route(id, 0);
    gic_enable(id);
}

void payload_main(void)
{
    gic_init();
    set(70, 0x80, 1);
    set(71, 0x60, 1);
    set(72, 0x40, 1);
    set(73, 0x90, 1);
    run("each preempts the one before, 73 waits");
    set(71, 0x80, 1);
    run("71 does not preempt");
    write_icc(ICC_BPR1, 6);
    set(71, 0x60, 1);
    set(72, 0x40, 1);
    run("71 preempts, 72 does not with BPR1 6");
    write_icc(ICC_BPR1, 3);
    set(72, 0x20, 0);
    run("72 is a FIQ");
    set(71, 0x60, 0);
    run("71 and 72 are FIQs");
    set(70, 0x80, 0);
    run("70 too");

    print("only F open\n");
    set(70, 0x80, 1);
    gic_pend(70);
    asm volatile("msr daifclr, #1\n\tisb\n\tnop\n\tmsr daifset, #1" ::: "memory");
    print("still pending: isr %x\n", read_sysreg(isr_el1));
    asm volatile("msr daifclr, #2\n\tisb\n\tnop\n\tmsr daifset, #2" ::: "memory");

    print("WFI returns with interrupts masked\n");
    gic_pend(72);
    asm volatile("wfi");
    print("isr %x\n", read_sysreg(isr_el1));
    asm volatile("msr daifclr, #3\n\tisb\n\tnop\n\tmsr daifset, #3" ::: "memory");

    print("at EL0\n");
    gic_pend(73);
    enter_with((u64)({ const void *at; asm volatile("adr %0, 1f\n\tb 2f\n1:\tmov x0, #7\n\tsvc #0x7FFF\n2:" : "=r"(at)); at; }), 0, 0, 0);
    print("by ERET at EL1 with SP_EL0\n");
    set(71, 0x70, 1);
    gic_pend(71);
    enter_with((u64)({ const void *at; asm volatile("adr %0, 1f\n\tb 2f\n1:\tmsr daifset, #3\n\tmsr spsel, #1\n\tsvc #0x7FFF\n2:" : "=r"(at)); at; }), 4, 0, 0);
    print("by a write of DAIF\n");
    gic_pend(73);
    asm volatile("msr daif, xzr\n\tnop\n\tmsr daifset, #15" ::: "memory");
}

// How interrupts move through the GIC of one CPU: priorities, preemption, groups, the states of SGIs, PPIs and SPIs, EOI modes.
// Interrupts stay masked in PSTATE here and are looked at through ISR_EL1, HPPIR and IAR; gic_preemption takes them.
#include "gic.h"

#define SPI_A 64
#define SPI_B 65
#define SPI_C 100
#define PPI 20
#define TIMER 27

static void look(const char *name)
{
    print("%s: isr=%x hppir0=%d hppir1=%d rpr=%x\n", name, read_sysreg(isr_el1), read_icc(ICC_HPPIR0), read_icc(ICC_HPPIR1), read_icc(ICC_RPR));
}

static u64 acknowledge(int group)
{
    u64 id = group ? read_icc(ICC_IAR1) : read_icc(ICC_IAR0);
    print("  iar%d=%d rpr=%x ap0r=%x ap1r=%x isr=%x\n", (s64)group, id, read_icc(ICC_RPR), read_icc(ICC_AP0R0), read_icc(ICC_AP1R0), read_sysreg(isr_el1));
    return id;
}

static void end(int group, u64 id)
{
    if (group)
        write_icc(ICC_EOIR1, id);
    else
        write_icc(ICC_EOIR0, id);
    print("  eoi %d: rpr=%x ap0r=%x ap1r=%x isr=%x\n", id, read_icc(ICC_RPR), read_icc(ICC_AP0R0), read_icc(ICC_AP1R0), read_sysreg(isr_el1));
}

static void state(const char *name, u64 id)
{
    print("  %s: id %d", name, id);
    gic_state(id);
    print(" isr=%x\n", read_sysreg(isr_el1));
}

static void prepare(u64 id, u8 priority, int group)
{
    gic_priority(id, priority);
    gic_group(id, group);
    gic_enable(id);
    if (id >= 32) {
        gic_edge(id, 1);
        gic_route(id, 0);
    }
}

static void clean(void)
{
    static const u64 used[] = { 0, 1, 5, 15, PPI, TIMER, SPI_A, SPI_B, SPI_C };
    write_icc(ICC_CTLR, 0);
    write_icc(ICC_AP0R0, 0);
    write_icc(ICC_AP1R0, 0);
    write_icc(ICC_BPR0, 0);
    write_icc(ICC_BPR1, 0);
    write_icc(ICC_PMR, 0xF8);
    for (int i = 0; i < count_of(used); i++) {
        gic_disable(used[i]);
        gic_unpend(used[i]);
        gic_set(GICD_ICACTIVER, used[i]);
        gic_group(used[i], 1);
    }
    look("clean");
}

static void priorities(void)
{
    print("-- priorities\n");
    prepare(SPI_A, 0xA0, 1);
    prepare(SPI_B, 0x40, 1);
    prepare(SPI_C, 0x60, 1);
    prepare(PPI, 0x50, 1);
    prepare(5, 0x48, 1);
    gic_pend(SPI_A);
    look("A");
    gic_pend(SPI_C);
    look("A C");
    gic_pend(PPI);
    gic_pend(5);
    look("A C PPI SGI");
    u64 first = acknowledge(1);
    look("SGI active");
    acknowledge(1);
    gic_pend(SPI_B);
    look("B beats it");
    u64 second = acknowledge(1);
    acknowledge(1);
    end(1, second);
    end(1, first);
    for (u64 id; (id = acknowledge(1)) < 1020;)
        end(1, id);
    look("drained");

    // Equal priorities do not preempt; the lowest INTID goes first.
    prepare(SPI_A, 0x40, 1);
    prepare(SPI_C, 0x40, 1);
    prepare(PPI, 0x40, 1);
    gic_pend(SPI_C);
    gic_pend(SPI_A);
    gic_pend(PPI);
    for (u64 id; (id = acknowledge(1)) < 1020;) {
        look("equal");
        end(1, id);
    }
    clean();
}

static void mask(void)
{
    static const u8 masks[] = { 0, 0x38, 0x40, 0x48, 0xF8 };
    print("-- priority mask\n");
    prepare(SPI_A, 0x40, 1);
    gic_pend(SPI_A);
    for (int i = 0; i < count_of(masks); i++) {
        write_icc(ICC_PMR, masks[i]);
        print("PMR %x\n", (u64)masks[i]);
        look("pending 0x40");
        u64 id = acknowledge(1);
        if (id < 1020) {
            end(1, id);
            gic_pend(SPI_A);
        }
    }
    prepare(SPI_A, 0xF8, 1);
    look("priority 0xf8 with PMR 0xf8");
    write_icc(ICC_PMR, 0xFF);
    look("priority 0xf8 with PMR 0xff");
    prepare(SPI_A, 0, 1);
    write_icc(ICC_PMR, 8);
    look("priority 0 with PMR 8");
    clean();
}

static void binary_point(void)
{
    print("-- binary point\n");
    for (u64 bpr = 0; bpr < 8; bpr++) {
        static const u8 others[] = { 0x90, 0x88, 0x80, 0x78, 0x40, 0x00 };
        write_icc(ICC_BPR1, bpr);
        prepare(SPI_A, 0x98, 1);
        gic_pend(SPI_A);
        print("BPR1 %d\n", read_icc(ICC_BPR1));
        u64 running = acknowledge(1);
        for (int i = 0; i < count_of(others); i++) {
            prepare(SPI_B, others[i], 1);
            gic_pend(SPI_B);
            print("  %x %s", (u64)others[i], read_sysreg(isr_el1) ? "preempts\n" : "waits\n");
            gic_unpend(SPI_B);
        }
        prepare(SPI_B, 0, 1);
        gic_pend(SPI_B);
        u64 second = acknowledge(1);
        if (second < 1020)
            end(1, second);
        end(1, running);
        gic_unpend(SPI_B);
    }
    for (u64 bpr = 0; bpr < 8; bpr++) {
        write_icc(ICC_CTLR, 1);
        write_icc(ICC_BPR0, bpr);
        prepare(SPI_A, 0x98, 1);
        prepare(SPI_B, 0x88, 1);
        gic_pend(SPI_A);
        print("CBPR BPR0 %d\n", read_icc(ICC_BPR0));
        u64 running = acknowledge(1);
        gic_pend(SPI_B);
        look("  0x88 after 0x98");
        gic_unpend(SPI_B);
        end(1, running);
    }
    clean();
}

static void groups(void)
{
    print("-- groups\n");
    prepare(SPI_A, 0x80, 0);
    prepare(SPI_B, 0x90, 1);
    gic_pend(SPI_B);
    look("group 1");
    gic_pend(SPI_A);
    look("group 0 above group 1");
    acknowledge(1);
    u64 id = acknowledge(0);
    look("group 0 active");
    prepare(SPI_C, 0x40, 1);
    gic_pend(SPI_C);
    look("group 1 above it");
    acknowledge(0);
    u64 inner = acknowledge(1);
    end(1, inner);
    end(0, id);
    write_icc(ICC_IGRPEN1, 0);
    look("IGRPEN1 off");
    acknowledge(1);
    write_icc(ICC_IGRPEN1, 1);
    look("IGRPEN1 on");
    mmio_write(GICD, 0x11);
    look("group 1 off in GICD_CTLR");
    mmio_write(GICD, 0x13);
    look("group 1 on in GICD_CTLR");
    gic_group(SPI_B, 0);
    look("moved to group 0");
    write_icc(ICC_IGRPEN0, 0);
    look("IGRPEN0 off");
    write_icc(ICC_IGRPEN0, 1);
    mmio_write(GICD, 0x12);
    look("group 0 off in GICD_CTLR");
    mmio_write(GICD, 0x13);
    id = acknowledge(0);
    end(0, id);
    clean();
}

// Both kinds of EOI, for each kind of interrupt.
static void life(u64 id, int edge)
{
    print("-- life of %d, %s\n", id, edge ? "edge" : "level");
    prepare(id, 0x80, 1);
    if (id >= 16)
        gic_edge(id, edge);
    for (u64 mode = 0; mode < 2; mode++) {
        print("EOImode %d\n", mode);
        write_icc(ICC_CTLR, mode << 1);
        gic_disable(id);
        gic_pend(id);
        state("pending, disabled", id);
        gic_enable(id);
        state("enabled", id);
        gic_unpend(id);
        state("withdrawn", id);
        gic_pend(id);
        acknowledge(1);
        state("active", id);
        gic_pend(id);
        state("pended while active", id);
        acknowledge(1);
        end(1, id);
        state("ended", id);
        if (mode) {
            acknowledge(1);
            write_icc(ICC_DIR, id);
            state("deactivated", id);
        }
        acknowledge(1);
        state("active again", id);
        if (mode) {
            write_icc(ICC_DIR, id);
            state("deactivated before its end", id);
        }
        end(1, id);
        state("ended again", id);
        gic_set(GICD_ISACTIVER, id);
        state("made active", id);
        gic_pend(id);
        state("and pending", id);
        gic_set(GICD_ICACTIVER, id);
        state("made inactive", id);
        gic_unpend(id);
    }
    clean();
}

// An interrupt whose line is high as long as the timer's condition holds.
static void level(void)
{
    print("-- level\n");
    prepare(TIMER, 0x80, 1);
    gic_edge(TIMER, 0);
    write_sysreg(cntv_cval_el0, 0);
    write_sysreg(cntv_ctl_el0, 1);
    state("line high", TIMER);
    gic_unpend(TIMER);
    state("cannot be withdrawn", TIMER);
    u64 id = acknowledge(1);
    state("active", TIMER);
    end(1, id);
    state("ended, line still high", TIMER);
    id = acknowledge(1);
    write_sysreg(cntv_ctl_el0, 3);
    state("active, line low", TIMER);
    end(1, id);
    state("ended", TIMER);
    write_sysreg(cntv_ctl_el0, 1);
    state("line high", TIMER);
    write_sysreg(cntv_ctl_el0, 3);
    state("line low", TIMER);
    gic_pend(TIMER);
    state("pended by software", TIMER);
    write_sysreg(cntv_ctl_el0, 1);
    write_sysreg(cntv_ctl_el0, 3);
    state("line high and low", TIMER);
    gic_unpend(TIMER);
    state("withdrawn", TIMER);
    write_sysreg(cntv_ctl_el0, 0);
    clean();
}

static void sgi_states(const char *name)
{
    look(name);
    print("  pending: 0=%d 1=%d 15=%d\n", (s64)gic_get(GICD_ISPENDR, 0), (s64)gic_get(GICD_ISPENDR, 1), (s64)gic_get(GICD_ISPENDR, 15));
}

static void sgis(void)
{
    print("-- SGIs\n");
    prepare(0, 0x80, 1);
    prepare(1, 0x70, 0);
    prepare(15, 0x60, 1);
    write_icc(ICC_SGI1R, (15ul << 24) | 1);
    sgi_states("SGI1R 15");
    write_icc(ICC_SGI1R, (1ul << 24) | 1);
    sgi_states("SGI1R 1, which is of group 0");
    write_icc(ICC_SGI0R, (1ul << 24) | 1);
    sgi_states("SGI0R 1");
    write_icc(ICC_SGI0R, (0ul << 24) | 1);
    sgi_states("SGI0R 0, which is of group 1");
    write_icc(ICC_SGI1R, (0ul << 24) | 0x8000);
    sgi_states("SGI1R 0 to a CPU that is not there");
    write_icc(ICC_SGI1R, (0ul << 24) | (1ul << 16) | 1);
    sgi_states("SGI1R 0 to another cluster");
    write_icc(ICC_SGI1R, (0ul << 24) | (1ul << 40));
    sgi_states("SGI1R 0 to all others");
    u64 id;
    while ((id = acknowledge(1)) < 1020)
        end(1, id);
    while ((id = acknowledge(0)) < 1020)
        end(0, id);
    while ((id = acknowledge(1)) < 1020)
        end(1, id);
    end(1, 1023);
    end(1, 1020);
    clean();
}

void payload_main(void)
{
    gic_init();
    look("start");
    priorities();
    mask();
    binary_point();
    groups();
    life(SPI_A, 1);
    life(SPI_A, 0);
    life(PPI, 1);
    life(PPI, 0);
    life(5, 1);
    level();
    sgis();
}

// Random operations on the GIC, and its whole state after each. The sequence is the same in every run, and keeps to what the architecture
// defines: what is acknowledged last ends first, in the group it was acknowledged in.
#include "gic.h"

#define ROUNDS 2000
#define TIMER 27

static const u64 ids[] = { 0, 3, 15, 20, 22, TIMER, 64, 65, 95, 96, 287 };
static const u8 priorities[] = { 0x00, 0x08, 0x10, 0x40, 0x48, 0x80, 0x88, 0xA0, 0xF0, 0xF8 };
static u64 seed = 0x123456789ABCDEF;

static struct { u64 id; int group; } stack[64];
static int depth;
static u64 mode;
static u8 held[288];    // ended, not yet deactivated: EOImode 1

static u64 next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static u64 any(void) { return ids[next() % count_of(ids)]; }

static void acknowledge(int group)
{
    u64 id = group ? read_icc(ICC_IAR1) : read_icc(ICC_IAR0);
    print("iar%d=%d", (s64)group, id);
    if (id < 1020) {
        stack[depth].id = id;
        stack[depth++].group = group;
    }
}

static void end(void)
{
    if (depth == 0) {
        print("nothing to end");
        return;
    }
    u64 id = stack[--depth].id;
    print("eoir%d %d", (s64)stack[depth].group, id);
    if (stack[depth].group)
        write_icc(ICC_EOIR1, id);
    else
        write_icc(ICC_EOIR0, id);
    held[id] = mode != 0;
}

static void deactivate(void)
{
    for (int i = 0; i < 288; i++)
        if (held[i]) {
            held[i] = 0;
            print("dir %d", (s64)i);
            if (mode)
                write_icc(ICC_DIR, (u64)i);
            else
                gic_set(GICD_ICACTIVER, (u64)i);
            return;
        }
    print("nothing to deactivate");
}

static void operation(void)
{
    u64 id = any(), choice = next() % 28, value = next();
    switch (choice) {
    case 0 ... 3: print("pend %d", id); gic_pend(id); break;
    case 4: print("unpend %d", id); gic_unpend(id); break;
    case 5 ... 6: print("enable %d", id); gic_enable(id); break;
    case 7: print("disable %d", id); gic_disable(id); break;
    case 8: print("activate %d", id); gic_set(GICD_ISACTIVER, id); break;
    case 9: print("inactivate %d", id); gic_set(GICD_ICACTIVER, id); break;
    case 10 ... 11:
        value = priorities[value % count_of(priorities)];
        print("priority %d %x", id, value);
        gic_priority(id, (u8)value);
        break;
    case 12: print("group %d %d", id, value & 1); gic_group(id, value & 1); break;
    case 13:
        if (id >= 16) {
            print("edge %d %d", id, value & 1);
            gic_edge(id, value & 1);
        }
        break;
    case 14 ... 17: acknowledge(value & 1); break;
    case 18 ... 20: end(); break;
    case 21: deactivate(); break;
    case 22: value = value % 5 ? 0xF8 : value & 0xF8; print("pmr %x", value); write_icc(ICC_PMR, value); break;
    case 23: value &= 7; print("bpr1 %x", value); write_icc(ICC_BPR1, value); break;
    case 24: value &= 7; print("bpr0 %x", value); write_icc(ICC_BPR0, value); break;
    case 25:
        // EOImode changes only while nothing is running.
        mode = depth ? mode : (value >> 1) & 1;
        value = mode << 1 | (value & 1);
        print("ctlr %x", value);
        write_icc(ICC_CTLR, value);
        break;
    case 26:
        print("timer %s", value & 1 ? "high" : "low");
        write_sysreg(cntv_ctl_el0, value & 1 ? 1 : 3);
        break;
    case 27:
        switch (value >> 8 & 3) {
        case 0:
            // Both: with one off, QEMU 7.2 lets its interrupts hold back the other group's.
            print("igrpen %d", value & 1);
            write_icc(ICC_IGRPEN0, value & 1);
            write_icc(ICC_IGRPEN1, value & 1);
            break;
        case 1 ... 2: print("sgi %d", id & 15); write_icc(ICC_SGI1R, (id & 15) << 24 | 1); break;
        default: print("gicd_ctlr %d", value & 3); mmio_write(GICD, 0x10 | (value & 3)); break;
        }
        break;
    }
}

void payload_main(void)
{
    gic_init();
    write_sysreg(cntv_cval_el0, 0);
    for (int i = 0; i < count_of(ids); i++) {
        gic_enable(ids[i]);
        if (ids[i] >= 32)
            gic_route(ids[i], 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        operation();
        print(": %x %d %d %x %x %x", read_sysreg(isr_el1), read_icc(ICC_HPPIR0), read_icc(ICC_HPPIR1), read_icc(ICC_RPR), read_icc(ICC_AP0R0),
            read_icc(ICC_AP1R0));
        for (int j = 0; j < count_of(ids); j++)
            print(" %x", (u64)(gic_get(GICD_ISPENDR, ids[j]) | gic_get(GICD_ISACTIVER, ids[j]) << 1 | gic_get(GICD_ISENABLER, ids[j]) << 2));
        print("\n");
        // Groups come back soon after they were turned off.
        if (i % 16 == 0) {
            mmio_write(GICD, 0x13);
            write_icc(ICC_IGRPEN0, 1);
            write_icc(ICC_IGRPEN1, 1);
        }
    }
}

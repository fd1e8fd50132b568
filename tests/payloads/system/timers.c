// The generic timer of EL1: condition, mask, status, TVAL and CVAL, and the interrupts of both timers.
#include "gic.h"

#define VIRTUAL 27
#define PHYSICAL 30

static volatile u64 taken, taken_id, ctl_seen;

void on_interrupt(struct frame *f)
{
    taken++;
    taken_id = read_icc(ICC_IAR1);
    // The level stays until the timer is masked.
    if (taken_id == VIRTUAL) {
        ctl_seen = read_sysreg(cntv_ctl_el0);
        write_sysreg(cntv_ctl_el0, 3);
    } else if (taken_id == PHYSICAL) {
        ctl_seen = read_sysreg(cntp_ctl_el0);
        write_sysreg(cntp_ctl_el0, 3);
    }
    if (taken_id < 1020)
        write_icc(ICC_EOIR1, taken_id);
}

#define CONTROLS(timer, id) do { \
        print("-- cnt" #timer "\n"); \
        write_sysreg(cnt##timer##_ctl_el0, 0); \
        write_sysreg(cnt##timer##_cval_el0, 0); \
        for (u64 v = 0; v < 8; v++) { \
            write_sysreg(cnt##timer##_ctl_el0, v); \
            print("past: ctl %x reads %x", v, read_sysreg(cnt##timer##_ctl_el0)); \
            gic_state(id); \
            print("\n"); \
        } \
        write_sysreg(cnt##timer##_cval_el0, ~0ul); \
        for (u64 v = 0; v < 8; v++) { \
            write_sysreg(cnt##timer##_ctl_el0, v); \
            print("future: ctl %x reads %x", v, read_sysreg(cnt##timer##_ctl_el0)); \
            gic_state(id); \
            print("\n"); \
        } \
        write_sysreg(cnt##timer##_ctl_el0, 0xFFFFFFFFFFFFFFF0); \
        print("reserved bits: %x\n", read_sysreg(cnt##timer##_ctl_el0)); \
        write_sysreg(cnt##timer##_cval_el0, 0x123456789ABCDEF0); \
        print("cval %x\n", read_sysreg(cnt##timer##_cval_el0)); \
        write_sysreg(cnt##timer##_ctl_el0, 1); \
        write_sysreg(cnt##timer##_tval_el0, 0xFFFFFFFF); \
        print("tval -1: ctl %x, cval is past: %d, tval has 32 bits: %d\n", read_sysreg(cnt##timer##_ctl_el0), \
            (s64)(read_sysreg(cnt##timer##_cval_el0) < read_sysreg(cntvct_el0)), (s64)(read_sysreg(cnt##timer##_tval_el0) >> 32 == 0)); \
        write_sysreg(cnt##timer##_tval_el0, 0x7FFFFFFF); \
        print("tval max: ctl %x, cval is future: %d, tval is positive: %d\n", read_sysreg(cnt##timer##_ctl_el0), \
            (s64)(read_sysreg(cnt##timer##_cval_el0) > read_sysreg(cntvct_el0)), (s64)((u32)read_sysreg(cnt##timer##_tval_el0) < 0x80000000)); \
        write_sysreg(cnt##timer##_tval_el0, 0xAAAAAAAA00001000); \
        print("upper half of tval is ignored: %d\n", (s64)(read_sysreg(cnt##timer##_cval_el0) - read_sysreg(cntvct_el0) <= 0x1000 \
            || read_sysreg(cnt##timer##_cval_el0) <= read_sysreg(cntvct_el0))); \
        write_sysreg(cnt##timer##_cval_el0, 0); \
        print("tval of the past: ctl %x, 32 bits: %d\n", read_sysreg(cnt##timer##_ctl_el0), (s64)(read_sysreg(cnt##timer##_tval_el0) >> 32 == 0)); \
        write_sysreg(cnt##timer##_ctl_el0, 0); \
        print("off: ctl %x", read_sysreg(cnt##timer##_ctl_el0)); \
        gic_state(id); \
        print("\n"); \
    } while (0)

#define INTERRUPTS(timer, id) do { \
        taken = 0; \
        u64 start = read_sysreg(cntvct_el0); \
        write_sysreg(cnt##timer##_tval_el0, 100000); \
        write_sysreg(cnt##timer##_ctl_el0, 1); \
        /* Masked around WFI: an interrupt that came just before it would be waited for again. */ \
        while (taken == 0) \
            asm volatile("wfi\n\tmsr daifclr, #2\n\tisb\n\tmsr daifset, #2" ::: "memory"); \
        print("interrupt %d of cnt" #timer " taken %d time, ctl was %x, not early: %d\n", taken_id, taken, ctl_seen, \
            (s64)(read_sysreg(cntvct_el0) - start >= 100000)); \
        /* Pending while masked in PSTATE: WFI returns. */ \
        taken = 0; \
        write_sysreg(cnt##timer##_tval_el0, 100000); \
        write_sysreg(cnt##timer##_ctl_el0, 1); \
        while (!(read_sysreg(isr_el1) & 0x80)) \
            asm volatile("wfi" ::: "memory"); \
        print("WFI with IRQ masked: ctl %x isr %x", read_sysreg(cnt##timer##_ctl_el0), read_sysreg(isr_el1)); \
        gic_state(id); \
        write_sysreg(cnt##timer##_ctl_el0, 3); \
        print(", masked: ctl %x isr %x", read_sysreg(cnt##timer##_ctl_el0), read_sysreg(isr_el1)); \
        write_sysreg(cnt##timer##_ctl_el0, 1); \
        write_sysreg(cnt##timer##_tval_el0, 0x7FFFFFFF); \
        print(", later: ctl %x isr %x, taken %d times\n", read_sysreg(cnt##timer##_ctl_el0), read_sysreg(isr_el1), taken); \
        write_sysreg(cnt##timer##_ctl_el0, 0); \
    } while (0)

void payload_main(void)
{
    gic_init();
    print("CNTFRQ_EL0 %d\n", read_sysreg(cntfrq_el0));
    u64 a = read_sysreg(cntvct_el0), b = read_sysreg(cntpct_el0), c = read_sysreg(cntvct_el0);
    print("both count the same: %d\n", (s64)(a <= b && b <= c));
    CONTROLS(v, VIRTUAL);
    CONTROLS(p, PHYSICAL);
    gic_enable(VIRTUAL);
    gic_enable(PHYSICAL);
    INTERRUPTS(v, VIRTUAL);
    INTERRUPTS(p, PHYSICAL);
}

// ISTATUS = 1 of a timer that is not masked goes with its interrupt: who has seen it, or made it so, finds the interrupt taken, each time, on
// each way. The instructions between are counted: a branch, which ends what an engine executes in one piece, and three more.
#include "gic.h"

#define VIRTUAL 27
#define PHYSICAL 30
#define ROUNDS 200
#define UNMASK asm volatile("msr daifclr, #2" ::: "memory")
#define MASK asm volatile("msr daifset, #2" ::: "memory")

// Counted by the handler; counts[1] is what EL0 has seen of counts[0].
static volatile u64 taken;
static volatile u64 counts[2];
static u64 missed;

void on_interrupt(struct frame *f)
{
    u64 id = read_icc(ICC_IAR1);
    // Masked and still enabled: a loop that polls the status ends.
    taken++;
    counts[0]++;
    if (id == VIRTUAL)
        write_sysreg(cntv_ctl_el0, 3);
    else if (id == PHYSICAL)
        write_sysreg(cntp_ctl_el0, 3);
    if (id < 1020)
        write_icc(ICC_EOIR1, id);
}

#define SEEN(code, ...) ({ \
        u64 seen_; \
        asm volatile(code "\n\tb 2f\n2:\tnop\n\tnop\n\tldr %0, [%1]" : "=&r"(seen_) : "r"(&taken), ##__VA_ARGS__ : "x9", "memory"); \
        seen_; \
    })

#define TIME(what, timer, setup, code, ...) do { \
        missed = 0; \
        for (u64 i = 0; i < ROUNDS; i++) { \
            taken = 0; \
            write_sysreg(cnt##timer##_ctl_el0, 0); \
            setup; \
            UNMASK; \
            missed += SEEN(code, ##__VA_ARGS__) != 1; \
            MASK; \
            write_sysreg(cnt##timer##_ctl_el0, 0); \
        } \
        print("cnt" #timer " " what ": missed %d of %d\n", missed, (s64)ROUNDS); \
    } while (0)

#define WAYS(timer) do { \
        TIME("polled", timer, write_sysreg(cnt##timer##_tval_el0, 20000 + i * 37); write_sysreg(cnt##timer##_ctl_el0, 1), \
            "1:\tmrs x9, cnt" #timer "_ctl_el0\n\ttbz x9, #2, 1b"); \
        TIME("polled from a loop that does other things", timer, write_sysreg(cnt##timer##_tval_el0, 20000 + i * 37); write_sysreg(cnt##timer##_ctl_el0, 1), \
            "1:\tmrs x9, cntvct_el0\n\tmrs x9, cnt" #timer "_ctl_el0\n\tand x9, x9, #7\n\tcmp x9, #5\n\tb.lo 1b"); \
        TIME("enabled in the past", timer, write_sysreg(cnt##timer##_cval_el0, 0), "msr cnt" #timer "_ctl_el0, %2", "r"(1ul)); \
        TIME("unmasked in the past", timer, write_sysreg(cnt##timer##_cval_el0, 0); write_sysreg(cnt##timer##_ctl_el0, 3), \
            "msr cnt" #timer "_ctl_el0, %2", "r"(1ul)); \
        TIME("cval written in the past", timer, write_sysreg(cnt##timer##_cval_el0, ~0ul); write_sysreg(cnt##timer##_ctl_el0, 1), \
            "msr cnt" #timer "_cval_el0, xzr"); \
        TIME("tval written in the past", timer, write_sysreg(cnt##timer##_cval_el0, ~0ul); write_sysreg(cnt##timer##_ctl_el0, 1), \
            "msr cnt" #timer "_tval_el0, %2", "r"(-1l)); \
    } while (0)

// At EL0, where CNTKCTL_EL1 gives it the timer, with interrupts on. What it has seen comes back behind the count.
#define AT_EL0(timer) do { \
        u64 at; \
        missed = 0; \
        asm volatile("adr %0, 1f\n\tb 3f\n" \
            "1:\tmrs x9, cnt" #timer "_ctl_el0\n\ttbz x9, #2, 1b\n\tb 2f\n2:\tnop\n\tnop\n\tldr x1, [x0]\n\tstr x1, [x0, #8]\n\tsvc #0x7FFF\n3:" : "=r"(at)); \
        for (u64 i = 0; i < ROUNDS; i++) { \
            taken = counts[0] = 0; \
            write_sysreg(cnt##timer##_tval_el0, 20000 + i * 37); \
            write_sysreg(cnt##timer##_ctl_el0, 1); \
            enter_with(at, 0, (u64)counts, 0); \
            missed += counts[1] != 1 || taken != 1; \
        } \
        print("cnt" #timer " polled at EL0: missed %d of %d\n", missed, (s64)ROUNDS); \
    } while (0)

void payload_main(void)
{
    gic_init();
    gic_enable(VIRTUAL);
    gic_enable(PHYSICAL);
    WAYS(v);
    WAYS(p);
    write_sysreg(cntkctl_el1, 0x300);
    AT_EL0(v);
    AT_EL0(p);
}

// What performance monitors count: instructions and exceptions to the last one, at each exception level, and overflows where they come. QEMU
// counts instructions with -icount only; what is right is written here. Prints a line for each thing, "wrong" in those that are not so.
#include "gic.h"

#define PMU_IRQ 23
#define INST_RETIRED 8
#define EXC_TAKEN 9
#define EXC_RETURN 10
#define CPU_CYCLES 17
#define CHAIN 0x1E
#define BR_RETIRED 0x21
#define NOT_EL1 0x80000000ul
#define NOT_EL0 0x40000000ul

static volatile u64 taken, pending_at;

void on_interrupt(struct frame *f)
{
    u64 id = read_icc(ICC_IAR1);
    taken++;
    write_sysreg(pmcntenclr_el0, ~0ul);
    pending_at = read_sysreg(pmevcntr0_el0);
    write_sysreg(pmovsclr_el0, ~0ul);
    if (id < 1020)
        write_icc(ICC_EOIR1, id);
}

static void value(const char *name, u64 actual, u64 expected)
{
    print("%s: %d %s\n", name, actual, actual == expected ? "right" : "wrong");
    if (actual != expected)
        print("  instead of %d\n", expected);
}

static void within(const char *name, u64 actual, u64 least, u64 most)
{
    int right = actual >= least && actual <= most;
    print("%s: %s\n", name, right ? "right" : "wrong");
    if (!right)
        print("  %d, not %d to %d\n", actual, least, most);
}

// From the MSR that lets counter 0 count to the one that stops it: that one is not counted, nor is the first.
#define COUNTED(code, ...) do { \
        write_sysreg(pmevcntr0_el0, 0); \
        asm volatile("msr pmcntenset_el0, %0\n\t" code "\n\tmsr pmcntenclr_el0, %0\n\tisb" ::"r"(1ul), ##__VA_ARGS__ \
                     : "x9", "x10", "x11", "memory", "cc"); \
    } while (0)

#define LOOP(n) "mov x9, #" STR(n) "\n1:\tsubs x9, x9, #1\n\tb.ne 1b"

static void instructions(void)
{
    write_sysreg(pmevtyper0_el0, INST_RETIRED);
    COUNTED("");
    value("nothing", read_sysreg(pmevcntr0_el0), 1); // MSR PMCNTENSET itself has been executed when the next one is.
    COUNTED("nop\n\tnop\n\tnop");
    value("three", read_sysreg(pmevcntr0_el0), 4);
    COUNTED(LOOP(50000));
    value("a loop", read_sysreg(pmevcntr0_el0), 100002);
    COUNTED("mov x10, #20\n2:\t" LOOP(50000) "\n\tsubs x10, x10, #1\n\tb.ne 2b");
    value("a longer one", read_sysreg(pmevcntr0_el0), 2000062);
}

static void branches(void)
{
    write_sysreg(pmevtyper0_el0, BR_RETIRED);
    COUNTED("nop\n\tnop\n\tnop");
    value("no branch", read_sysreg(pmevcntr0_el0), 0);
    COUNTED("b 1f\n\tnop\n1:\tcbz xzr, 2f\n\tnop\n2:\tcbnz xzr, 3f\n3:\ttbz xzr, #3, 4f\n\tnop\n4:\ttbnz xzr, #3, 5f\n5:\tcmp xzr, xzr\n\t"
            "b.eq 6f\n\tnop\n6:\tb.ne 7f\n7:");
    value("taken or not", read_sysreg(pmevcntr0_el0), 7);
    COUNTED("mov x11, x30\n\tadr x9, 3f\n\tbl 2f\n\tblr x9\n\tadr x10, 4f\n\tbr x10\n2:\tret\n3:\tret\n4:\tmov x30, x11");
    value("calls and returns", read_sysreg(pmevcntr0_el0), 5);
    COUNTED(LOOP(50000));
    value("branches of a loop", read_sysreg(pmevcntr0_el0), 50000);
    COUNTED("mov x10, #20\n2:\t" LOOP(50000) "\n\tsubs x10, x10, #1\n\tb.ne 2b");
    value("of a longer one", read_sysreg(pmevcntr0_el0), 1000020);
    write_sysreg(pmevtyper1_el0, INST_RETIRED);
    write_sysreg(pmcntenset_el0, 2);
    COUNTED(LOOP(60000));
    value("beside instructions", read_sysreg(pmevcntr0_el0), 60000);
    write_sysreg(pmcntenclr_el0, 2);
    write_sysreg(pmcr_el0, 3);
}

static void levels(void)
{
    // At EL0: MOV, 200 times SUBS and B.NE, SVC.
    u64 at;
    asm volatile("adr %0, 1f\n\tb 3f\n1:\tmov x1, #200\n2:\tsubs x1, x1, #1\n\tb.ne 2b\n\tsvc #0x7FFF\n3:" : "=r"(at));
    write_sysreg(pmevtyper0_el0, INST_RETIRED | NOT_EL1);
    write_sysreg(pmevtyper1_el0, EXC_TAKEN | NOT_EL1);
    write_sysreg(pmevtyper2_el0, EXC_RETURN);
    write_sysreg(pmevtyper3_el0, INST_RETIRED | NOT_EL1 | NOT_EL0);
    for (u64 times = 0; times < 3; times++) {
        write_sysreg(pmcr_el0, 3);
        write_sysreg(pmcntenset_el0, 15);
        run_el0((void *)at, 0);
        write_sysreg(pmcntenclr_el0, 15);
        value("at EL0", read_sysreg(pmevcntr0_el0), 402);
        value("exceptions from there", read_sysreg(pmevcntr1_el0), 1);
        within("returns", read_sysreg(pmevcntr2_el0), 1, 2);
        value("at no level", read_sysreg(pmevcntr3_el0), 0);
    }

    // An instruction that takes an exception is not executed.
    asm volatile("adr %0, 1f\n\tb 3f\n1:\tnop\n\t.inst 0\n\tnop\n\tsvc #0x7FFF\n3:" : "=r"(at));
    write_sysreg(pmcr_el0, 3);
    write_sysreg(pmcntenset_el0, 3);
    run_el0((void *)at, 0);
    write_sysreg(pmcntenclr_el0, 3);
    value("around an undefined instruction", read_sysreg(pmevcntr0_el0), 3);
    value("exceptions", read_sysreg(pmevcntr1_el0), 2);
}

static void overflows(void)
{
    gic_init();
    gic_enable(PMU_IRQ);
    write_sysreg(pmintenset_el1, 1);
    asm volatile("msr daifclr, #2\n\tisb" ::: "memory");
    for (u64 i = 0; i < 6; i++) {
        write_sysreg(pmevtyper0_el0, i % 2 ? BR_RETIRED : INST_RETIRED);
        taken = 0;
        write_sysreg(pmevcntr0_el0, (0 - 300000ul) & 0xFFFFFFFF);
        write_sysreg(pmcntenset_el0, 1);
        asm volatile("mov x9, #0x100000\n1:\tsubs x9, x9, #1\n\tb.ne 1b" ::: "x9", "cc");
        write_sysreg(pmcntenclr_el0, 1);
        value("interrupts", taken, 1);
        within(i % 2 ? "branches until it is taken" : "instructions until it is taken", pending_at & 0xFFFFFFFF, 0, 2000);
    }

    asm volatile("msr daifset, #2\n\tisb" ::: "memory");
    write_sysreg(pmintenclr_el1, 1);
    write_sysreg(pmevtyper0_el0, INST_RETIRED);
    write_sysreg(pmevtyper1_el0, CHAIN);
    write_sysreg(pmevcntr0_el0, 0xFFFFFFF0);
    write_sysreg(pmevcntr1_el0, 41);
    write_sysreg(pmcntenset_el0, 3);
    asm volatile("mov x9, #100\n1:\tsubs x9, x9, #1\n\tb.ne 1b" ::: "x9", "cc");
    write_sysreg(pmcntenclr_el0, 3);
    value("chained", read_sysreg(pmevcntr1_el0), 42);
    value("the lower half has overflowed", read_sysreg(pmovsclr_el0) & 1, 1);

    // QEMU looks at PMCR_EL0.E at the next event only.
    write_sysreg(pmintenset_el1, 1);
    value("pending", (u64)gic_get(GICD_ISPENDR, PMU_IRQ), 1);
    write_sysreg(pmcr_el0, 0);
    value("pending without PMCR_EL0.E", (u64)gic_get(GICD_ISPENDR, PMU_IRQ), 0);
    write_sysreg(pmcr_el0, 1);
    write_sysreg(pmovsclr_el0, ~0ul);
    write_sysreg(pmintenclr_el1, 1);
}

static void cycles(void)
{
    write_sysreg(pmevtyper0_el0, CPU_CYCLES);
    write_sysreg(pmcr_el0, 7);
    u64 from = read_sysreg(cntvct_el0);
    write_sysreg(pmcntenset_el0, 0x80000001);
    asm volatile("mov x9, #0x1000000\n1:\tsubs x9, x9, #1\n\tb.ne 1b" ::: "x9", "cc");
    write_sysreg(pmcntenclr_el0, 0x80000001);
    u64 time = (read_sysreg(cntvct_el0) - from) * 16;
    u64 counted = read_sysreg(pmccntr_el0);
    within("cycles: some, and no more than the time", counted, 1000, time + 16);
    u64 event = read_sysreg(pmevcntr0_el0);
    within("both counters of cycles", (counted - event) & 0xFFFFFFFF, 0, 0);
    write_sysreg(pmcr_el0, 5);
    value("reset", read_sysreg(pmccntr_el0), 0);
}

void payload_main(void)
{
    write_sysreg(pmcr_el0, 1);
    instructions();
    branches();
    levels();
    overflows();
    cycles();
}

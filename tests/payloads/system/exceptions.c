// Exception generation, traps to EL1 and their syndromes (Arm ARM D1.3, D24.2.40), with the MMU off.
#include "payload.h"

#define SCTLR 0x30D00800ul
#define SCTLR_UMA (1ul << 9)
#define SCTLR_DZE (1ul << 14)
#define SCTLR_UCT (1ul << 15)
#define SCTLR_NTWI (1ul << 16)
#define SCTLR_NTWE (1ul << 18)
#define SCTLR_UCI (1ul << 26)

static void calls(void)
{
    PROBE("svc 0 at EL1", "svc #0");
    PROBE("svc 0xffff at EL1", "svc #0xffff");
    PROBE("brk 0x1234 at EL1", "brk #0x1234");
    PROBE("smc without EL3", "smc #0");
    PROBE_EL0("svc 0x123 at EL0", "svc #0x123");
    PROBE_EL0("brk 1 at EL0", "brk #1");
    PROBE_EL0("hvc at EL0", "hvc #0");
    PROBE_EL0("smc at EL0", "smc #0");
    PROBE_EL0("eret at EL0", "eret");
    PROBE("hlt with halting debug off", "hlt #3");
    PROBE("dcps1 outside debug state", "dcps1");
    PROBE_EL0("drps at EL0", "drps");
}

static void undefined(void)
{
    PROBE("udf", ".inst 0x00000000");
    PROBE("udf 0xffff", ".inst 0x0000ffff");
    PROBE("unallocated", ".inst 0xffffffff");
    PROBE("br with wrong fields", ".inst 0xd61f0001");
    PROBE("add shift 3", ".inst 0x8bc00000");
    PROBE("EL2 register", "mrs x0, hcr_el2" ::: "x0");
    PROBE("EL3 register", "mrs x0, scr_el3" ::: "x0");
    PROBE("write of a read-only register", "msr s3_0_c0_c0_0, x0");
    PROBE("read of a write-only register", "mrs x0, s3_0_c12_c11_5" ::: "x0");
    PROBE("unallocated register", "mrs x0, s3_0_c1_c9_7" ::: "x0");
    PROBE("unallocated sys", "sys #0, c7, c1, #7, x0");
    PROBE("sysl", "sysl x0, #0, c7, c8, #0" ::: "x0");
    PROBE("unallocated ID space", "mrs x0, s3_0_c0_c7_7" ::: "x0");
    PROBE_EL0("EL1 register at EL0", "mrs x0, sctlr_el1");
    PROBE_EL0("EL1 register written at EL0", "msr vbar_el1, x0");
    PROBE_EL0("spsel at EL0", "msr spsel, #1");
    PROBE_EL0("currentel at EL0", "mrs x0, currentel");
    PROBE_EL0("tlbi at EL0", "tlbi vmalle1");
    PROBE_EL0("ic iallu at EL0", "ic iallu");
    PROBE_EL0("dc ivac at EL0", "dc ivac, x0");
    PROBE_EL0("dc isw at EL0", "dc isw, x0");
    PROBE_EL0("at s1e1r at EL0", "at s1e1r, x0");
    PROBE_EL0("gic register at EL0", "mrs x0, s3_0_c12_c12_0");
    PROBE_EL0("debug register at EL0", "mrs x0, mdscr_el1");
}

// QEMU 7.2 swaps op1 and op2 in the ISS of a trapped MSR DAIFSet and DAIFClr.
#define PROBE_EL0_CLASS(name, code) do { \
        PROBE_EL0_QUIETLY(code); \
        print("%s: ec=%x elr=%x\n", name, (trap.esr >> 26) & 0x3F, trap.elr); \
    } while (0)

// With the control off, and on where nothing else stands in the way.
static void el0_controls(void)
{
    write_sysreg(sctlr_el1, SCTLR);
    PROBE_EL0_CLASS("msr daifset", "msr daifset, #15");
    PROBE_EL0_CLASS("msr daifclr", "msr daifclr, #2");
    PROBE_EL0("mrs daif", "mrs x5, daif");
    PROBE_EL0("msr daif", "msr daif, x5");
    PROBE_EL0("mrs ctr", "mrs x17, ctr_el0");
    PROBE_EL0("dc zva", "dc zva, x0");
    PROBE_EL0("dc cvau", "dc cvau, x0");
    PROBE_EL0("dc cvac", "dc cvac, x0");
    PROBE_EL0("dc cvap", "sys #3, c7, c12, #1, x0");
    PROBE_EL0("dc civac", "dc civac, x0");
    PROBE_EL0("ic ivau", "ic ivau, x0");
    PROBE_EL0("wfi", "wfi");
    // QEMU 7.2 never traps WFE.
    PROBE_EL0("sevl, wfe", "sevl\n\twfe");
    PROBE_EL0("dczid", "mrs x0, dczid_el0");
    PROBE_EL0("tpidr_el0", "msr tpidr_el0, x0\n\tmrs x0, tpidr_el0");
    PROBE_EL0("tpidrro_el0 read", "mrs x0, tpidrro_el0");
    PROBE_EL0("tpidrro_el0 written", "msr tpidrro_el0, x0");
    PROBE_EL0("nzcv", "msr nzcv, x0\n\tmrs x0, nzcv");

    write_sysreg(sctlr_el1, SCTLR | SCTLR_UMA | SCTLR_DZE | SCTLR_UCT | SCTLR_UCI | SCTLR_NTWE | SCTLR_NTWI);
    PROBE_EL0("allowed msr daifset", "msr daifset, #15");
    PROBE_EL0("allowed mrs daif", "mrs x5, daif");
    PROBE_EL0("allowed mrs ctr", "mrs x17, ctr_el0");
    PROBE_EL0("allowed dc cvau", "dc cvau, x0");
    PROBE_EL0("allowed dc civac", "dc civac, x0");
    PROBE_EL0("allowed ic ivau", "ic ivau, x0");
    PROBE_EL0("allowed sevl, wfe", "sevl\n\twfe");
    write_sysreg(sctlr_el1, SCTLR);
}

static void timers_at_el0(void)
{
    static const u64 controls[] = { 0, 1, 2, 1 << 8, 1 << 9 };
    for (int i = 0; i < count_of(controls); i++) {
        print("CNTKCTL_EL1=%x\n", controls[i]);
        write_sysreg(cntkctl_el1, controls[i]);
        PROBE_EL0("cntfrq", "mrs x1, cntfrq_el0");
        PROBE_EL0("cntpct", "mrs x2, cntpct_el0");
        PROBE_EL0("cntvct", "mrs x3, cntvct_el0");
        PROBE_EL0("cntp_ctl", "mrs x4, cntp_ctl_el0");
        PROBE_EL0("cntp_tval written", "msr cntp_tval_el0, x5");
        PROBE_EL0("cntv_cval", "mrs x6, cntv_cval_el0");
        PROBE_EL0("cntv_ctl written", "msr cntv_ctl_el0, xzr");
        PROBE_EL0("cntfrq written", "msr cntfrq_el0, x0");
    }
    write_sysreg(cntkctl_el1, 0);
}

static void floating_point(void)
{
    for (u64 fpen = 0; fpen < 4; fpen++) {
        print("CPACR_EL1.FPEN=%d\n", fpen);
        write_sysreg(cpacr_el1, fpen << 20);
        PROBE("vector add at EL1", "add v0.2d, v0.2d, v0.2d");
        PROBE("vector load at EL1", "ldr q0, [%0]" ::"r"(scratch));
        PROBE("mrs fpcr at EL1", "mrs x0, fpcr" ::: "x0");
        PROBE_EL0("vector compare at EL0", "cmeq v0.4s, v1.4s, v2.4s");
        PROBE_EL0("vector store at EL0", "str q0, [x0]");
        PROBE_EL0("msr fpsr at EL0", "msr fpsr, xzr");
        PROBE_EL0("mrs fpcr at EL0", "mrs x1, fpcr");
    }
    write_sysreg(cpacr_el1, 3 << 20);
}

// Without the alignment of SP, which QEMU 7.2 does not check.
static void unaligned_pc(void)
{
    static const u64 pcs[] = { 1, 2, 3 };
    for (int i = 0; i < count_of(pcs); i++) {
        u64 pc;
        trap_clear();
        asm volatile("adr %0, 1f\n\tstr %0, [%1]\n\tadd %0, %0, %2\n\tbr %0\n1:" : "=&r"(pc) : "r"(&trap_resume), "r"(pcs[i]) : "memory");
        trap_report("br to an unaligned PC");
    }
    trap_clear();
    asm volatile("adr x9, 1f\n\tstr x9, [%0]\n\tadd x9, x9, #2\n\tblr x9\n1:" ::"r"(&trap_resume) : "x9", "x30", "memory");
    trap_report("blr to an unaligned PC");
    PROBE_EL0("br at EL0", "adr x1, 3f\n\tadrp x2, trap_resume\n\tstr x1, [x2, :lo12:trap_resume]\n\tadd x1, x1, #1\n\tbr x1\n3:");
}

// The four groups of vectors: SP_EL0 and SP_ELx at EL1, EL0; and what of PSTATE is saved and set.
static void vectors(void)
{
    PROBE("svc with SP_EL0", "msr spsel, #0\n\tsvc #1\n\tmsr spsel, #1" ::: "memory");
    PROBE("flags", "mov x9, #(0xA << 28)\n\tmsr nzcv, x9\n\tsvc #2" ::: "x9", "cc");
    PROBE("daif clear", "msr daifclr, #15\n\tsvc #3\n\tmsr daifset, #15");
    PROBE("daif partly", "msr daifset, #15\n\tmsr daifclr, #5\n\tsvc #3\n\tmsr daifset, #15");
    PROBE("pan", "msr pan, #1\n\tsvc #3\n\tmsr pan, #0");
    PROBE("uao", "msr uao, #1\n\tsvc #3\n\tmsr uao, #0");
    PROBE("ssbs", "msr ssbs, #1\n\tsvc #3\n\tmsr ssbs, #0");
    print("SCTLR_EL1.SPAN=0: PAN is %s\n", ({
        u64 pan;
        write_sysreg(sctlr_el1, SCTLR & ~(1ul << 23));
        asm volatile("svc #4\n\tmrs %0, s3_0_c4_c2_3" : "=r"(pan));
        write_sysreg(sctlr_el1, SCTLR);
        pan ? "set after ERET" : "as before after ERET";
    }));
    print("daif=%x currentel=%x spsel=%x nzcv=%x\n", read_sysreg(daif), read_sysreg(currentel), read_sysreg(spsel), read_sysreg(nzcv));
}

void payload_main(void)
{
    calls();
    undefined();
    el0_controls();
    timers_at_el0();
    floating_point();
    unaligned_pc();
    vectors();
}

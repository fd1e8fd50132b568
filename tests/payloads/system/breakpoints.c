// Breakpoints and watchpoints (Arm ARM D2.8 to D2.10) at EL0 and EL1: enables, privilege, linked contexts, sizes, masks.
// QEMU 7.2 looks at the wrong bit for the OS lock, so that it never keeps a debug exception back: it is only opened here.
#include "mmu.h"

#define KDE (1ul << 13)
#define MDE (1ul << 15)
#define ENABLE 1ul
#define PMC_EL1 (1ul << 1)
#define PMC_EL0 (2ul << 1)
#define BAS_ALL (0xFul << 5)
#define LOADS (1ul << 3)
#define STORES (2ul << 3)
#define BYTES(mask) ((u64)(mask) << 5)
#define LINK(n) ((u64)(n) << 16 | 1ul << 20)
#define LINKED_CONTEXT (3ul << 20)
#define EL0 0x3C0ul
#define EL1 0x1C5ul

static struct tables t;

#define CODE(code) ({ u64 at_; asm volatile("adr %0, 1f\n\tb 2f\n1:\t" code "\n\tsvc #0x7FFF\n2:" : "=r"(at_)); at_; })

static u64 run(const char *name, u64 spsr, u64 code)
{
    trap_clear();
    u64 result = enter_with(code, spsr, 0, (u64)scratch);
    print("%s: ", name);
    if (trap.count == 0)
        print("none");
    else
        print("ec=%x iss=%x at +%x", trap.esr >> 26, trap.esr & 0x1FFFFFF, trap.elr - code);
    if (trap.count > 1)
        print(" (%d times)", trap.count);
    if (trap.esr >> 26 == 0x34 || trap.esr >> 26 == 0x35)
        if (trap.count)
            print(" far +%x", trap.far - (u64)scratch);
    print(" result %x\n", result);
    return result;
}

static void breakpoints(void)
{
    u64 code = CODE("mov x0, #1\n\tmov x0, #2\n\tmov x0, #3");
    static const struct { const char *name; u64 mdscr, control; } cases[] = {
        { "both, EL0 and EL1", MDE | KDE, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL },
        { "EL0 only", MDE | KDE, ENABLE | PMC_EL0 | BAS_ALL },
        { "EL1 only", MDE | KDE, ENABLE | PMC_EL1 | BAS_ALL },
        { "without MDE", KDE, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL },
        { "without KDE", MDE, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL },
        { "not enabled", MDE | KDE, PMC_EL0 | PMC_EL1 | BAS_ALL },
    };
    write_sysreg(dbgbvr0_el1, code + 4);
    for (int i = 0; i < count_of(cases); i++) {
        print("-- %s\n", cases[i].name);
        write_sysreg(dbgbcr0_el1, cases[i].control);
        write_sysreg(mdscr_el1, cases[i].mdscr);
        run("EL0", EL0, code);
        run("EL1", EL1, code);
        run("EL1 with PSTATE.D", EL1 | 0x200, code);
        run("EL1 with SP_EL0", EL1 & ~1ul, code);
    }
    print("-- several\n");
    write_sysreg(mdscr_el1, MDE | KDE);
    write_sysreg(dbgbcr0_el1, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL);
    write_sysreg(dbgbvr5_el1, code + 8);
    write_sysreg(dbgbcr5_el1, ENABLE | PMC_EL0 | BAS_ALL);
    run("EL0", EL0, code);
    run("EL1", EL1, code);
    write_sysreg(dbgbcr0_el1, 0);
    write_sysreg(dbgbcr5_el1, 0);

    print("-- linked to a context\n");
    write_sysreg(dbgbvr1_el1, code + 8);
    write_sysreg(dbgbcr1_el1, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL | LINK(4));
    write_sysreg(dbgbvr4_el1, 0x1234);
    write_sysreg(dbgbcr4_el1, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL | LINKED_CONTEXT);
    write_sysreg(contextidr_el1, 0x1235);
    run("another context", EL0, code);
    write_sysreg(contextidr_el1, 0x1234);
    run("the context, EL0", EL0, code);
    run("the context, EL1", EL1, code);
    write_sysreg(dbgbcr4_el1, PMC_EL0 | PMC_EL1 | BAS_ALL | LINKED_CONTEXT);
    run("the context's breakpoint not enabled", EL0, code);
    write_sysreg(dbgbcr4_el1, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL);
    write_sysreg(dbgbvr4_el1, code);
    write_sysreg(dbgbcr1_el1, 0);
    run("an address breakpoint of the same number", EL0, code);
    write_sysreg(dbgbcr4_el1, 0);
    write_sysreg(contextidr_el1, 0);
}

static void priorities(void)
{
    u64 code = CODE("mov x0, #1\n\tbrk #7\n\tudf #0\n\tsvc #1");
    print("-- before what the instruction does\n");
    for (u64 i = 1; i < 4; i++) {
        write_sysreg(dbgbvr0_el1, code + i * 4);
        write_sysreg(dbgbcr0_el1, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL);
        trap_clear();
        enter_with(code, EL0, 0, 0);
        print("breakpoint at +%x: %d exceptions, last ec=%x\n", i * 4, trap.count, trap.esr >> 26);
    }
    write_sysreg(dbgbcr0_el1, 0);
}

static void fill(void)
{
    for (int i = 0; i < 256; i++)
        scratch[i] = (u8)i;
}

#define WATCH(name, spsr, code) do { fill(); run(name, spsr, CODE(code)); } while (0)

static void controls(u64 spsr)
{
    static const struct { const char *name; u64 mdscr, control; } cases[] = {
        { "all", MDE | KDE, ENABLE | PMC_EL0 | PMC_EL1 | LOADS | STORES | BYTES(0xFF) },
        { "loads", MDE | KDE, ENABLE | PMC_EL0 | PMC_EL1 | LOADS | BYTES(0xFF) },
        { "stores", MDE | KDE, ENABLE | PMC_EL0 | PMC_EL1 | STORES | BYTES(0xFF) },
        { "EL0", MDE | KDE, ENABLE | PMC_EL0 | LOADS | STORES | BYTES(0xFF) },
        { "EL1", MDE | KDE, ENABLE | PMC_EL1 | LOADS | STORES | BYTES(0xFF) },
        { "without MDE", KDE, ENABLE | PMC_EL0 | PMC_EL1 | LOADS | STORES | BYTES(0xFF) },
        { "without KDE", MDE, ENABLE | PMC_EL0 | PMC_EL1 | LOADS | STORES | BYTES(0xFF) },
        { "not enabled", MDE | KDE, PMC_EL0 | PMC_EL1 | LOADS | STORES | BYTES(0xFF) },
    };
    write_sysreg(dbgwvr0_el1, scratch + 64);
    for (int i = 0; i < count_of(cases); i++) {
        print("-- watchpoint, %s, %s\n", cases[i].name, spsr == EL0 ? "EL0" : "EL1");
        write_sysreg(dbgwcr0_el1, cases[i].control);
        write_sysreg(mdscr_el1, cases[i].mdscr);
        WATCH("load", spsr, "ldr w0, [x1, #64]");
        WATCH("store", spsr, "str w0, [x1, #64]\n\tldr w0, [x1, #60]");
        if (spsr != EL0)
            WATCH("load with PSTATE.D", spsr | 0x200, "ldr w0, [x1, #64]");
    }
    write_sysreg(mdscr_el1, MDE | KDE);
}

static void bytes(u64 spsr)
{
    static const u8 masks[] = { 0x01, 0x02, 0x80, 0x0F, 0xF0, 0x3C };
    for (int i = 0; i < count_of(masks); i++) {
        print("-- watched bytes %x\n", (u64)masks[i]);
        write_sysreg(dbgwvr0_el1, scratch + 64);
        write_sysreg(dbgwcr0_el1, ENABLE | PMC_EL0 | PMC_EL1 | LOADS | STORES | BYTES(masks[i]));
        WATCH("ldrb +0", spsr, "ldrb w0, [x1, #64]");
        WATCH("ldrb +1", spsr, "ldrb w0, [x1, #65]");
        WATCH("ldrb +7", spsr, "ldrb w0, [x1, #71]");
        WATCH("ldrh +0", spsr, "ldrh w0, [x1, #64]");
        WATCH("ldrh +6", spsr, "ldrh w0, [x1, #70]");
        WATCH("ldr w +0", spsr, "ldr w0, [x1, #64]");
        WATCH("ldr w +4", spsr, "ldr w0, [x1, #68]");
        WATCH("ldr x +0", spsr, "ldr x0, [x1, #64]");
        WATCH("strb +0", spsr, "strb w1, [x1, #64]\n\tmov x0, #9");
        WATCH("str x +0", spsr, "str x1, [x1, #64]\n\tmov x0, #9");
    }
    write_sysreg(dbgwcr0_el1, 0);
}

static void ranges(u64 spsr)
{
    print("-- watched range of 32 bytes\n");
    write_sysreg(dbgwvr0_el1, scratch + 64);
    write_sysreg(dbgwcr0_el1, ENABLE | PMC_EL0 | PMC_EL1 | LOADS | STORES | BYTES(0xFF) | (5ul << 24));
    WATCH("below", spsr, "ldr x0, [x1, #56]");
    WATCH("first", spsr, "ldr x0, [x1, #64]");
    WATCH("last", spsr, "ldrb w0, [x1, #95]");
    WATCH("above", spsr, "ldr x0, [x1, #96]");
    // With the MMU off, memory is device memory for EL0 here: it wants aligned accesses.
    if (spsr != EL0)
        WATCH("into it", spsr, "mov x2, #60\n\tldr x0, [x1, x2]");
    WATCH("two watchpoints", spsr, "ldr x0, [x1, #64]");
    write_sysreg(dbgwvr3_el1, scratch + 128);
    write_sysreg(dbgwcr3_el1, ENABLE | PMC_EL0 | PMC_EL1 | STORES | BYTES(0xFF));
    WATCH("the second", spsr, "str x0, [x1, #128]\n\tldr x0, [x1, #128]");
    write_sysreg(dbgwcr0_el1, 0);
    write_sysreg(dbgwcr3_el1, 0);
}

static void instructions(u64 spsr)
{
    print("-- kinds of accesses\n");
    write_sysreg(dbgwvr0_el1, scratch + 64);
    write_sysreg(dbgwcr0_el1, ENABLE | PMC_EL0 | PMC_EL1 | LOADS | STORES | BYTES(0xFF));
    WATCH("ldp first", spsr, "ldp x0, x2, [x1, #64]");
    WATCH("ldp second", spsr, "ldp x0, x2, [x1, #56]");
    WATCH("stp second", spsr, "stp x1, x2, [x1, #56]\n\tmov x0, #9");
    WATCH("ldr q", spsr, "ldr q0, [x1, #64]\n\tmov x0, #9");
    WATCH("ldp q second half", spsr, "ldp q0, q1, [x1, #48]\n\tmov x0, #9");
    WATCH("ldr with write-back", spsr, "add x1, x1, #56\n\tldr x0, [x1, #8]!\n\tmov x0, x1\n\tsub x0, x0, #8");
    WATCH("prfm", spsr, "prfm pldl1keep, [x1, #64]\n\tmov x0, #9");
    WATCH("dc zva", spsr, "add x1, x1, #64\n\tdc zva, x1\n\tmov x0, #9");
    WATCH("ldxr", spsr, "add x1, x1, #64\n\tldxr x0, [x1]");
    WATCH("ldar", spsr, "add x1, x1, #64\n\tldar x0, [x1]");
    WATCH("stlr", spsr, "add x1, x1, #64\n\tstlr x0, [x1]\n\tmov x0, #9");
    WATCH("ldtr", spsr, "ldtr x0, [x1, #64]");
    WATCH("swp", spsr, "add x1, x1, #64\n\t.inst 0xf8208020");
    WATCH("ldadd", spsr, "add x1, x1, #64\n\t.inst 0xf8200020");
    print("-- kinds of accesses, stores watched\n");
    write_sysreg(dbgwcr0_el1, ENABLE | PMC_EL0 | PMC_EL1 | STORES | BYTES(0xFF));
    WATCH("swp", spsr, "add x1, x1, #64\n\t.inst 0xf8208020");
    WATCH("ldxr, stxr", spsr, "add x1, x1, #64\n\tldxr x0, [x1]\n\tstxr w0, x2, [x1]");
    print("-- unprivileged accesses are of EL0\n");
    write_sysreg(dbgwcr0_el1, ENABLE | PMC_EL0 | LOADS | STORES | BYTES(0xFF));
    WATCH("ldr", spsr, "ldr x0, [x1, #64]");
    WATCH("ldtr", spsr, "ldtr x0, [x1, #64]");
    write_sysreg(dbgwcr0_el1, ENABLE | PMC_EL1 | LOADS | STORES | BYTES(0xFF));
    WATCH("ldtr", spsr, "ldtr x0, [x1, #64]");
    write_sysreg(dbgwcr0_el1, 0);

    print("-- linked to a context\n");
    write_sysreg(dbgbvr4_el1, 0x77);
    write_sysreg(dbgbcr4_el1, ENABLE | PMC_EL0 | PMC_EL1 | BAS_ALL | LINKED_CONTEXT);
    write_sysreg(dbgwcr0_el1, ENABLE | PMC_EL0 | PMC_EL1 | LOADS | STORES | BYTES(0xFF) | LINK(4));
    WATCH("another context", spsr, "ldr x0, [x1, #64]");
    write_sysreg(contextidr_el1, 0x77);
    WATCH("the context", spsr, "ldr x0, [x1, #64]");
    write_sysreg(contextidr_el1, 0);
    write_sysreg(dbgbcr4_el1, 0);
    write_sysreg(dbgwcr0_el1, 0);
}

// The 2 MiB of the image in pages, so that one of them is EL0's: unprivileged accesses need it.
static void map_scratch(void)
{
    u64 block = (u64)scratch & ~0x1FFFFFul;
    *mmu_entry(&t, block, 2) = 0;
    mmu_entry(&t, block, 3);
    for (u64 a = block; a < block + 0x200000; a += 4096)
        mmu_map(&t, a, a, 3, NORMAL | UXN | (a == ((u64)scratch & ~0xFFFul) ? AP_EL0 : 0));
}

void payload_main(void)
{
    write_sysreg(oslar_el1, 0);
    breakpoints();
    priorities();
    controls(EL0);
    controls(EL1);
    bytes(EL0);
    ranges(EL0);
    mmu_new(&t, 12, 48);
    map_scratch();
    mmu_on(&t, SCTLR_MMU);
    bytes(EL1);
    ranges(EL1);
    instructions(EL1);
    mmu_off();
}

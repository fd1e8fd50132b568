// Branch target identification (Arm ARM D8.4.4): every kind of indirect branch to every kind of target, from and to pages that are guarded or
// not, at EL0 and EL1, with SCTLR_EL1.BT0 and BT1; what PSTATE.BTYPE is when an exception is taken, and that ERET restores it.
#include "mmu.h"

asm(".arch armv8.5-a");

#define GP (1ul << 50)
#define BT0 (1ul << 35)
#define BT1 (1ul << 36)
#define CODE 0x200000000000ul

#define SVC_RETURN 0xD40FFFE1u

static struct tables t;

// Any exception ends what was called.
int on_trap(struct frame *f)
{
    f->elr = (u64)left_el0;
    f->spsr = 0x3C5;
    return 1;
}

// The code pages: 64 bytes for each kind of target. EL0 and EL1 return by SVC #0x7FFF.
static u32 targets[1024] __attribute__((aligned(4096)));
static u32 branches[1024] __attribute__((aligned(4096)));

static const struct { const char *name; u32 word; } kinds[] = {
    { "nop", 0xD503201F }, { "bti", 0xD503241F }, { "bti c", 0xD503245F }, { "bti j", 0xD503249F }, { "bti jc", 0xD50324DF },
    { "paciasp", 0xD503233F }, { "pacibsp", 0xD503237F }, { "autiasp", 0xD50323BF }, { "add", 0x91000400 }, { "brk", 0xD4200000 },
};

// X1 has the target.
static const struct { const char *name; u32 words[2]; } ways[] = {
    { "br x1", { 0xD61F0020 } }, { "br x16", { 0xAA0103F0, 0xD61F0200 } }, { "br x17", { 0xAA0103F1, 0xD61F0220 } }, { "blr x1", { 0xD63F0020 } },
    { "blr x16", { 0xAA0103F0, 0xD63F0200 } }, { "ret x1", { 0xD65F0020 } },
};

static void write_code(void)
{
    for (int k = 0; k < count_of(kinds); k++) {
        targets[16 * k] = kinds[k].word;
        targets[16 * k + 1] = SVC_RETURN;
    }
    for (int w = 0; w < count_of(ways); w++) {
        branches[16 * w] = ways[w].words[0];
        branches[16 * w + 1] = ways[w].words[1];
    }
    for (int n = 0; n < 1024; n += 16) {
        asm volatile("dc cvau, %0\n\tdc cvau, %1" ::"r"(&targets[n]), "r"(&branches[n]) : "memory");
        dsb();
        asm volatile("ic ivau, %0\n\tic ivau, %1" ::"r"(&targets[n]), "r"(&branches[n]) : "memory");
    }
    dsb();
    isb();
}

static void go(int way, int kind, u64 spsr)
{
    u64 target = CODE + 0x1000 + 64 * kind;
    trap_clear();
    enter_with(CODE + 64 * way, spsr, 0, target);
    if (trap.count == 0)
        print(" %s", kinds[kind].name);
    else
        print(" (%s ec %x iss %x type %d at %d)", kinds[kind].name, trap.esr >> 26, trap.esr & 0x1FFFFFF, trap.spsr >> 10 & 3, trap.elr - target);
}

static void all(u64 spsr, u64 access)
{
    for (int guarded = 0; guarded < 4; guarded++) {
        mmu_map(&t, CODE, (u64)branches, 3, NORMAL | AP_RO | access | (guarded & 1 ? GP : 0));
        mmu_map(&t, CODE + 0x1000, (u64)targets, 3, NORMAL | AP_RO | access | (guarded & 2 ? GP : 0));
        tlbi_all();
        for (int w = 0; w < count_of(ways); w++) {
            print("%s%s %s:", guarded & 1 ? "guarded" : "", guarded & 2 ? " to guarded" : "", ways[w].name);
            // Twice: the second time translated code knows the way.
            for (int again = 0; again < 2; again++)
                for (int k = 0; k < count_of(kinds); k++)
                    go(w, k, spsr);
            print("\n");
        }
    }
}

// An exception return to a guarded page with each BTYPE.
static void returns(u64 spsr)
{
    for (u64 n = 0; n < 4; n++) {
        print("eret with type %d:", n);
        for (int k = 0; k < count_of(kinds); k++) {
            u64 target = CODE + 0x1000 + 64 * k;
            trap_clear();
            enter_with(target, spsr | n << 10, 0, 0);
            if (trap.count == 0)
                print(" %s", kinds[k].name);
            else
                print(" (%s ec %x iss %x type %d at %d)", kinds[k].name, trap.esr >> 26, trap.esr & 0x1FFFFFF, trap.spsr >> 10 & 3, trap.elr - target);
        }
        print("\n");
    }
}

// A target that cannot be fetched: the abort has the type.
static void aborted(u64 spsr)
{
    for (int w = 0; w < count_of(ways); w++) {
        trap_clear();
        enter_with(CODE + 64 * w, spsr, 0, CODE + 0x5000);
        print("%s to nowhere: ec %x iss %x type %d\n", ways[w].name, trap.esr >> 26, trap.esr & 0x1FFFFFF, trap.spsr >> 10 & 3);
        trap_clear();
        enter_with(CODE + 64 * w, spsr, 0, CODE + 0x1082);
        print("%s to a misaligned address: ec %x iss %x type %d\n", ways[w].name, trap.esr >> 26, trap.esr & 0x1FFFFFF, trap.spsr >> 10 & 3);
    }
}

void payload_main(void)
{
    write_code();
    mmu_new(&t, 12, 48);
    mmu_on(&t, SCTLR_MMU);
    for (int bt = 0; bt < 2; bt++) {
        write_sysreg(sctlr_el1, SCTLR_MMU | (bt ? BT0 | BT1 : 0));
        print("BT %d, EL1\n", bt);
        all(0x3C5, UXN);
        returns(0x3C5);
        aborted(0x3C5);
        print("BT %d, EL0\n", bt);
        all(SPSR_EL0, AP_EL0 | PXN);
        returns(SPSR_EL0);
        aborted(SPSR_EL0);
    }
    mmu_off();
}

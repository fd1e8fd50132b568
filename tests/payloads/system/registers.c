// Every encoding of MRS, MSR and SYS at EL1 and EL0: which exist, which EL0 has, which are trapped, which are UNDEFINED. Registers are written
// with what was read from them. Values are not compared, they belong to the CPU model.
#include "payload.h"

#define ENCODINGS 0x8000
#define SYS_ENCODINGS 0x4000

// For each encoding MOV X0, XZR; MRS; MSR, or for SYS MOV X0, X1; SYS; and RET or SVC behind all.
static u32 code[ENCODINGS * 3 + 1] __attribute__((aligned(4096)));

// ISS and EC of what the instruction at the same place took; zero for none.
static u32 taken[ENCODINGS * 3 + 1];

// DC ZVA with the MMU off: an alignment fault that QEMU does not have; see dc_zva.c.
enum { UNDEFINED = 0x02000000, DC_ZVA = 3 << 11 | 7 << 7 | 4 << 3 | 1 };

int on_trap(struct frame *f)
{
    u64 place = (f->elr - (u64)code) / 4;
    trap.count = 0;
    taken[place] = (u32)trap.esr;
    f->elr += 4;
    return 1;
}

// What QEMU 7.2 has of features that our models do not promise, and what it lacks.
static int skipped(u32 op0, u32 op1, u32 crn, u32 crm, u32 op2)
{
    if (op0 == 2)                           // debug communication channel, OS save and restore, claim tags, authentication status
        return (op1 == 3 && (crm == 4 || crm == 5)) || (op1 == 0 && crn == 0 && op2 == 2 && crm != 2)
            || (op1 == 0 && crn == 1 && crm == 4) || (op1 == 0 && crn == 7);
    return crn == 11 || crn == 15           // IMPLEMENTATION DEFINED
        || crn == 9                         // performance monitors
        || (op1 == 3 && crn == 14 && crm >= 8)
        || (op1 == 0 && crn == 5 && crm >= 3) || (op1 == 0 && crn == 12 && crm == 1 && op2 == 1)    // RAS
        || (op1 == 0 && crn == 10 && crm == 4);                                                     // limited ordering regions
}

static void name(u32 key)
{
    print("S%d_%d_C%d_C%d_%d", key >> 14, (key >> 11) & 7, (key >> 7) & 15, (key >> 3) & 15, key & 7);
}

static void outcome(const char *what, u32 esr)
{
    if (esr == 0)
        print(" %s", what);
    else if (esr != UNDEFINED)
        print(" %s:esr=%x", what, (u64)esr);
}

static void run(u64 words, int el0, u64 x1)
{
    code[words] = el0 ? 0xD40FFFE1 : 0xD65F03C0;
    for (u64 i = 0; i <= words; i++)
        taken[i] = 0;
    asm volatile("ic iallu\n\tdsb sy\n\tisb" ::: "memory");
    if (el0)
        enter_with((u64)code, SPSR_EL0, 0, x1);
    else
        ((void (*)(u64, u64))code)(0, x1);
}

static void registers(int el0)
{
    u32 *p = code;
    for (u32 key = 0; key < ENCODINGS; key++) {
        *p++ = 0xAA1F03E0;
        *p++ = 0xD5300000 | key << 5;
        *p++ = 0xD5100000 | key << 5;
    }
    run(ENCODINGS * 3, el0, 0);
    for (u32 key = 0; key < ENCODINGS; key++) {
        u32 read = taken[key * 3 + 1], write = taken[key * 3 + 2];
        u32 op0 = 2 + (key >> 14), op1 = (key >> 11) & 7, crn = (key >> 7) & 15, crm = (key >> 3) & 15, op2 = key & 7;
        if ((read == UNDEFINED && write == UNDEFINED) || skipped(op0, op1, crn, crm, op2))
            continue;
        name(key | 2 << 14);
        outcome("MRS", read);
        outcome("MSR", write);
        print("\n");
    }
}

static void operations(int el0)
{
    u32 *p = code;
    for (u32 key = 0; key < SYS_ENCODINGS; key++) {
        *p++ = 0xAA0103E0;
        *p++ = 0xD5080000 | key << 5;
    }
    run(SYS_ENCODINGS * 2, el0, (u64)scratch);
    for (u32 key = 0; key < SYS_ENCODINGS; key++) {
        u32 crn = (key >> 7) & 15;
        if (taken[key * 2 + 1] == UNDEFINED || crn == 11 || crn == 15 || key == DC_ZVA)
            continue;
        name(key | 1 << 14);
        outcome("SYS", taken[key * 2 + 1]);
        print("\n");
    }
}

void payload_main(void)
{
    for (int el0 = 0; el0 < 2; el0++) {
        print("EL%d registers\n", 1 - el0);
        registers(el0);
        print("EL%d operations\n", 1 - el0);
        operations(el0);
    }
}

// Pointer authentication (Arm ARM D8.10): codes by random keys, addresses and translation controls; what wrong codes raise; the combined
// instructions; keys that are disabled. The MMU is off: only TCR_EL1 says which bits of an address are not used.
#include "payload.h"

asm(".arch armv8.3-a");

#define SCTLR 0x30D00800ul
#define EN_IA (1ul << 31)
#define EN_IB (1ul << 30)
#define EN_DA (1ul << 27)
#define EN_DB (1ul << 13)
#define ENABLED (SCTLR | EN_IA | EN_IB | EN_DA | EN_DB)

static u64 seed = 1;

static u64 random(void)
{
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    u64 high = seed >> 32;
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return high << 32 | seed >> 32;
}

static void set_keys(void)
{
    write_sysreg(s3_0_c2_c1_0, random());
    write_sysreg(s3_0_c2_c1_1, random());
    write_sysreg(s3_0_c2_c1_2, random());
    write_sysreg(s3_0_c2_c1_3, random());
    write_sysreg(s3_0_c2_c2_0, random());
    write_sysreg(s3_0_c2_c2_1, random());
    write_sysreg(s3_0_c2_c2_2, random());
    write_sysreg(s3_0_c2_c2_3, random());
    write_sysreg(s3_0_c2_c3_0, random());
    write_sysreg(s3_0_c2_c3_1, random());
}

#define OF_TWO(name, instruction) \
    static u64 name(u64 pointer, u64 modifier) \
    { \
        register u64 x0 asm("x0") = pointer; \
        register u64 x1 asm("x1") = modifier; \
        asm volatile(instruction : "+r"(x0) : "r"(x1) : "x30", "memory"); \
        return x0; \
    }

OF_TWO(pacia, "pacia x0, x1")
OF_TWO(pacib, "pacib x0, x1")
OF_TWO(pacda, "pacda x0, x1")
OF_TWO(pacdb, "pacdb x0, x1")
OF_TWO(autia, "autia x0, x1")
OF_TWO(autib, "autib x0, x1")
OF_TWO(autda, "autda x0, x1")
OF_TWO(autdb, "autdb x0, x1")
OF_TWO(paciza, "paciza x0")
OF_TWO(pacizb, "pacizb x0")
OF_TWO(pacdza, "pacdza x0")
OF_TWO(pacdzb, "pacdzb x0")
OF_TWO(autiza, "autiza x0")
OF_TWO(autizb, "autizb x0")
OF_TWO(autdza, "autdza x0")
OF_TWO(autdzb, "autdzb x0")
OF_TWO(pacga, "pacga x0, x0, x1")
OF_TWO(xpaci, "xpaci x0")
OF_TWO(xpacd, "xpacd x0")
OF_TWO(xpaclri, "mov x30, x0\n\txpaclri\n\tmov x0, x30")

// The hint space: X17 by X16, and X30 by SP or nothing. SP_EL0 is X1 meanwhile: exceptions have the stack of SP_EL1.
#define OF_LINK(name, instruction) \
    OF_TWO(name, "msr spsel, #0\n\tmov sp, x1\n\tmov x30, x0\n\t" instruction "\n\tmov x0, x30\n\tmsr spsel, #1")
#define OF_17(name, instruction) OF_TWO(name, "mov x17, x0\n\tmov x16, x1\n\t" instruction "\n\tmov x0, x17")
OF_17(pacia1716, "pacia1716")
OF_17(pacib1716, "pacib1716")
OF_17(autia1716, "autia1716")
OF_17(autib1716, "autib1716")
OF_LINK(paciasp, "paciasp")
OF_LINK(pacibsp, "pacibsp")
OF_LINK(paciaz, "paciaz")
OF_LINK(pacibz, "pacibz")
OF_LINK(autiasp, "autiasp")
OF_LINK(autibsp, "autibsp")
OF_LINK(autiaz, "autiaz")
OF_LINK(autibz, "autibz")

typedef u64 (*operation)(u64, u64);

static const struct pair {
    const char *name;
    operation sign, authenticate;
} pairs[] = {
    { "IA", pacia, autia }, { "IB", pacib, autib }, { "DA", pacda, autda }, { "DB", pacdb, autdb },
    { "IZA", paciza, autiza }, { "IZB", pacizb, autizb }, { "DZA", pacdza, autdza }, { "DZB", pacdzb, autdzb },
    { "IA 1716", pacia1716, autia1716 }, { "IB 1716", pacib1716, autib1716 }, { "IA Z", paciaz, autiaz }, { "IB Z", pacibz, autibz },
    { "IA SP", paciasp, autiasp }, { "IB SP", pacibsp, autibsp },
};

static u64 address(void)
{
    u64 pointer = random();
    switch (random() % 5) {
    case 0: return pointer & 0x0000FFFFFFFFFFFFul;
    case 1: return pointer | 0xFFFF000000000000ul;
    case 2: return pointer & 0x00FFFFFFFFFFFFFFul;
    case 3: return (pointer & 0x0000007FFFFFFFFFul) | (random() & 1 ? 0xFFFFFF8000000000ul : 0);
    default: return pointer;
    }
}

// What an authentication left, or the exception that it took; the failing instruction is skipped.
static void show(const char *name, operation authenticate, u64 pointer, u64 modifier)
{
    trap_clear();
    u64 result = authenticate(pointer, modifier);
    if (trap.count)
        print("  %s: ec %x iss %x\n", name, trap.esr >> 26, trap.esr & 0x1FFFFFF);
    else
        print("  %s: %x\n", name, result);
}

static void codes(void)
{
    static const u64 controls[] = {
        16 | 16ul << 16, 25 | 25ul << 16, 16 | 16ul << 16 | 1ul << 37, 16 | 16ul << 16 | 3ul << 37, 25 | 17ul << 16 | 1ul << 38,
        16 | 16ul << 16 | 3ul << 37 | 3ul << 51, 20 | 39ul << 16 | 1ul << 37 | 1ul << 51,
    };
    for (int c = 0; c < count_of(controls); c++) {
        write_sysreg(tcr_el1, controls[c]);
        print("TCR_EL1 %x\n", controls[c]);
        for (int n = 0; n < 24; n++) {
            set_keys();
            u64 pointer = address(), modifier = random() & ~15ul;
            // Where only one range ignores the top byte, bit 55 says how an address continues (J1.3, InsertPAC). QEMU 10 takes bit 63 in the other.
            if ((controls[c] >> 37 & 3) == 1 || (controls[c] >> 37 & 3) == 2)
                pointer = (pointer & ~(1ul << 63)) | (pointer << 8 & 1ul << 63);
            const struct pair *p = &pairs[n % count_of(pairs)];
            u64 made = p->sign(pointer, modifier);
            print(" %s %x by %x: %x\n", p->name, pointer, modifier, made);
            show("right", p->authenticate, made, modifier);
            show("wrong modifier", p->authenticate, made, modifier ^ 0x40);
            show("wrong code", p->authenticate, made ^ 1ul << 54, modifier);
            show("wrong top", p->authenticate, made ^ 1ul << 60, modifier);
            show("not signed", p->authenticate, pointer, modifier);
            show("xpaci", xpaci, made, 0);
            show("xpacd", xpacd, made, 0);
            show("xpaclri", xpaclri, made, 0);
            show("pacga", pacga, pointer, modifier);
        }
    }
}

static void disabled(void)
{
    write_sysreg(tcr_el1, 16 | 16ul << 16);
    for (int i = 0; i < 4; i++) {
        static const u64 bits[] = { EN_IA, EN_IB, EN_DA, EN_DB };
        write_sysreg(sctlr_el1, ENABLED & ~bits[i]);
        print("without %x\n", bits[i]);
        for (int n = 0; n < count_of(pairs); n++) {
            show(pairs[n].name, pairs[n].sign, 0x123456789ABCul, 0x50);
            show(pairs[n].name, pairs[n].authenticate, 0x123456789ABCul, 0x50);
        }
        show("pacga", pacga, 0x123456789ABCul, 0x50);
    }
    write_sysreg(sctlr_el1, ENABLED);
}

// Combined instructions jump to label 1, signed with the key and the modifier that they use, and then with another modifier.
#define JUMP(name, sign, modifier, branch) \
    for (int wrong = 0; wrong < 2; wrong++) { \
        u64 came = 0; \
        trap_clear(); \
        asm volatile("adr x0, 1f\n\tmov x1, %1\n\t" sign "\n\tmov x1, %2\n\tmov x30, x0\n\t" branch "\n\tb 2f\n1:\tmov %0, #1\n2:\tmsr spsel, #1" \
            : "+r"(came) : "r"((u64)(modifier)), "r"((u64)(modifier) + 16 * wrong) : "x0", "x1", "x30", "memory"); \
        print("%s: came %d", name, came); \
        trap_report(""); \
    }

static void jumps(void)
{
    // QEMU 10.0 ends itself at BRAA and BRAB.
    JUMP("braaz", "paciza x0", 0, "eor x0, x0, x1, lsl #48\n\tbraaz x0")
    JUMP("brabz", "pacizb x0", 0, "eor x0, x0, x1, lsl #48\n\tbrabz x0")
    JUMP("blraa", "pacia x0, x1", 0x70, "blraa x0, x1")
    JUMP("blrab", "pacib x0, x1", 0x70, "blrab x0, x1")
    JUMP("blraaz", "paciza x0", 0, "eor x0, x0, x1, lsl #48\n\tblraaz x0")
    JUMP("blrabz", "pacizb x0", 0, "eor x0, x0, x1, lsl #48\n\tblrabz x0")
    JUMP("retaa", "pacia x0, x1", 0x80, "msr spsel, #0\n\tmov sp, x1\n\tretaa")
    JUMP("retab", "pacib x0, x1", 0x80, "msr spsel, #0\n\tmov sp, x1\n\tretab")
}

static void loads(void)
{
    static u64 values[64];
    for (int i = 0; i < count_of(values); i++)
        values[i] = 1000 + i;
    u64 base, value;
    base = pacdza((u64)&values[32], 0);
    trap_clear();
    asm volatile("ldraa %0, [%1, #-64]" : "=r"(value) : "r"(base) : "memory");
    print("ldraa %d", value);
    trap_report("");
    asm volatile("ldraa %0, [%1, #128]!" : "=&r"(value), "+r"(base) :: "memory");
    print("ldraa with write-back %d %d\n", value, base - (u64)values);
    base = pacdzb((u64)&values[32], 0);
    asm volatile("ldrab %0, [%1, #8]!" : "=&r"(value), "+r"(base) :: "memory");
    print("ldrab with write-back %d %d\n", value, base - (u64)values);
    trap_clear();
    value = 0;
    base = pacdzb((u64)&values[32], 0);
    asm volatile("ldraa %0, [%1]" : "+r"(value) : "r"(base) : "memory");
    print("ldraa of the other key %d", value);
    trap_report("");
}

static void registers(void)
{
    PROBE_EL0("key at EL0", "mrs x0, s3_0_c2_c1_0");
    PROBE_EL0("key written at EL0", "msr s3_0_c2_c3_1, x0");
    PROBE_EL0("eretaa at EL0", ".inst 0xd69f0bff");
    PROBE("no such key", "mrs x0, s3_0_c2_c3_2" ::: "x0");
    write_sysreg(s3_0_c2_c2_3, 0x123456789ABCDEFul);
    print("APDBKeyHi_EL1 %x\n", read_sysreg(s3_0_c2_c2_3));
}

void payload_main(void)
{
    write_sysreg(sctlr_el1, ENABLED);
    codes();
    disabled();
    write_sysreg(tcr_el1, 16 | 16ul << 16);
    jumps();
    loads();
    registers();
    write_sysreg(sctlr_el1, SCTLR);
}

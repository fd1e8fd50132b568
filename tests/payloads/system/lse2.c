// FEAT_LSE2: accesses that order others, exclusives and atomics at each place within and across 16 bytes, with SCTLR_EL1.nAA and A;
// pairs of registers. QEMU 7.2 lacks it. ESR_EL1.WnR is not shown: QEMU 10 calls a misaligned atomic a write, although its read has the
// fault, too (Arm ARM, ESR_EL1, ISS encoding for an exception from a Data Abort).
#include "mmu.h"

#define PLACE 0x234500000000ul

asm(".arch armv8.4-a");

static struct tables t;

// The value loaded and what is in memory behind it, or the fault.
#define TRY(code) do { \
        for (u64 offset_ = 0; offset_ <= 16; offset_++) { \
            u64 at_ = PLACE + 0x40 + offset_, x10 = 0x1122334455667788, x11 = 0x99, x12 = 0x3; \
            for (int i = 0; i < 6; i++) \
                ((volatile u64 *)(PLACE + 0x40))[i] = 0x0706050403020100 + i * 0x0808080808080808; \
            trap_clear(); \
            asm volatile("mov x9, %3\n\tmov x10, %0\n\tmov x11, %1\n\tmov x12, %2\n\t" code "\n\tmov %0, x10\n\tmov %1, x11\n\tmov %2, x12" \
                : "+r"(x10), "+r"(x11), "+r"(x12) : "r"(at_) : "x9", "x10", "x11", "x12", "x13", "memory"); \
            print("+%x " code, offset_); \
            if (trap.count) { \
                print(" fault %x/%x at +%x", trap.esr >> 26, trap.esr & 0x3F, trap.far - at_); \
            } else { \
                print(" %x %x %x:", x10, x11, x12); \
                for (int i = 0; i < 4; i++) \
                    print(" %x", ((volatile u64 *)(PLACE + 0x40))[i]); \
            } \
            print("\n"); \
        } \
    } while (0)

static void all(void)
{
    TRY("ldar x10, [x9]");
    TRY("ldar w10, [x9]");
    TRY("ldarh w10, [x9]");
    TRY("ldapr x10, [x9]");
    TRY("ldapur w10, [x9, #3]");
    TRY("ldapursh x10, [x9, #-1]");
    TRY("stlr x10, [x9]");
    TRY("stlrh w10, [x9]");
    TRY("stlur w10, [x9, #2]");
    TRY("ldadd x11, x10, [x9]");
    TRY("ldaddal w11, w10, [x9]");
    TRY("ldclrh w11, w10, [x9]");
    TRY("swpa x11, x10, [x9]");
    TRY("swplh w11, w10, [x9]");
    TRY("cas x11, x10, [x9]");
    TRY("casalh w11, w10, [x9]");
    TRY("casp w10, w11, w12, w13, [x9]");
    TRY("ldxr x10, [x9]\n\tclrex");
    TRY("ldaxrh w10, [x9]\n\tclrex");
    TRY("ldxr w10, [x9]\n\tadd w10, w10, #1\n\tstxr w12, w10, [x9]");
    TRY("ldaxr x10, [x9]\n\tadd x10, x10, #1\n\tstlxr w12, x10, [x9]");
    TRY("ldxp w10, w11, [x9]\n\tstxp w12, w11, w10, [x9]");
    TRY("ldxp x10, x11, [x9]\n\tstxp w12, x11, x10, [x9]");
    TRY("ldp x10, x11, [x9]");
    TRY("ldp w10, w11, [x9]");
    TRY("ldpsw x10, x11, [x9]");
    TRY("ldnp x10, x11, [x9]");
    TRY("ldp x10, x11, [x9, #-8]!");
    TRY("ldp w10, w11, [x9], #8\n\tmov x12, x9");
    TRY("stp x10, x11, [x9]");
    TRY("stp w10, w11, [x9]");
    TRY("stnp x11, xzr, [x9]");
    TRY("stp wzr, w10, [x9, #4]!");
    TRY("stp x12, x10, [x9], #-8");
}

void payload_main(void)
{
    static const u64 bits[] = { 0, 1ul << 6, SCTLR_A, 1ul << 6 | SCTLR_A };
    print("ID_AA64MMFR2_EL1.AT %d\n", (s64)(read_sysreg(id_aa64mmfr2_el1) >> 32) & 15);
    mmu_new(&t, 12, 48);
    mmu_map(&t, PLACE, (u64)scratch, 3, NORMAL);
    for (int i = 0; i < count_of(bits); i++) {
        mmu_on(&t, SCTLR_MMU | bits[i]);
        print("SCTLR_EL1 with %x, has %x\n", bits[i], read_sysreg(sctlr_el1) & 0x42);
        all();
        mmu_off();
    }
}

// The ID registers of a CPU model, each with its value, for a test that compares the fields; and what its caches are.
#include "payload.h"

#define SHOW(name, register) print(name " %x\n", read_sysreg(register))

void payload_main(void)
{
    SHOW("MIDR_EL1", midr_el1);
    SHOW("REVIDR_EL1", revidr_el1);
    SHOW("CTR_EL0", ctr_el0);
    SHOW("DCZID_EL0", dczid_el0);
    SHOW("ID_AA64PFR0_EL1", id_aa64pfr0_el1);
    SHOW("ID_AA64PFR1_EL1", id_aa64pfr1_el1);
    if ((read_sysreg(id_aa64pfr0_el1) >> 32 & 15) != 0) SHOW("ID_AA64ZFR0_EL1", s3_0_c0_c4_4);
    SHOW("ID_AA64DFR0_EL1", id_aa64dfr0_el1);
    SHOW("ID_AA64ISAR0_EL1", id_aa64isar0_el1);
    SHOW("ID_AA64ISAR1_EL1", id_aa64isar1_el1);
    SHOW("ID_AA64ISAR2_EL1", s3_0_c0_c6_2);
    SHOW("ID_AA64MMFR0_EL1", id_aa64mmfr0_el1);
    SHOW("ID_AA64MMFR1_EL1", id_aa64mmfr1_el1);
    SHOW("ID_AA64MMFR2_EL1", id_aa64mmfr2_el1);
    for (u64 n = 0; n < 3; n++) {
        write_sysreg(csselr_el1, n);
        print("CCSIDR_EL1.%d %x\n", n, read_sysreg(ccsidr_el1));
    }
}

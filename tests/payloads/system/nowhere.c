// Accesses of every size and kind at physical addresses where neither machine has anything, MMU off and on: external aborts. Exclusives and
// atomics are left out: what they do to memory that has none is IMPLEMENTATION DEFINED.
#include "mmu.h"

static const u64 places[] = {
    0x09001000, 0x09011000, 0x09030000 + 0x1000, 0x0B000000, 0x0BFFFFF0,
    0x48000000,             // the first byte after RAM
    0x7FFFFFF0, 0xFFFFFFC0, 0x100000000, 0x2345678900, 0x3FFFFFFFF0,
};

static struct tables t;

#define TRY(code) do { trap_clear(); asm volatile("mov x1, %0\n\t" code :: "r"(at) : "x1", "x2", "x3", "memory"); trap_report(code); } while (0)

static void all(u64 at)
{
    print("at %x\n", at);
    TRY("ldrb w2, [x1]");
    TRY("ldrh w2, [x1]");
    TRY("ldr w2, [x1]");
    TRY("ldr x2, [x1]");
    TRY("ldrsw x2, [x1, #4]");
    TRY("ldp w2, w3, [x1]");
    TRY("ldp x2, x3, [x1]");
    TRY("ldr x2, [x1], #8");
    TRY("ldr d0, [x1]");
    TRY("ldr q0, [x1]");
    TRY("ld4 {v0.8b-v3.8b}, [x1]");
    TRY("ld1r {v0.4s}, [x1]");
    TRY("ldar x2, [x1]");
    TRY("ldtr x2, [x1]");
    TRY("strb w2, [x1]");
    TRY("strh w2, [x1]");
    TRY("str w2, [x1]");
    TRY("str x2, [x1]");
    TRY("stp w2, w3, [x1]");
    TRY("stp x2, x3, [x1]");
    TRY("str x2, [x1, #8]!");
    TRY("str d0, [x1]");
    TRY("str q0, [x1]");
    TRY("st4 {v0.8b-v3.8b}, [x1]");
    TRY("stlr x2, [x1]");
    TRY("sttr x2, [x1]");
    TRY("prfm pldl1keep, [x1]");
    TRY("dc cvac, x1");
    TRY("dc civac, x1");
}

void payload_main(void)
{
    for (int i = 0; i < count_of(places); i++)
        all(places[i]);

    print("MMU on\n");
    mmu_new(&t, 12, 48);
    for (int i = 0; i < count_of(places); i++) {
        // One page as normal memory and one as a device.
        mmu_map(&t, 0x550000000000 + ((u64)i << 12), places[i] & ~0xFFFul, 3, NORMAL);
        mmu_map(&t, 0x560000000000 + ((u64)i << 12), places[i] & ~0xFFFul, 3, AF | ATTR(1));
    }
    mmu_on(&t, SCTLR_MMU);
    for (int i = 0; i < count_of(places); i++) {
        all(0x550000000000 + ((u64)i << 12) + (places[i] & 0xFFF));
        all(0x560000000000 + ((u64)i << 12) + (places[i] & 0xFFF));
    }
    mmu_off();
}

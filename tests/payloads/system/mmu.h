// Translation tables of the EL1&0 regime, for any granule.
#pragma once
#include "payload.h"

// Descriptor bits (Arm ARM D8.3).
#define VALID 1ul
#define TABLE_OR_PAGE 2ul
#define ATTR(i) ((u64)(i) << 2)     // 0 normal, 1 device, 2 normal non-cacheable
#define AP_EL0 (1ul << 6)
#define AP_RO (1ul << 7)
#define INNER_SHAREABLE (3ul << 8)
#define AF (1ul << 10)
#define NG (1ul << 11)
#define PXN (1ul << 53)
#define UXN (1ul << 54)
#define TABLE_PXN (1ul << 59)
#define TABLE_UXN (1ul << 60)
#define TABLE_NO_EL0 (1ul << 61)
#define TABLE_RO (1ul << 62)

#define NORMAL (AF | INNER_SHAREABLE | ATTR(0))

#define SCTLR 0x30D00800ul
#define SCTLR_M 1ul
#define SCTLR_A 2ul
#define SCTLR_C 4ul
#define SCTLR_I (1ul << 12)
#define SCTLR_WXN (1ul << 19)
#define SCTLR_MMU (SCTLR | SCTLR_M | SCTLR_C | SCTLR_I)

// The snippets of start.S, and the page they fill.
extern const char el0_page[];
extern const char el0_load[], el0_store[], el0_return[], el0_jump[];
extern const char left_el0[];

struct tables {
    int granule;    // bits
    int bits;       // of a virtual address
    int first;      // level
    u64 *root;
};

#define PAGE(t) (1ul << (t)->granule)

// Bits of an address below what an entry of a level covers.
int mmu_shift(const struct tables *t, int level);

// Starts over: forgets all tables ever made (the MMU is off), and maps the RAM the payload lives in and the devices one to one.
void mmu_new(struct tables *t, int granule, int bits);

// Another set of tables, empty, beside those there are; and the one to one map in it.
void mmu_another(struct tables *t, int granule, int bits);
void mmu_map_payload(struct tables *t);

// The entry of an address at a level, with tables on the way to it.
u64 *mmu_entry(struct tables *t, u64 va, int level);

// A block or page. Attributes without bits 1:0. No TLB maintenance.
void mmu_map(struct tables *t, u64 va, u64 pa, int level, u64 attributes);

// The snippets at an address where EL0 may run them.
void mmu_map_snippets(struct tables *t, u64 va);

// TCR_EL1 for tables in the lower half only (the upper one disabled), IPS 48 bits.
u64 mmu_tcr(const struct tables *t);

// MAIR, TCR, TTBR0, and the MMU on with a SCTLR; all TLBs invalidated.
void mmu_on(const struct tables *t, u64 sctlr);
void mmu_off(void);

static inline void tlbi_all(void) { asm volatile("dsb sy\n\ttlbi vmalle1\n\tdsb sy\n\tisb" ::: "memory"); }

// Accesses that leave their outcome in `trap`.
void try_load(u64 va);
void try_store(u64 va);
void try_ldtr(u64 va);
void try_sttr(u64 va);
void try_execute(u64 va);                                   // at EL1, an SVC #0x7FFF there
void try_el0(u64 snippets, const char *snippet, u64 va);     // one of el0_…, at EL0
void try_execute_el0(u64 va);

// Prints " name=ok", or the class and the syndrome, and FAR where it is not the address.
void outcome(const char *name, u64 va);

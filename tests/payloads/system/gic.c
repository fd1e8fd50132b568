#include "gic.h"

static u64 this_cpu(void) { return read_sysreg(mpidr_el1) & 0xFF; }

u64 gic_frame(u64 id) { return id < 32 ? GICR + this_cpu() * GICR_STRIDE + SGI_FRAME : GICD; }

void gic_set(u64 base, u64 id) { mmio_write(gic_frame(id) + base + id / 32 * 4, 1u << (id % 32)); }

int gic_get(u64 base, u64 id) { return (mmio_read(gic_frame(id) + base + id / 32 * 4) >> (id % 32)) & 1; }

static void write_byte(u64 a, u8 v) { asm volatile("strb %w0, [%1]" ::"r"(v), "r"(a) : "memory"); }

void gic_priority(u64 id, u8 priority) { write_byte(gic_frame(id) + GICD_IPRIORITYR + id, priority); }

static void change(u64 address, u32 mask, u32 value) { mmio_write(address, (mmio_read(address) & ~mask) | value); }

void gic_group(u64 id, int group)
{
    change(gic_frame(id) + GICD_IGROUPR + id / 32 * 4, 1u << (id % 32), (u32)group << (id % 32));
}

void gic_edge(u64 id, int edge)
{
    change(gic_frame(id) + GICD_ICFGR + id / 16 * 4, 2u << (id % 16 * 2), (edge ? 2u : 0) << (id % 16 * 2));
}

void gic_route(u64 id, u64 affinity)
{
    asm volatile("str %0, [%1]" ::"r"(affinity), "r"(GICD + GICD_IROUTER + id * 8) : "memory");
}

void gic_init_cpu(void)
{
    u64 redistributor = GICR + this_cpu() * GICR_STRIDE;
    mmio_write(redistributor + GICR_WAKER, 0);
    while (mmio_read(redistributor + GICR_WAKER) & 4)
        ;
    mmio_write(redistributor + SGI_FRAME + GICD_ICENABLER, ~0u);
    mmio_write(redistributor + SGI_FRAME + GICD_IGROUPR, ~0u);
    for (int i = 0; i < 32; i += 4)
        mmio_write(redistributor + SGI_FRAME + GICD_IPRIORITYR + i, 0x80808080);
    write_icc(ICC_SRE, 7);
    write_icc(ICC_PMR, 0xFF);
    write_icc(ICC_CTLR, 0);
    write_icc(ICC_BPR0, 0);
    write_icc(ICC_BPR1, 0);
    write_icc(ICC_IGRPEN0, 1);
    write_icc(ICC_IGRPEN1, 1);
}

void gic_init(void)
{
    mmio_write(GICD + GICD_CTLR, 0x13);
    for (u64 i = 32; i < 288; i += 32) {
        mmio_write(GICD + GICD_ICENABLER + i / 8, ~0u);
        mmio_write(GICD + GICD_IGROUPR + i / 8, ~0u);
    }
    for (u64 i = 32; i < 288; i += 4)
        mmio_write(GICD + GICD_IPRIORITYR + i, 0x80808080);
    gic_init_cpu();
}

void gic_state(u64 id)
{
    print(" pend=%d act=%d en=%d", (s64)gic_get(GICD_ISPENDR, id), (s64)gic_get(GICD_ISACTIVER, id), (s64)gic_get(GICD_ISENABLER, id));
}

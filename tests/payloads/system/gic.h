// The GICv3 of QEMU's virt machine, one security state.
#pragma once
#include "payload.h"

#define GICD 0x08000000ul
#define GICR 0x080A0000ul
#define GICR_STRIDE 0x20000ul
#define SGI_FRAME 0x10000ul

#define GICD_CTLR 0x0000
#define GICD_TYPER 0x0004
#define GICD_IGROUPR 0x0080
#define GICD_ISENABLER 0x0100
#define GICD_ICENABLER 0x0180
#define GICD_ISPENDR 0x0200
#define GICD_ICPENDR 0x0280
#define GICD_ISACTIVER 0x0300
#define GICD_ICACTIVER 0x0380
#define GICD_IPRIORITYR 0x0400
#define GICD_ICFGR 0x0C00
#define GICD_IROUTER 0x6000
#define GICR_WAKER 0x0014

#define ICC_PMR s3_0_c4_c6_0
#define ICC_IAR0 s3_0_c12_c8_0
#define ICC_EOIR0 s3_0_c12_c8_1
#define ICC_HPPIR0 s3_0_c12_c8_2
#define ICC_BPR0 s3_0_c12_c8_3
#define ICC_AP0R0 s3_0_c12_c8_4
#define ICC_AP1R0 s3_0_c12_c9_0
#define ICC_DIR s3_0_c12_c11_1
#define ICC_RPR s3_0_c12_c11_3
#define ICC_SGI1R s3_0_c12_c11_5
#define ICC_ASGI1R s3_0_c12_c11_6
#define ICC_SGI0R s3_0_c12_c11_7
#define ICC_IAR1 s3_0_c12_c12_0
#define ICC_EOIR1 s3_0_c12_c12_1
#define ICC_HPPIR1 s3_0_c12_c12_2
#define ICC_BPR1 s3_0_c12_c12_3
#define ICC_CTLR s3_0_c12_c12_4
#define ICC_SRE s3_0_c12_c12_5
#define ICC_IGRPEN0 s3_0_c12_c12_6
#define ICC_IGRPEN1 s3_0_c12_c12_7

#define read_icc(r) read_sysreg(r)
#define write_icc(r, v) write_sysreg(r, v)

// The frame that holds the registers of an interrupt: the distributor, or SGI_base of this CPU.
u64 gic_frame(u64 id);

// Both groups on in the distributor, this CPU awake, PMR open, both group enables on; every interrupt off, group 1, priority 0x80.
void gic_init(void);
void gic_init_cpu(void);

// Single bits of the registers with one bit for each interrupt.
void gic_set(u64 base, u64 id);
int gic_get(u64 base, u64 id);
void gic_priority(u64 id, u8 priority);
void gic_group(u64 id, int group);
void gic_edge(u64 id, int edge);
void gic_route(u64 id, u64 affinity);

#define gic_enable(id) gic_set(GICD_ISENABLER, id)
#define gic_disable(id) gic_set(GICD_ICENABLER, id)
#define gic_pend(id) gic_set(GICD_ISPENDR, id)
#define gic_unpend(id) gic_set(GICD_ICPENDR, id)

// Prints " pend=. act=. en=." of an interrupt.
void gic_state(u64 id);

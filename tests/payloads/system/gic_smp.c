// Interrupts between CPUs: SGIs to one, several and all others; SPIs by affinity and 1 of N. Run with three CPUs.
#include "gic.h"

#define CPUS 3
#define SPI 80

static volatile u64 ready[CPUS], taken[CPUS], last[CPUS], open[CPUS];

void on_interrupt(struct frame *f)
{
    u64 cpu = read_sysreg(mpidr_el1) & 0xFF;
    u64 id = f->vector & 0x80 ? read_icc(ICC_IAR1) : read_icc(ICC_IAR0);
    if (id >= 1020)
        return;
    if (f->vector & 0x80)
        write_icc(ICC_EOIR1, id);
    else
        write_icc(ICC_EOIR0, id);
    last[cpu] = id;
    taken[cpu]++;
    dsb();
}

void secondary_main(u64 cpu)
{
    gic_init_cpu();
    mmio_write(gic_frame(0) + GICD_ISENABLER, 0xFFFF);
    ready[cpu] = 1;
    for (;;) {
        asm volatile("msr daifclr, #3\n\tisb\n\tmsr daifset, #3" ::: "memory");
        asm volatile("wfi");
    }
}

static void expect(const char *name, u64 counts)
{
    do
        asm volatile("msr daifclr, #3\n\tisb\n\tmsr daifset, #3" ::: "memory");
    while (taken[0] + taken[1] + taken[2] < counts);
    // Time for what should not come.
    for (u64 start = read_sysreg(cntvct_el0); read_sysreg(cntvct_el0) - start < 62500;)
        ;
    print("%s:", name);
    for (int i = 0; i < CPUS; i++) {
        print(" cpu %d: %d", (s64)i, taken[i]);
        if (taken[i])
            print(" (id %d)", last[i]);
        taken[i] = 0;
    }
    print("\n");
}

void payload_main(void)
{
    gic_init();
    mmio_write(gic_frame(0) + GICD_ISENABLER, 0xFFFF);
    for (u64 cpu = 1; cpu < CPUS; cpu++) {
        print("GICR_TYPER of %d: last %d affinity %x\n", cpu, (u64)(mmio_read(GICR + cpu * GICR_STRIDE + 8) >> 4) & 1,
            (u64)mmio_read(GICR + cpu * GICR_STRIDE + 12));
        start_cpu(cpu);
        while (!ready[cpu])
            ;
    }
    write_icc(ICC_SGI1R, (3ul << 24) | 2);
    expect("SGI 3 to CPU 1", 1);
    write_icc(ICC_SGI1R, (4ul << 24) | 6);
    expect("SGI 4 to CPUs 1 and 2", 2);
    write_icc(ICC_SGI1R, (5ul << 24) | 7);
    expect("SGI 5 to all three", 3);
    write_icc(ICC_SGI1R, (6ul << 24) | (1ul << 40));
    expect("SGI 6 to all others", 2);
    write_icc(ICC_SGI1R, (7ul << 24) | (1ul << 40) | 1);
    expect("SGI 7 to all others with a list", 2);

    gic_edge(SPI, 1);
    gic_enable(SPI);
    for (u64 cpu = 0; cpu < CPUS; cpu++) {
        gic_route(SPI, cpu);
        gic_pend(SPI);
        expect("SPI by affinity", 1);
    }
    // To a CPU that is not there: pending, and delivered once it is routed elsewhere.
    gic_route(SPI, 7);
    gic_pend(SPI);
    expect("SPI to nowhere", 0);
    gic_route(SPI, 2);
    expect("rerouted", 1);

    mmio_write(GICR + 1 * GICR_STRIDE + SGI_FRAME + GICD_IGROUPR, 0);
    write_icc(ICC_SGI0R, (8ul << 24) | 2);
    expect("SGI 8 as a FIQ", 1);

    // 1 of N: which one takes it is up to the implementation.
    for (int i = 0; i < 5; i++) {
        gic_route(SPI, 1ul << 31);
        gic_pend(SPI);
        while (taken[0] + taken[1] + taken[2] == 0)
            asm volatile("msr daifclr, #3\n\tisb\n\tmsr daifset, #3" ::: "memory");
        print("1 of N: taken %d time\n", taken[0] + taken[1] + taken[2]);
        taken[0] = taken[1] = taken[2] = 0;
    }
}

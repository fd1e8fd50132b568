// The GICv2m frame: registers, and which messages make which SPI pending. What is seen is the distributor alone, which GICv2 and GICv3
// have in common, for QEMU has a frame only beside a GICv2.
#include "gic.h"

#define FRAME 0x08020000ul
#define MSI_TYPER 0x008
#define MSI_SETSPI_NS 0x040
#define MSI_IIDR 0xFCC

static void pending(const char *what, u64 data)
{
    print("%s %x:", what, data);
    for (u64 word = 1; word < 9; word++) {
        u32 bits = mmio_read(GICD + GICD_ISPENDR + word * 4);
        print(" %w", (u64)bits);
        mmio_write(GICD + GICD_ICPENDR + word * 4, bits);
    }
    print("\n");
}

static void send(u64 data)
{
    mmio_write(FRAME + MSI_SETSPI_NS, data);
    pending("word", data);
    asm volatile("strh %w0, [%1]" ::"r"(data), "r"(FRAME + MSI_SETSPI_NS) : "memory");
    pending("halfword", data);
}

void payload_main(void)
{
    static const u64 data[] = { 0, 32, 79, 80, 81, 95, 96, 127, 128, 143, 144, 1023, 1024 + 80, 0x10050, 0xFFFFFFFF };
    for (u64 offset = 0; offset < 0x1000; offset += 4) {
        u32 value = mmio_read(FRAME + offset);
        if (value || offset == MSI_SETSPI_NS)
            print("offset %x: %w\n", offset, (u64)value);
    }

    // Edges, but for two: QEMU and the architecture agree that a level which is gone leaves nothing behind.
    for (u64 word = 2; word < 18; word++)
        mmio_write(GICD + GICD_ICFGR + word * 4, 0xAAAAAAAA);
    for (int i = 0; i < count_of(data); i++)
        send(data[i]);
    mmio_write(GICD + GICD_ICFGR + 5 * 4, 0xAAAAAAA0);
    for (u64 id = 80; id < 84; id++)
        send(id);

    // Elsewhere in the frame nothing happens.
    mmio_write(FRAME + MSI_TYPER, 80);
    mmio_write(FRAME + 0x44, 80);
    mmio_write(FRAME + MSI_IIDR, 80);
    asm volatile("strb %w0, [%1]" ::"r"(80), "r"(FRAME + MSI_SETSPI_NS) : "memory");
    pending("elsewhere", 80);
    print("MSI_TYPER %w\n", (u64)mmio_read(FRAME + MSI_TYPER));
}

// The ITS and LPIs: registers, each command, mistakes in commands, priorities, pending tables, two levels of the device table. Interrupts
// stay masked but for one part; what is pending is seen by ICC_HPPIR1 and ICC_IAR1.
#include "its.h"

static void show(const char *what)
{
    print("%s: queue %s, pending %d", what, mmio_read64(GITS + GITS_CREADR) & 1 ? "stalled" : "runs", read_icc(ICC_HPPIR1));
    u64 id = read_icc(ICC_IAR1);
    print(", acknowledged %d at %x", id, read_icc(ICC_RPR));
    if (id != 1023)
        write_icc(ICC_EOIR1, id);
    print(", then %d at %x\n", read_icc(ICC_HPPIR1), read_icc(ICC_RPR));
}

static void registers(void)
{
    u64 type = mmio_read64(GITS + GITS_TYPER);
    print("GITS_TYPER physical %d IDbits %d Devbits %d CIL %d CIDbits %d PTA %d HCC %d\n", type & 1, (type >> 8) & 31, (type >> 13) & 31,
        (type >> 36) & 1, (type >> 32) & 15, (type >> 19) & 1, (type >> 24) & 0xFF);
    print("GITS_CTLR.Enabled %d GITS_CREADR %x GITS_PIDR2 %x\n", (u64)mmio_read(GITS) & 1, mmio_read64(GITS + GITS_CREADR),
        (u64)mmio_read(GITS + 0xFFE8) & 0xF0);
    print("GICD_TYPER.LPIS %d IDbits %d\n", (u64)(mmio_read(GICD + GICD_TYPER) >> 17) & 1, (u64)(mmio_read(GICD + GICD_TYPER) >> 19) & 31);
    print("GICR_TYPER.PLPIS %d DirectLPI %d CommonLPIAff %d\n", mmio_read64(GICR + GICR_TYPER) & 1, (mmio_read64(GICR + GICR_TYPER) >> 3) & 1,
        (mmio_read64(GICR + GICR_TYPER) >> 24) & 3);
    for (int i = 0; i < 8; i++) {
        u64 table = mmio_read64(GITS + GITS_BASER + i * 8);
        print("GITS_BASER%d type %d\n", (s64)i, (table >> 56) & 7);
        mmio_write64(GITS + GITS_BASER + i * 8, ~0ul & ~(7ul << 56) & ~0xC00ul);
        table = mmio_read64(GITS + GITS_BASER + i * 8);
        print("GITS_BASER%d written type %d valid %d indirect %d address %x size %d\n", (s64)i, (table >> 56) & 7, table >> 63, (table >> 62) & 1,
            (table >> 12) & 0xFFFFFFFFF, table & 0xFF);
    }
    mmio_write64(GITS + GITS_CBASER, QUEUE | 3 | VALID);
    mmio_write64(GITS + GITS_CWRITER, 0x1240);
    print("GITS_CBASER %x GITS_CWRITER %x GITS_CREADR %x\n", mmio_read64(GITS + GITS_CBASER), mmio_read64(GITS + GITS_CWRITER),
        mmio_read64(GITS + GITS_CREADR));
    mmio_write64(GITS + GITS_CWRITER, 0);
    mmio_write64(redistributor(0) + GICR_PROPBASER, PROPERTIES | 0x78D);
    mmio_write64(redistributor(0) + GICR_PENDBASER, PENDING(0) | 0x780 | PTZ);
    print("GICR_PROPBASER %x GICR_PENDBASER address %x GICR_CTLR %x\n", mmio_read64(redistributor(0) + GICR_PROPBASER) & ~0xF80ul,
        mmio_read64(redistributor(0) + GICR_PENDBASER) & ~0xFFFul & ~PTZ, (u64)mmio_read(redistributor(0)) & 1);
}

static void start(u64 device_flags)
{
    its_clear_tables();
    lpi_enable(0, PTZ);
    lpi_enable(1, PTZ);
    its_on(device_flags);
    MAPC(0, 0);
    MAPC(1, 1);
    MAPC(7, 0);
}

static void translation(void)
{
    show("nothing mapped");
    its_message(0);
    show("message without device");
    MAPD(0, 5, ITT(0));
    its_message(0);
    show("message without event");
    lpi_configure(8192, 0x80, 1);
    lpi_configure(8193, 0x80, 1);
    lpi_configure(9000, 0x40, 1);
    lpi_configure(9001, 0xC0, 1);
    lpi_configure(16383, 0x20, 1);
    MAPTI(0, 0, 8192, 0);
    MAPTI(0, 1, 8193, 0);
    MAPTI(0, 2, 9000, 7);
    MAPTI(0, 3, 9001, 0);
    MAPTI(0, 31, 16383, 0);
    INVALL(0);
    show("mapped");
    its_message(0);
    show("message 0");
    its_message(0);
    its_message(0);
    show("message 0 twice");
    its_message(3);
    its_message(1);
    its_message(0);
    its_message(2);
    its_message(31);
    for (int i = 0; i < 6; i++)
        show("five messages");
    its_message(32);
    show("event beyond the bits of the device");
    its_message(5);
    show("event that is not mapped");
    INT(0, 2);
    show("INT");
    its_message(0);
    CLEAR(0, 0);
    show("CLEAR");
}

static void configuration(void)
{
    lpi_configure(8192, 0x80, 0);
    INV(0, 0);
    its_message(0);
    show("not enabled");
    lpi_configure(8192, 0x80, 1);
    INV(0, 0);
    show("enabled");
    its_message(0);
    its_message(1);
    lpi_configure(8193, 0x10, 1);
    INV(0, 1);
    show("priority raised");
    show("the other one");
    lpi_configure(8193, 0x80, 0);
    lpi_configure(8192, 0x80, 0);
    its_message(1);
    its_message(0);
    INVALL(0);
    show("all not enabled");
    lpi_configure(8193, 0x80, 1);
    lpi_configure(8192, 0x90, 1);
    INVALL(7);
    show("all enabled");
    show("all enabled, second");
    write_icc(ICC_PMR, 0x80);
    its_message(0);
    show("masked by PMR");
    write_icc(ICC_PMR, 0xF0);
    show("PMR open");
    write_icc(ICC_IGRPEN1, 0);
    its_message(0);
    show("group 1 off");
    write_icc(ICC_IGRPEN1, 1);
    show("group 1 on");
    lpi_configure(8192, 0x80, 1);
    INV(0, 0);
}

// An LPI beside an SPI: the better priority comes first, and preempts.
static void beside_spi(void)
{
    gic_priority(64, 0x88);
    gic_edge(64, 1);
    gic_enable(64);
    gic_pend(64);
    its_message(0);
    show("LPI before SPI");
    show("SPI");
    gic_pend(64);
    print("SPI %d", read_icc(ICC_IAR1));
    its_message(0);
    print(" not preempted by %d", read_icc(ICC_IAR1));
    its_message(2);
    u64 lpi = read_icc(ICC_IAR1);
    print(" preempted by %d at %x", lpi, read_icc(ICC_RPR));
    write_icc(ICC_EOIR1, lpi);
    print(" back at %x", read_icc(ICC_RPR));
    write_icc(ICC_EOIR1, 64);
    print(" idle at %x\n", read_icc(ICC_RPR));
    show("LPI that waited");
    gic_disable(64);
}

static void moves(void)
{
    its_message(0);
    its_message(1);
    MOVI(0, 0, 1);
    show("one of two moved away");
    show("none is left");
    its_message(0);
    show("message goes there too");
    MOVI(0, 0, 7);
    show("moved back");
    its_message(0);
    its_message(1);
    MOVALL(0, 1);
    show("all moved away");
    MOVALL(1, 0);
    show("all moved back");
    show("the second");
    MAPC(0, 1);
    its_message(1);
    show("collection moved");
    MAPC(0, 0);
    MOVALL(1, 0);
    show("and back");
    UNMAPC(0);
    its_message(1);
    show("collection not mapped");
    MAPC(0, 0);
    its_message(1);
    show("mapped again");
    its_message(1);
    DISCARD(0, 1);
    show("DISCARD");
    its_message(1);
    show("message after it");
    MAPI(0, 9, 0);
    its_message(9);
    show("MAPI of an LPI that there cannot be");
    MAPTI(0, 1, 8193, 0);
    its_message(1);
    show("mapped once more");
}

static void mistakes(void)
{
    MAPD(8192, 5, ITT(1));
    INT(8192, 0);
    show("device beyond the table");
    MAPD(1, 17, ITT(1));
    MAPTI(1, 0, 8200, 0);
    INT(1, 0);
    show("too many bits of events");
    MAPD(1, 3, ITT(1));
    lpi_configure(8200, 0x80, 1);
    MAPTI(1, 8, 8200, 0);
    INT(1, 8);
    show("event beyond the bits");
    MAPTI(1, 0, 8191, 0);
    INT(1, 0);
    show("no LPI");
    MAPTI(1, 0, 65536, 0);
    INT(1, 0);
    show("INTID of 17 bits");
    MAPTI(1, 0, 8200, 3);
    INV(1, 0);
    INT(1, 0);
    show("collection that is not mapped");
    MAPC(3, 2);
    INT(1, 0);
    show("CPU that there is not");
    MAPTI(1, 0, 8200, 9000);
    INT(1, 0);
    show("collection beyond the table");
    MAPC(3, 0);
    INV(1, 0);
    INT(1, 0);
    show("right at last");
    MOVI(1, 0, 5);
    INT(1, 0);
    show("MOVI to nowhere");
    MOVI(1, 1, 0);
    INV(1, 1);
    INVALL(5);
    DISCARD(1, 1);
    CLEAR(1, 1);
    MOVALL(0, 2);
    MOVALL(0, 0);
    its_command(0x55, ~0ul, ~0ul, ~0ul);
    its_command(0xFF, 0, 0, 0);
    SYNC(0);
    INT(1, 0);
    show("after many mistakes");
    UNMAPD(1);
    INT(1, 0);
    show("device not mapped");
    mmio_write(GITS + GITS_CTLR, 0);
    its_message(0);
    show("ITS off");
    mmio_write(GITS + GITS_CTLR, 1);
    its_message(0);
    show("ITS on");
}

static void table(const char *what)
{
    print("%s:", what);
    for (u64 lpi = FIRST_LPI; lpi < 1u << ID_BITS; lpi++)
        if (read_byte(PENDING(0) + lpi / 8) & (1u << lpi % 8))
            print(" %d", lpi);
    print("\n");
}

static void pending_tables(void)
{
    its_message(0);
    its_message(2);
    its_message(31);
    mmio_write(redistributor(0) + GICR_CTLR, 0);
    table("written when LPIs are off");
    show("LPIs off");
    its_message(1);
    lpi_enable(0, 0);
    for (int i = 0; i < 4; i++)
        show("read when they are on");
    its_message(0);
    mmio_write(redistributor(0) + GICR_CTLR, 0);
    clear_memory(PENDING(0), 0x2000);
    lpi_enable(0, PTZ);
    show("a table of zeros");
    // IDs beyond the bits of GICR_PROPBASER.
    MAPTI(0, 4, 20000, 0);
    its_message(4);
    show("LPI beyond the table");
}

// A second level that is missing, one that is there, and the last entry of it.
static void two_levels(void)
{
    its_clear_tables();
    its_on(INDIRECT);
    MAPC(0, 0);
    lpi_configure(8300, 0x80, 1);
    INVALL(0);
    MAPD(0, 1, ITT(0));
    MAPTI(0, 0, 8300, 0);
    INT(0, 0);
    show("no second level");
    mmio_write64(DEVICES, SECOND_LEVEL | VALID);
    MAPD(0, 1, ITT(0));
    MAPTI(0, 0, 8300, 0);
    INT(0, 0);
    show("second level");
    MAPD(8191, 2, ITT(1));
    MAPTI(8191, 3, 8300, 0);
    INT(8191, 3);
    show("its last entry");
    MAPD(8192, 2, ITT(1));
    MAPTI(8192, 3, 8300, 0);
    INT(8192, 3);
    show("the next page, which is missing");
}

static void interrupts(void)
{
    MAPTI(0, 1, 8300, 0);
    trap_clear();
    asm volatile("msr daifclr, #3");
    its_message(1);
    isb();
    for (int i = 0; i < 1000 && trap.count == 0; i++)
        isb();
    asm volatile("msr daifset, #3");
    print("interrupts taken: %d\n", trap.count);
}

void on_interrupt(struct frame *f)
{
    u64 id = read_icc(ICC_IAR1);
    trap.count++;
    print("interrupt %d at %x\n", id, read_icc(ICC_RPR));
    write_icc(ICC_EOIR1, id);
}

void payload_main(void)
{
    gic_init();
    registers();
    start(0);
    translation();
    configuration();
    beside_spi();
    moves();
    mistakes();
    pending_tables();
    two_levels();
    interrupts();
}

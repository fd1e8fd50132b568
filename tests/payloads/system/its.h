// The Interrupt Translation Service of QEMU's virt machine and its tables, which are at fixed places of RAM behind the image.
#pragma once
#include "gic.h"

#define GITS 0x08080000ul
#define GITS_CTLR 0x0000
#define GITS_TYPER 0x0008
#define GITS_CBASER 0x0080
#define GITS_CWRITER 0x0088
#define GITS_CREADR 0x0090
#define GITS_BASER 0x0100
#define GITS_TRANSLATER 0x10040
#define GICR_CTLR 0x0000
#define GICR_TYPER 0x0008
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078

#define PROPERTIES 0x43000000ul
#define PENDING(cpu) (0x43010000ul + (cpu) * 0x10000)
#define QUEUE 0x43050000ul
#define DEVICES 0x43060000ul
#define COLLECTIONS 0x43070000ul
#define SECOND_LEVEL 0x43080000ul
#define ITT(device) (0x43100000ul + (device) * 0x10000)

#define FIRST_LPI 8192
#define ID_BITS 14      // LPIs up to 16,383
#define PTZ (1ul << 62)
#define VALID (1ul << 63)
#define INDIRECT (1ul << 62)

static inline void mmio_write64(u64 a, u64 v) { asm volatile("str %0, [%1]" ::"r"(v), "r"(a) : "memory"); }
static inline u64 mmio_read64(u64 a) { u64 v; asm volatile("ldr %0, [%1]" : "=r"(v) : "r"(a) : "memory"); return v; }
static inline void write_byte(u64 a, u8 v) { asm volatile("strb %w0, [%1]" ::"r"(v), "r"(a) : "memory"); }
static inline u8 read_byte(u64 a) { u8 v; asm volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(a) : "memory"); return v; }

static inline u64 redistributor(u64 cpu) { return GICR + cpu * GICR_STRIDE; }

static inline void its_command(u64 w0, u64 w1, u64 w2, u64 w3)
{
    u64 at = mmio_read64(GITS + GITS_CWRITER) & 0xFFFE0;
    mmio_write64(QUEUE + at, w0);
    mmio_write64(QUEUE + at + 8, w1);
    mmio_write64(QUEUE + at + 16, w2);
    mmio_write64(QUEUE + at + 24, w3);
    dsb();
    at = (at + 32) & 0xFFFF;
    mmio_write64(GITS + GITS_CWRITER, at);
    while ((mmio_read64(GITS + GITS_CREADR) & 0xFFFE0) != at)
        ;
}

#define MAPD(device, bits, itt) its_command(0x08 | (u64)(device) << 32, (bits) - 1, (itt) | VALID, 0)
#define UNMAPD(device) its_command(0x08 | (u64)(device) << 32, 0, 0, 0)
#define MAPC(collection, cpu) its_command(0x09, 0, (u64)(collection) | (u64)(cpu) << 16 | VALID, 0)
#define UNMAPC(collection) its_command(0x09, 0, (u64)(collection), 0)
#define MAPTI(device, event, lpi, collection) its_command(0x0A | (u64)(device) << 32, (u64)(event) | (u64)(lpi) << 32, (u64)(collection), 0)
#define MAPI(device, lpi, collection) its_command(0x0B | (u64)(device) << 32, (u64)(lpi), (u64)(collection), 0)
#define MOVI(device, event, collection) its_command(0x01 | (u64)(device) << 32, (u64)(event), (u64)(collection), 0)
#define INT(device, event) its_command(0x03 | (u64)(device) << 32, (u64)(event), 0, 0)
#define CLEAR(device, event) its_command(0x04 | (u64)(device) << 32, (u64)(event), 0, 0)
#define INV(device, event) its_command(0x0C | (u64)(device) << 32, (u64)(event), 0, 0)
#define INVALL(collection) its_command(0x0D, 0, (u64)(collection), 0)
#define MOVALL(from, to) its_command(0x0E, 0, (u64)(from) << 16, (u64)(to) << 16)
#define DISCARD(device, event) its_command(0x0F | (u64)(device) << 32, (u64)(event), 0, 0)
#define SYNC(cpu) its_command(0x05, 0, (u64)(cpu) << 16, 0)

// A message of device 0: QEMU and Vmm take a write by a CPU for one.
static inline void its_message(u32 event) { mmio_write(GITS + GITS_TRANSLATER, event); }

static inline void lpi_configure(u64 lpi, u8 priority, int enabled)
{
    write_byte(PROPERTIES + lpi - FIRST_LPI, (u8)(priority | 2 | enabled));
    dsb();
}

static inline void lpi_enable(u64 cpu, u64 pending_flags)
{
    mmio_write64(redistributor(cpu) + GICR_PROPBASER, PROPERTIES | (ID_BITS - 1));
    mmio_write64(redistributor(cpu) + GICR_PENDBASER, PENDING(cpu) | pending_flags);
    mmio_write(redistributor(cpu) + GICR_CTLR, 1);
}

// Tables of 64 KiB pages, and the ITS on. The device table has room for 8192 devices if it is flat.
static inline void its_on(u64 device_flags)
{
    mmio_write(GITS + GITS_CTLR, 0);
    mmio_write64(GITS + GITS_BASER, DEVICES | 0x200 | device_flags | VALID);
    mmio_write64(GITS + GITS_BASER + 8, COLLECTIONS | 0x200 | VALID);
    mmio_write64(GITS + GITS_CBASER, QUEUE | 15 | VALID);
    mmio_write64(GITS + GITS_CWRITER, 0);
    mmio_write(GITS + GITS_CTLR, 1);
}

static inline void clear_memory(u64 at, u64 size)
{
    for (u64 i = 0; i < size; i += 8)
        mmio_write64(at + i, 0);
}

static inline void its_clear_tables(void) { clear_memory(PROPERTIES, 0x180000); }

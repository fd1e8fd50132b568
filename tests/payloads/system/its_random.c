// Random commands of the ITS, and what is pending after each. The sequence is the same in every run.
#include "its.h"

#define ROUNDS 3000

static const u32 lpis[] = { 8192, 8193, 8255, 8256, 9000, 16383, 20000 };
static const u8 priorities[] = { 0x00, 0x08, 0x40, 0x80, 0x88, 0xA0, 0xF0 };
static u64 seed = 0x123456789ABCDEF;

static u64 next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static u64 any(u64 count) { return next() % count; }

static void step(void)
{
    u64 device = any(3), event = any(5), collection = any(4), lpi = lpis[any(count_of(lpis))], cpu = any(3);
    switch (any(16)) {
    case 0: MAPD(device, 1 + any(3), ITT(device)); print("mapd %d", device); break;
    case 1: MAPC(collection, cpu); print("mapc %d %d", collection, cpu); break;
    case 2:
    case 3: MAPTI(device, event, lpi, collection); print("mapti %d %d %d %d", device, event, lpi, collection); break;
    case 4: MOVI(device, event, collection); print("movi %d %d %d", device, event, collection); break;
    case 5: DISCARD(device, event); print("discard %d %d", device, event); break;
    case 6: CLEAR(device, event); print("clear %d %d", device, event); break;
    case 7: MOVALL(cpu, any(3)); print("movall from %d", cpu); break;
    case 8:
    case 9:
    case 10: INT(device, event); print("int %d %d", device, event); break;
    case 11:
    case 12: its_message((u32)event); print("message %d", event); break;
    case 13:
        if (lpi < 16384) {
            lpi_configure(lpi, priorities[any(count_of(priorities))], (int)any(2));
            for (u64 c = 0; c < 4; c++)
                INVALL(c);
            print("configure %d", lpi);
        }
        break;
    case 14:
        if (any(8) == 0) {
            UNMAPD(device);
            print("unmapd %d", device);
        } else if (any(4) == 0) {
            UNMAPC(collection);
            print("unmapc %d", collection);
        }
        break;
    case 15: {
        u64 id = read_icc(ICC_IAR1);
        print("iar %d", id);
        if (id != 1023)
            write_icc(ICC_EOIR1, id);
        break;
    }
    }
    print(" -> %d\n", read_icc(ICC_HPPIR1));
}

void payload_main(void)
{
    gic_init();
    its_clear_tables();
    lpi_enable(0, PTZ);
    lpi_enable(1, PTZ);
    its_on(0);
    for (u64 c = 0; c < 3; c++)
        MAPC(c, c & 1);
    for (int i = 0; i < ROUNDS; i++)
        step();
}

// CRC-32 (the polynomial of IEEE 802.3, reflected) by a table of 256 entries, a byte at a time.
#include "bench.h"

enum { SIZE = 1 << 16, ROUNDS = 2000 };

static uint8_t data[SIZE];
static uint32_t table[256];

WORKLOAD(crc, "crc")
{
    for (uint32_t i = 0; i < 256; i++)
    {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
        table[i] = c;
    }
    uint64_t random = 1;
    for (int i = 0; i < SIZE; i++) data[i] = (uint8_t)next_random(&random);
    uint32_t crc = ~0u;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SIZE; i++) crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    return ~crc;
}

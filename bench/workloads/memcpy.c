// The C library's memcpy: of 1 MiB, then of many short pieces with odd lengths and offsets.
#include "bench.h"
#include <string.h>

enum { SIZE = 1 << 20 };

static uint8_t from[SIZE + 64], to[SIZE + 64];

WORKLOAD(copy, "memcpy")
{
    uint64_t random = 4, sum = 0;
    for (int i = 0; i < SIZE; i++) from[i] = (uint8_t)next_random(&random);
    for (int round = 0; round < 3000; round++)
    {
        memcpy(to, from, SIZE);
        from[round] ^= to[(round * 7919) % SIZE];
    }
    for (int round = 0; round < 6000000; round++)
    {
        uint32_t at = (uint32_t)round * 2654435761u;
        memcpy(to + (at >> 12 & 0xffff), from + (at >> 8 & 0xffff), at >> 25);
    }
    for (int i = 0; i < SIZE; i += 8)
    {
        uint64_t word;
        memcpy(&word, to + i, 8);
        sum = mix(sum, word);
    }
    return sum;
}

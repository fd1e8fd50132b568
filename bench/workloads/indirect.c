// Calls through a table of sixteen functions, picked by random numbers.
#include "bench.h"

#define F(n, expression) static __attribute__((noinline)) uint64_t f##n(uint64_t x) { return expression; }
F(0, x + 1) F(1, x ^ 0x55) F(2, x * 3) F(3, x - 7) F(4, x << 1 | x >> 63) F(5, ~x) F(6, x + (x >> 5)) F(7, x ^ x << 9)
F(8, x * x) F(9, x >> 1 | x << 63) F(10, x + 0x1234567) F(11, x - (x >> 7)) F(12, -x) F(13, x ^ x >> 13) F(14, x | 1) F(15, x & ~(uint64_t)2)

static uint64_t (*volatile const table[16])(uint64_t) = { f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15 };

WORKLOAD(indirect, "indirect")
{
    uint64_t random = 5, x = 1;
    for (int i = 0; i < 30000000; i++) x = table[next_random(&random) >> 20 & 15](x) + 1;
    return x;
}

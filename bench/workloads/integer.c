// Arithmetic in registers: add, rotate, multiply, divide, compare, in one loop without memory.
#include "bench.h"

WORKLOAD(integer, "integer")
{
    uint64_t a = 0x9e3779b97f4a7c15, b = 1, c = 0;
    for (uint32_t i = 1; i < 150000000; i++)
    {
        a += (b << 7) ^ (a >> 3);
        b = (b >> 11 | b << 53) + a * 5;
        if ((a & 63) == 0) c += b / (i | 1);
        c ^= a > b ? a - b : b - a;
    }
    return mix(mix(a, b), c);
}

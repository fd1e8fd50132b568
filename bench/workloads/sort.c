// The C library's qsort of random numbers, through a comparison function.
#include "bench.h"
#include <stdlib.h>

enum { COUNT = 400000, ROUNDS = 3 };

static uint64_t numbers[COUNT];

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

WORKLOAD(sort, "sort")
{
    uint64_t sum = 0, random = 88172645463325252;
    for (int round = 0; round < ROUNDS; round++)
    {
        for (int i = 0; i < COUNT; i++) numbers[i] = next_random(&random);
        qsort(numbers, COUNT, sizeof numbers[0], compare);
        for (int i = 0; i < COUNT; i += 997) sum = mix(sum, numbers[i]);
    }
    return sum;
}

// Page faults: maps 32 MiB, touches each page, unmaps.
#define _GNU_SOURCE
#include "bench.h"
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 8192, ROUNDS = 3 };

WORKLOAD(pages, "pages")
{
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++)
    {
        uint8_t *p = mmap(0, (long)PAGE * PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(p != MAP_FAILED, "mmap");
        check(madvise(p, (long)PAGE * PAGES, MADV_NOHUGEPAGE) == 0, "madvise");
        for (int i = 0; i < PAGES; i++) p[(long)i * PAGE + i % PAGE] += (uint8_t)(i + round);
        for (int i = 0; i < PAGES; i++) sum = mix(sum, p[(long)i * PAGE + i % PAGE]);
        check(munmap(p, (long)PAGE * PAGES) == 0, "munmap");
    }
    return sum;
}

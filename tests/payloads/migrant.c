// What runs in a guest that is migrated. All of it shares one page in /tmp/migrant.
//     migrant clock             samples both clocks, about every 200 microseconds, and keeps the largest step of each
//     migrant write MB MIB      writes so many megabytes a second into a region of so many MiB, page after page, and checks what it wrote before
//     migrant report            prints: largest step of CLOCK_MONOTONIC, of CLOCK_REALTIME, in nanoseconds; samples; pages written; found wrong; the time.
//                               The steps are counted anew from then on
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, SLICE_NS = 10000000 };

static struct { uint64_t monotonic, real, samples, pages, wrong; } *shared;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void raise_to(uint64_t *most, uint64_t value)
{
    uint64_t seen = __atomic_load_n(most, __ATOMIC_RELAXED);
    while (value > seen && !__atomic_compare_exchange_n(most, &seen, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static void sample_clocks(void)
{
    // Before all others, or the steps would be theirs; it sleeps nearly always.
    struct sched_param first = { .sched_priority = 50 };
    if (sched_setscheduler(0, SCHED_FIFO, &first))
        fail("sched_setscheduler");
    struct timespec pause = { .tv_nsec = 200000 };
    uint64_t monotonic = now(CLOCK_MONOTONIC), real = now(CLOCK_REALTIME);
    for (;;) {
        uint64_t m = now(CLOCK_MONOTONIC), r = now(CLOCK_REALTIME);
        raise_to(&shared->monotonic, m - monotonic);
        raise_to(&shared->real, r > real ? r - real : 0);
        monotonic = m;
        real = r;
        shared->samples++;
        nanosleep(&pause, 0);
    }
}

static void write_pages(uint64_t megabytes, uint64_t mebibytes)
{
    uint64_t pages = mebibytes * 1048576 / PAGE, round = 0, page = 0;
    uint64_t *region = mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED)
        fail("mmap");
    uint64_t per_slice = megabytes * 1000000 / PAGE * SLICE_NS / 1000000000, next = now(CLOCK_MONOTONIC);
    for (;;) {
        for (uint64_t n = 0; n < per_slice; n++) {
            uint64_t *at = region + page * WORDS, seed = (page + 1) * 0x9E3779B97F4A7C15ull;
            if (round > 0 && (at[0] != (seed ^ (round - 1)) || at[WORDS - 1] != ((seed ^ (round - 1)) + WORDS - 1)))
                __atomic_fetch_add(&shared->wrong, 1, __ATOMIC_RELAXED);
            for (int i = 0; i < WORDS; i++)
                at[i] = (seed ^ round) + i;
            __atomic_fetch_add(&shared->pages, 1, __ATOMIC_RELAXED);
            if (++page == pages) {
                page = 0;
                round++;
            }
        }
        // What it is late by, it does not make up for.
        next += SLICE_NS;
        uint64_t time = now(CLOCK_MONOTONIC);
        if (time > next)
            next = time;
        struct timespec until = { next / 1000000000, next % 1000000000 };
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0);
    }
}

int main(int count, char **arguments)
{
    int file = open("/tmp/migrant", O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, PAGE))
        fail("/tmp/migrant");
    shared = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED)
        fail("mmap");
    if (count == 2 && !strcmp(arguments[1], "clock")) {
        sample_clocks();
    } else if (count == 4 && !strcmp(arguments[1], "write")) {
        write_pages(strtoull(arguments[2], 0, 10), strtoull(arguments[3], 0, 10));
    } else if (count == 2 && !strcmp(arguments[1], "report")) {
        uint64_t monotonic = __atomic_exchange_n(&shared->monotonic, 0, __ATOMIC_RELAXED);
        uint64_t real = __atomic_exchange_n(&shared->real, 0, __ATOMIC_RELAXED);
        printf("%llu %llu %llu %llu %llu %llu\n", (unsigned long long)monotonic, (unsigned long long)real, (unsigned long long)shared->samples,
               (unsigned long long)shared->pages, (unsigned long long)shared->wrong, (unsigned long long)now(CLOCK_MONOTONIC));
    } else {
        fprintf(stderr, "migrant: usage\n");
        return 1;
    }
    return 0;
}

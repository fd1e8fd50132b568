// Atomic additions to one word, exchanges and compare-and-swaps, by one thread and by two at once; and a lock made of LDAXR and STLXR.
#include "bench.h"
#include <pthread.h>

static uint64_t counter __attribute__((aligned(64))), bits __attribute__((aligned(64))), total __attribute__((aligned(64)));
static uint32_t lock __attribute__((aligned(64)));
static uint64_t guarded;

static void acquire(void)
{
    uint32_t seen, failed;
    do
    {
        asm volatile("ldaxr %w0, [%2]\n\tcbnz %w0, 1f\n\tstxr %w1, %w3, [%2]\n\tb 2f\n1:\tmov %w1, 1\n2:"
                     : "=&r"(seen), "=&r"(failed) : "r"(&lock), "r"(1) : "memory");
    } while (failed);
}

static void *work(void *argument)
{
    uint64_t n = *(uint64_t *)argument;
    for (uint64_t i = 0; i < n; i++)
    {
        __atomic_fetch_add(&counter, i, __ATOMIC_ACQ_REL);
        __atomic_fetch_xor(&bits, i * 0x9e3779b97f4a7c15, __ATOMIC_RELAXED);
        uint64_t old = __atomic_load_n(&total, __ATOMIC_ACQUIRE);
        while (!__atomic_compare_exchange_n(&total, &old, old + 3, 0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)) { }
        if (i % 8 != 0) continue;
        acquire();
        guarded += i;
        __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    }
    return 0;
}

static uint64_t atomics(int threads, uint64_t n)
{
    pthread_t other;
    counter = bits = total = guarded = 0;
    if (threads == 2) check(pthread_create(&other, 0, work, &n) == 0, "pthread_create");
    work(&n);
    if (threads == 2) check(pthread_join(other, 0) == 0, "pthread_join");
    return mix(mix(mix(counter, bits), total), guarded);
}

WORKLOAD(atomics_alone, "atomics") { return atomics(1, 6000000); }

WORKLOAD(atomics_shared, "atomics-2thr") { return atomics(2, 2000000); }

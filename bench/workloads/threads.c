// Two threads, each with work of its own: what a second vCPU brings.
#include "bench.h"
#include <pthread.h>

static void *work(void *state)
{
    uint64_t x = *(uint64_t *)state, sum = 0;
    for (int i = 0; i < 200000000; i++) sum += next_random(&x) * 5 >> 3;
    *(uint64_t *)state = sum;
    return 0;
}

WORKLOAD(threads, "threads")
{
    pthread_t other;
    uint64_t a[16] = { 6 }, b[16] = { 7 };
    check(pthread_create(&other, 0, work, b) == 0, "pthread_create");
    work(a);
    check(pthread_join(other, 0) == 0, "pthread_join");
    return mix(a[0], b[0]);
}

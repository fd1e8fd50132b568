// Direct calls and returns: Fibonacci numbers by recursion.
#include "bench.h"

static __attribute__((noinline, optimize("no-optimize-sibling-calls,no-inline"))) uint64_t fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

WORKLOAD(calls, "calls")
{
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++) sum = mix(sum, fibonacci(35));
    return sum;
}

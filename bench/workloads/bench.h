// What the workloads share. A workload is a function that does a fixed amount of work and returns a checksum of its results; it never depends on the time,
// on addresses or on which processor model runs it, so that two engines must return the same.
#pragma once
#include <stdint.h>

struct workload
{
    const char *name;
    uint64_t (*run)(void);

    // Whether the CPU has the instructions that the workload is made of.
    int (*can_run)(void);
};

// Defines a workload and puts it where main.c finds it.
#define WORKLOAD(id, text) WORKLOAD_WITH(id, text, 1)

// The same of one that runs only where a condition holds.
#define WORKLOAD_WITH(id, text, condition)                                                                                  \
    static uint64_t id(void);                                                                                               \
    static int can_run_##id(void) { return (condition) != 0; }                                                              \
    static const struct workload entry_##id __attribute__((section("workloads"), used, aligned(8))) =                       \
        { text, id, can_run_##id };                                                                                         \
    static uint64_t id(void)

// One step of FNV-1a over a 64-bit value.
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x100000001b3;
}

// Marsaglia's xorshift64.
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

// Ends the process when a system call that must succeed did not.
void check(int ok, const char *what);

// Keeps the calling process on one CPU.
void pin_to_cpu(int cpu);

// Runs the workloads named as arguments and prints "name checksum seconds" for each, or "name skipped" where the CPU lacks what it is made of.
#define _GNU_SOURCE
#include "bench.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern const struct workload __start_workloads[], __stop_workloads[];

enum { LIMIT_SECONDS = 120 };

void check(int ok, const char *what)
{
    if (ok) return;
    perror(what);
    _exit(1);
}

void pin_to_cpu(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    check(sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    // What the "exec" workload starts.
    if (argc == 2 && strcmp(argv[1], "--nothing") == 0) return 7;

    int status = 0;
    for (int i = 1; i < argc; i++)
    {
        const struct workload *w = __start_workloads;
        while (w != __stop_workloads && strcmp(w->name, argv[i]) != 0) w++;
        if (w == __stop_workloads)
        {
            fprintf(stderr, "no workload '%s'\n", argv[i]);
            status = 1;
            continue;
        }
        if (!w->can_run())
        {
            printf("%s skipped\n", w->name);
            fflush(stdout);
            continue;
        }
        alarm(LIMIT_SECONDS);
        double start = now();
        uint64_t sum = w->run();
        double end = now();
        alarm(0);
        printf("%s %016llx %.6f\n", w->name, (unsigned long long)sum, end - start);
        fflush(stdout);
    }
    return status;
}

// Thousands of processes that live shortly, several at a time: how shells and builds work.
#define _GNU_SOURCE
#include "bench.h"
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

WORKLOAD(procs, "procs")
{
    enum { COUNT = 500, AT_ONCE = 8 };
    char *arguments[] = { "workloads", "--nothing", 0 };
    uint64_t sum = 0;
    for (int started = 0, ended = 0; ended < COUNT;)
    {
        while (started < COUNT && started - ended < AT_ONCE)
        {
            pid_t child;
            check(posix_spawn(&child, "/proc/self/exe", 0, 0, arguments, environ) == 0, "posix_spawn");
            started++;
        }
        int status;
        check(wait(&status) > 0 && WIFEXITED(status), "wait");
        sum = mix(sum, (uint64_t)WEXITSTATUS(status));
        ended++;
    }
    return sum;
}

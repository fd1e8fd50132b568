// Two processes that pass a number to and fro through pipes: on one CPU (context switches), and on two (a wake-up by interrupt each way).
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

static uint64_t ping_pong(int peer_cpu, int rounds)
{
    int there[2], back[2], status;
    check(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pid_t child = fork();
    check(child >= 0, "fork");
    uint64_t x = 1;
    if (child == 0)
    {
        pin_to_cpu(peer_cpu);
        for (int i = 0; i < rounds; i++)
        {
            check(read(there[0], &x, sizeof x) == sizeof x, "read");
            x = mix(x, (uint64_t)i);
            check(write(back[1], &x, sizeof x) == sizeof x, "write");
        }
        _exit(0);
    }
    pin_to_cpu(0);
    for (int i = 0; i < rounds; i++)
    {
        check(write(there[1], &x, sizeof x) == sizeof x, "write");
        check(read(back[0], &x, sizeof x) == sizeof x, "read");
    }
    check(waitpid(child, &status, 0) == child && status == 0, "waitpid");
    for (int i = 0; i < 2; i++)
    {
        close(there[i]);
        close(back[i]);
    }
    return x;
}

WORKLOAD(pipe_one_cpu, "pipe") { return ping_pong(0, 4000); }

WORKLOAD(pipe_two_cpus, "pipe-2cpu") { return ping_pong(1, 1000); }

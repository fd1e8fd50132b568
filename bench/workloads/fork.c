// Processes: fork and exit; fork, exec of a static program and exit.
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

static uint64_t processes(int count, int exec)
{
    uint64_t sum = 0;
    for (int i = 0; i < count; i++)
    {
        int status;
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0)
        {
            if (!exec) _exit(i & 127);
            execl("/proc/self/exe", "workloads", "--nothing", (char *)0);
            _exit(1);
        }
        check(waitpid(child, &status, 0) == child && WIFEXITED(status), "waitpid");
        sum = mix(sum, (uint64_t)WEXITSTATUS(status));
    }
    return sum;
}

WORKLOAD(fork_exit, "fork") { return processes(300, 0); }

WORKLOAD(fork_exec, "exec") { return processes(150, 1); }

// Programs that compile code while they run, from Debian's packages and our own: they are there in a guest with what bench/fetch-programs has found.
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

// Runs a program and mixes what it prints into the sum.
static uint64_t output_of(uint64_t sum, const char *program, const char *argument)
{
    int ends[2];
    check(pipe(ends) == 0, "pipe");
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0)
    {
        dup2(ends[1], 1);
        close(ends[0]);
        execl(program, program, argument, (char *)0);
        check(0, program);
    }
    close(ends[1]);
    unsigned char bytes[4096];
    ssize_t count, total = 0;
    while ((count = read(ends[0], bytes, sizeof bytes)) > 0)
    {
        for (ssize_t i = 0; i < count; i++) sum = mix(sum, bytes[i]);
        total += count;
    }
    close(ends[0]);
    int status;
    check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 && total > 0, program);
    return sum;
}

static uint64_t repeated(int count, const char *program, const char *argument)
{
    uint64_t sum = 0;
    while (count--) sum = output_of(sum, program, argument);
    return sum;
}

WORKLOAD(jit, "jit") { return repeated(1, "/usr/bin/luajit", "/jit.lua"); }

WORKLOAD(dotnet, "dotnet") { return repeated(2, "/opt/vmm/vmm", "--version"); }

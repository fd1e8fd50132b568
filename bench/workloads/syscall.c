// The cheapest system call: into the kernel and back.
#define _GNU_SOURCE
#include "bench.h"
#include <sys/syscall.h>
#include <unistd.h>

WORKLOAD(system_call, "syscall")
{
    long parent = syscall(SYS_getppid);
    uint64_t same = 0;
    for (int i = 0; i < 300000; i++) same += syscall(SYS_getppid) == parent;
    return same;
}

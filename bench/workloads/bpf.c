// Code that the kernel makes, runs and gives up, as it does with modules: socket filters, which Linux translates to A64 when they are attached.
#define _GNU_SOURCE
#include "bench.h"
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

WORKLOAD(bpf, "bpf")
{
    enum { ROUNDS = 800, STEPS = 40 };
    int pair[2];
    check(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0, "socketpair");
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++)
    {
        struct sock_filter code[STEPS + 2];
        int n = 0;
        code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, (uint32_t)round);
        while (n <= STEPS) { code[n] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, (uint32_t)(n * 3)); n++; }
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (uint32_t)(1 + round % 7));
        struct sock_fprog program = { (unsigned short)n, code };
        check(setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0, "SO_ATTACH_FILTER");
        char data[8] = "bytes..";
        check(send(pair[0], data, sizeof data, 0) == sizeof data, "send");
        sum = mix(sum, (uint64_t)recv(pair[1], data, sizeof data, 0));
    }
    check(close(pair[0]) == 0 && close(pair[1]) == 0, "close");
    return sum;
}

/* Memory tagging in a guest: `tags CPU [FILE]`. Runs on that CPU with tags in a mapping of 64 KiB, and says what Linux does about accesses whose
   tag is wrong, synchronously, asynchronously and as the CPU prefers, and what copies see. With a file it then waits until that is there, and
   looks whether the tags still are. */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#ifndef HWCAP2_MTE
#define HWCAP2_MTE (1 << 18)
#endif
#ifndef HWCAP2_MOPS
#define HWCAP2_MOPS (1ul << 43)
#endif
#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL 55
#endif
#define TAGGED_ADDR_ENABLE 1ul
#define SYNC 2ul
#define ASYNC 4ul
#define SIZE 0x10000ul

asm(".arch armv8.8-a+memtag");

static sigjmp_buf back;
static volatile siginfo_t seen;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    memcpy((void *)&seen, info, sizeof seen);
    siglongjmp(back, 1);
}

static void must(int right, const char *what)
{
    if (!right) {
        perror(what);
        exit(1);
    }
}

static char *with_tag(char *p, unsigned long tag)
{
    return (char *)(((unsigned long)p & ~(15ul << 56)) | tag << 56);
}

static void set_tag(char *p, unsigned long tag)
{
    asm volatile("stg %0, [%0]" ::"r"(with_tag(p, tag)) : "memory");
}

static unsigned long tag_of(char *p)
{
    asm volatile("ldg %0, [%0]" : "+r"(p)::"memory");
    return (unsigned long)p >> 56 & 15;
}

static void load(char *p) { *(volatile unsigned long *)p; }
static void store(char *p) { *(volatile unsigned long *)p = 1; }

static void copy(char *p)
{
    unsigned long n = 100;
    char *from = with_tag(p, 0) + 0x2000;
    asm volatile("cpyfp [%0]!, [%1]!, %2!\n\tcpyfm [%0]!, [%1]!, %2!\n\tcpyfe [%0]!, [%1]!, %2!" : "+r"(p), "+r"(from), "+r"(n)::"memory", "cc");
}

static void try_access(const char *name, void (*access)(char *), char *p)
{
    memset((void *)&seen, 0, sizeof seen);
    if (sigsetjmp(back, 1) == 0) {
        access(p);
        /* The kernel tells of asynchronous ones when it is next entered. */
        getppid();
    }
    printf(" %s %d", name, seen.si_code);
    if (seen.si_code == 9)
        printf(" at %ld", (long)((unsigned long)seen.si_addr & 0xFFFFFFFFFFFFFF) - (long)((unsigned long)p & 0xFFFFFFFFFFFFFF));
    printf(",");
}

static void try_all(const char *name, unsigned long mode, char *memory)
{
    must(prctl(PR_SET_TAGGED_ADDR_CTRL, TAGGED_ADDR_ENABLE | mode | 0xFFFEul << 3, 0, 0, 0) == 0, "prctl");
    printf("%s:", name);
    try_access("right", load, with_tag(memory + 0x1000, 5));
    try_access("load", load, with_tag(memory + 0x1000, 6));
    try_access("store", store, with_tag(memory + 0x1008, 4));
    if (getauxval(AT_HWCAP2) & HWCAP2_MOPS)
        try_access("copy", copy, with_tag(memory + 0x1FC0, 5));
    printf("\n");
}

static void look(char *memory)
{
    int wrong = 0;
    for (unsigned long at = 0; at < SIZE; at += 16)
        wrong += tag_of(memory + at) != (at >= 0x1000 && at < 0x2000 ? 5 : at >= 0x8000 ? at / 16 % 16 : 0);
    printf("wrong tags %d\n", wrong);
}

int main(int count, char **arguments)
{
    must(count >= 2, "tags CPU [FILE]");
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(atoi(arguments[1]), &cpus);
    must(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "sched_setaffinity");
    if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE)) {
        printf("no mte\n");
        return 1;
    }
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    must(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction");
    must(prctl(PR_SET_TAGGED_ADDR_CTRL, TAGGED_ADDR_ENABLE | SYNC | 0xFFFEul << 3, 0, 0, 0) == 0, "prctl");
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap");
    for (unsigned long at = 0; at < SIZE; at += 16)
        set_tag(memory + at, at >= 0x1000 && at < 0x2000 ? 5 : at >= 0x8000 ? at / 16 % 16 : 0);
    try_all("sync", SYNC, memory);
    try_all("async", ASYNC, memory);
    try_all("any", SYNC | ASYNC, memory);
    int tags = 0;
    for (int i = 0; i < 1000; i++) {
        char *p = memory;
        asm volatile("irg %0, %0" : "+r"(p));
        tags |= 1 << ((unsigned long)p >> 56 & 15);
    }
    printf("irg %x\n", tags);
    /* A child has the tags, too. */
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        memory[0x2000] = 1;
        look(memory);
        return 0;
    }
    while (wait(NULL) > 0)
        ;
    if (count > 2) {
        fflush(stdout);
        while (access(arguments[2], F_OK) != 0)
            usleep(10000);
        try_all("again", SYNC, memory);
        look(memory);
    }
    return 0;
}

/* Pointer authentication in a guest: `pauth CPU [FILE]`. Signs with all keys on CPU 0, and says how many codes are the same on that CPU, how many
   are accepted, how many wrong ones are refused, and how many are others with new keys. With a file it then waits until that is there, and compares
   the codes of the new keys. */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef HWCAP_PACA
#define HWCAP_PACA (1 << 30)
#endif

#define KEYS 5
#define MODIFIERS 40

asm(".arch armv8.3-a");

typedef unsigned long codes[KEYS][MODIFIERS];

static char place[16];
static sigjmp_buf back;

static void on_fault(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

static void must(int right, const char *what)
{
    if (!right) {
        perror(what);
        exit(1);
    }
}

static void run_on(int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    must(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "sched_setaffinity");
}

static unsigned long sign(int key, unsigned long pointer, unsigned long modifier)
{
    unsigned long code = pointer;
    switch (key) {
    case 0: asm volatile("pacia %0, %1" : "+r"(code) : "r"(modifier)); break;
    case 1: asm volatile("pacib %0, %1" : "+r"(code) : "r"(modifier)); break;
    case 2: asm volatile("pacda %0, %1" : "+r"(code) : "r"(modifier)); break;
    case 3: asm volatile("pacdb %0, %1" : "+r"(code) : "r"(modifier)); break;
    default: asm volatile("pacga %0, %1, %2" : "=r"(code) : "r"(pointer), "r"(modifier));
    }
    return code;
}

static unsigned long authenticate(int key, unsigned long code, unsigned long modifier)
{
    switch (key) {
    case 0: asm volatile("autia %0, %1" : "+r"(code) : "r"(modifier)); break;
    case 1: asm volatile("autib %0, %1" : "+r"(code) : "r"(modifier)); break;
    case 2: asm volatile("autda %0, %1" : "+r"(code) : "r"(modifier)); break;
    default: asm volatile("autdb %0, %1" : "+r"(code) : "r"(modifier));
    }
    return code;
}

static void sign_all(codes made)
{
    for (int key = 0; key < KEYS; key++)
        for (int i = 0; i < MODIFIERS; i++)
            made[key][i] = sign(key, (unsigned long)place, i * 0x123456789);
}

static int count_same(codes first, codes second)
{
    int same = 0;
    for (int key = 0; key < KEYS; key++)
        for (int i = 0; i < MODIFIERS; i++)
            same += first[key][i] == second[key][i];
    return same;
}

/* PACGA makes a code that nothing accepts. */
static int count_accepted(codes made, unsigned long other)
{
    volatile int accepted = 0;
    for (volatile int key = 0; key < KEYS - 1; key++)
        for (volatile int i = 0; i < MODIFIERS; i++)
            if (sigsetjmp(back, 1) == 0)
                accepted += authenticate(key, made[key][i], i * 0x123456789 + other) == (unsigned long)place;
    return accepted;
}

int main(int count, char **arguments)
{
    static codes first, second;
    must(count >= 2, "pauth CPU [FILE]");
    if (!(getauxval(AT_HWCAP) & HWCAP_PACA)) {
        printf("no pauth\n");
        return 1;
    }
    struct sigaction action = { .sa_handler = on_fault };
    must(sigaction(SIGILL, &action, NULL) == 0, "sigaction");
    run_on(0);
    sign_all(first);
    run_on(atoi(arguments[1]));
    sign_all(second);
    printf("same %d accepted %d wrong %d", count_same(first, second), count_accepted(first, 0), count_accepted(first, 1));
    must(prctl(PR_PAC_RESET_KEYS, 0, 0, 0, 0) == 0, "prctl");
    sign_all(second);
    printf(" old %d\n", count_same(first, second));
    if (count > 2) {
        fflush(stdout);
        while (access(arguments[2], F_OK) != 0)
            usleep(10000);
        sign_all(first);
        printf("again %d\n", count_same(first, second));
    }
    return 0;
}

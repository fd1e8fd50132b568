/* Counts in a guest by perf_event_open(2): `perf CPU [FILE]`. Runs a loop of two million instructions on that CPU, and says how many instructions of
   user space it had, how many exceptions, cycles and branches, how often the counter of instructions overflowed in ten such loops with a period of
   200,000, and how many instructions the CPU had in all, as `perf stat -C` does. With a file it then leaves that CPU, waits until the file is there,
   and says what the CPU had of the first loop, and with one more where the CPU still is. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PERIOD 200000

static volatile int overflows;

static void must(int right, const char *what)
{
    if (!right) {
        perror(what);
        exit(1);
    }
}

static void on_overflow(int signal)
{
    (void)signal;
    overflows++;
}

/* A group of events starts and stops with its first. */
static int event(unsigned type, unsigned long config, int cpu, int first, unsigned long period)
{
    struct perf_event_attr attributes = {
        .type = type, .size = sizeof attributes, .config = config, .disabled = first < 0, .sample_period = period,
        .exclude_kernel = cpu < 0, .wakeup_events = period != 0,
    };
    int file = syscall(SYS_perf_event_open, &attributes, cpu < 0 ? 0 : -1, cpu, first, 0);
    must(file >= 0, "perf_event_open");
    return file;
}

static unsigned long count(int file)
{
    unsigned long value = 0;
    must(read(file, &value, sizeof value) == sizeof value, "read");
    return value;
}

static void loop(unsigned long loops)
{
    unsigned long i = loops * 1000000;
    asm volatile("1:\tsubs %0, %0, #1\n\tb.ne 1b" : "+r"(i)::"cc");
}

static void run(int first, unsigned long loops)
{
    must(ioctl(first, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP) == 0, "enable");
    loop(loops);
    must(ioctl(first, PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP) == 0, "disable");
}

static int go_to(int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    return sched_setaffinity(0, sizeof cpus, &cpus) == 0;
}

int main(int arguments, char **words)
{
    must(arguments >= 2, "perf CPU [FILE]");
    int cpu = atoi(words[1]);
    must(go_to(cpu), "sched_setaffinity");

    int instructions = event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, -1, -1, 0);
    int cycles = event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, -1, instructions, 0);
    int exceptions = event(PERF_TYPE_RAW, 0x09, -1, instructions, 0);
    int branches = event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS, -1, instructions, 0);
    run(instructions, 1);
    printf("instructions %lu exceptions %lu cycles %lu branches %lu\n", count(instructions), count(exceptions), count(cycles), count(branches));

    struct sigaction action = { .sa_handler = on_overflow, .sa_flags = SA_RESTART };
    must(sigaction(SIGIO, &action, NULL) == 0, "sigaction");
    int sampled = event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, -1, -1, PERIOD);
    must(mmap(NULL, 2 * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, sampled, 0) != MAP_FAILED, "mmap");
    must(fcntl(sampled, F_SETFL, O_ASYNC) == 0 && fcntl(sampled, F_SETOWN, getpid()) == 0, "fcntl");
    run(sampled, 10);
    printf("overflows %d\n", overflows);

    int all = event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, cpu, -1, 0);
    run(all, 1);
    printf("all %lu\n", count(all));
    if (arguments > 2) {
        must(ioctl(all, PERF_EVENT_IOC_RESET, 0) == 0 && ioctl(all, PERF_EVENT_IOC_ENABLE, 0) == 0, "enable");
        loop(1);
        printf("first %lu\n", count(all));
        fflush(stdout);
        must(go_to(0), "sched_setaffinity");
        while (access(words[2], F_OK) != 0)
            usleep(10000);
        if (go_to(cpu))
            loop(1);
        printf("last %lu\n", count(all));
    }
    return 0;
}

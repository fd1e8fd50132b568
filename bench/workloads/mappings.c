// Mappings and protections that change all the time: what garbage collectors, allocators and just-in-time compilers ask of the kernel, which answers with TLB maintenance.
#define _GNU_SOURCE
#include "bench.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };

static void *map(long size, int protection, int flags, int fd)
{
    void *p = mmap(0, size, protection, flags, fd, 0);
    check(p != MAP_FAILED, "mmap");
    return p;
}

// Pages of a resident area become read-only and writable again, one by one and in runs, and are touched in between.
static uint64_t protect(uint64_t random, int rounds)
{
    enum { PAGES = 256 };
    uint8_t *p = map(PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
    uint64_t sum = 0;
    for (int round = 0; round < rounds; round++)
    {
        uint64_t r = next_random(&random);
        long page = r & (PAGES - 1), length = round % 8 ? 1 : 1 + (r >> 8) % (PAGES - page);
        check(mprotect(p + page * PAGE, length * PAGE, PROT_READ) == 0, "mprotect");
        sum = mix(sum, p[page * PAGE + 7]);
        check(mprotect(p + page * PAGE, length * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
        p[page * PAGE + 7] += (uint8_t)r;
    }
    check(munmap(p, PAGES * PAGE) == 0, "munmap");
    return sum;
}

WORKLOAD(protect_alone, "mprotect") { return protect(21, 8000); }

static void *protect_too(void *sum)
{
    *(uint64_t *)sum = protect(25, 4000);
    return 0;
}

// Two threads of one process: each change is told to the other CPU, which executes meanwhile.
WORKLOAD(protect_shared, "mprotect-2thr")
{
    pthread_t other;
    uint64_t sum;
    check(pthread_create(&other, 0, protect_too, &sum) == 0, "pthread_create");
    uint64_t own = protect(26, 4000);
    check(pthread_join(other, 0) == 0, "pthread_join");
    return mix(own, sum);
}

// Small areas are mapped, touched and unmapped.
WORKLOAD(map_unmap, "mmap")
{
    enum { ROUNDS = 5000 };
    uint64_t random = 22, sum = 0;
    for (int round = 0; round < ROUNDS; round++)
    {
        long pages = 1 + (next_random(&random) & 7);
        uint8_t *p = map(pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        for (long i = 0; i < pages; i++) p[i * PAGE + round % PAGE] = (uint8_t)(i + round);
        for (long i = 0; i < pages; i++) sum = mix(sum, p[i * PAGE + round % PAGE]);
        check(munmap(p, pages * PAGE) == 0, "munmap");
    }
    return sum;
}

typedef uint64_t (*function)(uint64_t);

// A function of WORDS instructions with two forward branches; what it returns depends on the seed.
static void write_function(uint32_t *code, int words, uint32_t seed)
{
    int i = 0;
    code[i++] = 0xd2800001 | (seed & 0xffff) << 5;              // mov x1, #seed
    code[i++] = 0xb4000040;                                     // cbz x0, .+8
    code[i++] = 0xca010000;                                     // eor x0, x0, x1
    for (; i < words - 3; i++) code[i] = 0x8b010000 | ((seed >> i % 13) & 63) << 10;    // add x0, x0, x1, lsl #n
    code[i++] = 0x37000040;                                     // tbnz w0, #0, .+8
    code[i++] = 0x91000400;                                     // add x0, x0, #1
    code[i++] = 0xd65f03c0;                                     // ret
}

// Code that is made with its page writable and run with its page executable, never both.
WORKLOAD(write_xor_execute, "wxorx")
{
    enum { PAGES = 16, ROUNDS = 8000, WORDS = 16, OTHERS = 4 };
    uint8_t *p = map(PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    uint64_t random = 23, x = 1;
    for (int i = 0; i < PAGES * PAGE / (WORDS * 4); i++) write_function((uint32_t *)p + i * WORDS, WORDS, (uint32_t)i);
    __builtin___clear_cache((char *)p, (char *)p + PAGES * PAGE);
    check(mprotect(p, PAGES * PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
    for (int round = 0; round < ROUNDS; round++)
    {
        uint64_t r = next_random(&random);
        uint8_t *page = p + (r & (PAGES - 1)) * PAGE, *code = page + (r >> 8 & 63) * WORDS * 4;
        check(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
        write_function((uint32_t *)code, WORDS, (uint32_t)(r >> 32));
        __builtin___clear_cache((char *)code, (char *)code + WORDS * 4);
        check(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
        x = ((function)code)(x);
        for (int i = 0; i < OTHERS; i++) x = ((function)(page + (r >> (16 + 6 * i) & 63) * WORDS * 4))(x);
    }
    check(munmap(p, PAGES * PAGE) == 0, "munmap");
    return x;
}

// Much code, each instruction of which runs once or twice: how programs start.
WORKLOAD(coldcode, "coldcode")
{
    enum { SIZE = 2 << 20, WORDS = 32, FUNCTIONS = SIZE / 4 / WORDS };
    uint32_t *code = map(SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    uint64_t random = 24, x = 1;
    for (int i = 0; i < FUNCTIONS; i++) write_function(code + i * WORDS, WORDS, (uint32_t)next_random(&random));
    __builtin___clear_cache((char *)code, (char *)code + SIZE);
    for (int i = 0; i < FUNCTIONS; i++) x = ((function)(code + (long)(i * 37L % FUNCTIONS) * WORDS))(x);
    check(munmap(code, SIZE) == 0, "munmap");
    return x;
}

// Processes that each map one file of code somewhere else and run a function of each of its pages.
WORKLOAD(library, "library")
{
    enum { PAGES = 128, PROCESSES = 300, WORDS = 32 };
    int fd = memfd_create("library", 0);
    check(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0, "memfd_create");
    uint8_t *p = map(PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    for (int i = 0; i < PAGES * PAGE / (WORDS * 4); i++) write_function((uint32_t *)p + i * WORDS, WORDS, (uint32_t)i * 77);
    __builtin___clear_cache((char *)p, (char *)p + PAGES * PAGE);
    uint64_t sum = 0;
    for (int i = 0; i < PROCESSES; i++)
    {
        int status;
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0)
        {
            map((1 + i % 50) * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
            uint8_t *library = map(PAGES * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);
            uint64_t x = i;
            for (int page = 0; page < PAGES; page++) x = ((function)(library + page * PAGE + (i + page) % 32 * WORDS * 4))(x);
            _exit(x & 127);
        }
        check(waitpid(child, &status, 0) == child && WIFEXITED(status), "waitpid");
        sum = mix(sum, (uint64_t)WEXITSTATUS(status));
    }
    check(munmap(p, PAGES * PAGE) == 0 && close(fd) == 0, "munmap");
    return sum;
}

/* SVE in a guest: `sve CPU [FILE]`. Runs on that CPU, at each vector length that prctl(PR_SVE_SET_VL) gives, loops that are compared with plain C,
   two processes of different lengths by turns. With a file it then keeps values in all registers of SVE until that is there, without a system
   call, which would lose them, and looks whether they still are. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef HWCAP_SVE
#define HWCAP_SVE (1 << 22)
#endif
#ifndef PR_SVE_SET_VL
#define PR_SVE_SET_VL 50
#endif
#define LENGTH_MASK 0xFFFF
#define LONGEST 256
#define COUNT 1003
#define TURNS 40

unsigned long sve_strlen(const char *text);
void sve_copy(void *to, const void *from, unsigned long count);
void sve_saxpy(float a, const float *x, float *y, unsigned long count);
unsigned long sve_gather_dot(const unsigned *a, const unsigned *b, const unsigned *order, unsigned long count);
void sve_hold(volatile int *flag, unsigned char *left);

asm(".arch armv8.2-a+sve\n"
    "sve_strlen:\n\tmov x1, x0\n\tptrue p0.b\n"
    "1:\tsetffr\n\tldff1b {z0.b}, p0/z, [x1, xzr]\n\trdffr p1.b, p0/z\n\tcmpeq p2.b, p1/z, z0.b, #0\n\tbrkbs p2.b, p1/z, p2.b\n"
    "\tincp x1, p2.b\n\tb.last 1b\n\tsub x0, x1, x0\n\tret\n"

    "sve_copy:\n\tmov x3, xzr\n\twhilelo p0.b, x3, x2\n"
    "1:\tld1b {z0.b}, p0/z, [x1, x3]\n\tst1b {z0.b}, p0, [x0, x3]\n\tincb x3\n\twhilelo p0.b, x3, x2\n\tb.first 1b\n\tret\n"

    "sve_saxpy:\n\tmov z2.s, s0\n\tmov x3, xzr\n\twhilelo p0.s, x3, x2\n"
    "1:\tld1w {z0.s}, p0/z, [x0, x3, lsl #2]\n\tld1w {z1.s}, p0/z, [x1, x3, lsl #2]\n\tfmla z1.s, p0/m, z0.s, z2.s\n"
    "\tst1w {z1.s}, p0, [x1, x3, lsl #2]\n\tincw x3\n\twhilelo p0.s, x3, x2\n\tb.first 1b\n\tret\n"

    "sve_gather_dot:\n\tmov x4, xzr\n\tdup z3.s, #0\n\twhilelo p0.s, x4, x3\n"
    "1:\tld1w {z0.s}, p0/z, [x2, x4, lsl #2]\n\tld1w {z1.s}, p0/z, [x0, z0.s, uxtw #2]\n\tld1w {z2.s}, p0/z, [x1, x4, lsl #2]\n"
    "\tmla z3.s, p0/m, z1.s, z2.s\n\tincw x4\n\twhilelo p0.s, x4, x3\n\tb.first 1b\n"
    "\tptrue p0.s\n\tuaddv d0, p0, z3.s\n\tfmov x0, d0\n\tret\n"

    /* Z0 to Z31 count up in steps of 3 from their numbers, P0 to P15 are true in the first elements, FFR is P5. */
    "sve_hold:\n"
    "\t.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "\tmov w2, #\\n\n\tindex z\\n\\().b, w2, #3\n\t.endr\n"
    "\t.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\tmov x2, #2 * \\n + 1\n\twhilelo p\\n\\().b, xzr, x2\n\t.endr\n"
    "\twrffr p5.b\n"
    "1:\tldr w2, [x0]\n\tcbz w2, 1b\n"
    "\t.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "\tstr z\\n, [x1, #\\n, mul vl]\n\t.endr\n"
    "\taddvl x1, x1, #31\n\taddvl x1, x1, #1\n"
    "\t.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\tstr p\\n, [x1, #\\n, mul vl]\n\t.endr\n"
    "\trdffr p0.b\n\tstr p0, [x1, #16, mul vl]\n\tret\n");

static void must(int right, const char *what)
{
    if (!right) {
        perror(what);
        exit(1);
    }
}

static int set_length(int bytes)
{
    int set = prctl(PR_SVE_SET_VL, bytes, 0, 0, 0);
    must(set >= 0, "prctl");
    return set & LENGTH_MASK;
}

/* How many results differ from those of plain C. The text ends at the end of a page that nothing follows. */
static int try_all(char *page, unsigned seed)
{
    static char to[COUNT + 1];
    static float x[COUNT], y[COUNT], z[COUNT];
    static unsigned a[COUNT], b[COUNT], order[COUNT];
    int wrong = 0;
    unsigned sum = 0;
    size_t length = 1 + seed * 37 % COUNT;
    char *text = page + sysconf(_SC_PAGESIZE) - length - 1;
    memset(text, 'x', length);
    text[length] = 0;
    wrong += sve_strlen(text) != length;
    memset(to, 0, sizeof to);
    sve_copy(to, text, length);
    wrong += memcmp(to, text, length) != 0 || to[length] != 0;
    for (unsigned i = 0; i < COUNT; i++) {
        x[i] = (float)(i * seed % 100);
        y[i] = z[i] = (float)(i % 77);
        a[i] = i * 2654435761u + seed;
        b[i] = i ^ seed;
        order[i] = (i * 7 + seed) % COUNT;
    }
    sve_saxpy(3, x, y, length);
    for (unsigned i = 0; i < COUNT; i++) {
        wrong += y[i] != (i < length ? z[i] + 3 * x[i] : z[i]);
        sum += i < length ? a[order[i]] * b[i] : 0;
    }
    wrong += (unsigned)sve_gather_dot(a, b, order, length) != sum;
    return wrong;
}

/* Two processes of two lengths on one CPU. */
static int try_both(char *page, int first, int second)
{
    fflush(stdout);
    pid_t child = fork();
    int wrong = set_length(child == 0 ? first : second) == 0;
    for (int i = 0; i < TURNS; i++) {
        wrong += try_all(page, i * 11 + (child == 0));
        sched_yield();
    }
    if (child == 0)
        _exit(wrong != 0);
    int status = 1;
    must(waitpid(child, &status, 0) == child, "waitpid");
    return wrong + (status != 0);
}

static int hold(const char *file)
{
    static unsigned char left[33 * LONGEST + 17 * LONGEST / 8];
    int length = set_length(LONGEST), wrong = 0;
    volatile int *flag = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(flag != MAP_FAILED, "mmap");
    fflush(stdout);
    if (fork() == 0) {
        while (access(file, F_OK) != 0)
            usleep(10000);
        *flag = 1;
        _exit(0);
    }
    sve_hold(flag, left);
    wait(NULL);
    for (int z = 0; z < 32; z++)
        for (int i = 0; i < length; i++)
            wrong += left[z * length + i] != (unsigned char)(z + 3 * i);
    for (int p = 0; p < 17; p++)
        for (int i = 0; i < length; i++)
            wrong += (left[32 * length + p * length / 8 + i / 8] >> i % 8 & 1) != (i <= 2 * (p == 16 ? 5 : p));
    return wrong;
}

int main(int count, char **arguments)
{
    must(count >= 2, "sve CPU [FILE]");
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(atoi(arguments[1]), &cpus);
    must(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "sched_setaffinity");
    if (!(getauxval(AT_HWCAP) & HWCAP_SVE)) {
        printf("no sve\n");
        return 1;
    }
    long size = sysconf(_SC_PAGESIZE);
    char *page = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(page != MAP_FAILED && mprotect(page + size, size, PROT_NONE) == 0, "mmap");
    printf("lengths");
    int wrong = 0;
    for (int bytes = 16; bytes <= LONGEST; bytes += 16) {
        int set = set_length(bytes);
        printf(set == bytes ? " %d" : " (%d)", set);
        for (int i = 0; i < TURNS; i++)
            wrong += try_all(page, i);
    }
    wrong += try_both(page, 16, LONGEST) + try_both(page, 64, 32);
    printf("; wrong %d\n", wrong);
    if (count > 2)
        printf("held wrong %d\n", hold(arguments[2]));
    return 0;
}

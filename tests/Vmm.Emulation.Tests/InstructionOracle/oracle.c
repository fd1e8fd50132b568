/*
 * The peer of the instruction oracle: runs single instructions under qemu-aarch64 user mode.
 *
 * Standard input brings batches: a header (slots, words of each, bytes from one to the next, cases), the words of the slots, and cases. A case is a whole user-mode state; it starts at the
 * slot its pc names and ends at the first signal (each slot ends in BRK). A case is entered by returning from a signal handler with
 * the state in the signal frame and left by the next signal, so that no register has to be kept for the harness.
 * Standard output takes the cases back with the state afterwards and the signal that ended them.
 *
 * With SVE the scalable state of each case follows the cases in both directions: Z0 to Z31, P0 to P15 and FFR of the vector length that
 * the program has, as the signal frame holds them.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define REGION 0x4fe00000ul
#define REGION_SIZE 0x400000ul
#define CODE 0x50000000ul
#define CODE_SIZE 0x10000ul
#define WINDOW 0x50080000ul
#define WINDOW_SIZE 256
#define BRK 0xd4200000u
#define FPSIMD_MAGIC 0x46508001u
#define MAX_CASES 4096
#define SVE_MAGIC 0x53564501u
#define EXTRA_MAGIC 0x45585401u
#define MAX_SCALABLE (32 * 256 + 17 * 32)
#define MAX_SCALABLE_CASES 1024
#define MAX_WORDS (CODE_SIZE / 4)

struct record {
    u64 x[31], sp, pc, pstate, signal;
    u32 fpsr, fpcr;
    u64 v[64];
    u8 window[WINDOW_SIZE];
};

struct fpsimd {
    u32 magic, size, fpsr, fpcr;
    u64 v[64];
};

struct sve {
    u32 magic, size;
    unsigned short length, flags, reserved[2];
    u8 registers[];
};

struct extra {
    u32 magic, size;
    u64 data;
    u32 data_size;
};

struct ucontext {
    u64 flags, link, stack[3];
    u8 mask[128];
    u64 align;
    u64 fault_address, x[31], sp, pc, pstate, reserved_align;
    struct fpsimd fpsimd;
};

static struct record cases[MAX_CASES];
static u32 words[MAX_WORDS];
static u8 scalable[MAX_SCALABLE_CASES * MAX_SCALABLE];
static u64 scalable_size;
static u8 handler_stack[65536] __attribute__((aligned(16)));
static u32 count, next;

static long syscall6(long n, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory");
    return x0;
}

static void leave(int code)
{
    for (;;)
        syscall6(93, code, 0, 0, 0, 0, 0);
}

static void take(void *p, u64 size, int may_end)
{
    u64 done = 0;
    while (done < size) {
        long n = syscall6(63, 0, (long)p + done, size - done, 0, 0, 0);
        if (n <= 0)
            leave(n == 0 && done == 0 && may_end ? 0 : 2);
        done += n;
    }
}

static void give(const void *p, u64 size)
{
    u64 done = 0;
    while (done < size) {
        long n = syscall6(64, 1, (long)p + done, size - done, 0, 0, 0);
        if (n <= 0)
            leave(3);
        done += n;
    }
}

static void copy(u8 *to, const u8 *from, u64 size)
{
    for (u64 i = 0; i < size; i += 2)
        *(volatile unsigned short *)(to + i) = *(const unsigned short *)(from + i);
}

/* The registers of SVE in a signal frame; null without SVE. */
static u8 *scalable_of(struct ucontext *u)
{
    const u32 *record = (const u32 *)&u->fpsimd;
    while (record[0] != 0) {
        if (record[0] == SVE_MAGIC) {
            struct sve *sve = (struct sve *)record;
            scalable_size = sve->length * 32 + sve->length / 8 * 17;
            return sve->registers;
        }
        record = record[0] == EXTRA_MAGIC ? (const u32 *)((const struct extra *)record)->data
            : (const u32 *)((const u8 *)record + record[1]);
    }
    return 0;
}

static void next_batch(void)
{
    u32 header[4];
    take(header, sizeof header, 1);
    u64 slots = header[0], length = header[1], stride = header[2];
    if (length * 4 > stride || slots * stride > CODE_SIZE || header[3] == 0 || header[3] > MAX_CASES)
        leave(4);
    take(words, slots * length * 4, 0);
    count = header[3];
    take(cases, count * sizeof cases[0], 0);
    if (scalable_size != 0 && count > MAX_SCALABLE_CASES)
        leave(8);
    take(scalable, count * scalable_size, 0);
    next = 0;
    for (u64 slot = 0; slot < slots; slot++)
        for (u64 i = 0; i < length; i++)
            ((u32 *)(CODE + slot * stride))[i] = words[slot * length + i];
    for (u64 line = CODE; line < CODE + CODE_SIZE; line += 64)
        __asm__ volatile("dc cvau, %0" ::"r"(line) : "memory");
    __asm__ volatile("dsb ish" ::: "memory");
    for (u64 line = CODE; line < CODE + CODE_SIZE; line += 64)
        __asm__ volatile("ic ivau, %0" ::"r"(line) : "memory");
    __asm__ volatile("dsb ish; isb" ::: "memory");
}

static void handler(int signal, void *info, struct ucontext *u)
{
    (void)info;
    volatile u64 *window = (volatile u64 *)WINDOW;
    if (u->fpsimd.magic != FPSIMD_MAGIC)
        leave(5);
    u8 *registers = scalable_of(u);
    if (count != 0) {
        struct record *r = &cases[next];
        for (int i = 0; i < 31; i++)
            r->x[i] = u->x[i];
        for (int i = 0; i < 64; i++)
            r->v[i] = u->fpsimd.v[i];
        for (int i = 0; i < WINDOW_SIZE / 8; i++)
            ((u64 *)r->window)[i] = window[i];
        r->sp = u->sp;
        r->pc = u->pc;
        r->pstate = u->pstate;
        r->signal = signal;
        r->fpsr = u->fpsimd.fpsr;
        r->fpcr = u->fpsimd.fpcr;
        if (registers != 0)
            copy(scalable + next * scalable_size, registers, scalable_size);
        if (++next == count) {
            give(cases, count * sizeof cases[0]);
            give(scalable, count * scalable_size);
        }
    }
    if (next == count)
        next_batch();

    struct record *r = &cases[next];
    for (int i = 0; i < 31; i++)
        u->x[i] = r->x[i];
    for (int i = 0; i < 64; i++)
        u->fpsimd.v[i] = r->v[i];
    for (int i = 0; i < WINDOW_SIZE / 8; i++)
        window[i] = ((u64 *)r->window)[i];
    u->sp = r->sp;
    u->pc = r->pc;
    u->pstate = r->pstate;
    u->fpsimd.fpsr = r->fpsr;
    u->fpsimd.fpcr = r->fpcr;
    if (registers != 0)
        copy(registers, scalable + next * scalable_size, scalable_size);

    /* QEMU 10.0 translates for the AH and NEP of the last MSR: returning from the handler changes FPCR alone. */
    __asm__ volatile("msr fpcr, %0" ::"r"((u64)r->fpcr));
}

extern char restorer[];
__asm__(".globl restorer\nrestorer: mov x8, #139\n svc 0\n");

void _start(void)
{
    long at = syscall6(222, REGION, REGION_SIZE, 7, 0x32, -1, 0);
    if (at != (long)REGION)
        leave(6);
    for (u64 i = 0; i < REGION_SIZE / 4; i++)
        ((u32 *)REGION)[i] = (u32)i * 0x9e3779b1u;
    for (u64 i = 0; i < CODE_SIZE / 4; i++)
        ((u32 *)CODE)[i] = BRK;
    syscall6(226, REGION, CODE - REGION, 3, 0, 0, 0);
    syscall6(226, CODE + CODE_SIZE, REGION + REGION_SIZE - CODE - CODE_SIZE, 3, 0, 0, 0);

    u64 stack[3] = { (u64)handler_stack, 0, sizeof handler_stack };
    syscall6(132, (long)stack, 0, 0, 0, 0, 0);
    static const int signals[] = { 4, 5, 7, 8, 11 };
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        u64 action[4] = { (u64)handler, 0x0c000004ul, (u64)restorer, ~0ul & ~(1ul << 3) & ~(1ul << 4) & ~(1ul << 6) & ~(1ul << 10) };
        syscall6(134, signals[i], (long)action, 0, 8, 0, 0);
    }
    __asm__ volatile("brk #0");
    leave(7);
}

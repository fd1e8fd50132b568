// Atomics, exclusives and locks under contention: several CPUs do the same to the same places, and what comes out is known exactly. A line for
// each test, "name right" or what is wrong. Run with two to four CPUs.
#include "mmu.h"

#ifndef ROUNDS
#define ROUNDS 2000
#endif

asm(".arch_extension lse");

// What all CPUs work on, each on a line of its own.
static struct { volatile u64 low, high, pad[14]; } place __attribute__((aligned(4096))), other, number, ready, done[CPUS];

// What each CPU has found: sums of old values, or the number of faults.
static struct { volatile u64 sum, faults, pad[14]; } found[CPUS];

static u64 add(volatile void *p, u64 v) { u64 old; asm volatile("ldaddal %1, %0, [%2]" : "=r"(old) : "r"(v), "r"(p) : "memory"); return old; }
static void wait_a_little(void) { asm volatile("sevl\n\twfe\n\twfe" ::: "memory"); }

// LDADD: the sum, and the sum of the old values, for no two CPUs may see the same.
#define ADD(name, kind, type, reg) \
    static void name(u64 cpu) \
    { \
        u64 sum = 0; \
        for (u64 i = 0; i < ROUNDS; i++) { \
            u64 old; \
            asm volatile(kind " %" reg "1, %" reg "0, [%2]" : "=r"(old) : "r"(1ul), "r"(&place) : "memory"); \
            sum += old; \
        } \
        found[cpu].sum = sum; \
    } \
    static const char *name##_check(void) \
    { \
        u64 sum = 0, expected = 0; \
        for (u64 cpu = 0; cpu < CPUS; cpu++) \
            sum += found[cpu].sum; \
        for (u64 i = 0; i < CPUS * ROUNDS; i++) \
            expected += (type)i; \
        return place.low != (type)(CPUS * ROUNDS) ? "the sum" : sum != expected ? "old values" : 0; \
    }
ADD(ldadd, "ldadd", u64, "x")
ADD(ldadda, "ldadda", u64, "x")
ADD(ldaddl, "ldaddl", u64, "x")
ADD(ldaddal, "ldaddal", u64, "x")
ADD(ldadd_w, "ldadd", u32, "w")
ADD(ldaddal_h, "ldaddalh", u16, "w")
ADD(ldadd_b, "ldaddb", u8, "w")

// STADD: no old value.
static void stadd(u64 cpu)
{
    for (u64 i = 0; i < ROUNDS; i++)
        asm volatile("stadd %0, [%1]" ::"r"(1ul), "r"(&place) : "memory");
}

static const char *sum_check(void) { return place.low != CPUS * ROUNDS ? "the sum" : 0; }
static const char *sum_check_32(void) { return place.low != (u32)(CPUS * ROUNDS) ? "the sum" : 0; }
static const char *sum_check_16(void) { return place.low != (u16)(CPUS * ROUNDS) ? "the sum" : 0; }
static const char *sum_check_8(void) { return place.low != (u8)(CPUS * ROUNDS) ? "the sum" : 0; }

// SWP: tokens are handed on; what came out and what is left are all that went in.
#define SWAP(name, kind, reg) \
    static void name(u64 cpu) \
    { \
        u64 sum = 0; \
        for (u64 i = 0; i < ROUNDS; i++) { \
            u64 old, token = (cpu + 1) * 17 + i % 7; \
            asm volatile(kind " %" reg "1, %" reg "0, [%2]" : "=r"(old) : "r"(token), "r"(&place) : "memory"); \
            sum += token - old; \
        } \
        found[cpu].sum = sum; \
    }
SWAP(swp, "swp", "x")
SWAP(swpal_w, "swpal", "w")
SWAP(swpa_h, "swpah", "w")
SWAP(swpl_b, "swplb", "w")

static const char *swap_check(void)
{
    u64 sum = 0;
    for (u64 cpu = 0; cpu < CPUS; cpu++)
        sum += found[cpu].sum;
    return sum != place.low ? "tokens" : 0;
}

// CAS and exclusives as loops that add. A CASP or STXP of both halves keeps them equal, for all to see.
#define CAS(name, kind, reg, load) \
    static void name(u64 cpu) \
    { \
        for (u64 i = 0; i < ROUNDS; i++) { \
            u64 seen, expected; \
            do { \
                asm volatile(load " %w0, [%1]" : "=r"(expected) : "r"(&place) : "memory"); \
                seen = expected; \
                asm volatile(kind " %" reg "0, %" reg "1, [%2]" : "+r"(seen) : "r"(expected + 1), "r"(&place) : "memory"); \
            } while (seen != expected); \
        } \
    }
CAS(cas, "cas", "x", "ldr")
CAS(casal_w, "casal", "w", "ldr")
CAS(casa_h, "casah", "w", "ldrh")
CAS(casl_b, "caslb", "w", "ldrb")

#define EXCLUSIVE(name, load, store, reg) \
    static void name(u64 cpu) \
    { \
        for (u64 i = 0; i < ROUNDS; i++) { \
            u64 value, status; \
            asm volatile("1:\t" load " %" reg "0, [%2]\n\tadd %0, %0, #1\n\t" store " %w1, %" reg "0, [%2]\n\tcbnz %w1, 1b" \
                         : "=&r"(value), "=&r"(status) : "r"(&place) : "memory"); \
        } \
    }
EXCLUSIVE(ldxr, "ldxr", "stxr", "x")
EXCLUSIVE(ldaxr, "ldaxr", "stlxr", "x")
EXCLUSIVE(ldxr_w, "ldxr", "stxr", "w")
EXCLUSIVE(ldaxr_h, "ldaxrh", "stlxrh", "w")
EXCLUSIVE(ldxr_b, "ldxrb", "stxrb", "w")

// Pairs: the high part counts down while the low part counts up.
#define PAIR_EXCLUSIVE(name, load, store, reg) \
    static void name(u64 cpu) \
    { \
        for (u64 i = 0; i < ROUNDS; i++) { \
            u64 low, high, status; \
            asm volatile("1:\t" load " %" reg "0, %" reg "1, [%3]\n\tadd %0, %0, #1\n\tsub %1, %1, #1\n\t" \
                         store " %w2, %" reg "0, %" reg "1, [%3]\n\tcbnz %w2, 1b" \
                         : "=&r"(low), "=&r"(high), "=&r"(status) : "r"(&place) : "memory"); \
            found[cpu].faults += (low + high) << (*reg == 'w' ? 32 : 0) != 0; \
        } \
    }
PAIR_EXCLUSIVE(ldxp, "ldxp", "stxp", "x")
PAIR_EXCLUSIVE(ldaxp, "ldaxp", "stlxp", "x")
PAIR_EXCLUSIVE(ldxp_w, "ldxp", "stxp", "w")

#define PAIR_CAS(name, kind, reg, mask) \
    static void name(u64 cpu) \
    { \
        for (u64 i = 0; i < ROUNDS; i++) { \
            register u64 low asm("x2") = 0; \
            register u64 high asm("x3") = 0; \
            u64 expected; \
            do { \
                expected = low; \
                register u64 low_to asm("x4") = low + 1; \
                register u64 high_to asm("x5") = high - 1; \
                asm volatile(kind " %" reg "0, %" reg "1, %" reg "2, %" reg "3, [%4]" \
                             : "+r"(low), "+r"(high) : "r"(low_to), "r"(high_to), "r"(&place) : "memory"); \
                found[cpu].faults += ((low + high) & mask) != 0; \
            } while (low != expected); \
        } \
    }
PAIR_CAS(casp, "casp", "x", ~0ul)
PAIR_CAS(caspal, "caspal", "x", ~0ul)
PAIR_CAS(casp_w, "casp", "w", 0xFFFFFFFFul)

static const char *faults(void)
{
    for (u64 cpu = 0; cpu < CPUS; cpu++)
        if (found[cpu].faults)
            return "what a CPU saw";
    return 0;
}

static const char *pair_check(void)
{
    return place.low != CPUS * ROUNDS || place.high != (u64)-(CPUS * ROUNDS) ? "the sums" : faults();
}

static const char *pair_check_32(void)
{
    return (u32)place.low != CPUS * ROUNDS || place.low >> 32 != (u32)-(CPUS * ROUNDS) ? "the sums" : faults();
}

// LDSET, LDCLR, LDEOR: each CPU has a bit of its own, and finds it as it left it.
#define BITS(name, set, clear, toggle, reg) \
    static void name(u64 cpu) \
    { \
        u64 bit = 1ul << cpu, old; \
        for (u64 i = 0; i < ROUNDS; i++) { \
            asm volatile(set " %" reg "1, %" reg "0, [%2]" : "=r"(old) : "r"(bit), "r"(&place) : "memory"); \
            found[cpu].faults += (old & bit) != 0; \
            asm volatile(toggle " %" reg "1, %" reg "0, [%2]" : "=r"(old) : "r"(bit), "r"(&place) : "memory"); \
            found[cpu].faults += (old & bit) == 0; \
            asm volatile(toggle " %" reg "1, %" reg "0, [%2]" : "=r"(old) : "r"(bit), "r"(&place) : "memory"); \
            found[cpu].faults += (old & bit) != 0; \
            asm volatile(clear " %" reg "1, %" reg "0, [%2]" : "=r"(old) : "r"(bit), "r"(&place) : "memory"); \
            found[cpu].faults += (old & bit) == 0; \
        } \
    }
BITS(bits, "ldset", "ldclr", "ldeor", "x")
BITS(bits_w, "ldsetal", "ldclral", "ldeoral", "w")
BITS(bits_h, "ldsetah", "ldclrah", "ldeorah", "w")
BITS(bits_b, "ldsetlb", "ldclrlb", "ldeorlb", "w")

// The same without the old value: STSET and STCLR.
static void stset(u64 cpu)
{
    u64 bit = 1ul << cpu;
    for (u64 i = 0; i < ROUNDS; i++) {
        asm volatile("stset %0, [%1]" ::"r"(bit), "r"(&place) : "memory");
        found[cpu].faults += (place.low & bit) == 0;
        asm volatile("stclr %0, [%1]" ::"r"(bit), "r"(&place) : "memory");
        found[cpu].faults += (place.low & bit) != 0;
        asm volatile("steor %0, [%1]" ::"r"(bit), "r"(&place) : "memory");
        found[cpu].faults += (place.low & bit) == 0;
        asm volatile("steor %0, [%1]" ::"r"(bit), "r"(&place) : "memory");
    }
}

static const char *zero_check(void) { return place.low != 0 || place.high != 0 ? "bits are left" : faults(); }

// LDUMAX and LDSMIN: never beyond what went in, and at last the extremes.
static void extremes(u64 cpu)
{
    for (u64 i = 1; i <= ROUNDS; i++) {
        u64 old, low;
        asm volatile("ldumax %1, %0, [%2]" : "=r"(old) : "r"(i * CPUS + cpu), "r"(&place.low) : "memory");
        found[cpu].faults += old > ROUNDS * CPUS + CPUS || (i > 1 && old < (i - 1) * CPUS + cpu);
        asm volatile("ldsmin %1, %0, [%2]" : "=r"(low) : "r"(-(i * CPUS + cpu)), "r"(&place.high) : "memory");
        found[cpu].faults += (s64)low > 0 || (i > 1 && (s64)low > -(s64)((i - 1) * CPUS + cpu));
    }
}

static const char *extremes_check(void)
{
    u64 most = ROUNDS * CPUS + CPUS - 1;
    return place.low != most || place.high != -most ? "the extremes" : faults();
}

// A byte and its neighbours: an atomic of one is no store to the others.
static void neighbours(u64 cpu)
{
    volatile u8 *mine = (volatile u8 *)&place + cpu;
    for (u64 i = 0; i < ROUNDS; i++) {
        u8 before = *mine;
        u32 old;
        asm volatile("ldaddb %w1, %w0, [%2]" : "=r"(old) : "r"(1), "r"(mine) : "memory");
        found[cpu].faults += old != before;
        *mine = (u8)(before + 3);
        asm volatile("1:\tldxrb %w0, [%1]\n\tsub %w0, %w0, #2\n\tstxrb w9, %w0, [%1]\n\tcbnz w9, 1b" : "=&r"(old) : "r"(mine) : "x9", "memory");
        found[cpu].faults += *mine != (u8)(before + 1);
    }
}

static const char *neighbours_check(void)
{
    for (u64 cpu = 0; cpu < CPUS; cpu++)
        if (((volatile u8 *)&place)[cpu] != (u8)ROUNDS)
            return "a byte";
    return faults();
}

// A list to whose head all push.
static struct node { struct node *next; u64 cpu; } nodes[CPUS][ROUNDS];

static void push(u64 cpu)
{
    for (u64 i = 0; i < ROUNDS; i++) {
        struct node *n = &nodes[cpu][i], *head;
        u64 status;
        n->cpu = cpu + 1;
        do {
            asm volatile("ldxr %0, [%1]" : "=r"(head) : "r"(&place.low) : "memory");
            n->next = head;
            asm volatile("stlxr %w0, %1, [%2]" : "=&r"(status) : "r"(n), "r"(&place.low) : "memory");
        } while (status);
    }
}

static const char *push_check(void)
{
    u64 counts[CPUS] = { 0 }, total = 0;
    for (struct node *n = (struct node *)place.low; n && total <= CPUS * ROUNDS; n = n->next, total++)
        if (n->cpu < 1 || n->cpu > CPUS || counts[n->cpu - 1]++ >= ROUNDS)
            return "a node";
    return total != CPUS * ROUNDS ? "the length" : 0;
}

// Locks around plain data: two counters, and a list out of which nodes are taken and put back.
static volatile u64 counter_a, counter_b;
static u64 order[64];

static void critical(u64 cpu)
{
    u64 a = counter_a, b = counter_b;
    found[cpu].faults += a != b;
    counter_a = a + 1;
    u64 first = order[a % 64], second = order[(a * 7 + 1) % 64];
    order[a % 64] = second;
    order[(a * 7 + 1) % 64] = first;
    counter_b = b + 1;
}

// An exclusive spin lock: WFE until the holder lets go.
static void spin_lock(u64 cpu)
{
    for (u64 i = 0; i < ROUNDS; i++) {
        u64 t;
        asm volatile("sevl\n1:\twfe\n2:\tldaxr %w0, [%1]\n\tcbnz %w0, 1b\n\tstxr %w0, %w2, [%1]\n\tcbnz %w0, 2b" : "=&r"(t) : "r"(&place), "r"(1) : "memory");
        critical(cpu);
        asm volatile("stlr wzr, [%0]" ::"r"(&place) : "memory");
    }
}

// Swap and acquire, with plain reads in between.
static void swap_lock(u64 cpu)
{
    for (u64 i = 0; i < ROUNDS; i++) {
        u64 old;
        for (;;) {
            asm volatile("swpa %w1, %w0, [%2]" : "=r"(old) : "r"(1), "r"(&place) : "memory");
            if (!old)
                break;
            while (place.low)
                wait_a_little();
        }
        critical(cpu);
        asm volatile("stlr wzr, [%0]" ::"r"(&place) : "memory");
    }
}

// First come, first served.
static void ticket_lock(u64 cpu)
{
    for (u64 i = 0; i < ROUNDS; i++) {
        u64 ticket, now;
        asm volatile("ldadda %1, %0, [%2]" : "=r"(ticket) : "r"(1ul), "r"(&place) : "memory");
        for (;;) {
            asm volatile("ldar %0, [%1]" : "=r"(now) : "r"(&other) : "memory");
            if (now == ticket)
                break;
            wait_a_little();
        }
        critical(cpu);
        asm volatile("stlr %0, [%1]" ::"r"(ticket + 1), "r"(&other) : "memory");
    }
}

// Peterson's lock, for CPU 0 and 1: nothing but loads and stores, wrong without a barrier that orders a store before a load.
#define PETERSON(name, enter, leave) \
    static void name(u64 cpu) \
    { \
        volatile u64 *mine = cpu ? &place.high : &place.low, *theirs = cpu ? &place.low : &place.high; \
        for (u64 i = 0; cpu < 2 && i < ROUNDS; i++) { \
            u64 wants, turn; \
            asm volatile(enter ::[mine] "r"(mine), [turn] "r"(&other), [one] "r"(1ul), [cpu] "r"(cpu) : "memory"); \
            for (u64 n = 1;; n++) { \
                asm volatile("ldar %0, [%2]\n\tldar %1, [%3]" : "=&r"(wants), "=&r"(turn) : "r"(theirs), "r"(&other) : "memory"); \
                if (!wants || turn != cpu) \
                    break; \
                if (n % 64 == 0) \
                    wait_a_little(); \
            } \
            critical(cpu); \
            asm volatile(leave ::[mine] "r"(mine) : "memory"); \
        } \
    }
PETERSON(peterson_dmb, "str %[one], [%[mine]]\n\tdmb ish\n\tstr %[cpu], [%[turn]]\n\tdmb ish", "dmb ish\n\tstr xzr, [%[mine]]")
PETERSON(peterson_stlr, "stlr %[one], [%[mine]]\n\tstlr %[cpu], [%[turn]]", "stlr xzr, [%[mine]]")

static const char *lock_result(u64 expected)
{
    u64 sum = 0;
    for (int i = 0; i < 64; i++)
        sum += order[i];
    return counter_a != expected || counter_b != expected ? "a count" : sum != 64 * 63 / 2 ? "the order" : faults();
}

static const char *lock_check(void) { return lock_result(CPUS * ROUNDS); }
static const char *peterson_check(void) { return lock_result(2 * ROUNDS); }

#ifdef LSE2
// Pairs that all CPUs store and load: both halves are of one store.
#define PAIR(name, store, load) \
    static void name(u64 cpu) \
    { \
        for (u64 i = 0; i < ROUNDS; i++) { \
            u64 value = (cpu + 1) << 20 | (i & 0xFFFFF), low, high; \
            asm volatile(store ::"r"(value), "r"(&place) : "x9", "memory"); \
            asm volatile(load : "=&r"(low), "=&r"(high) : "r"(&place) : "memory"); \
            found[cpu].faults += low != high; \
        } \
    }
PAIR(pair, "stp %0, %0, [%1]", "ldp %0, %1, [%2]")
PAIR(pair_w, "stp %w0, %w0, [%1]", "ldp %w0, %w1, [%2]")
PAIR(pair_from_q, "dup v0.2d, %0\n\tstr q0, [%1]", "ldp %0, %1, [%2]")
PAIR(pair_to_q, "stnp %0, %0, [%1]", "ldr q0, [%2]\n\tumov %0, v0.d[0]\n\tumov %1, v0.d[1]")
PAIR(pair_to_x, "stp %w0, %w0, [%1], #0", "ldr %0, [%2]\n\tlsr %1, %0, #32\n\tmov %w0, %w0")
PAIR(pair_from_x, "orr x9, %0, %0, lsl #32\n\tstr x9, [%1]", "ldp %w0, %w1, [%2], #0")

static const char *pair_faults(void) { return faults(); }

// Atomics and exclusives that are not aligned, within 16 bytes.
static void unaligned(u64 cpu)
{
    void *at = (u8 *)&place + 3;
    for (u64 i = 0; i < ROUNDS; i++) {
        u64 old, status;
        asm volatile("ldaddal %1, %0, [%2]" : "=r"(old) : "r"(1ul), "r"(at) : "memory");
        do {
            asm volatile("ldxr %0, [%2]\n\tadd %0, %0, #2\n\tstxr %w1, %0, [%2]" : "=&r"(old), "=&r"(status) : "r"(at) : "memory");
        } while (status);
    }
}

static const char *unaligned_check(void)
{
    u64 sum;
    asm volatile("ldur %0, [%1, #3]" : "=r"(sum) : "r"(&place) : "memory");
    return sum != 3ul * CPUS * ROUNDS ? "the sum" : 0;
}
#endif

static const struct test {
    const char *name;
    void (*part)(u64 cpu);
    const char *(*check)(void);
} tests[] = {
    { "LDADD", ldadd, ldadd_check }, { "LDADDA", ldadda, ldadda_check }, { "LDADDL", ldaddl, ldaddl_check },
    { "LDADDAL", ldaddal, ldaddal_check }, { "LDADD of words", ldadd_w, ldadd_w_check }, { "LDADDALH", ldaddal_h, ldaddal_h_check },
    { "LDADDB", ldadd_b, ldadd_b_check }, { "STADD", stadd, sum_check },
    { "SWP", swp, swap_check }, { "SWPAL of words", swpal_w, swap_check }, { "SWPAH", swpa_h, swap_check }, { "SWPLB", swpl_b, swap_check },
    { "CAS", cas, sum_check }, { "CASAL of words", casal_w, sum_check_32 }, { "CASAH", casa_h, sum_check_16 }, { "CASLB", casl_b, sum_check_8 },
    { "LDXR", ldxr, sum_check }, { "LDAXR", ldaxr, sum_check }, { "LDXR of words", ldxr_w, sum_check_32 }, { "LDAXRH", ldaxr_h, sum_check_16 },
    { "LDXRB", ldxr_b, sum_check_8 }, { "LDXP", ldxp, pair_check }, { "LDAXP", ldaxp, pair_check }, { "LDXP of words", ldxp_w, pair_check_32 },
    { "CASP", casp, pair_check }, { "CASPAL", caspal, pair_check }, { "CASP of words", casp_w, pair_check_32 },
    { "LDSET, LDCLR, LDEOR", bits, zero_check }, { "LDSETAL of words", bits_w, zero_check }, { "LDSETAH", bits_h, zero_check },
    { "LDSETLB", bits_b, zero_check }, { "STSET", stset, zero_check }, { "LDUMAX, LDSMIN", extremes, extremes_check },
    { "neighbours", neighbours, neighbours_check }, { "list", push, push_check },
    { "LDAXR lock", spin_lock, lock_check }, { "SWPA lock", swap_lock, lock_check }, { "ticket lock", ticket_lock, lock_check },
#ifdef LSE2
    { "STP, LDP", pair, pair_faults }, { "STP, LDP of words", pair_w, pair_faults }, { "STR of Q, LDP", pair_from_q, pair_faults },
    { "STNP, LDR of Q", pair_to_q, pair_faults }, { "STP of words, LDR", pair_to_x, pair_faults },
    { "STR, LDP of words", pair_from_x, pair_faults }, { "unaligned LDADDAL, LDXR", unaligned, unaligned_check },
#endif
    { "Peterson's lock by DMB", peterson_dmb, peterson_check }, { "Peterson's lock by STLR", peterson_stlr, peterson_check },
};

static struct tables t;

static void take_part(const struct test *test, u64 cpu, u64 n)
{
    // All begin together, or nearly: a CPU may not be running.
    add(&ready.low, 1);
    for (int i = 0; i < (CPUS > 2 ? 2000 : 200000) && ready.low < n * CPUS; i++)
        ;
    test->part(cpu);
    asm volatile("dmb ish" ::: "memory");
    done[cpu].low = n;
}

void secondary_main(u64 cpu)
{
    mmu_on(&t, SCTLR_MMU);
    for (u64 n = 1; n <= count_of(tests); n++) {
        while (number.low < n)
            wait_a_little();
        asm volatile("dmb ish" ::: "memory");
        take_part(&tests[n - 1], cpu, n);
    }
}

void payload_main(void)
{
    mmu_new(&t, 12, 48);
    mmu_on(&t, SCTLR_MMU);
    for (u64 cpu = 1; cpu < CPUS; cpu++)
        start_cpu(cpu);
    for (u64 n = 1; n <= count_of(tests); n++) {
        place.low = place.high = other.low = counter_a = counter_b = 0;
        for (u64 i = 0; i < 64; i++)
            order[i] = i;
        for (u64 cpu = 0; cpu < CPUS; cpu++)
            found[cpu].sum = found[cpu].faults = 0;
        asm volatile("dmb ish" ::: "memory");
        number.low = n;
        take_part(&tests[n - 1], 0, n);
        for (u64 cpu = 1; cpu < CPUS; cpu++)
            while (done[cpu].low < n)
                wait_a_little();
        asm volatile("dmb ish" ::: "memory");
        const char *wrong = tests[n - 1].check();
        print("%s %s\n", tests[n - 1].name, wrong ? wrong : "right");
    }
    mmu_off();
}

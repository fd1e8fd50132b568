// Litmus tests of the memory model (Arm ARM B2.3) with CPUs in parallel. A line for each test:
//     name expected weak rounds
// "expected" is what the architecture says of the weak outcome: forbidden, or allowed; "weak" is how often it was seen. Run with two CPUs, or
// with four for the tests of three and four.
#include "mmu.h"

#ifndef ROUNDS
#define ROUNDS 20000
#endif

#ifndef MILLISECONDS
#define MILLISECONDS 200    // for one test at most
#endif

#define BATCH 256           // places of a batch, each used once
#define PATIENCE 400        // looks at how far the others are: they may not be running at all

// Looks before the host's core is given up; whoever gives it up at once is never there when the other is.
#define LONG (CPUS > 2 ? 100 : 200000)

asm(".arch_extension lse\n.arch_extension rcpc");

// Far enough apart for cache lines, and for the lines that hosts fetch in pairs.
struct place {
    volatile u64 x, pad_x[15];
    volatile u64 y, pad_y[15];
};

struct result {
    u64 a, b, pad[6];
};

static struct place places[BATCH] __attribute__((aligned(4096)));
static struct result results[4][BATCH] __attribute__((aligned(4096)));

// Where an atomic of a body's own may go, for each CPU a line.
static u64 own[4][16] __attribute__((aligned(4096)));

// Each on a line of its own.
static struct { volatile u64 value, pad[15]; } batch_number, done[4], progress[4];

typedef void body(struct place *p, struct result *r, u64 *z);

// a and b are what a body reads; t is scratch.
#define BODY(name, code) \
    static void name(struct place *p, struct result *r, u64 *z) \
    { \
        u64 a = 0, b = 0, t = 0; \
        asm volatile(code : [a] "+&r"(a), [b] "+&r"(b), [t] "+&r"(t) \
                     : [x] "r"(&p->x), [y] "r"(&p->y), [z] "r"(z), [one] "r"(1ul), [two] "r"(2ul) : "memory", "cc"); \
        r->a = a; \
        r->b = b; \
    }

#define W(v, place) "str %[" #v "], [%[" #place "]]\n\t"
#define WL(v, place) "stlr %[" #v "], [%[" #place "]]\n\t"
#define R(r, place) "ldr %[" #r "], [%[" #place "]]\n\t"
#define RA(r, place) "ldar %[" #r "], [%[" #place "]]\n\t"
#define RQ(r, place) "ldapr %[" #r "], [%[" #place "]]\n\t"
#define F(kind) kind "\n\t"

// Dependencies on the first read: of an address, of data, of control.
#define R_ADDRESS(r, place) "eor %[t], %[a], %[a]\n\tldr %[" #r "], [%[" #place "], %[t]]\n\t"
#define W_DATA(v, place) "eor %[t], %[a], %[a]\n\tadd %[t], %[t], %[" #v "]\n\tstr %[t], [%[" #place "]]\n\t"
#define CONTROL "cbz %[a], 9f\n9:\n\t"

// Exclusives and atomics as the access that orders.
#define W_STLXR(v, place) "8:\n\tldxr %[t], [%[" #place "]]\n\tstlxr %w[t], %[" #v "], [%[" #place "]]\n\tcbnz %w[t], 8b\n\t"
#define R_LDAXR(r, place) "ldaxr %[" #r "], [%[" #place "]]\n\tclrex\n\t"
#define AMO(kind) kind " %[one], %[t], [%[z]]\n\t"

// Message passing.
#define MP(name, between_writes, between_reads) \
    BODY(name##_0, W(one, x) between_writes W(one, y)) \
    BODY(name##_1, R(a, y) between_reads R(b, x))
MP(mp, "", "")
MP(mp_dmb, F("dmb ish"), F("dmb ish"))
MP(mp_half, F("dmb ishst"), F("dmb ishld"))
MP(mp_dsb, F("dsb ish"), F("dsb ish"))
BODY(mp_address_1, R(a, y) R_ADDRESS(b, x))
BODY(mp_control_1, R(a, y) CONTROL R(b, x))
BODY(mp_control_isb_1, R(a, y) CONTROL F("isb") R(b, x))
BODY(mp_release_0, W(one, x) WL(one, y))
BODY(mp_acquire_1, RA(a, y) R(b, x))
BODY(mp_acquire_pc_1, RQ(a, y) R(b, x))
BODY(mp_stlxr_0, W(one, x) W_STLXR(one, y))
BODY(mp_ldaxr_1, R_LDAXR(a, y) R(b, x))
BODY(mp_swpl_0, W(one, x) "swpl %[one], %[t], [%[y]]\n\t")
BODY(mp_ldadda_1, "ldadda xzr, %[a], [%[y]]\n\t" R(b, x))

// Store buffering: what x86 does and barriers must not let through.
#define SB(name, w, between, r) \
    BODY(name##_0, w(one, x) between r(a, y)) \
    BODY(name##_1, w(one, y) between r(a, x))
SB(sb, W, "", R)
SB(sb_dmb, W, F("dmb ish"), R)
SB(sb_dmb_sy, W, F("dmb sy"), R)
SB(sb_dsb, W, F("dsb ish"), R)
SB(sb_st, W, F("dmb ishst"), R)
SB(sb_ld, W, F("dmb ishld"), R)
SB(sb_isb, W, F("isb"), R)
SB(sb_release_acquire, WL, "", RA)
SB(sb_release_acquire_pc, WL, "", RQ)
SB(sb_release, WL, "", R)
SB(sb_acquire, W, "", RA)
SB(sb_ldaddal, W, AMO("ldaddal"), R)
SB(sb_swpal, W, AMO("swpal"), R)
SB(sb_stlxr, W_STLXR, "", R_LDAXR)

// Load buffering.
#define LB(name, r, between, w) \
    BODY(name##_0, r(a, x) between w(one, y)) \
    BODY(name##_1, r(a, y) between w(one, x))
LB(lb, R, "", W)
LB(lb_dmb, R, F("dmb ish"), W)
LB(lb_ld, R, F("dmb ishld"), W)
LB(lb_data, R, "", W_DATA)
LB(lb_control, R, CONTROL, W)
LB(lb_acquire, RA, "", W)
LB(lb_release, R, "", WL)

// S: a read and a write after a write that was seen.
BODY(s_0, W(two, x) W(one, y))
BODY(s_1, R(a, y) W(one, x))
BODY(s_dmb_0, W(two, x) F("dmb ishst") W(one, y))
BODY(s_dmb_1, R(a, y) F("dmb ish") W(one, x))
BODY(s_data_1, R(a, y) W_DATA(one, x))
BODY(s_release_0, W(two, x) WL(one, y))
BODY(s_acquire_1, RA(a, y) W(one, x))

// R: two writes to one place, and a read after the later.
#define RR(name, w0, between, w1, r) \
    BODY(name##_0, W(one, x) between w0(one, y)) \
    BODY(name##_1, w1(two, y) between r(a, x))
RR(r, W, "", W, R)
RR(r_dmb, W, F("dmb ish"), W, R)
RR(r_st, W, F("dmb ishst"), W, R)
RR(r_release_acquire, WL, "", WL, RA)

// 2+2W: writes to both places, each CPU in its order.
#define WW(name, between, w) \
    BODY(name##_0, W(one, x) between w(two, y)) \
    BODY(name##_1, W(one, y) between w(two, x))
WW(ww, "", W)
WW(ww_st, F("dmb ishst"), W)
WW(ww_release, "", WL)

// Coherence: two reads of one place.
BODY(corr_0, W(one, x))
BODY(corr_1, R(a, x) R(b, x))

// IRIW: two readers agree on the order of independent writes; the architecture is multi-copy atomic. WRC and ISA2: by way of a third CPU.
BODY(write_x, W(one, x))
BODY(write_y, W(one, y))
#define IRIW(name, r, between, r2) \
    BODY(name##_2, r(a, x) between r2(b, y)) \
    BODY(name##_3, r(a, y) between r2(b, x))
IRIW(iriw, R, "", R)
IRIW(iriw_dmb, R, F("dmb ish"), R)
IRIW(iriw_address, R, "", R_ADDRESS)
IRIW(iriw_acquire, RA, "", RA)
BODY(wrc_1, R(a, x) W_DATA(one, y))
BODY(wrc_2, R(a, y) R_ADDRESS(b, x))

// The weak outcome.
static int weak_mp(const struct place *p, u64 i) { return results[1][i].a == 1 && results[1][i].b == 0; }
static int weak_sb(const struct place *p, u64 i) { return results[0][i].a == 0 && results[1][i].a == 0; }
static int weak_lb(const struct place *p, u64 i) { return results[0][i].a == 1 && results[1][i].a == 1; }
static int weak_s(const struct place *p, u64 i) { return results[1][i].a == 1 && p->x == 2; }
static int weak_r(const struct place *p, u64 i) { return results[1][i].a == 0 && p->y == 2; }
static int weak_ww(const struct place *p, u64 i) { return p->x == 1 && p->y == 1; }
static int weak_wrc(const struct place *p, u64 i) { return results[1][i].a == 1 && results[2][i].a == 1 && results[2][i].b == 0; }

static int weak_iriw(const struct place *p, u64 i)
{
    return results[2][i].a == 1 && results[2][i].b == 0 && results[3][i].a == 1 && results[3][i].b == 0;
}

#define ALLOWED 0
#define FORBIDDEN 1

static const struct test {
    const char *name;
    int expected, cpus;
    int (*weak)(const struct place *p, u64 i);
    body *bodies[4];
} tests[] = {
    { "MP", ALLOWED, 2, weak_mp, { mp_0, mp_1 } },
    { "MP+dmb.ish+dmb.ish", FORBIDDEN, 2, weak_mp, { mp_dmb_0, mp_dmb_1 } },
    { "MP+dmb.ishst+dmb.ishld", FORBIDDEN, 2, weak_mp, { mp_half_0, mp_half_1 } },
    { "MP+dsb+dsb", FORBIDDEN, 2, weak_mp, { mp_dsb_0, mp_dsb_1 } },
    { "MP+dmb.ishst+addr", FORBIDDEN, 2, weak_mp, { mp_half_0, mp_address_1 } },
    { "MP+dmb.ishst+ctrl", ALLOWED, 2, weak_mp, { mp_half_0, mp_control_1 } },
    { "MP+dmb.ishst+ctrl-isb", FORBIDDEN, 2, weak_mp, { mp_half_0, mp_control_isb_1 } },
    { "MP+stlr+ldar", FORBIDDEN, 2, weak_mp, { mp_release_0, mp_acquire_1 } },
    { "MP+stlr+ldapr", FORBIDDEN, 2, weak_mp, { mp_release_0, mp_acquire_pc_1 } },
    { "MP+stlxr+ldaxr", FORBIDDEN, 2, weak_mp, { mp_stlxr_0, mp_ldaxr_1 } },
    { "MP+swpl+ldadda", FORBIDDEN, 2, weak_mp, { mp_swpl_0, mp_ldadda_1 } },
    { "SB", ALLOWED, 2, weak_sb, { sb_0, sb_1 } },
    { "SB+dmb.ish", FORBIDDEN, 2, weak_sb, { sb_dmb_0, sb_dmb_1 } },
    { "SB+dmb.sy", FORBIDDEN, 2, weak_sb, { sb_dmb_sy_0, sb_dmb_sy_1 } },
    { "SB+dsb", FORBIDDEN, 2, weak_sb, { sb_dsb_0, sb_dsb_1 } },
    { "SB+dmb.ishst", ALLOWED, 2, weak_sb, { sb_st_0, sb_st_1 } },
    { "SB+dmb.ishld", ALLOWED, 2, weak_sb, { sb_ld_0, sb_ld_1 } },
    { "SB+isb", ALLOWED, 2, weak_sb, { sb_isb_0, sb_isb_1 } },
    { "SB+stlr-ldar", FORBIDDEN, 2, weak_sb, { sb_release_acquire_0, sb_release_acquire_1 } },
    { "SB+stlr-ldapr", ALLOWED, 2, weak_sb, { sb_release_acquire_pc_0, sb_release_acquire_pc_1 } },
    { "SB+stlr-ldr", ALLOWED, 2, weak_sb, { sb_release_0, sb_release_1 } },
    { "SB+str-ldar", ALLOWED, 2, weak_sb, { sb_acquire_0, sb_acquire_1 } },
    { "SB+ldaddal", FORBIDDEN, 2, weak_sb, { sb_ldaddal_0, sb_ldaddal_1 } },
    { "SB+swpal", FORBIDDEN, 2, weak_sb, { sb_swpal_0, sb_swpal_1 } },
    { "SB+stlxr-ldaxr", FORBIDDEN, 2, weak_sb, { sb_stlxr_0, sb_stlxr_1 } },
    { "LB", ALLOWED, 2, weak_lb, { lb_0, lb_1 } },
    { "LB+dmb.ish", FORBIDDEN, 2, weak_lb, { lb_dmb_0, lb_dmb_1 } },
    { "LB+dmb.ishld", FORBIDDEN, 2, weak_lb, { lb_ld_0, lb_ld_1 } },
    { "LB+data", FORBIDDEN, 2, weak_lb, { lb_data_0, lb_data_1 } },
    { "LB+ctrl", FORBIDDEN, 2, weak_lb, { lb_control_0, lb_control_1 } },
    { "LB+ldar", FORBIDDEN, 2, weak_lb, { lb_acquire_0, lb_acquire_1 } },
    { "LB+stlr", FORBIDDEN, 2, weak_lb, { lb_release_0, lb_release_1 } },
    { "S", ALLOWED, 2, weak_s, { s_0, s_1 } },
    { "S+dmb.ishst+dmb.ish", FORBIDDEN, 2, weak_s, { s_dmb_0, s_dmb_1 } },
    { "S+dmb.ishst+data", FORBIDDEN, 2, weak_s, { s_dmb_0, s_data_1 } },
    { "S+stlr+ldar", FORBIDDEN, 2, weak_s, { s_release_0, s_acquire_1 } },
    { "R", ALLOWED, 2, weak_r, { r_0, r_1 } },
    { "R+dmb.ish", FORBIDDEN, 2, weak_r, { r_dmb_0, r_dmb_1 } },
    { "R+dmb.ishst", ALLOWED, 2, weak_r, { r_st_0, r_st_1 } },
    { "R+stlr+stlr-ldar", FORBIDDEN, 2, weak_r, { r_release_acquire_0, r_release_acquire_1 } },
    { "2+2W", ALLOWED, 2, weak_ww, { ww_0, ww_1 } },
    { "2+2W+dmb.ishst", FORBIDDEN, 2, weak_ww, { ww_st_0, ww_st_1 } },
    { "2+2W+stlr", FORBIDDEN, 2, weak_ww, { ww_release_0, ww_release_1 } },
    { "CoRR", FORBIDDEN, 2, weak_mp, { corr_0, corr_1 } },
    { "WRC+data+addr", FORBIDDEN, 3, weak_wrc, { write_x, wrc_1, wrc_2 } },
    { "IRIW", ALLOWED, 4, weak_iriw, { write_x, write_y, iriw_2, iriw_3 } },
    { "IRIW+dmb.ish", FORBIDDEN, 4, weak_iriw, { write_x, write_y, iriw_dmb_2, iriw_dmb_3 } },
    { "IRIW+addr", FORBIDDEN, 4, weak_iriw, { write_x, write_y, iriw_address_2, iriw_address_3 } },
    { "IRIW+ldar", FORBIDDEN, 4, weak_iriw, { write_x, write_y, iriw_acquire_2, iriw_acquire_3 } },
};

static struct tables t;
static const struct test *volatile current;
static volatile u64 online;

// The part of one CPU in a batch: the places in order, about as far as the others are, with some skew that differs from place to place.
static void run_batch(const struct test *test, u64 cpu, u64 number)
{
    u64 random = (number * 4 + cpu) * 0x9E3779B97F4A7C15ul | 1;
    for (u64 i = 0; i < BATCH; i++) {
        progress[cpu].value = number * BATCH + i;
        for (int other = 0; other < test->cpus; other++)
            for (int n = 0; n < PATIENCE && progress[other].value < number * BATCH + i; n++)
                ;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for (volatile u64 n = random & 7; n > 0; n--)
            ;
        test->bodies[cpu](&places[i], &results[cpu][i], own[cpu]);
    }
    progress[cpu].value = (number + 1) * BATCH;
}

static void wait_for(volatile u64 *value, u64 least)
{
    for (u64 n = 1; *value < least; n++)
        if (n % LONG == 0)
            asm volatile("sevl\n\twfe\n\twfe");
    asm volatile("dmb ish" ::: "memory");
}

void secondary_main(u64 cpu)
{
    mmu_on(&t, SCTLR_MMU);
    asm volatile("ldadd %0, xzr, [%1]" ::"r"(1ul), "r"(&online) : "memory");
    for (u64 number = 1;; number++) {
        wait_for(&batch_number.value, number);
        const struct test *test = current;
        if (!test)
            return;
        if (cpu < test->cpus)
            run_batch(test, cpu, number);
        asm volatile("dmb ish" ::: "memory");
        done[cpu].value = number;
    }
}

// Returns how often the weak outcome was seen, in *rounds, which may be less than what was asked for: a busy host has no time for all.
static u64 run(const struct test *test, u64 cpus, u64 *rounds, u64 *number)
{
    u64 weak = 0, batches = 0;
    u64 end = read_sysreg(cntvct_el0) + read_sysreg(cntfrq_el0) / 1000 * MILLISECONDS;
    for (; batches < *rounds / BATCH && (batches == 0 || read_sysreg(cntvct_el0) < end); batches++) {
        for (u64 i = 0; i < BATCH; i++)
            places[i].x = places[i].y = 0;
        current = test;
        asm volatile("dmb ish" ::: "memory");
        batch_number.value = ++*number;
        run_batch(test, 0, *number);
        for (u64 cpu = 1; cpu < cpus; cpu++)
            wait_for(&done[cpu].value, *number);
        for (u64 i = 0; i < BATCH; i++)
            weak += test->weak(&places[i], i);
    }
    *rounds = batches * BATCH;
    return weak;
}

void payload_main(void)
{
    u64 number = 0;
    mmu_new(&t, 12, 48);
    mmu_on(&t, SCTLR_MMU);
    for (u64 cpu = 1; cpu < CPUS; cpu++)
        start_cpu(cpu);
    wait_for(&online, CPUS - 1);
    for (int i = 0; i < count_of(tests); i++) {
        const struct test *test = &tests[i];
        if ((test->cpus > 2) != (CPUS > 2))
            continue;
        u64 rounds = ROUNDS;
        u64 weak = run(test, CPUS, &rounds, &number);
        print("%s %s %d %d\n", test->name, test->expected == FORBIDDEN ? "forbidden" : "allowed", weak, rounds);
    }
    current = 0;
    asm volatile("dmb ish" ::: "memory");
    batch_number.value = ++number;
    mmu_off();
}

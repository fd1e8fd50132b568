// What every payload of the system oracle uses. A payload prints text on the PL011 and ends; the same image runs under QEMU and
// under our machine, so addresses inside it may be printed.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;

#define XSTR(x) #x
#define STR(x) XSTR(x)
#define read_sysreg(name) ({ u64 value_; asm volatile("mrs %0, " #name : "=r"(value_)::"memory"); value_; })
#define write_sysreg(name, v) asm volatile("msr " #name ", %0\n\tisb" ::"r"((u64)(v)) : "memory")
#define isb() asm volatile("isb" ::: "memory")
#define dsb() asm volatile("dsb sy" ::: "memory")
#define count_of(a) (sizeof(a) / sizeof(*(a)))

// Each payload.
void payload_main(void);

// A payload that starts other CPUs; the default powers off.
void secondary_main(u64 cpu);

// %s, %d (s64), %x (u64, no leading zeros), %w (8 digits).
void print(const char *format, ...);

struct frame {
    u64 x[31];
    u64 elr, spsr, vector;
};

// The last exception of any CPU, and how many there were since trap_clear.
struct trap {
    u64 count;
    u64 vector, esr, elr, far, spsr;
};

extern volatile struct trap trap;

// Where the next synchronous exception returns to, once; 0 skips the instruction, or ends what enter_with called if it could not
// be fetched.
extern volatile u64 trap_resume;

// Called for IRQ and FIQ; the default records them only.
void on_interrupt(struct frame *f);

// Called for the synchronous ones after recording; true when ELR has been dealt with. The default is false.
int on_trap(struct frame *f);

void trap_clear(void);

// Prints "name: none" or the last exception since trap_clear: vector, ESR in parts, ELR as an offset in the image, FAR if it has one.
void trap_report(const char *name);

// Runs instructions at EL1 and reports what they did. ELR is where it is: the image is the same everywhere.
#define PROBE(name, ...) do { trap_clear(); asm volatile(__VA_ARGS__); trap_report(name); } while (0)

u64 enter_with(u64 pc, u64 spsr, u64 x0, u64 x1);

#define SPSR_EL0 0x3C0ul

// Runs a function or snippet at EL0 with its argument and a stack of its own. It must end with svc #0x7FFF (EL0_RETURN).
u64 run_el0(const void *function, u64 argument);
#define EL0_RETURN() asm volatile("svc #0x7FFF")

// The same as PROBE, at EL0 with the MMU off; x0 is scratch.
#define PROBE_EL0(name, code) do { PROBE_EL0_QUIETLY(code); trap_report(name); } while (0)
#define PROBE_EL0_QUIETLY(code) do { \
        const void *at_; \
        asm volatile("adr %0, 1f\n\tb 2f\n1:\t" code "\n\tsvc #0x7FFF\n2:" : "=r"(at_)); \
        trap_clear(); \
        run_el0(at_, (u64)scratch); \
    } while (0)

// Memory to access in any way.
extern u8 scratch[8192];

s64 psci(u64 function, u64 a, u64 b, u64 c);
void power_off(void);
void start_cpu(u64 cpu);

static inline u32 mmio_read(u64 a) { u32 v; asm volatile("ldr %w0, [%1]" : "=r"(v) : "r"(a) : "memory"); return v; }
static inline void mmio_write(u64 a, u32 v) { asm volatile("str %w0, [%1]" ::"r"(v), "r"(a) : "memory"); }

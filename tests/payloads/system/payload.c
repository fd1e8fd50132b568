#include "payload.h"
#include <stdarg.h>

#define UART 0x09000000ul
#define UARTFR_TXFF (1u << 5)

extern const char image[], image_end[];
void left_el0(void);
void secondary_start(void);

volatile struct trap trap;
volatile u64 trap_resume;
u8 scratch[8192] __attribute__((aligned(4096)));
static u8 el0_stack[8192] __attribute__((aligned(16)));

void *memset(void *to, int value, u64 size)
{
    for (volatile u8 *p = to; size > 0; size--)
        *p++ = (u8)value;
    return to;
}

static void put(char c)
{
    while (mmio_read(UART + 0x18) & UARTFR_TXFF)
        ;
    mmio_write(UART, (u8)c);
}

static void put_hex(u64 value, int digits)
{
    for (int i = 15; i >= 0; i--)
        if (i < digits || value >> (i * 4))
            put("0123456789abcdef"[(value >> (i * 4)) & 15]);
}

static void put_decimal(s64 value)
{
    char digits[24];
    int n = 0;
    u64 v = value < 0 ? -(u64)value : (u64)value;
    if (value < 0)
        put('-');
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n > 0)
        put(digits[--n]);
}

void print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            for (const char *s = va_arg(args, const char *); *s; s++)
                put(*s);
            break;
        case 'd': put_decimal(va_arg(args, s64)); break;
        case 'x': put_hex(va_arg(args, u64), 1); break;
        case 'w': put_hex(va_arg(args, u64) & 0xFFFFFFFF, 8); break;
        }
    }
    va_end(args);
}

static void print_address(const char *name, u64 a)
{
    if (a >= (u64)image && a < (u64)image_end)
        print(" %s=image+%x", name, a - (u64)image);
    else
        print(" %s=%x", name, a);
}

void trap_clear(void)
{
    trap.count = 0;
    trap_resume = 0;
}

static int has_far(u32 class)
{
    return (class >= 0x20 && class <= 0x25) || class == 0x34 || class == 0x35;
}

void trap_report(const char *name)
{
    if (trap.count == 0) {
        print("%s: none\n", name);
        return;
    }
    u32 class = (u32)trap.esr >> 26;
    print("%s: vector=%x ec=%x il=%d iss=%x spsr=%w", name, trap.vector, (u64)class, (trap.esr >> 25) & 1, trap.esr & 0x1FFFFFF, trap.spsr);
    print_address("elr", trap.elr);
    if (has_far(class))
        print_address("far", trap.far);
    if (trap.count > 1)
        print(" count=%d", trap.count);
    print("\n");
}

__attribute__((weak)) void on_interrupt(struct frame *f)
{
    trap.count++;
    trap.vector = f->vector;
    trap.elr = f->elr;
    trap.spsr = f->spsr;
    trap.esr = 0;
}

__attribute__((weak)) int on_trap(struct frame *f)
{
    return 0;
}

__attribute__((weak)) void secondary_main(u64 cpu)
{
}

void on_exception(struct frame *f)
{
    if (f->vector & 0x180) {
        on_interrupt(f);
        return;
    }
    u64 esr = read_sysreg(esr_el1);
    u32 class = (u32)esr >> 26;
    if (class == 0x15 && (esr & 0xFFFF) == 0x7FFF) {
        f->elr = (u64)left_el0;
        f->spsr = 0x3C5;
        return;
    }
    trap.count++;
    trap.vector = f->vector;
    trap.esr = esr;
    trap.elr = f->elr;
    trap.spsr = f->spsr;
    trap.far = read_sysreg(far_el1);
    if (trap.count > 1000) {
        trap_report("too many exceptions");
        power_off();
    }
    if (on_trap(f))
        return;
    if (trap_resume) {
        f->elr = trap_resume;
        trap_resume = 0;
    } else if (class == 0x20 || class == 0x21) {
        f->elr = (u64)left_el0;
        f->spsr = 0x3C5;
    } else if (class != 0x15)
        f->elr += 4;
}

u64 run_el0(const void *function, u64 argument)
{
    write_sysreg(sp_el0, el0_stack + sizeof el0_stack);
    return enter_with((u64)function, SPSR_EL0, argument, 0);
}

s64 psci(u64 function, u64 a, u64 b, u64 c)
{
    register u64 x0 asm("x0") = function;
    register u64 x1 asm("x1") = a;
    register u64 x2 asm("x2") = b;
    register u64 x3 asm("x3") = c;
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
    return (s64)x0;
}

void power_off(void)
{
    print("the end\n");
    psci(0x84000008, 0, 0, 0);
}

void start_cpu(u64 cpu)
{
    s64 result = psci(0xC4000003, cpu, (u64)secondary_start, cpu);
    if (result)
        print("CPU_ON of %d: %d\n", cpu, result);
}

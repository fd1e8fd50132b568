// The first process of the guest tests: a shell of a few commands, without a C library and without SIMD, driven over the console.
//   sets             the CPU sets of sysfs
//   cat FILE         prints a file
//   write V FILE     writes one digit
//   pin N            runs on CPU N for a moment and says where it ran
//   off, reboot      power
typedef unsigned long u64;

static long call(long number, long a, long b, long c, long d)
{
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = 0;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}

enum { SYS_mkdirat = 34, SYS_mount = 40, SYS_openat = 56, SYS_close = 57, SYS_read = 63, SYS_write = 64,
       SYS_syslog = 116, SYS_sched_setaffinity = 122, SYS_reboot = 142, SYS_getcpu = 168 };

static int length(const char *s) { int n = 0; while (s[n]) n++; return n; }
static void print(const char *s) { call(SYS_write, 1, (long)s, length(s), 0); }

static void number(long v)
{
    char text[24];
    int i = 23;
    text[i] = 0;
    int negative = v < 0;
    if (negative) v = -v;
    do { text[--i] = '0' + v % 10; v /= 10; } while (v);
    if (negative) text[--i] = '-';
    print(text + i);
}

static void cat(const char *path)
{
    static char buffer[65536];
    long fd = call(SYS_openat, -100, (long)path, 0, 0);
    if (fd < 0) { print("error "); number(fd); print("\n"); return; }
    for (long n; (n = call(SYS_read, fd, (long)buffer, sizeof buffer, 0)) > 0;) call(SYS_write, 1, (long)buffer, n, 0);
    call(SYS_close, fd, 0, 0, 0);
}

static void put(const char *path, const char *value)
{
    long fd = call(SYS_openat, -100, (long)path, 1, 0);
    long result = fd < 0 ? fd : call(SYS_write, fd, (long)value, 1, 0);
    print("wrote "); number(result); print("\n");
    if (fd >= 0) call(SYS_close, fd, 0, 0, 0);
}

static void set(const char *name, const char *path) { print(name); print("="); cat(path); }

static void pin(int cpu)
{
    u64 mask = 1ul << cpu;
    unsigned where = 99;
    long result = call(SYS_sched_setaffinity, 0, 8, (long)&mask, 0);
    for (volatile int i = 0; i < 3000000; i++) { }
    call(SYS_getcpu, (long)&where, 0, 0, 0);
    print("pin "); number(result); print(" ran on cpu "); number(where); print("\n");
    mask = ~0ul;
    call(SYS_sched_setaffinity, 0, 8, (long)&mask, 0);
}

static int starts(const char *s, const char *with) { while (*with) if (*s++ != *with++) return 0; return 1; }

void _start(void)
{
    static char line[256];
    call(SYS_mkdirat, -100, (long)"/proc", 0755, 0);
    call(SYS_mkdirat, -100, (long)"/sys", 0755, 0);
    call(SYS_mount, (long)"proc", (long)"/proc", (long)"proc", 0);
    call(SYS_mount, (long)"sysfs", (long)"/sys", (long)"sysfs", 0);
    // From here on the kernel prints warnings and worse only: its notes would come in between what we print.
    call(SYS_syslog, 8, 0, 5, 0);
    print("guest is up\n");
    for (;;) {
        print("# ");
        long n = call(SYS_read, 0, (long)line, sizeof line - 1, 0);
        if (n <= 0) continue;
        line[n - 1] = 0;
        if (starts(line, "sets")) {
            set("possible", "/sys/devices/system/cpu/possible");
            set("present", "/sys/devices/system/cpu/present");
            set("enabled", "/sys/devices/system/cpu/enabled");
            set("online", "/sys/devices/system/cpu/online");
            set("offline", "/sys/devices/system/cpu/offline");
            print("end of sets\n");
        } else if (starts(line, "cat ")) { cat(line + 4); print("end of file\n"); }
        else if (starts(line, "write ")) put(line + 8, line + 6);
        else if (starts(line, "pin ")) pin(line[4] - '0');
        else if (starts(line, "off")) call(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc, 0);
        else if (starts(line, "reboot")) call(SYS_reboot, 0xfee1dead, 672274793, 0x01234567, 0);
        else print("unknown command\n");
    }
}

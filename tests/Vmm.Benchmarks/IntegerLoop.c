/* The compiled integer loop of the interpreter benchmark: hashing, sorting and searching in memory, with calls and branches. */
typedef unsigned int u32;
typedef unsigned long u64;

/* The first instruction of the image. */
__asm__(".globl _start\n_start: movz x9, #0x4010, lsl #16\n mov sp, x9\n b start\n");

static u32 data[4096];

static __attribute__((noinline)) u64 mix(u64 h, u32 v)
{
    h ^= v;
    h *= 0x9e3779b97f4a7c15ul;
    return (h << 13) | (h >> 51);
}

static __attribute__((noinline)) u32 find(u32 key)
{
    u32 low = 0, high = 4096;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (data[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

u64 run(u64 rounds)
{
    u64 h = 1;
    for (u64 round = 0; round < rounds; round++) {
        u32 x = (u32)h | 1;
        u32 sum = 0;
        for (int i = 0; i < 4096; i++) {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            sum += x & 0xffff;
            data[i] = sum;
        }
        for (int i = 0; i < 4096; i++)
            h = mix(h, data[i]);
        for (int i = 0; i < 512; i++)
            h += find((u32)(h >> 3) % sum);
    }
    return h;
}

static u64 table[512] __attribute__((aligned(4096)));

/* Entered at EL1 with the MMU off; argument: nonzero to turn it on, 1 GiB of normal memory mapped to itself. */
void start(u64 mmu)
{
    if (mmu) {
        table[1] = 0x40000000ul | (1ul << 10) | (3ul << 8) | 1;
        __asm__ volatile(
            "msr mair_el1, %0\n msr tcr_el1, %1\n msr ttbr0_el1, %2\n isb\n"
            "mrs x9, sctlr_el1\n orr x9, x9, #1\n msr sctlr_el1, x9\n isb\n"
            :: "r"(0xfful), "r"(25ul | (1ul << 23)), "r"(table) : "x9", "memory");
    }

    run(~0ul);
}

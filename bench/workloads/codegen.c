// What a just-in-time compiler does: writes small functions into a buffer, makes each one visible to instruction fetch, and calls it and older ones of the same page.
// One write in four writes the bytes that are there already.
#define _GNU_SOURCE
#include "bench.h"
#include <sys/mman.h>

enum { PAGES = 4, PAGE_WORDS = 1024, SLOT_WORDS = 16, SLOTS = PAGES * PAGE_WORDS / SLOT_WORDS, ROUNDS = 60000, OLDER = 3 };

typedef uint64_t (*function)(uint64_t);

// A function of five instructions; what it returns depends on the seed.
static void write_function(uint32_t *code, uint32_t seed)
{
    uint32_t rotate = seed >> 16 & 63, shift = seed >> 22 & 63;
    code[0] = 0xd2800001 | (seed & 0xffff) << 5;        // mov x1, #seed
    code[1] = 0xca010000;                               // eor x0, x0, x1
    code[2] = 0x8b010000 | shift << 10;                 // add x0, x0, x1, lsl #shift
    code[3] = 0x93c00000 | rotate << 10;                // ror x0, x0, #rotate
    code[4] = 0xd65f03c0;                               // ret
    __builtin___clear_cache((char *)code, (char *)(code + 5));
}

WORKLOAD(codegen, "codegen")
{
    static uint32_t seeds[SLOTS];
    uint32_t *code = mmap(0, PAGES * PAGE_WORDS * 4, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(code != MAP_FAILED, "mmap");
    uint64_t random = 11, x = 1;
    for (int slot = 0; slot < SLOTS; slot++) write_function(code + slot * SLOT_WORDS, seeds[slot]);
    for (int round = 0; round < ROUNDS; round++)
    {
        uint64_t r = next_random(&random);
        uint32_t slot = r >> 8 & (SLOTS - 1), first_of_page = slot & ~(uint32_t)(PAGE_WORDS / SLOT_WORDS - 1);
        if (round & 3) seeds[slot] = (uint32_t)(r >> 32);
        write_function(code + slot * SLOT_WORDS, seeds[slot]);
        x = ((function)(code + slot * SLOT_WORDS))(x);
        for (int i = 0; i < OLDER; i++)
        {
            uint32_t older = first_of_page + (r >> (16 + 6 * i) & (PAGE_WORDS / SLOT_WORDS - 1));
            x = ((function)(code + older * SLOT_WORDS))(x);
        }
    }
    check(munmap(code, PAGES * PAGE_WORDS * 4) == 0, "munmap");
    return x;
}

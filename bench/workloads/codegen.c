// What a just-in-time compiler does: writes small functions into a buffer, makes each one visible to instruction fetch, and calls it and older ones of the same page.
#define _GNU_SOURCE
#include "bench.h"
#include <sys/mman.h>

enum { PAGE_WORDS = 1024, SLOT_WORDS = 16, PAGE_SLOTS = PAGE_WORDS / SLOT_WORDS };

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

static uint32_t *new_buffer(int pages)
{
    uint32_t *code = mmap(0, pages * PAGE_WORDS * 4, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(code != MAP_FAILED, "mmap");
    return code;
}

static function slot_at(uint32_t *code, uint32_t slot) { return (function)(code + slot * SLOT_WORDS); }

// Each function is called a few times before it is replaced. One write in four writes the bytes that are there already.
WORKLOAD(codegen, "codegen")
{
    enum { PAGES = 4, SLOTS = PAGES * PAGE_SLOTS, ROUNDS = 60000, OLDER = 3 };
    static uint32_t seeds[SLOTS];
    uint32_t *code = new_buffer(PAGES);
    uint64_t random = 11, x = 1;
    for (uint32_t slot = 0; slot < SLOTS; slot++) write_function(code + slot * SLOT_WORDS, seeds[slot]);
    for (int round = 0; round < ROUNDS; round++)
    {
        uint64_t r = next_random(&random);
        uint32_t slot = r >> 8 & (SLOTS - 1), first_of_page = slot & ~(uint32_t)(PAGE_SLOTS - 1);
        if (round & 3) seeds[slot] = (uint32_t)(r >> 32);
        write_function(code + slot * SLOT_WORDS, seeds[slot]);
        x = slot_at(code, slot)(x);
        for (int i = 0; i < OLDER; i++) x = slot_at(code, first_of_page + (r >> (16 + 6 * i) & (PAGE_SLOTS - 1)))(x);
    }
    check(munmap(code, PAGES * PAGE_WORDS * 4) == 0, "munmap");
    return x;
}

// One function of a page is written, all others of it stay and are called, one of them a loop: what it costs the rest of a page that a line of it changes.
WORKLOAD(codegen_page, "codegen-page")
{
    enum { ROUNDS = 40000 };
    static const uint32_t loop[] = {
        0xd2807d02,     //      mov  x2, #1000
        0x8b000400,     // l:   add  x0, x0, x0, lsl #1
        0xf1000442,     //      subs x2, x2, #1
        0x54ffffc1,     //      b.ne l
        0xd65f03c0,     //      ret
    };
    uint32_t *code = new_buffer(1);
    uint64_t random = 12, x = 1;
    for (uint32_t slot = 1; slot < PAGE_SLOTS; slot++) write_function(code + slot * SLOT_WORDS, slot * 0x10101);
    for (unsigned i = 0; i < sizeof loop / 4; i++) code[i] = loop[i];
    __builtin___clear_cache((char *)code, (char *)(code + sizeof loop / 4));
    for (int round = 0; round < ROUNDS; round++)
    {
        uint64_t r = next_random(&random);
        write_function(code + (1 + r % (PAGE_SLOTS - 1)) * SLOT_WORDS, (uint32_t)(r >> 32));
        for (uint32_t slot = 0; slot < PAGE_SLOTS; slot++) x = slot_at(code, slot)(x);
    }
    check(munmap(code, PAGE_WORDS * 4) == 0, "munmap");
    return x;
}

// A loop that writes an instruction of its own page and calls it, as inline caches and trampolines are patched. It is copied into a page of its own.
__asm__(".pushsection .rodata\n.balign 8\n"
        ".global self_begin, self_end\n"
        "self_begin: mov x9, x30\n"
        "mov x2, x0\n"
        "adr x3, 2f\n"
        "ldr w4, 2f\n"
        "mov x0, #0\n"
        "1: and w5, w2, #0xffff\n"
        "orr w5, w4, w5, lsl #5\n"
        "str w5, [x3]\n"
        "dc cvau, x3\n"
        "dsb ish\n"
        "ic ivau, x3\n"
        "dsb ish\n"
        "isb\n"
        "bl 2f\n"
        "add x0, x0, x1\n"
        "eor x0, x0, x0, ror #5\n"
        "subs x2, x2, #1\n"
        "b.ne 1b\n"
        "ret x9\n"
        ".balign 64\n"
        "2: mov x1, #0\n"
        "ret\n"
        "self_end: .popsection\n");

WORKLOAD(codegen_self, "codegen-self")
{
    enum { ROUNDS = 60000 };
    extern const char self_begin[], self_end[];
    uint32_t *code = new_buffer(1);
    __builtin_memcpy(code, self_begin, (unsigned long)(self_end - self_begin));
    __builtin___clear_cache((char *)code, (char *)code + (self_end - self_begin));
    uint64_t sum = ((function)code)(ROUNDS);
    check(munmap(code, PAGE_WORDS * 4) == 0, "munmap");
    return sum;
}

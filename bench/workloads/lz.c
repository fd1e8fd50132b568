// Compression in the manner of LZ77: matches found by a hash of four bytes, copied or passed through; then expanded again and compared.
#include "bench.h"
#include <string.h>

enum { SIZE = 1 << 20, HASH_BITS = 14, ROUNDS = 30 };

static uint8_t text[SIZE], packed[SIZE * 2], unpacked[SIZE];
static uint32_t heads[1 << HASH_BITS];

static uint32_t word_at(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, 4);
    return w;
}

// A literal is 0, the byte; a match is its length (4 to 255), then its distance in two bytes. Returns the packed length in bytes.
static uint32_t pack(void)
{
    uint32_t at = 0, n = 0;
    memset(heads, 0xff, sizeof heads);
    while (at < SIZE)
    {
        uint32_t length = 0, from = 0;
        if (at + 4 <= SIZE)
        {
            uint32_t *head = &heads[word_at(text + at) * 2654435761u >> (32 - HASH_BITS)];
            from = *head;
            *head = at;
            if (from != ~0u && at - from < 65536)
                while (length < 255 && at + length < SIZE && text[from + length] == text[at + length]) length++;
        }
        if (length < 4)
        {
            packed[n++] = 0;
            packed[n++] = text[at++];
            continue;
        }
        packed[n++] = (uint8_t)length;
        packed[n++] = (uint8_t)(at - from);
        packed[n++] = (uint8_t)((at - from) >> 8);
        at += length;
    }
    return n;
}

static void unpack(uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < n;)
    {
        uint32_t length = packed[i];
        if (length == 0)
        {
            unpacked[at++] = packed[i + 1];
            i += 2;
            continue;
        }
        uint32_t from = at - (packed[i + 1] | (uint32_t)packed[i + 2] << 8);
        for (uint32_t j = 0; j < length; j++) unpacked[at++] = unpacked[from++];
        i += 3;
    }
}

WORKLOAD(lz, "lz")
{
    uint64_t random = 11, sum = 0;
    for (int i = 0; i < SIZE;)
    {
        // "Words" of a small vocabulary, so that there is something to find.
        uint64_t word = next_random(&random) >> 30 & 1023;
        for (uint64_t x = word * 0x9e3779b97f4a7c15 | 1, n = 3 + word % 9; n > 0 && i < SIZE; n--) text[i++] = (uint8_t)('a' + next_random(&x) % 26);
    }
    for (int round = 0; round < ROUNDS; round++)
    {
        uint32_t n = pack();
        unpack(n);
        check(memcmp(text, unpacked, SIZE) == 0, "lz: unpacked text differs");
        sum = mix(sum, n);
        for (uint32_t i = 0; i < n; i += 61) sum = mix(sum, packed[i]);
        text[round * 4099] ^= 1;
    }
    return sum;
}
